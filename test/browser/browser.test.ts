import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fail, ok } from '../../src/core/base/fault.ts'
import type { Store } from '../../src/host/store.ts'
import { storeContract } from '../../src/host/store-contract.ts'
import type { MeshOptions } from '../../src/index.node.ts'
import { ChromiumPage, noChromium } from './chromium.fixtures.ts'
import { EchoMeshes } from './echo-meshes.fixtures.ts'
import type { Given, PageUnderTest } from './page.ts'

declare const page: PageUnderTest

// Where there is no browser a user is told once and goes on; CI installs one and must not pass without.
const skip = noChromium !== null && process.env.CI === undefined
if (skip) console.warn(`tests in a browser are skipped: ${noChromium}`)

describe.skipIf(skip)('in a real Chromium', () => {
  let browser: ChromiumPage
  const meshes = new EchoMeshes()
  const { start } = meshes

  beforeAll(async () => {
    browser = await ChromiumPage.open()
  })
  afterEach(async () => {
    await browser.page.evaluate(() => page.close())
    await meshes.end()
  })
  afterAll(() => browser?.close())

  storeContract('the store in its IndexedDB', { lasting: true, open: place => storeInPage(browser, place) })

  it('a page joins by WebSocket, and exchanges a megabyte with a peer that takes no connections', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const hidden = await start({ join: [open.ref] })
    const id = await browser.page.evaluate(ref => page.start(ref, 'first'), open.ref)
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    const through = await browser.page.evaluate(peer => page.echo(peer, 1_048_576), hidden.id)
    expect(through).toEqual({ same: true, path: 'circuit' })
    const direct = await browser.page.evaluate(peer => page.echo(peer, 1_048_576), open.id)
    expect(direct).toEqual({ same: true, path: 'wire' })
    // And the other way: the page is reached by its id, though nothing can dial it.
    expect((await hidden.ping(id)).peer).toBe(id)
    expect(browser.errors).toEqual([])
  })

  it('pages and Node peers are members of one service, and hear each other', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const hidden = await start({ join: [open.ref] })
    const service = await hidden.join('chat.example/1')
    const heard: string[] = []
    service.addEventListener('message', event => heard.push(new TextDecoder().decode(event.data)))
    const id = await browser.page.evaluate(ref => page.start(ref, 'second'), open.ref)
    await browser.page.evaluate(() => page.join('chat.example/1'))
    await expect.poll(() => service.members.map(member => member.peer), { timeout: 10_000 }).toContain(id)
    await expect.poll(() => browser.page.evaluate(() => page.members()), { timeout: 10_000 }).toContain(hidden.id)
    await service.broadcast(new TextEncoder().encode('from Node'))
    await browser.page.evaluate(() => page.broadcast('from the page'))
    await expect.poll(() => browser.page.evaluate(() => page.heard()), { timeout: 10_000 }).toContain('from Node')
    await expect.poll(() => heard, { timeout: 10_000 }).toContain('from the page')
  })

  it('a page and a Node peer that takes no connections find a way of their own, by WebRTC', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const hidden = await start({ join: [open.ref] })
    const id = await browser.page.evaluate(ref => page.start(ref, 'third'), open.ref)
    const first = await browser.page.evaluate(peer => page.echo(peer, 1_000), hidden.id)
    expect(first).toEqual({ same: true, path: 'circuit' })
    const pathTo = (peer: string): Promise<string> => browser.page.evaluate(other => page.pathTo(other), peer)
    await expect.poll(() => pathTo(hidden.id), { timeout: 10_000 }).toBe('webrtc')
    expect((await hidden.ping(id)).path).toMatchObject({ kind: 'wire', transport: 'webrtc' })
    const back = await browser.page.evaluate(peer => page.echo(peer, 4_194_304), hidden.id)
    expect(back.same).toBe(true)
    // A burst may overflow the page's socket, and SCTP pause for longer than a path may be silent: then it goes on over the circuit.
    await expect.poll(() => pathTo(hidden.id), { timeout: 10_000 }).toBe('webrtc')
  }, 30_000)

  it('a page for which the browser makes no more WebRTC connections talks over circuits', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const hidden = await start({ join: [open.ref] })
    const other = await browser.another()
    await other.page.evaluate(() => page.refuseConnections())
    const id = await other.page.evaluate(ref => page.start(ref, 'spent'), open.ref)
    await other.page.evaluate(peer => page.echo(peer, 1_000), hidden.id)
    // It can neither prepare an offer nor answer the other side's.
    await expect
      .poll(() => other.page.evaluate(() => page.refusedConnections()), { timeout: 15_000 })
      .toBeGreaterThan(1)
    const through = await other.page.evaluate(peer => page.echo(peer, 100_000), hidden.id)
    expect(through).toEqual({ same: true, path: 'circuit' })
    expect((await hidden.ping(id)).path.kind).toBe('circuit')
    expect([await other.page.evaluate(() => page.connections()), other.errors]).toEqual([0, []])
    await other.page.evaluate(() => page.close())
  }, 30_000)

  it('two pages go on talking when the only Node peer, through which they met, is gone', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const other = await browser.another()
    await browser.page.evaluate(ref => page.start(ref, 'one'), open.ref)
    const id = await other.page.evaluate(ref => page.start(ref, 'two'), open.ref)
    await browser.page.evaluate(peer => page.echo(peer, 1_000), id)
    const path = (): Promise<string> => browser.page.evaluate(peer => page.pathTo(peer), id)
    await expect.poll(path, { timeout: 10_000 }).toBe('webrtc')
    await meshes.end()
    expect(await browser.page.evaluate(peer => page.echo(peer, 1_048_576), id)).toEqual({ same: true, path: 'wire' })
    expect([...browser.errors, ...other.errors]).toEqual([])
    await other.page.evaluate(() => page.close())
  }, 30_000)

  it('two pages that do not reach each other talk over a third when no other peer is left', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const [between, other] = [await browser.another(), await browser.another()]
    // Either finds those that tell where they are, as the one between does, and not the other.
    for (const { page: tab } of [browser, other]) await tab.evaluate(() => page.hideCandidates())
    const id = await browser.page.evaluate(ref => page.start(ref, 'left'), open.ref)
    const idBetween = await between.page.evaluate(ref => page.start(ref, 'between'), open.ref)
    const idOther = await other.page.evaluate(ref => page.start(ref, 'right'), open.ref)
    const pathFrom = (tab: ChromiumPage, peer: string): Promise<string> =>
      tab.page.evaluate(target => page.pathTo(target), peer)
    for (const tab of [browser, other])
      await expect.poll(() => pathFrom(tab, idBetween), { timeout: 15_000 }).toBe('webrtc')
    expect(await pathFrom(browser, idOther)).toBe('circuit')
    expect(await between.page.evaluate(() => page.relayed())).toBe(0)
    await meshes.end()
    const there = await browser.page.evaluate(peer => page.echo(peer, 1_048_576), idOther)
    const back = await other.page.evaluate(peer => page.echo(peer, 1_048_576), id)
    expect([there, back]).toEqual(Array(2).fill({ same: true, path: 'circuit' }))
    expect(await between.page.evaluate(() => page.relayed())).toBeGreaterThan(0)
    expect([...browser.errors, ...between.errors, ...other.errors]).toEqual([])
    for (const { page: tab } of [between, other]) await tab.evaluate(() => page.close())
    // What was changed in it stays until then.
    await browser.load()
  }, 60_000)

  it('a tab that was given no way in finds one by another tab of its origin', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const other = await browser.sibling()
    const id = await browser.page.evaluate(ref => page.start(ref, 'told'), open.ref)
    await expect.poll(() => browser.page.evaluate(() => page.links()), { timeout: 5_000 }).toContain(open.id)
    await other.page.evaluate(() => page.start('', 'untold'))
    await expect.poll(() => other.page.evaluate(() => page.links()), { timeout: 15_000 }).toContain(id)
    expect(await other.page.evaluate(peer => page.pathTo(peer), id)).toBe('tab')
    expect(await other.page.evaluate(peer => page.echo(peer, 1_000), open.id)).toMatchObject({ same: true })
    await other.page.evaluate(() => page.close())
    await other.page.close()
  }, 30_000)

  it('a page whose browser goes offline and comes back looks for another way at once, and loses nothing', async () => {
    const sockets: string[] = []
    const onSocket = (socket: { url(): string }): number => sockets.push(socket.url())
    browser.page.on('websocket', onSocket)
    const open = await start({ listen: ['127.0.0.1:0'] })
    await browser.page.evaluate(ref => page.start(ref, 'offline'), open.ref)
    expect(await browser.page.evaluate(peer => page.echo(peer, 1_000), open.id)).toEqual({ same: true, path: 'wire' })
    expect(sockets).toHaveLength(1)
    const echo = browser.page.evaluate(peer => page.echo(peer, 4_194_304), open.id)
    const context = browser.page.context()
    await context.setOffline(true)
    await context.setOffline(false)
    await expect.poll(() => sockets.length, { timeout: 5_000 }).toBeGreaterThan(1)
    expect(await echo).toMatchObject({ same: true })
    browser.page.off('websocket', onSocket)
    expect(browser.errors).toEqual([])
  }, 30_000)

  it('a page that is loaded again is the same peer', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const before = await browser.page.evaluate(ref => page.start(ref, 'kept'), open.ref)
    await browser.page.evaluate(() => page.close())
    await browser.load()
    const after = await browser.page.evaluate(ref => page.start(ref, 'kept'), open.ref)
    expect(after).toBe(before)
  })

  it('a browser of some years ago, whose events have a path that cannot be set, hears of links all the same', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const other = await browser.another()
    await other.page.addInitScript(() => Object.defineProperty(Event.prototype, 'path', { get: () => [] }))
    await other.load()
    await other.page.evaluate(ref => page.start(ref, 'older'), open.ref)
    expect(await other.page.evaluate(() => page.links())).toEqual([open.id])
    expect(other.errors).toEqual([])
    await other.page.evaluate(() => page.close())
  })

  it('a page finds every public name on what the built package gives out, and may set every option', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const service = await open.join('names.example/1')
    // Once the page listens, it opens a stream.
    service.handle(async () => {
      const neighbours = async (): Promise<number> => (await service.broadcast(new Uint8Array(1))).neighbours
      await expect.poll(neighbours, { timeout: 10_000 }).toBeGreaterThan(0)
      await service.leave()
    })
    await browser.page.evaluate(ref => page.start(ref, 'names'), open.ref)
    const given = [service.name, open.id] as const
    const found = await browser.page.evaluate(([name, peer]) => page.names(name, peer), given)
    const missing = Object.entries(PUBLIC_NAMES).map(([type, names]) => {
      // reason: the names of the one are those of the other.
      const there = new Set(found[type as keyof Given])
      return [type, Object.keys(names).filter(name => !there.has(name))]
    })
    expect(missing.filter(([, names]) => names?.length !== 0)).toEqual([])
    for (const name of Object.keys(OPTIONS))
      expect(await browser.page.evaluate(option => page.wrongOption(option), name)).not.toContain('there is no option')
    expect(await browser.page.evaluate(() => page.wrongOption('lisen'))).toContain('there is no option')
  })
})

/** Each type's names; the compiler sees to it that none is missing here. */
type NamesOf<T> = Record<Extract<keyof T, string>, 1>

const TARGET = { addEventListener: 1, removeEventListener: 1 } as const
const PUBLIC_NAMES: { readonly [Type in keyof Given]: NamesOf<Omit<Given[Type], keyof Event>> } = {
  Mesh: {
    ...TARGET,
    id: 1,
    ref: 1,
    peerRef: 1,
    listening: 1,
    connect: 1,
    join: 1,
    findPeer: 1,
    find: 1,
    services: 1,
    ping: 1,
    handle: 1,
    status: 1,
    close: 1,
  },
  MeshStatus: {
    peer: 1,
    ref: 1,
    listening: 1,
    links: 1,
    estimatedPeers: 1,
    rememberedPeers: 1,
    sessions: 1,
    circuitsRelayed: 1,
    records: 1,
    services: 1,
    nat: 1,
    portMapping: 1,
    dialIn: 1,
    warnings: 1,
  },
  LinkView: { peer: 1, role: 1, path: 1, roundTripMs: 1 },
  PingOutcome: { peer: 1, roundTripsMs: 1, path: 1 },
  Session: { ...TARGET, peer: 1, path: 1, open: 1, ping: 1, sendDatagram: 1, closed: 1, release: 1, close: 1 },
  RoundTrip: { roundTripMs: 1, path: 1 },
  PathView: { kind: 1, transport: 1, remote: 1 },
  MeshStream: { peer: 1, subject: 1, write: 1, read: 1, end: 1, reset: 1, closed: 1, readable: 1, writable: 1 },
  Service: { ...TARGET, name: 1, members: 1, handle: 1, discover: 1, open: 1, broadcast: 1, leave: 1 },
  Member: { peer: 1, ref: 1 },
  PeerRef: {
    peer: 1,
    position: 1,
    sequence: 1,
    expires: 1,
    capacity: 1,
    relays: 1,
    negotiates: 1,
    addresses: 1,
    isGlobal: 1,
    rendezvous: 1,
    bytes: 1,
  },
  MessageFromPeer: { data: 1, from: 1 },
  MemberEvent: { member: 1, peer: 1, present: 1 },
  SessionCloseEvent: { error: 1 },
  WebmeshError: { code: 1, detail: 1, reset: 1 },
}

const OPTIONS: NamesOf<Required<MeshOptions>> = {
  signal: 1,
  store: 1,
  listen: 1,
  join: 1,
  announce: 1,
  webrtcPort: 1,
  udpPort: 1,
  portMapping: 1,
  tabs: 1,
  lan: 1,
  remembered: 1,
  capacity: 1,
  relays: 1,
  rendezvous: 1,
  pathlessMs: 1,
}

/** The page's store as one here, so that the contract of all stores judges it. */
async function storeInPage(browser: ChromiumPage, place: string): Promise<Store> {
  const store = await browser.page.evaluate(name => page.openStore(name), place)
  return {
    async load(prefix) {
      try {
        const entries = await browser.page.evaluate(([at, start]) => page.load(at, start), [store, prefix] as const)
        return ok(entries.map(({ key, value }) => ({ key, value: Uint8Array.from(value, char => char.charCodeAt(0)) })))
      } catch (error) {
        return fail({ code: 'store-failed', detail: String(error) })
      }
    },
    async save(changes) {
      const plain = changes.map(({ key, value }) => ({
        key,
        value: value === null ? null : Buffer.from(value).toString('latin1'),
      }))
      const code = await browser.page.evaluate(([at, list]) => page.save(at, [...list]), [store, plain] as const)
      return code === null ? null : { code: 'store-failed' }
    },
    close: () => browser.page.evaluate(at => page.closeStore(at), store),
  }
}
