/** The page under test, made of the built package, and a server on loopback that serves it to a browser. */
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { makeCertificate, readCertificate } from '../../src/paths/webrtc/dtls-certificate.node.ts'

export type PageScheme = 'http' | 'https'

/** The package's door as its users get it: from the build, with its names shortened. */
const BUILT_DOOR: Plugin = {
  name: 'built-door',
  setup({ onResolve }) {
    const path = fileURLToPath(new URL('../../dist/index.browser.js', import.meta.url))
    onResolve({ filter: /\/index\.browser\.ts$/ }, () => ({ path }))
  },
}

/** A server that listens, and serves a page that runs `script`. */
export async function pageServer(scheme: PageScheme, script: string): Promise<Server> {
  const server = serverFor(scheme, (request, response) => {
    const isScript = request.url === '/page.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(
      isScript ? script : '<!doctype html><title>under test</title><script type="module" src="/page.js"></script>',
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return server
}

/** Over https with a certificate that nobody vouches for. */
export function serverFor(scheme: PageScheme, onRequest: RequestListener): Server {
  if (scheme === 'http') return createServer(onRequest)
  const certificate = readCertificate(makeCertificate())
  if (certificate === null) throw new Error('no certificate')
  return createSecureServer({ cert: certificate.certificatePem, key: certificate.keyPem }, onRequest)
}

/** What runs in the page under test. */
export async function bundle(): Promise<string> {
  const built = await build({
    entryPoints: [fileURLToPath(new URL('./page.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['browser'],
    target: 'es2022',
    write: false,
    logLevel: 'error',
    plugins: [BUILT_DOOR],
  })
  return built.outputFiles[0]?.text ?? ''
}
