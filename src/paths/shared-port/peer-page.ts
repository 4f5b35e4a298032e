/** What the shared port answers to plain HTTP: a page that says what this is, and its health as JSON. Pure. */

/** What a peer says of itself to whoever asks. */
export interface PeerReport {
  readonly peer: string
  /** The ref as text, `webmesh:…`. */
  readonly ref: string
  readonly links: number
  readonly estimatedPeers: number
  readonly uptimeSeconds: number
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export function answerHttp(method: string, target: string, report: () => PeerReport): HttpAnswer {
  const path = target.split('?', 1)[0]
  if (path !== '/' && path !== '/health') return plain(404, 'Nothing is here. See / and /health.\n')
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'Only GET and HEAD.\n', { allow: 'GET, HEAD' })
  if (path === '/') return answer(200, 'text/html; charset=utf-8', page(report()))
  return answer(200, 'application/json', `${JSON.stringify(report())}\n`)
}

function page(report: PeerReport): string {
  const peer = escapeHtml(report.peer)
  const ref = escapeHtml(report.ref)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Webmesh peer ${peer.slice(0, 8)}</title>
<style>${STYLE}</style>
<main>
<h1>A Webmesh peer</h1>
<p>Webmesh is a shared network for decentralized services: their peers find each other
and talk, whatever stands between them. This port belongs to one of its peers, and any
peer is a way in.</p>
<dl>
<div><dt>Linked to</dt><dd>${counted(report.links, 'peer')}</dd></div>
<div><dt>Network, as seen from here</dt><dd>about ${counted(report.estimatedPeers, 'peer')}</dd></div>
<div><dt>Running for</dt><dd>${duration(report.uptimeSeconds)}</dd></div>
</dl>
<h2>Join through this peer</h2>
<p>On the command line:</p>
<pre>webmesh up --join ${ref}</pre>
<p>In a program:</p>
<pre>import { Mesh } from 'webmesh'
const mesh = await Mesh.start({ join: ['${ref}'] })</pre>
<h2>Its identity</h2>
<pre>${peer}</pre>
<p><a href="health">The same as JSON</a></p>
</main>
</html>
`
}

const STYLE = `:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:1rem/1.6 system-ui,sans-serif;margin:0}
main{max-width:44rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.6rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.5rem 0}
dl{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0}
dl div{flex:1 1 11rem;border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
dt{font-size:.85rem;opacity:.75}dd{margin:0;font-size:1.15rem;font-weight:600}
pre{margin:.5rem 0;padding:.7rem .8rem;border:1px solid var(--line);border-radius:.5rem;background:var(--soft);
font:.85rem/1.5 ui-monospace,monospace;white-space:pre-wrap;word-break:break-all}`

function counted(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`
}

/** The two largest units. */
function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (days > 0) return `${days} d ${hours % 24} h`
  if (hours > 0) return `${hours} h ${minutes % 60} min`
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
}

function plain(status: number, body: string, more: Record<string, string> = {}): HttpAnswer {
  return answer(status, 'text/plain; charset=utf-8', body, more)
}

function answer(status: number, contentType: string, body: string, more: Record<string, string> = {}): HttpAnswer {
  const headers = {
    'content-type': contentType,
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    'x-content-type-options': 'nosniff',
    connection: 'close',
    ...more,
  }
  return { status, headers, body }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
}
