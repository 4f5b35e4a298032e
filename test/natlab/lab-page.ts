/**
 * Tabs of a real Chromium or Firefox as peers of the lab, in one namespace: told what to do as `lab-peer.ts` is. The first is a peer
 * from the start; each line says which tab is meant, and one more is opened by `open-tab`.
 *
 *   lab-page.js OPTIONS chromium|firefox
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { MeshOptions } from '../../src/index.node.ts'
import { Firefox } from '../browser/firefox.ts'
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
// Firefox takes the family by which the page came for the one that leads out.
const hasIpv4 = Object.values(networkInterfaces()).some(own => own?.some(at => at.family === 'IPv4' && !at.internal))
await new Promise<void>(resolve => server.listen(0, hasIpv4 ? '127.0.0.1' : '::1', resolve))

/** What both browsers' tabs do alike. */
interface Tab {
  goto(url: string): Promise<unknown>
  evaluate<A, T>(task: (argument: A) => T | Promise<T>, argument: A): Promise<T>
}
interface Browser {
  /** Once a global of that name is there. */
  open(url: string, global: string): Promise<Tab>
  close(): Promise<void>
}

async function openChromium(): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), 'webmesh-lab-'))
  const browser = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.WEBMESH_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  })
  return {
    async open(url, global) {
      const tab = await browser.newPage()
      await tab.goto(url)
      await tab.waitForFunction(`globalThis.${global} !== undefined`)
      // reason: what goes in and comes out is JSON, which Playwright's types say in another way.
      return tab as unknown as Tab
    },
    async close() {
      await browser.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function openFirefox(): Promise<Browser> {
  const firefox = await Firefox.launch()
  return {
    async open(url, global) {
      const tab = await firefox.newTab()
      await tab.goto(url)
      await tab.waitFor(global)
      return tab
    },
    close: () => firefox.close(),
  }
}

const browser = await (process.argv[3] === 'firefox' ? openFirefox() : openChromium())
const tabs: Tab[] = []

async function openTab(options: MeshOptions): Promise<unknown> {
  // reason: a server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo
  const tab = await browser.open(`http://${hasIpv4 ? '127.0.0.1' : '[::1]'}:${port}/`, 'script')
  tabs.push(tab)
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
process.exit(0)
