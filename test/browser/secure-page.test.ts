/** What a page that came over https can do: `ws://` is closed to it, `webrtc://` and `wss://` are not. */
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Address, addressText } from '../../src/core/base/address.ts'
import { textOfBase64url } from '../../src/core/base/base64url.ts'
import { tcpDriver } from '../../src/paths/tcp/tcp-driver.node.ts'
import { makeCertificate, readCertificate } from '../../src/paths/webrtc/dtls-certificate.node.ts'
import { openWebRtcPort } from '../../src/paths/webrtc/webrtc-port.node.ts'
import { WireEndOfTest } from '../../src/paths/wire-contract.ts'
import type { WireDriver } from '../../src/paths/wire-driver.ts'
import { ChromiumPage, noChromium } from './chromium.fixtures.ts'
import { EchoMeshes } from './echo-meshes.fixtures.ts'
import type { PageUnderTest } from './page.ts'
import { PageDriver } from './page-driver.fixtures.ts'
import { serverFor } from './page-server.fixtures.ts'

declare const page: PageUnderTest

const skip = noChromium !== null && process.env.CI === undefined

describe.skipIf(skip)('a page that came over https', () => {
  let browser: ChromiumPage
  const meshes = new EchoMeshes()
  const { start } = meshes

  beforeAll(async () => {
    browser = await ChromiumPage.open('https')
  })
  afterEach(async () => {
    await browser.page.evaluate(() => page.close())
    await meshes.end()
  })
  afterAll(() => browser?.close())

  it('joins by the ref of a peer without any TLS certificate, finds a service there and exchanges data', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const hidden = await start({ join: [open.ref] })
    const service = await hidden.join('chat.example/1')
    const heard: string[] = []
    service.addEventListener('message', event => heard.push(new TextDecoder().decode(event.data)))
    const id = await browser.page.evaluate(ref => page.start(ref, ''), open.ref)
    expect(await browser.page.evaluate(peer => page.pathTo(peer), open.id)).toBe('webrtc')
    expect((await open.ping(id)).path).toMatchObject({ kind: 'wire', transport: 'webrtc' })
    expect(await browser.page.evaluate(peer => page.echo(peer, 1_048_576), open.id)).toEqual({
      same: true,
      path: 'wire',
    })
    await browser.page.evaluate(() => page.join('chat.example/1'))
    await expect.poll(() => browser.page.evaluate(() => page.members()), { timeout: 10_000 }).toContain(hidden.id)
    await browser.page.evaluate(() => page.broadcast('from the page'))
    await expect.poll(() => heard, { timeout: 10_000 }).toContain('from the page')
    // One to the port, one negotiated with the peer behind it, and perhaps one that answered the other side's offer.
    const made = await browser.page.evaluate(() => page.connections())
    expect(made).toBeGreaterThanOrEqual(1)
    expect(made).toBeLessThanOrEqual(3)
    expect(browser.errors).toEqual([])
  }, 30_000)

  it('joins by the ref of a peer that takes no connections, through the rendezvous that it names', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const hidden = await start({ join: [open.ref] })
    await expect.poll(() => hidden.peerRef.rendezvous.map(({ peer }) => peer), { timeout: 10_000 }).toEqual([open.id])
    await browser.page.evaluate(ref => page.start(ref, ''), hidden.ref)
    expect(await browser.page.evaluate(peer => page.echo(peer, 10_000), hidden.id)).toMatchObject({ same: true })
  }, 30_000)

  it('may not open ws:// at all, and does not try to', async () => {
    const open = await start({ listen: ['127.0.0.1:0'], webrtcPort: false })
    const { port } = new URL(open.listening[0] ?? '')
    const opening = browser.page.evaluate(url => void new WebSocket(url), `ws://peer.test:${port}/`)
    await expect(opening).rejects.toThrow(/SecurityError|insecure/)
    await expect(startIn(browser, open.ref)).resolves.toMatch(/no-way-in/)
    expect(browser.errors).toEqual([])
  })

  it.each(['tcp', 'webrtc'] as const)(
    'is not fooled by somebody in between who ends its WebRTC and hands on what is said over %s',
    async scheme => {
      const victim = await start({ listen: ['127.0.0.1:0'] })
      const onward = victim.peerRef.addresses.find(address => address.scheme === scheme)
      const other = scheme === 'webrtc' ? await browser.another() : null
      const driver = other === null ? tcpDriver() : (await PageDriver.of(other.page)).driver()
      const between = await standBetween(driver, onward)
      expect(await startIn(browser, between.address)).toMatch(/no-way-in/)
      expect(between.heard.fromPage).toBeGreaterThan(0)
      expect(between.heard.fromVictim).toBeGreaterThan(0)
      expect(victim.status().links).toEqual([])
      await between.close()
      await other?.page.close()
    },
    30_000,
  )

  it('fails at once where the certificate is another than the address names', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const { host, port } = open.peerRef.addresses.find(address => address.scheme === 'webrtc') ?? { host: '', port: 0 }
    const before = performance.now()
    const wrong = `webrtc://${host}:${port}/${'A'.repeat(43)}`
    expect(await startIn(browser, wrong)).toMatch(/no-way-in.*another certificate/s)
    expect(performance.now() - before).toBeLessThan(3_000)
  })

  it('joins by wss:// through a proxy that ends TLS, by the announced address', async () => {
    const proxy = serverFor('https', (_, response) => response.end()).listen(0, '127.0.0.1')
    const sockets = new Set<Socket>()
    // reason: a server that listens on a port has an address with one.
    const { port } = await new Promise<AddressInfo>(resolve =>
      proxy.once('listening', () => resolve(proxy.address() as AddressInfo)),
    )
    const open = await start({ listen: ['127.0.0.1:0'], announce: [`wss://peer.test:${port}/mesh`] })
    const behind = Number(new URL(open.listening[0] ?? '').port)
    proxy.on('upgrade', (request, socket: Socket, head: Buffer) => {
      const inner = connect(behind, '127.0.0.1')
      sockets.add(socket).add(inner)
      const headers = request.rawHeaders.map((text: string, i: number) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`))
      inner.write(`GET ${request.url} HTTP/1.1\r\n${headers.join('')}\r\n`)
      inner.write(head)
      inner.pipe(socket).pipe(inner)
      for (const end of [inner, socket]) end.on('error', () => {})
    })
    expect(open.peerRef.addresses.map(addressText)).toEqual([`wss://peer.test:${port}/mesh`])
    await browser.page.evaluate(ref => page.start(ref, ''), open.ref)
    expect(await browser.page.evaluate(peer => page.pathTo(peer), open.id)).toBe('websocket')
    expect(await browser.page.evaluate(peer => page.echo(peer, 100_000), open.id)).toEqual({ same: true, path: 'wire' })
    await browser.page.evaluate(() => page.close())
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => proxy.close(resolve))
  })
})

/** The id of the peer that the page became, or why it did not. */
function startIn({ page: tab }: ChromiumPage, way: string): Promise<string> {
  return tab.evaluate(
    ref => page.start(ref, '').catch((error: { code: string; message: string }) => `${error.code}: ${error.message}`),
    way,
  )
}

/** Takes WebRTC under a certificate of its own, and passes all frames on. */
async function standBetween(driver: WireDriver, onward: Address | undefined) {
  const certificate = readCertificate(makeCertificate())
  if (certificate === null || onward === undefined) throw new Error('nobody to stand between')
  const heard = { fromPage: 0, fromVictim: 0 }
  const port = await openWebRtcPort({
    host: '127.0.0.1',
    port: 0,
    certificate,
    accept(wire) {
      const [near, far] = [new WireEndOfTest(), new WireEndOfTest()]
      near.wire = wire
      far.wire = driver.open(onward, far)
      near.onEach = bytes => {
        heard.fromPage += 1
        far.send(bytes.slice())
      }
      far.onEach = bytes => {
        heard.fromVictim += 1
        near.send(bytes.slice())
      }
      near.closed.then(() => far.hangUp())
      far.closed.then(() => near.hangUp())
      return near
    },
  })
  if (port === null) throw new Error('no port')
  const address = `webrtc://127.0.0.1:${port.port}/${textOfBase64url(certificate.hash)}`
  return { address, heard, close: () => port.close() }
}
