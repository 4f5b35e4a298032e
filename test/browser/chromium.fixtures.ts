/** A real Chromium with a page of the project's own, served on loopback. */
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { type Browser, chromium, type Page } from 'playwright-core'

export const CHROMIUM = process.env.WEBMESH_CHROMIUM ?? '/usr/bin/chromium'

export const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Why the tests in a browser cannot run here, or null. CI must run them: there it is a failure. */
export const noChromium: string | null = existsSync(CHROMIUM)
  ? null
  : `there is no Chromium at ${CHROMIUM}: install it (apt-get install chromium) or set WEBMESH_CHROMIUM`

/** The package's door as its users get it: from the build, with its names shortened. */
const BUILT_DOOR: Plugin = {
  name: 'built-door',
  setup({ onResolve }) {
    const path = fileURLToPath(new URL('../../dist/index.browser.js', import.meta.url))
    onResolve({ filter: /\/index\.browser\.ts$/ }, () => ({ path }))
  },
}

export class ChromiumPage {
  readonly page: Page
  /** Errors that the page reported. */
  readonly errors: string[] = []
  private readonly browser: Browser
  private readonly server: Server

  private constructor(page: Page, browser: Browser, server: Server) {
    this.page = page
    this.browser = browser
    this.server = server
    page.on('pageerror', error => this.errors.push(String(error)))
  }

  static async open(): Promise<ChromiumPage> {
    if (noChromium !== null) throw new Error(noChromium)
    const script = await bundle()
    const server = createServer((request, response) => {
      const isScript = request.url === '/page.js'
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
      response.end(
        isScript ? script : '<!doctype html><title>under test</title><script type="module" src="/page.js"></script>',
      )
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      headless: true,
      args: CHROMIUM_FLAGS,
    })
    const context = await browser.newContext()
    const opened = new ChromiumPage(await context.newPage(), browser, server)
    await opened.load()
    return opened
  }

  /** The page anew, as after a reload: what its storage holds stays. */
  async load(): Promise<void> {
    // reason: a server that listens on a port has an address with one.
    const { port } = this.server.address() as AddressInfo
    await this.page.goto(`http://127.0.0.1:${port}/`)
    await this.page.waitForFunction('globalThis.page !== undefined')
  }

  /** Another page, which shares nothing with this one; it ends with it. */
  async another(): Promise<ChromiumPage> {
    const context = await this.browser.newContext()
    const opened = new ChromiumPage(await context.newPage(), this.browser, this.server)
    await opened.load()
    return opened
  }

  /** Another tab of the same origin, in the same profile. */
  async sibling(): Promise<ChromiumPage> {
    const opened = new ChromiumPage(await this.page.context().newPage(), this.browser, this.server)
    await opened.load()
    return opened
  }

  async close(): Promise<void> {
    await this.browser.close()
    await new Promise(resolve => this.server.close(resolve))
  }
}

async function bundle(): Promise<string> {
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
