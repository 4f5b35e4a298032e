/** Circuits over three to five peers: relays that die, refuse, fill up; neighbours that lie (spec 5.6). */
import { describe, expect, it } from 'vitest'
import { writeU32 } from '../base/bytes.ts'
import type { Fault } from '../base/fault.ts'
import { CIRCUIT_QUEUE_BYTES_MAX, CIRCUITS_PER_NEIGHBOUR_MAX } from '../limits.ts'
import { pattern } from '../session/session.fixtures.ts'
import { Turn } from '../turn.ts'
import { type Bare, type BareNet, bareNet, link } from './bare-peer.fixtures.ts'
import { Need } from './contact.ts'

/** A chain: each linked to the next, the ends hidden, everybody knowing the way. */
function chain(net: BareNet, count: number): Bare[] {
  const bares = Array.from({ length: count }, (_, i) => net.add({ public: i > 0 && i < count - 1 }))
  for (const [i, bare] of bares.entries()) {
    const next = bares[i + 1]
    if (next === undefined) continue
    if (bare.node.public) link(next.node.public ? bare : next, next.node.public ? next : bare)
    else link(bare, next)
  }
  const ends = [bares[0], bares.at(-1)]
  for (const [i, bare] of bares.entries()) {
    for (const end of ends) {
      const towards = end === bares[0] ? bares[i - 1] : bares[i + 1]
      if (end !== undefined && towards !== undefined) bare.routeTo(end, towards)
    }
  }
  return bares
}

function endsOf(bares: readonly Bare[]): [Bare, Bare] {
  const [a, b] = [bares[0], bares.at(-1)]
  if (a === undefined || b === undefined) throw new Error('a chain has ends')
  return [a, b]
}

function reachOver(net: BareNet, a: Bare, b: Bare): number {
  const call = a.callPeer(b.id)
  net.world.runUntil(() => call.answer() !== undefined, 12_000, 20)
  expect(call.answer()).toMatchObject({ kind: 'connected' })
  return a.sessionWith(b) ?? 0
}

/** Sends bytes on a new stream; what came is with the other side. */
function send(a: Bare, session: number, bytes: Uint8Array): number {
  const stream = a.openStream(session)
  a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
  return stream
}

/** How many requests for circuits have come to these peers. */
function opensAt(bares: readonly Bare[]): () => number {
  let opens = 0
  for (const { peer } of bares) {
    const { circuits } = peer.connector
    const onOpen = circuits.onOpen.bind(circuits)
    circuits.onOpen = (...args) => {
      opens += 1
      onOpen(...args)
    }
  }
  return () => opens
}

describe('a circuit', () => {
  it.each([3, 4, 5])('over %i peers carries a stream whole, and its peers are named', count => {
    const net = bareNet(1)
    const bares = chain(net, count)
    const [a, b] = endsOf(bares)
    const session = reachOver(net, a, b)
    const bytes = pattern(3_000_000)
    const stream = send(a, session, bytes)
    net.world.run(20_000)
    expect(Buffer.compare(b.bytesOn(stream), bytes)).toBe(0)
    const via = bares.slice(1, -1).map(bare => bare.id)
    const path = a.peer.connector.contact(b.id)?.session.path?.view()
    expect(path).toEqual({ kind: 'circuit', via })
    expect(b.peer.connector.contact(a.id)?.session.path?.view()).toEqual({ kind: 'circuit', via: via.reverse() })
    expect(bares.slice(1, -1).map(bare => bare.counts.hops)).toEqual(via.map(() => 1))
  })

  it('whose relay is killed goes on over another, and nothing of the stream is lost', () => {
    for (const silently of [false, true]) {
      for (const seed of [1, 2, 3]) {
        const net = bareNet(seed)
        const [r1, r2, a, b] = [net.add(), net.add(), net.add({ public: false }), net.add({ public: false })]
        for (const relay of [r1, r2]) for (const end of [a, b]) link(end, relay)
        a.routeTo(b, r1, r2)
        b.routeTo(a, r1, r2)
        const session = reachOver(net, a, b)
        const bytes = pattern(4_000_000)
        const stream = send(a, session, bytes)
        net.world.run(150)
        r1.node.kill(silently)
        const whole = (): boolean => b.bytesOn(stream).length === bytes.length
        expect(net.world.runUntil(whole, 60_000), `seed ${seed}, silently: ${silently}`).not.toBeNull()
        expect(Buffer.compare(b.bytesOn(stream), bytes)).toBe(0)
        expect(a.sessionWith(b)).toBe(session)
        net.world.run(20_000)
        expect(r2.counts.hops).toBe(1)
        expect([a.counts.circuitEnds, b.counts.circuitEnds]).toEqual([1, 1])
      }
    }
  })

  it('goes round a peer that does not relay, and one whose next is gone', () => {
    const net = bareNet(2)
    const [declines, dead, good] = [net.add({ public: true, relays: false }), net.add(), net.add()]
    const [a, b] = [net.add({ public: false }), net.add({ public: false })]
    for (const relay of [declines, dead, good]) link(a, relay)
    for (const relay of [declines, good]) link(b, relay)
    dead.routeTo(b, net.add())
    a.routeTo(b, declines, dead, good)
    reachOver(net, a, b)
    expect(a.peer.connector.contact(b.id)?.session.path?.view()).toEqual({ kind: 'circuit', via: [good.id] })
    expect([declines.counts.hops, dead.counts.hops, good.counts.hops]).toEqual([0, 0, 1])
  })

  it('goes round a relay whose session to the next peer has no path, without waiting for one', () => {
    const net = bareNet(2)
    const [pathless, good] = [net.add(), net.add()]
    const [a, b] = [net.add({ public: false }), net.add({ public: false })]
    for (const relay of [pathless, good]) for (const end of [a, b]) link(end, relay)
    a.routeTo(b, pathless, good)
    const { connector } = pathless.peer
    const carrierTo = connector.carrierTo.bind(connector)
    connector.carrierTo = peer => (peer === b.id ? null : carrierTo(peer))
    const start = net.world.now
    reachOver(net, a, b)
    expect(net.world.now - start).toBeLessThan(1_000)
    expect(a.peer.connector.contact(b.id)?.session.path?.view()).toEqual({ kind: 'circuit', via: [good.id] })
    expect([pathless.counts.hops, good.counts.hops]).toEqual([0, 1])
  })

  it('goes round a relay that keeps the request to itself, before the opener gives up', () => {
    const net = bareNet(4)
    const [first, swallows, good] = [net.add(), net.add(), net.add()]
    const [a, b] = [net.add({ public: false }), net.add({ public: false })]
    link(a, first)
    for (const relay of [swallows, good]) {
      link(first, relay)
      link(b, relay)
      relay.peer.closestTo.add(b.id)
    }
    a.routeTo(b, first)
    first.routeTo(b, swallows, good)
    swallows.peer.connector.circuits.onOpen = () => {}
    const start = net.world.now
    reachOver(net, a, b)
    expect(net.world.now - start).toBeLessThan(3_000)
    expect(a.peer.connector.contact(b.id)?.session.path?.view()).toEqual({ kind: 'circuit', via: [first.id, good.id] })
    expect([first.counts.hops, good.counts.hops]).toEqual([1, 1])
  })

  it('to a peer that those at its place do not know is given up after one way there, not after all', () => {
    const opensWhere = (known: boolean): number => {
      const net = bareNet(2)
      const hops = [net.add(), net.add(), net.add(), net.add()]
      const [closest, a, gone] = [net.add(), net.add({ public: false }), net.add({ public: false })]
      for (const hop of hops) {
        link(a, hop)
        link(hop, closest)
        hop.routeTo(gone, closest)
      }
      a.routeTo(gone, ...hops)
      if (known) closest.peer.closestTo.add(gone.id)
      const opens = opensAt([closest])
      // Not a user's: that one would be made again for a while.
      let fault: Fault | null = null
      a.peer.connector.reach(new Turn(a.node.now, 0), gone.id, null, false, (_turn, outcome) => {
        if (!outcome.ok) fault = outcome.fault
      })
      a.node.input({ kind: 'wake' })
      net.world.run(3_000)
      expect(fault).toMatchObject({ code: 'peer-unreachable' })
      return opens()
    }
    expect(opensWhere(true)).toBe(1)
    expect(opensWhere(false)).toBe(4)
  })

  it('to a peer that a relay has just lost is given up for a link, and tried over all for a user', () => {
    const opensFor = (patient: boolean): number => {
      const net = bareNet(4)
      const a = net.add({ public: false })
      const gone = net.add()
      const relays = [net.add(), net.add(), net.add()]
      for (const relay of relays) {
        link(a, relay)
        link(relay, gone)
      }
      a.routeTo(gone, ...relays)
      gone.node.kill()
      net.world.run(300)
      expect(relays.map(relay => relay.pathTo(gone))).toEqual(['none', 'none', 'none'])
      const opens = opensAt(relays)
      a.peer.connector.reach(new Turn(a.node.now, 0), gone.id, null, patient, () => {})
      a.node.input({ kind: 'wake' })
      net.world.run(350)
      return opens()
    }
    expect(opensFor(false)).toBe(1)
    expect(opensFor(true)).toBe(3)
  })

  it('to a peer that one of its rendezvous does not know any more is given up for a link, and tried over all for a user', () => {
    const opensFor = (patient: boolean): number => {
      const net = bareNet(4)
      const [a, gone] = [net.add({ public: false }), net.add({ public: false })]
      const relays = [net.add(), net.add(), net.add()]
      for (const relay of relays) link(a, relay)
      const ref = gone.peer.refBehind(relays.map(({ peer }) => peer))
      gone.node.kill()
      const opens = opensAt(relays)
      a.peer.connector.reach(new Turn(a.node.now, 0), gone.id, ref, patient, () => {})
      a.node.input({ kind: 'wake' })
      net.world.run(350)
      return opens()
    }
    expect(opensFor(false)).toBe(1)
    expect(opensFor(true)).toBe(3)
  })

  it('keeps the sessions that it runs over, though nobody needs those for themselves', () => {
    const net = bareNet(5)
    const relay = net.add()
    const [a, b] = [net.add({ public: false }), net.add({ public: false })]
    for (const end of [a, b]) {
      link(end, relay)
      const contact = end.peer.connector.contact(relay.id)
      if (contact !== null) end.peer.connector.release(contact, Need.user)
    }
    a.routeTo(b, relay)
    const session = reachOver(net, a, b)
    const carrying = a.sessionWith(relay)
    net.world.run(180_000)
    expect([a.sessionWith(b), a.sessionWith(relay)]).toEqual([session, carrying])
    expect(a.peer.lost).toEqual([])
    const contact = a.peer.connector.contact(b.id)
    if (contact !== null) a.peer.connector.release(contact, Need.user)
    net.world.run(180_000)
    expect([a.sessionWith(b), a.sessionWith(relay), relay.counts.hops]).toEqual([null, null, 0])
  })

  it('that would run in circles is refused, and leaves no hop', () => {
    const net = bareNet(3)
    const ring = [net.add(), net.add(), net.add()]
    const [r0, r1, r2] = ring
    if (r0 === undefined || r1 === undefined || r2 === undefined) throw new Error('three were added')
    link(r0, r1)
    link(r1, r2)
    link(r2, r0)
    const [a, nobody] = [net.add({ public: false }), net.add({ public: false })]
    link(a, r0)
    a.routeTo(nobody, r0)
    r0.routeTo(nobody, r1)
    r1.routeTo(nobody, r2)
    r2.routeTo(nobody, r0)
    const call = a.callPeer(nobody.id)
    net.world.run(12_000)
    expect(call.answer()).toMatchObject({ kind: 'failed', fault: { code: 'peer-unreachable' } })
    for (const bare of [...ring, a]) expect([bare.counts.hops, bare.counts.circuitEnds]).toEqual([0, 0])
  })

  it('that nobody waits for any more, when it is accepted, is closed again', () => {
    for (const delayMs of [130, 140, 150, 160]) {
      const net = bareNet(4, [delayMs, delayMs])
      const [r, a, b] = [net.add(), net.add({ public: false }), net.add()]
      link(a, r)
      link(b, r)
      a.routeTo(b, r)
      // The circuit is begun while the dial is under way, and the dial is done first.
      const call = a.call(b)
      net.world.runUntil(() => call.answer() !== undefined, 3_000, 10)
      expect(call.answer()).toMatchObject({ kind: 'connected', path: { kind: 'wire' } })
      net.world.run(900)
      expect([r.counts.hops, a.counts.circuitEnds, b.counts.circuitEnds], `${delayMs} ms`).toEqual([0, 0, 0])
    }
  })

  it('and a stranger cannot make a peer accept more of them than a bound, nor keep one that it never uses', () => {
    const net = bareNet(5)
    const [a, b] = [net.add(), net.add()]
    link(a, b)
    const target = b.id
    const frame = new Uint8Array(0)
    for (let i = 1; i <= CIRCUITS_PER_NEIGHBOUR_MAX + 100; i += 1) {
      b.peer.connector.circuits.onOpen(new Turn(b.node.now, 0), a.id, {
        kind: 'circuit-open',
        label: i,
        target,
        via: [a.id],
        frame,
      })
    }
    expect(b.counts.circuitEnds).toBe(CIRCUITS_PER_NEIGHBOUR_MAX)
    b.node.input({ kind: 'wake' })
    net.world.run(11_000)
    expect(b.counts.circuitEnds).toBe(0)
    expect(b.counts.labels).toBe(b.counts.sessions)
  })
})

describe('a relay', () => {
  it('between a fast sender and a receiver that stopped holds a bounded queue, and drops nothing for good', () => {
    const net = bareNet(6)
    const [a, r, b] = chain(net, 3) as [Bare, Bare, Bare]
    const session = reachOver(net, a, b)
    const bytes = pattern(4_000_000)
    net.world.run(1_000)
    net.world.stall(b.node, true)
    const stream = send(a, session, bytes)
    let most = 0
    for (let i = 0; i < 100; i += 1) {
      net.world.run(100)
      most = Math.max(most, r.counts.queuedBytes)
    }
    expect(most).toBeLessThanOrEqual(CIRCUIT_QUEUE_BYTES_MAX)
    net.world.stall(b.node, false)
    net.world.run(60_000)
    expect(Buffer.compare(b.bytesOn(stream), bytes)).toBe(0)
    expect(r.counts.queuedBytes).toBe(0)
  })

  it('lets circuits that share a slow wire have like shares', () => {
    const net = bareNet(7)
    const r = net.add()
    const slow = net.add({ public: false, rateBytesPerMs: 2_000 })
    link(slow, r)
    const senders = [0, 1, 2].map(() => net.add({ public: false }))
    const streams: [Bare, number][] = []
    for (const sender of senders) {
      link(sender, r)
      sender.routeTo(slow, r)
      r.routeTo(slow, slow)
      const session = reachOver(net, sender, slow)
      streams.push([sender, session])
    }
    for (const [sender, session] of streams) send(sender, session, pattern(16_000_000))
    net.world.run(10_000)
    const got = [...slow.received.values()].map(chunks => chunks.reduce((sum, chunk) => sum + chunk.length, 0))
    expect(got).toHaveLength(3)
    const total = got.reduce((sum, bytes) => sum + bytes, 0)
    expect(total).toBeGreaterThan(0.4 * 10_000 * 2_000)
    expect(Math.min(...got)).toBeGreaterThan(total / 5)
  })

  it('passes nothing on that comes under a label it did not give, or from a neighbour to whom it did not give it', () => {
    const net = bareNet(8)
    const [a, r, b] = chain(net, 3) as [Bare, Bare, Bare]
    const stranger = net.add({ public: false })
    link(stranger, r)
    const session = reachOver(net, a, b)
    net.world.run(1_000)
    const before = [a.node.bytesSent, b.node.bytesSent]
    // Every label that the relay knows, from a neighbour that was given none of them.
    const { board } = r.peer.connector
    // reason: labels cannot be guessed; a test looks them up.
    const labels = [...(board as unknown as { labels: Map<number, unknown> }).labels.keys()]
    const [wire] = r.node.openWires().filter(end => end.other?.node === stranger.node)
    for (const label of [...labels, 77]) {
      const frame = new Uint8Array(60)
      writeU32(frame, 0, 56)
      writeU32(frame, 4, label)
      frame[8] = 0x10
      r.node.input({ kind: 'wire-bytes', wire: wire?.id ?? 0, bytes: frame })
    }
    net.world.run(1_000)
    expect([a.node.bytesSent, b.node.bytesSent]).toEqual(before)
    const ping = a.node.ask(request => ({ kind: 'ping', request, session }))
    net.world.run(1_000)
    expect(ping.answer()).toMatchObject({ kind: 'ponged' })
  })

  it('that vanishes from between two ends leaves them without circuit ends', () => {
    const net = bareNet(9)
    const bares = chain(net, 5)
    const [a, b] = endsOf(bares)
    reachOver(net, a, b)
    bares[2]?.node.kill()
    net.world.run(30_000)
    for (const bare of bares) {
      if (!bare.node.alive) continue
      expect([bare.counts.hops, bare.counts.circuitEnds, bare.counts.circuitLabels]).toEqual([0, 0, 0])
    }
    expect([a.sessionWith(b), b.sessionWith(a)]).toEqual([null, null])
  })
})

describe('sessions that ride on each other', () => {
  it('never come to carry themselves', () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const net = bareNet(seed)
      const [r, a, b, c] = [net.add(), net.add(), net.add({ public: false }), net.add({ public: false })]
      for (const end of [a, b, c]) link(end, r)
      link(b, a)
      link(c, a)
      const all = [r, a, b, c]
      for (const from of all) for (const to of all) from.routeTo(to, ...net.world.rng.sample(all, 4))
      reachOver(net, b, c)
      // All wires but those to the relay go, and all at once.
      net.world.cut(a.node, b.node)
      net.world.cut(a.node, c.node)
      const nodeAt = net.world.nodeAt.bind(net.world)
      net.world.nodeAt = (address, from) => (address.host === a.node.address.host ? undefined : nodeAt(address, from))
      net.world.run(8_000)
      net.world.cut(r.node, a.node)
      net.world.run(8_000)
      for (const bare of all) {
        for (const other of all) {
          const carrier = bare.peer.connector.carrierTo(other.id)
          // A cycle would not come to an end here.
          expect(carrier?.bottom() === null && carrier.open).not.toBe(true)
        }
      }
    }
  })
})
