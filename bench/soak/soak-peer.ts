/** A peer of the soak, in Node and in pages alike: it talks to one peer after another, and broadcasts, until it is to leave. */
import type { Mesh, MeshStream, PathEvent, PathView, Service } from 'webmesh'
import type { Echo, SoakWord } from './soak-words.ts'

const SERVICE = 'soak.example/1'
const SUBJECT = 'soak.example'
const TALK_EVERY_MS = 5_000
const BROADCAST_EVERY_MS = 20_000
/** Browsers give no more random bytes at once. */
const TALK_BYTES = 65_536
const PATIENCE_MS = 30_000
const TIMER_MS_MAX = 2 ** 31 - 1

/** What a peer knows of the others, and whom it tells what happens. */
export interface SoakHost {
  readonly others: () => readonly string[]
  readonly say: (word: SoakWord) => void
  /** How long its process got nothing done of late. */
  readonly standstillMs: () => number
}

/** From the start of `mesh` until it is closed; half of the stays are shorter than `medianMs`, null: for good. */
export async function live(mesh: Mesh, listens: boolean, medianMs: number | null, host: SoakHost): Promise<void> {
  const trouble = (what: string): void => host.say({ kind: 'trouble', what })
  mesh.addEventListener('warning', ({ error }) => trouble(`warning ${error.code}: ${error.message}`))
  mesh.addEventListener('handlererror', ({ error }) => trouble(`handler: ${String(error)}`))
  mesh.handle(SUBJECT, sendBack)
  const service = await mesh.join(SERVICE)
  service.handle(sendBack)
  service.addEventListener('message', ({ data }) =>
    host.say({ kind: 'heard', peer: mesh.id, broadcast: new TextDecoder().decode(data) }),
  )
  host.say({ kind: 'up', peer: mesh.id, ref: listens ? mesh.ref : null })
  const leaving = new AbortController()
  const talks = Promise.all([talk(mesh, service, leaving.signal, host), broadcast(mesh, service, leaving.signal, host)])
  await pause(medianMs === null ? TIMER_MS_MAX : stayMs(medianMs))
  leaving.abort()
  host.say({ kind: 'down', peer: mesh.id })
  await talks
  await mesh.close()
}

export function pause(ms: number, until?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = (): void => {
      clearTimeout(timer)
      until?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    until?.addEventListener('abort', end)
  })
}

export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? String(error.code) : `${error.name}: ${error.message}`
}

async function sendBack(stream: MeshStream): Promise<void> {
  for await (const chunk of stream) await stream.write(chunk)
}

/** Sends to one peer after the other what it is to send back, by peer id alone. */
async function talk(mesh: Mesh, service: Service, leaving: AbortSignal, host: SoakHost): Promise<void> {
  for (;;) {
    await pause((0.5 + Math.random()) * TALK_EVERY_MS, leaving)
    if (leaving.aborted) return
    const others = host.others().filter(peer => peer !== mesh.id)
    const to = others[Math.floor(Math.random() * others.length)]
    if (to === undefined) continue
    const begun = performance.now()
    const outcome = await echo(mesh, service, to, leaving)
    if (leaving.aborted) return
    const ms = performance.now() - begun
    host.say({ kind: 'talked', from: mesh.id, to, ms, standstillMs: host.standstillMs(), ...outcome })
  }
}

async function echo(mesh: Mesh, service: Service, peer: string, leaving: AbortSignal): Promise<Echo> {
  const begun = performance.now()
  const since = (): number => performance.now() - begun
  const ways: string[] = []
  let connectMs: number | null = null
  let firstMs: number | null = null
  const over = new AbortController()
  const signal = AbortSignal.any([leaving, AbortSignal.timeout(PATIENCE_MS)])
  const onPath = ({ path }: PathEvent): void => void ways.push(`${Math.round(since())} ${wayOf(path)}`)
  const outcome = (fault: string | null): Echo => ({ fault, ways, connectMs, firstMs })
  const sent = crypto.getRandomValues(new Uint8Array(TALK_BYTES))
  try {
    // One in two by a session that is held, at the same time by the other side perhaps, the others by the service alone.
    await using session = Math.random() < 0.5 ? await mesh.connect(peer, { signal }) : null
    connectMs = session === null ? null : since()
    ways.push(session === null ? 'service' : wayOf(session.path))
    session?.addEventListener('path', onPath, { signal: over.signal })
    await using stream = await (session === null ? service.open(peer, { signal }) : session.open(SUBJECT, { signal }))
    const writing = stream.write(sent, { signal }).then(() => stream.end())
    writing.catch(() => {})
    let isSame = true
    let bytes = 0
    for (let chunk = await stream.read({ signal }); chunk !== null; chunk = await stream.read({ signal })) {
      firstMs ??= since()
      const at = bytes
      isSame &&= chunk.every((byte, i) => byte === sent[at + i])
      bytes += chunk.length
    }
    await writing
    return outcome(isSame && bytes === sent.length ? null : `other bytes, ${bytes}`)
  } catch (error) {
    return outcome(codeOf(error))
  } finally {
    over.abort()
  }
}

function wayOf(path: PathView): string {
  return path.kind === 'wire' ? path.transport : path.kind
}

async function broadcast(mesh: Mesh, service: Service, leaving: AbortSignal, host: SoakHost): Promise<void> {
  for (let number = 0; ; number += 1) {
    await pause((0.5 + Math.random()) * BROADCAST_EVERY_MS, leaving)
    if (leaving.aborted) return
    const name = `${mesh.id} ${Date.now()} ${number}`
    host.say({ kind: 'broadcast', peer: mesh.id, broadcast: name })
    await service.broadcast(new TextEncoder().encode(name), { signal: leaving }).catch(error => {
      if (!leaving.aborted) host.say({ kind: 'trouble', what: `broadcast: ${codeOf(error)}` })
    })
  }
}

/** Heavy-tailed, as stays in peer-to-peer networks are (Stutzbach and Rejaie 2006): a Pareto distribution with shape 1. */
function stayMs(medianMs: number): number {
  return Math.min(medianMs / 2 / (1 - Math.random()), TIMER_MS_MAX)
}
