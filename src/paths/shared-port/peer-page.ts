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
<meta name="viewport" content="width=device-width">
<title>Webmesh peer ${peer.slice(0, 8)}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}code{overflow-wrap:anywhere}</style>
<h1>A Webmesh peer</h1>
<p>This port belongs to a peer of Webmesh, a shared overlay network for decentralized services.</p>
<p>Peer id: <code>${peer}</code></p>
<p>It has ${report.links} links and believes that the network has about ${report.estimatedPeers} peers.</p>
<h2>Join the network through it</h2>
<pre><code>await Mesh.start({ join: ['${ref}'] })</code></pre>
<p>Its state for programs: <a href="health">health</a></p>
</html>
`
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
