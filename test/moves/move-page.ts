/** A page in a real Chromium as the sender of a move, in its own namespace: told what to do as `move-peer.ts` is. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { MovePage } from './move-script.ts'

declare const page: MovePage

const say = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`)
const script = readFileSync(fileURLToPath(new URL('./move-script.js', import.meta.url)))
const server = createServer((request, response) => {
  const isScript = request.url === '/page.js'
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
  response.end(isScript ? script : '<!doctype html><title>moves</title><script type="module" src="/page.js"></script>')
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
const folder = mkdtempSync(join(tmpdir(), 'webmesh-moves-'))
const browser = await chromium.launchPersistentContext(folder, {
  executablePath: process.env.WEBMESH_CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
})
const tab = await browser.newPage()
await tab.exposeFunction('say', say)
// reason: a server that listens on a port has an address with one.
await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
await tab.waitForFunction('globalThis.page !== undefined')
const { join: waysIn, pathlessMs } = JSON.parse(process.argv[2] ?? '{}')
const id = await tab.evaluate(options => page.start(options), { join: waysIn, pathlessMs, store: 'moves' })
say({ event: 'ready', id })

for await (const line of createInterface({ input: process.stdin })) {
  // reason: the lab asks nothing else.
  const order = JSON.parse(line) as Parameters<MovePage['transfer']>[0]
  tab
    .evaluate(given => page.transfer(given), order)
    .catch((error: unknown) => say({ event: 'failed', error: String(error) }))
}
await browser.close()
rmSync(folder, { recursive: true, force: true })
process.exit(0)
