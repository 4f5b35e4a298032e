/** A page in a real Chromium as a peer of the lab, in its own namespace: told what to do as `lab-peer.ts` is. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { PageUnderTest } from '../browser/page.ts'
import type { Meeting, Met } from './meeting.ts'

declare const page: PageUnderTest

const say = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`)
const script = readFileSync(fileURLToPath(new URL('./natlab-script.js', import.meta.url)))
const server = createServer((request, response) => {
  const isScript = request.url === '/page.js'
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
  response.end(isScript ? script : '<!doctype html><title>lab</title><script type="module" src="/page.js"></script>')
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
const folder = mkdtempSync(join(tmpdir(), 'webmesh-lab-'))
const browser = await chromium.launchPersistentContext(folder, {
  executablePath: process.env.WEBMESH_CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
})
const tab = await browser.newPage()
// reason: a server that listens on a port has an address with one.
await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
await tab.waitForFunction('globalThis.page !== undefined')
const { join: waysIn = [] } = JSON.parse(process.argv[2] ?? '{}') as { readonly join?: readonly string[] }
const id = await tab.evaluate(way => page.start(way, 'lab'), waysIn[0] ?? '')
say({ id, ref: '' })

async function meet({ peer, bytes, patienceMs }: Meeting): Promise<Met> {
  const started = performance.now()
  const since = (): number => Math.round(performance.now() - started)
  await tab.evaluate(other => page.echo(other, 1), peer)
  const firstMs = since()
  const { same } = await tab.evaluate(([other, length]) => page.echo(other, length), [peer, bytes] as const)
  const pathNow = (): Promise<string> => tab.evaluate(other => page.pathTo(other), peer)
  let path = await pathNow()
  while (path === 'circuit' && since() < patienceMs) {
    await new Promise(resolve => setTimeout(resolve, 50))
    path = await pathNow()
  }
  return { same, firstMs, path, directMs: path === 'circuit' ? null : since() }
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    // reason: the lab asks nothing else.
    say(await meet(JSON.parse(line) as Meeting))
  } catch (error) {
    say({ error: String(error).slice(0, 200) })
  }
}
await browser.close()
rmSync(folder, { recursive: true, force: true })
process.exit(0)
