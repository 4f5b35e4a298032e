/** A real Chromium with a page of the project's own, served on loopback. */
import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, chromium, type Page } from 'playwright-core'
import { bundle, type PageScheme, pageServer } from './page-server.fixtures.ts'

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

/** Names that lead to this machine and that no browser takes for it, as mixed content on loopback itself is let pass. */
export const NAMES = '--host-resolver-rules=MAP *.test 127.0.0.1'

export class ChromiumPage {
  readonly page: Page
  /** Errors that the page reported. */
  readonly errors: string[] = []
  private readonly browser: Browser
  private readonly server: Server
  private readonly scheme: PageScheme

  private constructor(page: Page, browser: Browser, server: Server, scheme: PageScheme) {
    this.page = page
    this.browser = browser
    this.server = server
    this.scheme = scheme
    page.on('pageerror', error => this.errors.push(String(error)))
  }

  static async open(scheme: PageScheme = 'http'): Promise<ChromiumPage> {
    if (noChromium !== null) throw new Error(noChromium)
    const server = await pageServer(scheme, await bundle())
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      headless: true,
      args: [...CHROMIUM_FLAGS, NAMES],
    })
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const opened = new ChromiumPage(await context.newPage(), browser, server, scheme)
    await opened.load()
    return opened
  }

  /** The page anew, as after a reload: what its storage holds stays. */
  async load(): Promise<void> {
    // reason: a server that listens on a port has an address with one.
    const { port } = this.server.address() as AddressInfo
    await this.page.goto(`${this.scheme}://${this.scheme === 'http' ? '127.0.0.1' : 'page.test'}:${port}/`)
    await this.page.waitForFunction('globalThis.page !== undefined')
  }

  /** Another page, which shares nothing with this one; it ends with it. */
  async another(): Promise<ChromiumPage> {
    const context = await this.browser.newContext({ ignoreHTTPSErrors: true })
    const opened = new ChromiumPage(await context.newPage(), this.browser, this.server, this.scheme)
    await opened.load()
    return opened
  }

  /** Another tab of the same origin, in the same profile. */
  async sibling(): Promise<ChromiumPage> {
    const opened = new ChromiumPage(await this.page.context().newPage(), this.browser, this.server, this.scheme)
    await opened.load()
    return opened
  }

  async close(): Promise<void> {
    await this.browser.close()
    await new Promise(resolve => this.server.close(resolve))
  }
}
