/**
 * The page that a listening port serves, as a peer of its own: it joins through the port that served it, or through whoever
 * made the invite that it was opened with, and goes on when that one is gone. Nothing is asked of any third party.
 */
import { renderSVG } from 'uqr'
import { type LinkView, Mesh, type PathView, type Service, WebmeshError } from '../index.browser.ts'
import { figuresOf } from '../paths/shared-port/peer-page.ts'

const CHAT = 'chat.webmesh-page/1'
const REFRESH_MS = 1_000
const PORT_REFRESH_MS = 5_000
const MESSAGES_KEPT = 200
const TEXT_MAX = 1_000

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function part<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no part "${id}"`)
  // reason: the page is written together with this.
  return found as T
}

const state = part('state')
const links = part<HTMLTableSectionElement>('links')
const log = part<HTMLOListElement>('log')
const form = part<HTMLFormElement>('say')
const input = part<HTMLInputElement>('text')

/**
 * An invite is the page's address with the ref of the peer that made it behind `#`. Over https the proxy in front of the port may
 * know nothing of WebSockets: the port's ref, which it lists, says where it takes WebRTC.
 */
function waysIn(): string[] {
  const invited = decodeURIComponent(location.hash.slice(1))
  const isSecure = location.protocol === 'https:'
  const port = location.port === '' ? (isSecure ? 443 : 80) : location.port
  const here = `${isSecure ? 'wss' : 'ws'}://${location.hostname}:${port}`
  const own = isSecure ? [here, new URL('refs.json', location.href).href] : [here]
  return invited.startsWith('webmesh:') ? [invited, ...own] : own
}

async function start(): Promise<void> {
  const mesh = await Mesh.start({ join: waysIn() })
  globalThis.addEventListener('pagehide', () => {
    mesh.close()
  })
  state.textContent = 'in the mesh'
  state.dataset.is = 'in'
  part('id').textContent = mesh.id
  showInvite(mesh)
  mesh.addEventListener('self', () => showInvite(mesh))
  showStatus(mesh)
  setInterval(() => showStatus(mesh), REFRESH_MS)
  void showPort()
  await chat(mesh, await mesh.join(CHAT, { summary: 'the pages of Webmesh peers, talking' }))
}

/** Of the port's peer; what it told last stays when it is gone. */
async function showPort(): Promise<void> {
  if (document.hidden) return
  const report = await fetch('health')
    .then(response => response.json())
    .catch(() => null)
  part('port').hidden = report !== null
  if (report === null) return
  const figures = document.querySelectorAll('.figure')
  for (const [i, [, figure]] of figuresOf(report).entries()) figures[i]!.textContent = figure
}

function showStatus(mesh: Mesh): void {
  const status = mesh.status()
  part('count').textContent = String(status.links.length)
  part('estimate').textContent = String(Math.max(status.estimatedPeers, status.links.length + 1))
  const rows = status.links.map(({ peer, role, path }: LinkView) => {
    const row = document.createElement('tr')
    for (const text of [shortId(peer), role, pathText(path)]) row.append(cell(text))
    return row
  })
  links.replaceChildren(...rows)
}

function cell(text: string): HTMLTableCellElement {
  const made = document.createElement('td')
  made.textContent = text
  return made
}

function pathText(path: PathView): string {
  if (path.kind === 'circuit') return `over ${path.via.map(shortId).join(', ')}`
  if (path.kind === 'none') return 'looking for a way'
  const names: Readonly<Record<string, string>> = {
    websocket: 'WebSocket',
    webrtc: 'WebRTC, directly',
    tab: 'another tab',
  }
  const name = names[path.transport] ?? path.transport
  // Browsers hide the addresses of other pages behind names that say nothing.
  return /^[[\d]/.test(path.remote) && !path.remote.includes('.local') ? `${name} · ${path.remote}` : name
}

function showInvite(mesh: Mesh): void {
  const { origin, pathname } = location
  const link = `${origin}${pathname}#${mesh.ref}`
  const anchor = part<HTMLAnchorElement>('invite')
  anchor.href = link
  anchor.textContent = `${link.slice(0, 60)}…`
  part('qr').innerHTML = renderSVG(link, { ecc: 'L', border: 2 })
  part('copy').onclick = async () => {
    await navigator.clipboard.writeText(link)
    part('copy').textContent = 'copied'
    setTimeout(() => {
      part('copy').textContent = 'copy the link'
    }, 2_000)
  }
}

async function chat(mesh: Mesh, service: Service): Promise<void> {
  service.addEventListener('message', ({ from, data }) => {
    show(shortId(from), decoder.decode(data).slice(0, TEXT_MAX), false)
  })
  const showMembers = (): void => {
    const count = service.members.length
    part('members').textContent =
      count === 0 ? 'nobody else is here yet' : `with ${count} other${count === 1 ? '' : 's'}`
  }
  service.addEventListener('member', showMembers)
  showMembers()
  input.disabled = false
  form.addEventListener('submit', event => {
    event.preventDefault()
    const text = input.value.trim().slice(0, TEXT_MAX)
    if (text === '') return
    input.value = ''
    show(`${shortId(mesh.id)} (you)`, text, true)
    service.broadcast(encoder.encode(text)).catch(fail)
  })
}

function show(from: string, text: string, own: boolean): void {
  const item = document.createElement('li')
  if (own) item.dataset.own = ''
  const name = document.createElement('b')
  name.textContent = from
  item.append(name, text)
  log.append(item)
  while (log.childElementCount > MESSAGES_KEPT) log.firstElementChild?.remove()
  log.scrollTop = log.scrollHeight
}

function shortId(peer: string): string {
  return peer.slice(0, 8)
}

function fail(error: unknown): void {
  state.dataset.is = 'out'
  state.textContent = error instanceof WebmeshError ? error.message : String(error)
}

setInterval(showPort, PORT_REFRESH_MS)
start().catch(fail)
