/**
 * Tabs of a real Chromium as peers of the lab, in one namespace: told what to do as `lab-peer.ts` is. The first is a peer from
 * the start; each line says which tab is meant, and one more is opened by `open-tab`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import type { MeshOptions } from '../../src/index.node.ts'
import type { Call } from './lab-calls.ts'
import type { LabScript } from './lab-script.ts'

declare const script: LabScript

export type PageCall = (Call | { readonly kind: 'open-tab'; readonly options: MeshOptions }) & { readonly tab?: number }

const say = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`)
const bundle = readFileSync(fileURLToPath(new URL('./natlab-script.js', import.meta.url)))
const server = createServer((request, response) => {
  const isScript = request.url === '/page.js'
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
  response.end(isScript ? bundle : '<!doctype html><title>lab</title><script type="module" src="/page.js"></script>')
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
const folder = mkdtempSync(join(tmpdir(), 'webmesh-lab-'))
const browser = await chromium.launchPersistentContext(folder, {
  executablePath: process.env.WEBMESH_CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
})
const tabs: Page[] = []

async function openTab(options: MeshOptions): Promise<unknown> {
  const tab = await browser.newPage()
  tabs.push(tab)
  // reason: a server that listens on a port has an address with one.
  await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await tab.waitForFunction('globalThis.script !== undefined')
  return tab.evaluate(given => script.start(given), options)
}

async function answer({ tab = 0, ...call }: PageCall): Promise<unknown> {
  if (call.kind === 'open-tab') return openTab(call.options)
  const page = tabs[tab]
  if (page === undefined) throw new Error('there is no such tab')
  return page.evaluate(asked => script.answer(asked), call)
}

say(await openTab(JSON.parse(process.argv[2] ?? '{}')))
for await (const line of createInterface({ input: process.stdin })) {
  try {
    // reason: the lab asks nothing else.
    say(await answer(JSON.parse(line) as PageCall))
  } catch (error) {
    say({ error: String(error).slice(0, 200) })
  }
}
await browser.close()
rmSync(folder, { recursive: true, force: true })
process.exit(0)
