/** The same package in another engine than Chromium's: what a page of users' needs of it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { closedPort } from '../../src/paths/tcp/tcp-bench.fixtures.ts'
import { ChromiumPage, noChromium } from './chromium.fixtures.ts'
import { EchoMeshes } from './echo-meshes.fixtures.ts'
import { FirefoxPage } from './firefox.fixtures.ts'
import { noFirefox } from './firefox.ts'
import type { PageUnderTest } from './page.ts'

declare const page: PageUnderTest

const skip = noFirefox !== null && process.env.CI === undefined
if (skip) console.warn(`tests in Firefox are skipped: ${noFirefox}`)

const meshes = new EchoMeshes()
const { start } = meshes

describe.skipIf(skip)('in a real Firefox', () => {
  let browser: FirefoxPage

  beforeAll(async () => {
    browser = await FirefoxPage.open()
  }, 60_000)
  afterEach(async () => {
    await browser.tab.evaluate(() => page.close())
    await meshes.end()
  })
  afterAll(() => browser?.close())

  const pathTo = (peer: string): Promise<string> => browser.tab.evaluate(other => page.pathTo(other), peer)

  it('a page joins by WebSocket, and exchanges megabytes with a peer that takes no connections, by WebRTC', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const hidden = await start({ join: [open.ref] })
    const id = await browser.tab.evaluate(ref => page.start(ref, 'first'), open.ref)
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect(await pathTo(open.id)).toBe('websocket')
    const through = await browser.tab.evaluate(peer => page.echo(peer, 1_048_576), hidden.id)
    expect(through).toMatchObject({ same: true })
    await expect.poll(() => pathTo(hidden.id), { timeout: 10_000 }).toBe('webrtc')
    const back = await browser.tab.evaluate(peer => page.echo(peer, 4_194_304), hidden.id)
    expect(back.same).toBe(true)
    // SCTP may pause after a burst for longer than a path may be silent: then the bytes go on over the circuit for a while.
    await expect.poll(() => pathTo(hidden.id), { timeout: 10_000 }).toBe('webrtc')
    // And the other way: the page is reached by its id, though nothing can dial it.
    expect((await hidden.ping(id)).path).toMatchObject({ kind: 'wire', transport: 'webrtc' })
    expect(browser.tab.errors).toEqual([])
  }, 30_000)

  it('is a member of a service, and the same peer after a reload', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const service = await open.join('chat.example/1')
    const heard: string[] = []
    service.addEventListener('message', event => heard.push(new TextDecoder().decode(event.data)))
    const id = await browser.tab.evaluate(ref => page.start(ref, 'lasting'), open.ref)
    await browser.tab.evaluate(() => page.join('chat.example/1'))
    await expect.poll(() => browser.tab.evaluate(() => page.members()), { timeout: 10_000 }).toContain(open.id)
    await expect.poll(() => service.members.map(member => member.peer), { timeout: 10_000 }).toContain(id)
    await service.broadcast(new TextEncoder().encode('from Node'))
    await browser.tab.evaluate(() => page.broadcast('from Firefox'))
    await expect.poll(() => browser.tab.evaluate(() => page.heard()), { timeout: 10_000 }).toContain('from Node')
    await expect.poll(() => heard, { timeout: 10_000 }).toContain('from Firefox')
    await browser.tab.evaluate(() => page.close())
    await browser.load()
    expect(await browser.tab.evaluate(ref => page.start(ref, 'lasting'), open.ref)).toBe(id)
  }, 30_000)

  it.skipIf(noChromium !== null && process.env.CI === undefined)(
    'reaches a page in Chromium by a wire of their own, which stays when the peer that both joined through is gone',
    async () => {
      const chromium = await ChromiumPage.open()
      const open = await start({ listen: ['127.0.0.1:0'] })
      const other = await chromium.page.evaluate(ref => page.start(ref, ''), open.ref)
      await browser.tab.evaluate(ref => page.start(ref, ''), open.ref)
      expect(await browser.tab.evaluate(peer => page.echo(peer, 100_000), other)).toMatchObject({ same: true })
      await expect.poll(() => pathTo(other), { timeout: 15_000 }).toBe('webrtc')
      await meshes.end()
      expect(await browser.tab.evaluate(peer => page.echo(peer, 1_048_576), other)).toEqual({
        same: true,
        path: 'wire',
      })
      expect([...browser.tab.errors, ...chromium.errors]).toEqual([])
      await chromium.close()
    },
    60_000,
  )

  it('counts what a page throws as its error, and not what Firefox says of a WebSocket to a peer that is gone', async () => {
    const port = await closedPort()
    const { tab } = browser
    const before = tab.errors.length
    const refused = await tab.evaluate(
      url =>
        new Promise<boolean>(resolve => {
          new WebSocket(url).onerror = () => {
            setTimeout(() => {
              throw new Error('thrown after it')
            })
            resolve(true)
          }
        }),
      `ws://127.0.0.1:${port}/`,
    )
    expect(refused).toBe(true)
    await expect.poll(() => tab.errors.slice(before)).toEqual(['Error: thrown after it'])
  }, 30_000)
})
