/** A page of the project's own in a real Firefox, served on loopback. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Firefox, type FirefoxTab } from './firefox.ts'
import { bundle, pageServer } from './page-server.fixtures.ts'

export class FirefoxPage {
  readonly tab: FirefoxTab
  private readonly firefox: Firefox
  private readonly server: Server

  private constructor(firefox: Firefox, tab: FirefoxTab, server: Server) {
    this.firefox = firefox
    this.tab = tab
    this.server = server
  }

  static async open(): Promise<FirefoxPage> {
    const server = await pageServer('http', await bundle())
    const firefox = await Firefox.launch()
    const opened = new FirefoxPage(firefox, await firefox.newTab(), server)
    await opened.load()
    return opened
  }

  /** The page anew, as after a reload: what its storage holds stays. */
  async load(): Promise<void> {
    // reason: a server that listens on a port has an address with one.
    const { port } = this.server.address() as AddressInfo
    await this.tab.goto(`http://127.0.0.1:${port}/`)
    await this.tab.waitFor('page')
  }

  async close(): Promise<void> {
    await this.firefox.close()
    await new Promise(resolve => this.server.close(resolve))
  }
}
