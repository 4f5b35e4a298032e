/** Relays that drop, double, delay, reorder, forge and replay: they cost time, and nothing else (spec 5.6, 4.4). */
import { describe, expect, it } from 'vitest'
import { nativeSuite } from '../crypto/suite.fixtures.ts'
import type { CryptoSuite } from '../crypto/suite.ts'
import { pattern } from '../session/session.fixtures.ts'
import { Turn } from '../turn.ts'
import { type Bare, type BareNet, bareNet, link } from './bare-peer.fixtures.ts'
import type { Circuits } from './circuits.ts'

type Pass = Circuits['pass']

interface Between {
  readonly net: BareNet
  readonly relay: Bare
  readonly a: Bare
  readonly b: Bare
  readonly session: number
}

/** Two hidden peers with a session over one relay. */
function between(seed: number, suite?: CryptoSuite): Between {
  const net = bareNet(seed, [20, 40], suite)
  const [relay, a, b] = [net.add(), net.add({ public: false }), net.add({ public: false })]
  for (const end of [a, b]) link(end, relay)
  a.routeTo(b, relay)
  const call = a.callPeer(b.id)
  net.world.runUntil(() => call.answer() !== undefined, 12_000, 20)
  expect(call.answer()).toMatchObject({ kind: 'connected', path: { kind: 'circuit' } })
  net.world.run(500)
  return { net, relay, a, b, session: a.sessionWith(b) ?? 0 }
}

/** Has the relay do something else with each frame; `later` passes a copy on after some time. */
function meddle({ net, relay }: Between, how: (pass: () => void, later: (delayMs: number) => void) => void): void {
  const { circuits } = relay.peer.connector
  const pass: Pass = circuits.pass.bind(circuits)
  circuits.pass = (turn, side, bytes, start, end, from, spare) => {
    const body = bytes.slice(start, end)
    how(
      () => pass(turn, side, bytes.slice(start - spare, end), spare, spare + end - start, from, spare),
      delayMs => {
        net.world.at(net.world.now + delayMs, () => {
          pass(new Turn(relay.node.now, 0), side, body, 0, body.length, from, 0)
          relay.node.input({ kind: 'wake' })
        })
      },
    )
  }
}

/** Both ways at once; whether all came, and how long that took. */
function exchange({ net, a, b, session }: Between, bytes: number, timeoutMs: number): number | null {
  const there = pattern(bytes)
  const back = pattern(bytes).reverse()
  const stream = a.openStream(session)
  a.node.command({ kind: 'stream-write', session, stream, chunks: [there.slice()] })
  const other = b.sessionWith(a) ?? 0
  b.node.command({ kind: 'stream-write', session: other, stream: b.openStream(other), chunks: [back.slice()] })
  const isWhole = (end: Bare, wanted: Uint8Array): boolean => {
    for (const chunks of end.received.values()) {
      let length = 0
      for (const chunk of chunks) length += chunk.length
      if (length === wanted.length) return Buffer.compare(Buffer.concat(chunks), wanted) === 0
      expect(length).toBeLessThan(wanted.length)
    }
    return false
  }
  const start = net.world.now
  const end = net.world.runUntil(() => isWhole(b, there) && isWhole(a, back), timeoutMs, 20)
  return end === null ? null : net.world.now - start
}

describe('through a relay that', () => {
  it.each([
    ['drops one frame in twenty', 20_000, (n: number) => (n % 20 === 0 ? 'drop' : 'pass')],
    ['drops a second of frames now and then', 20_000, (n: number) => (n % 200 < 20 ? 'drop' : 'pass')],
    ['doubles every frame', 10_000, () => 'double'],
    ['delays every third by 300 ms', 30_000, (n: number) => (n % 3 === 0 ? 'late' : 'pass')],
    ['reorders all', 30_000, () => 'anywhen'],
  ] as const)('%s bytes come whole and once', (_name, timeoutMs, fate) => {
    for (const seed of [1, 2, 3]) {
      const all = between(seed)
      let frames = 0
      meddle(all, (pass, later) => {
        frames += 1
        switch (fate(frames)) {
          case 'drop':
            return
          case 'double':
            pass()
            later(1)
            return
          case 'late':
            later(300)
            return
          case 'anywhen':
            later(all.net.world.rng.below(80))
            return
          default:
            pass()
        }
      })
      expect(exchange(all, 2_000_000, timeoutMs), `seed ${seed}`).not.toBeNull()
      expect(all.a.sessionWith(all.b)).toBe(all.session)
    }
  })

  it('replays all that ever passed, forges packets and cuts them, a session goes on unharmed', () => {
    const all = between(4, nativeSuite)
    const { net, relay, a, b, session } = all
    const kept: (() => void)[] = []
    const { circuits } = relay.peer.connector
    const pass: Pass = circuits.pass.bind(circuits)
    circuits.pass = (turn, side, bytes, start, end, from) => {
      const body = bytes.slice(start, end)
      const changed = (at: number, length = body.length): Uint8Array => {
        const copy = body.slice(0, length)
        if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ 0x55
        return copy
      }
      for (const forged of [changed(4), changed(6), changed(12), changed(body.length - 1), changed(0, 20)])
        pass(turn, side, forged, 0, forged.length, from, 0)
      pass(turn, side, body.slice(), 0, body.length, from, 0)
      if (kept.length < 200)
        kept.push(() => pass(new Turn(relay.node.now, 0), side, body.slice(), 0, body.length, from, 0))
    }
    expect(exchange(all, 1_000_000, 20_000)).not.toBeNull()
    for (const again of kept) again()
    relay.node.input({ kind: 'wake' })
    net.world.run(2_000)
    expect(a.sessionWith(b)).toBe(session)
    expect(a.peer.lost.length + b.peer.lost.length).toBe(0)
    const ping = a.node.ask(request => ({ kind: 'ping', request, session }))
    net.world.run(1_000)
    expect(ping.answer()).toMatchObject({ kind: 'ponged' })
  })

  it('says that the circuit is over, a session looks for another path and is not over', () => {
    const all = between(5)
    const { net, relay, a, b, session } = all
    const other = net.add()
    for (const end of [a, b]) link(end, other)
    a.routeTo(b, other)
    b.routeTo(a, other)
    const stream = a.openStream(session)
    const bytes = pattern(4_000_000)
    a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
    net.world.run(150)
    // All that a relay can say of the end of a circuit, to both sides.
    // reason: labels cannot be guessed; a test looks them up.
    const { hops } = relay.peer.connector.circuits as unknown as {
      hops: Set<{ from: string; backLabelOfFrom: number; ahead: { towards: string; towardsLabel: number } }>
    }
    for (const { backLabelOfFrom, ahead } of hops) {
      const turn = new Turn(relay.node.now, 0)
      relay.peer.connector.send(turn, a.id, { kind: 'circuit-close', label: backLabelOfFrom })
      relay.peer.connector.send(turn, b.id, { kind: 'circuit-close', label: ahead.towardsLabel })
    }
    relay.node.input({ kind: 'wake' })
    const whole = (): boolean => b.bytesOn(stream).length === bytes.length
    expect(net.world.runUntil(whole, 20_000)).not.toBeNull()
    expect(Buffer.compare(b.bytesOn(stream), bytes)).toBe(0)
    expect(a.sessionWith(b)).toBe(session)
    expect(a.peer.connector.contact(b.id)?.session.path?.view()).toEqual({ kind: 'circuit', via: [other.id] })
  })

  describe.each(['the side that opened the session', 'the other side'])('while %s sends,', side => {
    /** How long a megabyte takes, with another relay beside the one that does something to the circuit. */
    function transferMs(seed: number, misbehave: (relay: Bare, sender: Bare) => void): number | null {
      const { net, relay, a, b, session } = between(seed)
      const other = net.add()
      for (const end of [a, b]) link(end, other)
      a.routeTo(b, other)
      b.routeTo(a, other)
      const [sender, receiver] = side === 'the other side' ? [b, a] : [a, b]
      misbehave(relay, sender)
      relay.node.input({ kind: 'wake' })
      net.world.run(200)
      const own = sender.sessionWith(receiver) ?? 0
      const stream = sender.openStream(own)
      const bytes = pattern(1_000_000)
      sender.node.command({ kind: 'stream-write', session: own, stream, chunks: [bytes.slice()] })
      const start = net.world.now
      const end = net.world.runUntil(() => receiver.bytesOn(stream).length === bytes.length, 40_000)
      expect(Buffer.compare(receiver.bytesOn(stream), bytes)).toBe(0)
      expect(a.sessionWith(b)).toBe(session)
      expect(a.peer.connector.contact(b.id)?.session.path?.view()).toEqual({ kind: 'circuit', via: [other.id] })
      return end === null ? null : end - start
    }

    it('holds a circuit for ever, a session goes on over another', () => {
      const tookMs = transferMs(6, (relay, sender) => {
        // reason: labels cannot be guessed; a test looks them up.
        const { hops } = relay.peer.connector.circuits as unknown as {
          hops: Set<{ from: string; backLabelOfFrom: number; ahead: { towardsLabel: number } }>
        }
        for (const { from, backLabelOfFrom, ahead } of hops) {
          const label = from === sender.id ? backLabelOfFrom : ahead.towardsLabel
          relay.peer.connector.send(new Turn(relay.node.now, 0), sender.id, { kind: 'circuit-hold', label, hold: true })
        }
      })
      expect(tookMs).toBeLessThan(7_000)
    })

    it('passes on what is small alone, and so answers all questions, a session goes on over another', () => {
      const tookMs = transferMs(7, relay => {
        const { circuits } = relay.peer.connector
        const pass: Pass = circuits.pass.bind(circuits)
        circuits.pass = (turn, hop, bytes, start, end, from, spare) => {
          if (end - start < 300) pass(turn, hop, bytes, start, end, from, spare)
        }
      })
      expect(tookMs).toBeLessThan(7_000)
    })
  })

  it('is the only one, and holds a circuit for ever, a session goes on over another circuit of its', () => {
    const { net, relay, a, b, session } = between(9)
    // reason: as above.
    const { hops } = relay.peer.connector.circuits as unknown as { hops: Set<{ backLabelOfFrom: number }> }
    for (const { backLabelOfFrom: label } of hops)
      relay.peer.connector.send(new Turn(relay.node.now, 0), a.id, { kind: 'circuit-hold', label, hold: true })
    relay.node.input({ kind: 'wake' })
    net.world.run(200)
    const stream = a.openStream(session)
    const bytes = pattern(100_000)
    a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
    expect(net.world.runUntil(() => b.bytesOn(stream).length === bytes.length, 8_000)).not.toBeNull()
    expect(a.sessionWith(b)).toBe(session)
  })

  it('is the only one, and let a stream stand still, is gone over again once it has ended that circuit', () => {
    const all = between(8)
    const { net, relay, a, b, session } = all
    const { circuits } = relay.peer.connector
    const pass: Pass = circuits.pass.bind(circuits)
    let narrow = true
    circuits.pass = (turn, side, bytes, start, end, from, spare) => {
      if (!narrow || end - start < 300) pass(turn, side, bytes, start, end, from, spare)
    }
    const stream = a.openStream(session)
    const bytes = pattern(100_000)
    a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
    net.world.run(8_000)
    narrow = false
    circuits.onNeighbourLost(new Turn(relay.node.now, 0), b.id)
    relay.node.input({ kind: 'wake' })
    const whole = (): boolean => b.bytesOn(stream).length === bytes.length
    expect(net.world.runUntil(whole, 4_000)).not.toBeNull()
    expect(a.sessionWith(b)).toBe(session)
  })
})
