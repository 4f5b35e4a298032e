/** Sessions with peers: opened from both sides at once, over wires that break, by peers that forget (spec 5.2). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { REBALANCE_MS } from '../limits.ts'
import { pattern } from '../session/session.fixtures.ts'
import { type Bare, type BareNet, bareNet, type Call, link } from './bare-peer.fixtures.ts'

/** Both ends speak of the same session. */
function expectOneSession(a: Bare, b: Bare, what = ''): void {
  const here = a.peer.connector.contact(b.id)?.session
  const there = b.peer.connector.contact(a.id)?.session
  expect(here?.remoteLabel, what).toBe(there?.id)
  expect(there?.remoteLabel, what).toBe(here?.id)
  expect(here).toBeDefined()
}

/** Nothing is under way, nothing is held that no session needs. */
function expectQuiet(bares: readonly Bare[], what = ''): void {
  for (const bare of bares) {
    const { counts } = bare
    const { attempts, asks, handshakes, openings, retired, unused, unprovenWires, userPings, queuedBytes } = counts
    const left = { attempts, asks, handshakes, openings, retired, unused, unprovenWires, userPings, queuedBytes }
    expect(left, `${what} node ${bare.node.index}`).toEqual({
      attempts: 0,
      asks: 0,
      handshakes: 0,
      openings: 0,
      retired: 0,
      unused: 0,
      unprovenWires: 0,
      userPings: 0,
      queuedBytes: 0,
    })
    expect(counts.labels, what).toBe(counts.sessions + counts.circuitLabels)
    expect(counts.circuitLabels, what).toBe(counts.circuitEnds + 2 * counts.hops)
    expect(counts.contacts, what).toBe(counts.sessions)
    expect(counts.wires + counts.circuitEnds, what).toBe(counts.sessions + counts.standbys)
  }
}

function answered(calls: readonly Call[]): string[] {
  return calls.map(call => call.answer()?.kind ?? 'none')
}

describe('reaching a peer', () => {
  it('opens one session over one wire, and answers everyone who waits once', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    const calls = [a.call(b), a.call(b), a.callPeer(b.id)]
    world.run(1_000)
    expect(answered(calls)).toEqual(['connected', 'connected', 'connected'])
    expect(a.node.events.filter(event => event.kind === 'connected')).toHaveLength(3)
    expectOneSession(a, b)
    world.run(15_000)
    expectQuiet([a, b])
    expect(a.counts.wires).toBe(1)
  })

  it('by an address finds who is there, and uses the session that stands already', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    const first = a.callAddress(b)
    world.run(1_000)
    expect(first.answer()).toMatchObject({ kind: 'connected', peer: b.id })
    const session = a.sessionWith(b)
    const second = a.callAddress(b)
    world.run(1_000)
    expect(second.answer()).toMatchObject({ kind: 'connected', peer: b.id, session })
    world.run(15_000)
    expect(a.node.events.some(event => event.kind === 'session-closed')).toBe(false)
    expectOneSession(a, b)
    expectQuiet([a, b])
  })

  it('by address and by id at once answers both over one session', () => {
    for (let offsetMs = 0; offsetMs <= 160; offsetMs += 20) {
      const net = bareNet(1)
      const { world } = net
      const [a, b] = [net.add(), net.add()]
      const byAddress = a.callAddress(b)
      world.run(offsetMs)
      const byRef = a.call(b)
      world.run(1_000)
      expect(answered([byAddress, byRef]), `after ${offsetMs} ms`).toEqual(['connected', 'connected'])
      world.run(15_000)
      expectOneSession(a, b)
      expectQuiet([a, b])
    }
  })

  it('fails where someone else has the address now, and leaves nothing behind', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    const { ref } = b.peer
    b.node.kill()
    net.add({ public: true, address: b.node.address })
    const call = a.node.ask(request => ({ kind: 'connect', request, target: { kind: 'ref', ref } }))
    world.run(11_000)
    expect(call.answer()).toMatchObject({ kind: 'failed' })
    world.run(15_000)
    expectQuiet([a])
  })

  it('fails in time where nobody answers at all', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    b.node.kill(true)
    const call = a.call(b)
    expect(world.runUntil(() => call.answer() !== undefined, 20_000)).toBeLessThanOrEqual(10_250)
    expect(call.answer()).toMatchObject({ kind: 'failed' })
    world.run(5_000)
    expectQuiet([a])
  })

  it('does not spin while a handshake takes long over a wire that is open', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    world.stall(b.node, true)
    const step = a.peer.step.bind(a.peer)
    let steps = 0
    a.peer.step = (now, input) => {
      steps += 1
      return step(now, input)
    }
    a.call(b)
    world.run(10_500)
    expect(steps).toBeLessThan(60)
    expectQuiet([a])
  })

  it('tries more addresses when a later caller knows them', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    const early = a.callPeer(b.id)
    world.run(100)
    const late = a.call(b)
    world.run(1_000)
    expect(answered([early, late])).toEqual(['connected', 'connected'])
  })

  it('takes a rendezvous to which a wire leads before one that is reached over it, whatever they carry', () => {
    const net = bareNet(1)
    const { world } = net
    const [r, q, a, b] = [net.add(), net.add(), net.add({ public: false }), net.add({ public: false })]
    for (const end of [a, b, q]) link(end, r)
    link(b, q)
    a.routeTo(q, r)
    const far = a.callPeer(q.id)
    world.run(300)
    expect(far.answer()).toMatchObject({ kind: 'connected', path: { kind: 'circuit', via: [r.id] } })
    a.peer.loads.set(r.id, 0.9).set(q.id, 0.1)
    const ref = b.peer.refBehind([q.peer, r.peer])
    const call = a.node.ask(request => ({ kind: 'connect', request, target: { kind: 'ref', ref } }))
    world.run(400)
    expect(call.answer()).toMatchObject({ kind: 'connected', path: { kind: 'circuit', via: [r.id] } })
  })

  it('to which no circuit leads asks others where it is, and goes by its rendezvous', () => {
    const net = bareNet(1)
    const { world } = net
    const [r, q, a, b] = [net.add(), net.add(), net.add({ public: false }), net.add({ public: false })]
    link(a, r)
    link(b, q)
    a.routeTo(b, r)
    a.peer.findable.set(b.id, b.peer.refBehind([q.peer]))
    const call = a.callPeer(b.id)
    world.run(1_500)
    expect(call.answer()).toMatchObject({ kind: 'connected', path: { kind: 'circuit', via: [q.id] } })
    expect(a.peer.searches).toBe(1)
  })

  it('that nobody knows is looked for once, and unreachable', () => {
    const net = bareNet(1)
    const { world } = net
    const [r, a, b] = [net.add(), net.add({ public: false }), net.add({ public: false })]
    link(a, r)
    a.routeTo(b, r)
    const call = a.callPeer(b.id)
    world.run(10_000)
    expect(call.answer()).toMatchObject({ kind: 'failed', fault: { code: 'peer-unreachable' } })
    expect(a.peer.searches).toBe(1)
    expectQuiet([a, r])
  })

  it('answers with a fault when the peer leaves while it is reached', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    const call = a.call(b)
    world.run(30)
    a.node.command({ kind: 'leave-mesh' })
    expect(call.answer()).toMatchObject({ kind: 'failed', fault: { code: 'closed' } })
  })
})

describe('two peers that call each other', () => {
  it('at any offset end with one session, over one wire', () => {
    for (let offsetMs = 0; offsetMs <= 140; offsetMs += 5) {
      for (const seed of [1, 2]) {
        const net = bareNet(seed)
        const { world } = net
        const [a, b] = [net.add(), net.add()]
        const calls = [a.call(b)]
        world.run(offsetMs)
        calls.push(b.call(a))
        world.run(3_000)
        const what = `seed ${seed}, ${offsetMs} ms apart`
        expect(answered(calls), what).toEqual(['connected', 'connected'])
        world.run(20_000)
        expectOneSession(a, b, what)
        expectQuiet([a, b], what)
        expect(a.counts.wires, what).toBe(1)
      }
    }
  })

  it('over circuits at once end with one session over one circuit', () => {
    for (let offsetMs = 0; offsetMs <= 200; offsetMs += 20) {
      for (const seed of [1, 2]) {
        const net = bareNet(seed)
        const { world } = net
        const [r, a, b] = [net.add(), net.add({ public: false }), net.add({ public: false })]
        link(a, r)
        link(b, r)
        a.routeTo(b, r)
        b.routeTo(a, r)
        const calls = [a.callPeer(b.id)]
        world.run(offsetMs)
        calls.push(b.callPeer(a.id))
        world.run(3_000)
        const what = `seed ${seed}, ${offsetMs} ms apart`
        expect(answered(calls), what).toEqual(['connected', 'connected'])
        world.run(25_000)
        expectOneSession(a, b, what)
        expectQuiet([a, b, r], what)
        expect(a.pathTo(b), what).toBe('circuit')
      }
    }
  })

  it('one by wire and one by circuit end with one session, over the wire', () => {
    for (let offsetMs = 0; offsetMs <= 200; offsetMs += 20) {
      for (const seed of [1, 2]) {
        const net = bareNet(seed)
        const { world } = net
        const [r, a, b] = [net.add(), net.add(), net.add({ public: false })]
        link(a, r)
        link(b, r)
        a.routeTo(b, r)
        // Only b knows an address to dial.
        const calls = [a.callPeer(b.id)]
        world.run(offsetMs)
        calls.push(b.call(a))
        world.run(5_000)
        const what = `seed ${seed}, ${offsetMs} ms apart`
        expect(answered(calls), what).toEqual(['connected', 'connected'])
        world.run(25_000)
        expectOneSession(a, b, what)
        expect([a.pathTo(b), b.pathTo(a)], what).toEqual(['wire', 'wire'])
        expectQuiet([a, b, r], what)
      }
    }
  })
})

/** Nothing passes between two peers any more, and nobody is told; undone by the function that it returns. */
function silence(net: BareNet, a: Bare, b: Bare): () => void {
  const { world } = net
  const connected = world.connected.bind(world)
  world.connected = (x, y) => connected(x, y) && !([x, y].includes(a.node) && [x, y].includes(b.node))
  return () => {
    world.connected = connected
    // What was held up goes on.
    world.split(null)
  }
}

describe('a path that falls silent', () => {
  function streaming(seed: number, pathlessMs?: number) {
    const net = bareNet(seed)
    const [r, a, b] = [net.add(), net.add({ public: false, pathlessMs }), net.add({ pathlessMs })]
    link(a, r)
    link(b, r)
    a.routeTo(b, r)
    b.routeTo(a, r)
    link(a, b)
    net.world.run(2_000)
    const session = a.sessionWith(b) ?? 0
    return { net, world: net.world, r, a, b, session, stream: a.openStream(session) }
  }

  it('amid a transfer is left for a circuit within a second, whoever writes, and taken again when it carries', () => {
    for (const writer of ['opener', 'other side'] as const) {
      const { net, world, a, b, session, stream } = streaming(1)
      const bytes = pattern(8_000_000)
      const [from, to] = writer === 'opener' ? [a, b] : [b, a]
      if (writer === 'other side') {
        a.node.command({ kind: 'stream-write', session, stream, chunks: [Uint8Array.of(1)] })
        world.run(200)
      }
      const own = from.sessionWith(to) ?? 0
      from.node.command({ kind: 'stream-write', session: own, stream, chunks: [bytes.slice()] })
      world.run(20)
      const mend = silence(net, a, b)
      expect(
        world.runUntil(() => from.pathTo(to) === 'circuit', 5_000, 20),
        writer,
      ).toBeLessThan(1_000)
      world.run(3_000)
      mend()
      expect(
        world.runUntil(() => from.pathTo(to) === 'wire', 5_000, 20),
        writer,
      ).toBeLessThan(3_000)
      world.run(10_000)
      expect(Buffer.compare(to.bytesOn(stream), bytes), writer).toBe(0)
      expect([a.sessionWith(b), to.sessionWith(from) === null], writer).toEqual([session, false])
    }
  })

  it('since this machine lost an address is left at once, whether anything was being said or not', () => {
    const { net, world, a, b, session } = streaming(6)
    world.run(5_000)
    silence(net, a, b)
    a.node.input({ kind: 'network-changed', lost: true })
    expect(world.runUntil(() => a.pathTo(b) === 'circuit' && b.pathTo(a) === 'circuit', 5_000, 20)).toBeLessThan(600)
    expect(a.sessionWith(b)).toBe(session)
  })

  it('is kept where it carries, whatever became of this machine', () => {
    for (const lost of [false, true]) {
      const { world, a, b, r } = streaming(7)
      const before = a.node.events.length
      a.node.input({ kind: 'network-changed', lost })
      world.run(15_000)
      expect(a.node.events.slice(before).filter(({ kind }) => kind === 'path')).toEqual([])
      expectQuiet([a, b, r], String(lost))
    }
  })

  it('when all was said is asked once, and then each end asks one peer a second', () => {
    const { world, a, b, session, stream } = streaming(2)
    a.node.command({ kind: 'stream-write', session, stream, chunks: [pattern(1_000)] })
    world.run(5_000)
    const { messages } = world
    world.run(10_000)
    // Questions and answers of ten seconds, and the links are looked at now and then.
    expect(world.messages - messages).toBeLessThanOrEqual(2 * 2 * 10 + 12)
    expect([a.pathTo(b), a.counts.attempts, b.counts.attempts]).toEqual(['wire', 0, 0])
  })

  it('where there is no other, is tried until it carries again', () => {
    const { net, world, r, a, b, session, stream } = streaming(3)
    const bytes = pattern(2_000_000)
    a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
    world.run(20)
    const mends = [silence(net, a, b), silence(net, a, r)]
    world.run(12_000)
    const before = b.bytesOn(stream).length
    for (const mend of mends.reverse()) mend()
    expect(world.runUntil(() => b.bytesOn(stream).length > before, 5_000, 20)).toBeLessThan(1_000)
    world.run(5_000)
    expect(Buffer.compare(b.bytesOn(stream), bytes)).toBe(0)
    expect(a.sessionWith(b)).toBe(session)
  })

  it('with all others for longer than streams wait ends the session at both ends', () => {
    const { net, world, r, a, b, session, stream } = streaming(4, 4_000)
    a.node.command({ kind: 'stream-write', session, stream, chunks: [pattern(8_000_000)] })
    world.run(100)
    silence(net, a, b)
    silence(net, a, r)
    expect(world.runUntil(() => a.sessionWith(b) === null && b.sessionWith(a) === null, 60_000, 20)).toBeLessThan(6_000)
    for (const end of [a, b])
      expect(end.node.events).toContainEqual(
        expect.objectContaining({ kind: 'session-closed', fault: expect.objectContaining({ code: 'session-lost' }) }),
      )
    expect(a.node.events).toContainEqual(expect.objectContaining({ kind: 'session-closed', session }))
  })

  it('takes a stream along that is open on a session which gave way to the one that stands', () => {
    let gaveWay = 0
    for (let offsetMs = 20; offsetMs <= 80; offsetMs += 10) {
      const net = bareNet(5)
      const { world } = net
      const [r, a, b] = [net.add(), net.add({ rateBytesPerMs: 1_000 }), net.add({ rateBytesPerMs: 1_000 })]
      link(a, r)
      link(b, r)
      a.routeTo(b, r)
      b.routeTo(a, r)
      const bytes = pattern(4_000_000)
      const streams = [
        { from: a, to: b, atMs: 0 },
        { from: b, to: a, atMs: offsetMs },
      ].map(({ from, to, atMs }) => {
        world.run(atMs)
        // One over the relay, one by its address.
        const call = from === a ? from.callPeer(to.id) : from.call(to)
        return { from, to, call, stream: -1 }
      })
      // A stream on each session as soon as it stands: one of them may give way a moment later.
      for (let ms = 0; ms < 500; ms += 1) {
        world.run(1)
        for (const item of streams) {
          if (item.stream >= 0 || item.call.answer()?.kind !== 'connected') continue
          // reason: what `expect` sees of an answer is less than what it is.
          const { session } = item.call.answer() as unknown as { readonly session: number }
          item.stream = item.from.openStream(session)
          item.from.node.command({ kind: 'stream-write', session, stream: item.stream, chunks: [bytes.slice()] })
        }
      }
      gaveWay += Math.max(a.counts.retired, b.counts.retired)
      world.cut(a.node, r.node)
      world.run(1_000)
      world.cut(a.node, b.node)
      world.run(5_000)
      silence(net, a, b)
      world.run(20_000)
      for (const { to, stream } of streams)
        expect(Buffer.compare(to.bytesOn(stream), bytes), `${offsetMs} ms apart`).toBe(0)
    }
    expect(gaveWay).toBeGreaterThan(0)
  })
})

describe('a peer that begins again', () => {
  it('with the same identity is reached anew, whether its wires broke or went mute', () => {
    for (const silently of [false, true]) {
      const net = bareNet(3)
      const { world } = net
      const a = net.add()
      const b = net.add()
      link(a, b)
      b.node.kill(silently)
      const again = net.adopt(world.restart(b.node, false))
      if (!silently) world.run(200)
      const call = a.call(again)
      const back = again.call(a)
      const tookMs = world.runUntil(() => call.answer() !== undefined && back.answer() !== undefined, 12_000, 50)
      expect(answered([call, back]), `silently: ${silently}`).toEqual(['connected', 'connected'])
      expect(tookMs).toBeLessThan(5_000)
      world.run(30_000)
      expectOneSession(a, again)
      expectQuiet([a, again])
    }
  })

  it('and is called by one that still holds the old session is reached within seconds', () => {
    const net = bareNet(4)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    link(a, b)
    const old = a.sessionWith(b)
    const again = net.adopt(world.restart(b.node, false))
    world.run(500)
    const call = a.call(again)
    const tookMs = world.runUntil(() => call.answer() !== undefined, 12_000, 50)
    expect(call.answer()).toMatchObject({ kind: 'connected' })
    expect(tookMs).toBeLessThan(4_000)
    expect(a.sessionWith(again)).not.toBe(old)
    world.run(30_000)
    expectOneSession(a, again)
    expectQuiet([a, again])
  })

  it('fails a ping that was on its way to its former self', () => {
    const net = bareNet(4)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    link(a, b)
    const session = a.sessionWith(b) ?? 0
    b.node.kill(true)
    const ping = a.node.ask(request => ({ kind: 'ping', request, session }))
    world.run(60_000)
    expect(ping.answer()).toMatchObject({ kind: 'failed', fault: { code: 'closed' } })
    expectQuiet([a])
  })
})

describe('a session', () => {
  it('carries a megabyte whole, once and in order over a wire that is cut every 200 ms', () => {
    for (const seed of [1, 2, 3]) {
      const net = bareNet(seed, [10, 20])
      const { world } = net
      const [a, b] = [net.add({ public: true, rateBytesPerMs: 1_000 }), net.add({ public: seed !== 3 })]
      link(b, a)
      const session = a.sessionWith(b) ?? 0
      const stream = a.openStream(session)
      const bytes = pattern(1_048_576)
      a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
      a.node.command({ kind: 'stream-end', session, stream })
      for (let cuts = 0; cuts < 40; cuts += 1) {
        world.run(200)
        world.cut(a.node, b.node)
      }
      world.run(10_000)
      expect(b.sessionWith(a), `seed ${seed}`).not.toBeNull()
      expect(a.sessionWith(b)).toBe(session)
      expect(Buffer.compare(b.bytesOn(stream), bytes), `seed ${seed}`).toBe(0)
    }
  })

  it('that nobody needs ends after it has been silent for long, at both ends', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    link(a, b)
    const contact = a.peer.connector.contact(b.id)
    if (contact === null) throw new Error('linked')
    a.peer.connector.release(contact, 4)
    world.run(80_000)
    expect([a.counts.sessions, b.counts.sessions, a.counts.wires, b.counts.wires]).toEqual([0, 0, 0, 0])
  })

  it('whose peer dies without a word is lost after pings and a search for another path', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    link(a, b)
    b.node.kill(true)
    const tookMs = world.runUntil(() => a.counts.sessions === 0, 60_000)
    expect(tookMs).toBeLessThanOrEqual(20_000 + 2_000 + 3_000 + 15_000 + 500)
    world.run(15_000)
    expectQuiet([a])
    expect(a.peer.lost).toHaveLength(1)
  })

  it('over a wire to far away outlives a silence that a near one does not', () => {
    // Four seconds after it was asked: TCP lost the same packet five times, or four times where a round trip takes long.
    const outcome = [20, 160].map(delayMs => {
      const net = bareNet(1, [delayMs, delayMs])
      const { world } = net
      const [a, b] = [net.add(), net.add()]
      link(a, b)
      world.run(50_000)
      const contact = a.peer.connector.contact(b.id)
      const mend = silence(net, a, b)
      world.runUntil(() => contact?.pingedAt !== null, 30_000, 20)
      world.run(4_000)
      mend()
      world.run(3_000)
      return a.node.events.filter(({ kind }) => kind === 'path').length
    })
    // One is lost and another taken; or nothing happens.
    expect(outcome).toEqual([2, 0])
  })

  it('whose first packet ends it takes no place of another', () => {
    const net = bareNet(5)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    link(a, b)
    // The same peer once more, whose handshake is given up as soon as it stands: its first packet is the goodbye.
    const twin = net.add({ public: false, identitySeed: a.node.identitySeed })
    twin.peer.connector.onSessionReady = (turn, session) => session.close(turn, 'closed')
    twin.call(b)
    world.run(1_000)
    expectOneSession(a, b)
    expect(b.peer.lost).toEqual([])
    world.run(20_000)
    expect(b.counts.labels).toBe(1)
  })
})

describe('a session over a circuit', () => {
  function relayed(seed: number, aPublic: boolean, bPublic: boolean, aCalls = true) {
    const net = bareNet(seed)
    const { world } = net
    const [r, a, b] = [net.add(), net.add({ public: aPublic }), net.add({ public: bPublic })]
    link(a, r)
    link(b, r)
    a.routeTo(b, r)
    b.routeTo(a, r)
    const call = aCalls ? a.callPeer(b.id) : b.callPeer(a.id)
    world.run(300)
    expect(call.answer()).toMatchObject({ kind: 'connected', path: { kind: 'circuit', via: [r.id] } })
    return { world, net, r, a, b }
  }

  it.each([
    ['the opener', true, false, false],
    ['the other side', true, false, true],
    ['both sides', true, true, true],
  ])('soon moves to a wire that %s can dial, without losing a byte', (_who, aPublic, bPublic, aCalls) => {
    for (const seed of [1, 2, 3]) {
      const { world, r, a, b } = relayed(seed, aPublic, bPublic, aCalls)
      const session = a.sessionWith(b) ?? 0
      const stream = a.openStream(session)
      const bytes = pattern(2_000_000)
      a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
      expect(world.runUntil(() => a.pathTo(b) === 'wire' && b.pathTo(a) === 'wire', 1_200)).not.toBeNull()
      world.run(8_000)
      expect(Buffer.compare(b.bytesOn(stream), bytes), `seed ${seed}`).toBe(0)
      expect([a.sessionWith(b), a.pathTo(b), b.pathTo(a)]).toEqual([session, 'wire', 'wire'])
      world.run(15_000)
      expectQuiet([a, b, r], `seed ${seed}`)
      // The circuit is kept for as long as a stream may need it.
      expect([a.counts.standbys, b.counts.standbys, r.counts.hops]).toEqual([1, 1, 1])
      world.run(300_000)
      expect([a.counts.standbys, b.counts.standbys, r.counts.hops]).toEqual([1, 1, 1])
      a.node.command({ kind: 'stream-reset', session, stream, reset: 0 })
      world.run(60_000)
      expectQuiet([a, b, r], `seed ${seed}`)
      expect(r.counts.hops).toBe(0)
    }
  })

  it('stays where it is while nobody answers at the address, and asks ever more rarely', () => {
    const { world, net, a, b } = relayed(2, false, true)
    // The ref names a place where someone else is.
    const other = net.add()
    b.node.command({ kind: 'announce', addresses: [other.node.address] })
    const contact = a.peer.connector.contact(b.id)
    if (contact === null) throw new Error('reached')
    contact.ref = b.peer.ref
    const pathsBefore = a.node.events.filter(event => event.kind === 'path').length
    for (let i = 0; i < 40; i += 1) {
      const session = a.sessionWith(b) ?? 0
      const ping = a.node.ask(request => ({ kind: 'ping', request, session }))
      world.run(1_000)
      expect(ping.answer()).toMatchObject({ kind: 'ponged' })
    }
    expect(a.node.events.filter(event => event.kind === 'path')).toHaveLength(pathsBefore)
    expect(a.pathTo(b)).toBe('circuit')
    world.run(15_000)
    expect(a.counts.unprovenWires + other.counts.wires).toBe(0)
  })

  it('moves to a rendezvous that carries less, without losing a byte, and stays where none does', () => {
    const { world, net, r, a, b } = relayed(3, false, false)
    const q = net.add()
    for (const end of [a, b]) link(end, q)
    const contact = a.peer.connector.contact(b.id)
    if (contact === null) throw new Error('reached')
    contact.ref = b.peer.refBehind([r.peer, q.peer])
    a.peer.loads.set(r.id, 0.9).set(q.id, 0.7)
    world.run(2 * REBALANCE_MS)
    expect([r.counts.hops, q.counts.hops]).toEqual([1, 0])
    const session = a.sessionWith(b) ?? 0
    const stream = a.openStream(session)
    const bytes = pattern(500_000)
    a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
    a.peer.loads.set(q.id, 0.3)
    const slow = net.world.runUntil(() => q.counts.hops === 1 && r.counts.hops === 0, REBALANCE_MS + 20_000)
    expect(slow).not.toBeNull()
    world.run(2_000)
    expect(Buffer.compare(b.bytesOn(stream), bytes)).toBe(0)
    expect([a.sessionWith(b), a.pathTo(b), b.pathTo(a)]).toEqual([session, 'circuit', 'circuit'])
    world.run(15_000)
    expectQuiet([a, b, r, q])
  })

  it('does not move while a circuit runs over it', () => {
    const { world, net, r, a, b } = relayed(4, false, false)
    const q = net.add()
    for (const end of [a, b]) link(end, q)
    const c = net.add()
    link(b, c)
    // From now on nobody can dial it.
    const nodeAt = world.nodeAt.bind(world)
    world.nodeAt = (wanted, from) => (wanted.host === c.node.address.host ? undefined : nodeAt(wanted, from))
    a.routeTo(c, b)
    const call = a.callPeer(c.id)
    world.run(1_000)
    expect(call.answer()).toMatchObject({ kind: 'connected' })
    expect(a.pathTo(c)).toBe('circuit')
    const contact = a.peer.connector.contact(b.id)
    if (contact === null) throw new Error('reached')
    contact.ref = b.peer.refBehind([r.peer, q.peer])
    a.peer.loads.set(r.id, 0.9).set(q.id, 0.1)
    world.run(3 * REBALANCE_MS)
    expect([r.counts.hops, q.counts.hops, a.pathTo(c)]).toEqual([1, 0, 'circuit'])
  })

  it('leaves a chain for one rendezvous that both have, and not one that is gone', () => {
    const net = bareNet(8)
    const { world } = net
    const [r, s, q, a, b] = [net.add(), net.add(), net.add(), net.add({ public: false }), net.add({ public: false })]
    for (const [one, other] of [
      [a, r],
      [r, s],
      [b, s],
      [a, q],
    ] as const)
      link(one, other)
    a.routeTo(b, r)
    r.routeTo(b, s)
    const call = a.callPeer(b.id)
    world.run(1_000)
    expect(call.answer()).toMatchObject({ kind: 'connected' })
    expect([r.counts.hops, s.counts.hops]).toEqual([1, 1])
    const contact = a.peer.connector.contact(b.id)
    if (contact === null) throw new Error('reached')
    // The one that b names does not know it: the path that works is not touched.
    contact.ref = b.peer.refBehind([q.peer])
    world.run(2 * REBALANCE_MS)
    expect([a.pathTo(b), r.counts.hops, q.counts.hops]).toEqual(['circuit', 1, 0])
    link(b, q)
    expect(world.runUntil(() => q.counts.hops === 1 && r.counts.hops === 0, REBALANCE_MS + 20_000)).not.toBeNull()
    expectQuiet([a, b, q])
  })

  it('goes on over a circuit when its wire breaks, and back to a wire', () => {
    const net = bareNet(6)
    const { world } = net
    const [r, a, b] = [net.add(), net.add(), net.add({ public: false })]
    link(a, r)
    link(b, r)
    link(b, a)
    a.routeTo(b, r)
    b.routeTo(a, r)
    const session = b.sessionWith(a)
    // For a while b cannot dial a.
    const { address } = a.node
    const nodeAt = world.nodeAt.bind(world)
    world.nodeAt = (wanted, from) => (wanted.host === address.host ? undefined : nodeAt(wanted, from))
    world.cut(a.node, b.node)
    expect(world.runUntil(() => a.pathTo(b) === 'circuit' && b.pathTo(a) === 'circuit', 5_000)).not.toBeNull()
    world.nodeAt = nodeAt
    world.run(80_000)
    expect([a.pathTo(b), b.pathTo(a), b.sessionWith(a)]).toEqual(['wire', 'wire', session])
    world.run(15_000)
    expectQuiet([a, b, r])
  })

  it('stays while circuits of others run over it, though its user closes it', () => {
    const net = bareNet(6)
    const { world } = net
    const [r, a, b] = [net.add(), net.add({ public: false }), net.add({ public: false })]
    link(a, r)
    link(b, r)
    a.routeTo(b, r)
    b.routeTo(a, r)
    link(a, b)
    expect(a.pathTo(b)).toBe('circuit')
    const session = a.sessionWith(b)
    const user = r.sessionWith(a)
    if (user === null) throw new Error('linked')
    r.node.command({ kind: 'session-close', session: user, code: 'closed' })
    world.run(2_000)
    expect([a.pathTo(b), b.pathTo(a), a.sessionWith(b)]).toEqual(['circuit', 'circuit', session])
    expect(r.sessionWith(a)).toBe(user)
  })

  it('is brought back by the side that lost its path, though the other does not know of it yet', () => {
    const net = bareNet(7)
    const { world } = net
    const [a, b] = [net.add(), net.add({ public: false })]
    link(b, a)
    for (const end of b.node.openWires()) {
      // Only b hears that the wire broke.
      end.lose('wire-lost')
    }
    expect(world.runUntil(() => b.pathTo(a) === 'wire', 5_000)).not.toBeNull()
    const session = a.sessionWith(b) ?? 0
    const ping = a.node.ask(request => ({ kind: 'ping', request, session }))
    world.run(3_000)
    expect(ping.answer()).toMatchObject({ kind: 'ponged' })
    world.run(20_000)
    expectOneSession(a, b)
    expectQuiet([a, b])
  })
})

describe('strangers', () => {
  it('that send handshakes without end over one wire hold a few of them, and lose the wire', () => {
    const net = bareNet(1)
    const { world } = net
    const [a, b] = [net.add(), net.add()]
    link(a, b)
    const c = net.add({ public: false })
    const step = c.peer.step.bind(c.peer)
    const greetings: Uint8Array[] = []
    c.peer.step = (now, input) => {
      const effects = step(now, input)
      for (const effect of effects) if (effect.kind === 'send') greetings.push(Buffer.concat(effect.buffers))
      return effects
    }
    c.call(b)
    for (let i = 0; i < 1_000 && greetings.length === 0; i += 1) world.run(1)
    const greeting = greetings[0]
    if (greeting === undefined) throw new Error('a call begins with a greeting')
    c.node.kill()
    b.node.input({
      kind: 'wire-open',
      wire: -999,
      role: 'acceptor',
      about: { transport: 'tcp', remote: '', remoteHost: '' },
    })
    for (let i = 0; i < 40; i += 1) {
      b.node.input({ kind: 'wire-bytes', wire: -999, bytes: greeting.slice() })
      expect(b.counts.handshakes).toBeLessThanOrEqual(4)
    }
    expect(b.counts.handshakes).toBe(0)
    expectOneSession(a, b)
    world.run(20_000)
    expectQuiet([a, b])
  })
})

describe('whatever happens', () => {
  it('every attempt is answered in time, sessions agree, and nothing is left once it is quiet', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(
          fc.record({
            what: fc.constantFrom(
              'call',
              'call',
              'call',
              'callPeer',
              'callAddress',
              'cut',
              'close',
              'stream',
              'kill',
              'restart',
            ),
            from: fc.nat(4),
            to: fc.nat(4),
            thenMs: fc.constantFrom(0, 5, 30, 90, 400, 2_500),
          }),
          { minLength: 5, maxLength: 40 },
        ),
        (seed, happenings) => {
          const net = bareNet(seed, [5, 40])
          const { world } = net
          const bares = [0, 1, 2, 3, 4].map(i => net.add({ public: i < 3 }))
          for (const from of bares) for (const to of bares) from.routeTo(to, ...bares.filter(hop => hop !== to))
          const calls: { at: number; node: number; call: Call; bare: Bare }[] = []
          for (const { what, from, to, thenMs } of happenings) {
            const [a, b] = [bares[from], bares[to]]
            if (a === undefined || b === undefined) continue
            const at = world.now
            if (what === 'call') calls.push({ at, node: from, bare: a, call: a.call(b) })
            else if (what === 'callPeer') calls.push({ at, node: from, bare: a, call: a.callPeer(b.id) })
            else if (what === 'callAddress') calls.push({ at, node: from, bare: a, call: a.callAddress(b) })
            else if (what === 'cut') world.cut(a.node, b.node)
            else if (what === 'kill' && from !== 0) a.node.kill(to % 2 === 0)
            else if (what === 'restart' && from !== 0) bares[from] = rerouted(net, bares, world.restart(a.node, false))
            else {
              const session = a.node.alive ? a.sessionWith(b) : null
              if (session !== null && what === 'close')
                a.node.command({ kind: 'session-close', session, code: 'closed' })
              if (session !== null && what === 'stream') {
                const stream = a.openStream(session)
                a.node.command({ kind: 'stream-write', session, stream, chunks: [pattern(20_000)] })
                a.node.command({ kind: 'stream-end', session, stream })
              }
            }
            for (const bare of bares) {
              const { attemptsEnd } = bare.counts
              if (bare.node.alive && attemptsEnd !== null) expect(attemptsEnd).toBeGreaterThan(bare.node.now - 2)
            }
            world.run(thenMs)
          }
          world.run(12_000)
          for (const { bare, call, node } of calls) {
            if (bare.node.alive)
              expect(call.answer()?.kind, `seed ${seed}, call of ${node}`).toMatch(/connected|failed/)
          }
          // Those that died without a word are missed by now.
          world.run(60_000)
          const live = bares.filter(bare => bare.node.alive)
          const isQuiet = (): boolean =>
            live.every(({ counts }) => {
              const { attempts, asks, handshakes, openings, retired, unused, unprovenWires } = counts
              const underWay = attempts + asks + handshakes + openings + retired + unused + unprovenWires
              return underWay === 0 && counts.wires + counts.circuitEnds === counts.sessions + counts.standbys
            })
          expect(world.runUntil(isQuiet, 200_000, 500), `seed ${seed}`).not.toBeNull()
          expectQuiet(live, `seed ${seed}`)
          for (const a of live)
            for (const b of live) if (a.sessionWith(b) !== null) expectOneSession(a, b, `seed ${seed}`)
        },
      ),
      { numRuns: 60 },
    )
  }, 120_000)
})

function rerouted(net: BareNet, bares: readonly Bare[], node: Bare['node']): Bare {
  const fresh = net.adopt(node)
  for (const to of bares) fresh.routeTo(to, ...bares.filter(hop => hop !== to))
  return fresh
}
