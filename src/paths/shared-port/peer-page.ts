/** What the shared port answers to plain HTTP: a page that is a peer itself, its script, and health as JSON. Pure. */

/** What a peer says of itself to whoever asks. */
export interface PeerReport {
  readonly peer: string
  /** The ref as text, `webmesh:…`. */
  readonly ref: string
  /** Of other ways in. */
  readonly otherRefs: readonly string[]
  readonly links: number
  readonly estimatedPeers: number
  readonly uptimeSeconds: number
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** `script` is that of the page; without it the page only tells. */
export function answerHttp(
  method: string,
  target: string,
  report: () => PeerReport,
  script: string | null,
): HttpAnswer {
  const path = target.split('?', 1)[0]
  const isScript = path === '/peer.js' && script !== null
  if (path !== '/' && path !== '/health' && path !== '/refs.json' && !isScript)
    return plain(404, 'Nothing is here. See / and /health.\n')
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'Only GET and HEAD.\n', { allow: 'GET, HEAD' })
  if (path === '/') return answer(200, 'text/html; charset=utf-8', page(report(), script !== null))
  // Pages of other origins may use it as a way in.
  if (path === '/refs.json') {
    const { ref, otherRefs } = report()
    return answer(200, 'application/json', `${JSON.stringify({ refs: [ref, ...otherRefs] })}\n`, ANY_ORIGIN)
  }
  if (isScript) return answer(200, 'text/javascript; charset=utf-8', script)
  return answer(200, 'application/json', `${JSON.stringify(report())}\n`)
}

const ANY_ORIGIN = { 'access-control-allow-origin': '*' }

function page(report: PeerReport, isPeer: boolean): string {
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
${figuresOf(report)
  .map(([term, figure]) => `<div><dt>${term}</dt><dd class="figure">${figure}</dd></div>`)
  .join('\n')}
</dl>
<p id="port" role="status" hidden>The port does not answer any more: this is what it told last.</p>
${isPeer ? PEER : ''}
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
${isPeer ? '<script type="module" src="peer.js"></script>' : ''}
</html>
`
}

/** What changes while the page is open: it asks for the report again. */
export function figuresOf(report: PeerReport): readonly (readonly [term: string, figure: string])[] {
  return [
    ['Linked to', counted(report.links, 'peer')],
    ['Network, as seen from here', `about ${counted(report.estimatedPeers, 'peer')}`],
    ['Running for', duration(report.uptimeSeconds)],
  ]
}

/** The parts that `src/page/peer-app.ts` fills. */
const PEER = `<section class="peer">
<h2>This tab is a peer too <span id="state" role="status">joining …</span></h2>
<p>Its id: <code id="id">…</code></p>
<p>Linked to <b id="count">0</b> of about <b id="estimate">?</b> peers. It stays one when the port that served it is gone.</p>
<div class="scroll"><table><thead><tr><th>peer</th><th>link</th><th>path</th></tr></thead><tbody id="links"></tbody></table></div>
<h2>Chat <small id="members"></small></h2>
<ol id="log" aria-live="polite"></ol>
<form id="say"><input id="text" aria-label="Message" placeholder="Say something to all who have this page open" maxlength="1000" autocomplete="off" disabled><button>Send</button></form>
<h2>Invite</h2>
<div class="invite"><div id="qr"></div><div><p>Whoever opens this link joins through this tab:</p>
<p><a id="invite"></a></p><button id="copy" type="button">copy the link</button></div></div>
</section>`

const STYLE = `:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:1rem/1.6 system-ui,sans-serif;margin:0}
main{max-width:44rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.6rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.5rem 0}
dl{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0}
dl div{flex:1 1 11rem;border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
dt{font-size:.85rem;opacity:.75}dd{margin:0;font-size:1.15rem;font-weight:600}
pre{margin:.5rem 0;padding:.7rem .8rem;border:1px solid var(--line);border-radius:.5rem;background:var(--soft);
font:.85rem/1.5 ui-monospace,monospace;white-space:pre-wrap;word-break:break-all}
.peer{border-block:1px solid var(--line);margin:1.5rem 0;padding-bottom:1.5rem}
code{font:.85em ui-monospace,monospace;word-break:break-all}small{font-weight:400;opacity:.75}
#state{font-size:.8rem;font-weight:500;padding:.15rem .6rem;border-radius:1rem;background:var(--soft);border:1px solid var(--line)}
#state[data-is=in]{background:#1a7f3722;border-color:#1a7f3788}#state[data-is=out]{background:#cf222e22;border-color:#cf222e88}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.85rem}
th{text-align:left;opacity:.75;font-weight:500}th,td{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td{font-family:ui-monospace,monospace;word-break:break-word}td:not(:last-child){white-space:nowrap}
#log{list-style:none;margin:.5rem 0;padding:.6rem .8rem;height:14rem;overflow-y:auto;border:1px solid var(--line);border-radius:.5rem}
#log li{margin:.25rem 0;overflow-wrap:anywhere}#log b{font:.8rem ui-monospace,monospace;opacity:.75;margin-right:.6rem}
#log li[data-own]{opacity:.85}#log:empty::before{content:'Nothing has been said yet.';opacity:.6}
form{display:flex;gap:.5rem}input{flex:1;min-width:0}
input,button{font:inherit;padding:.45rem .8rem;border:1px solid var(--line);border-radius:.5rem;background:var(--soft);color:inherit}
button{cursor:pointer}
.invite{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}.invite>div:last-child{flex:1 1 12rem;overflow-wrap:anywhere}
#qr svg{display:block;width:14rem;max-width:100%;height:auto;border-radius:.5rem}`

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
    'content-security-policy':
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self' ws: wss:",
    'x-content-type-options': 'nosniff',
    connection: 'close',
    ...more,
  }
  return { status, headers, body }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
}
