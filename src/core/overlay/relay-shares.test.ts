/** What a relay gives to whom: shares of a slow wire, and of a budget in all (spec 5.6). */
import { describe, expect, it } from 'vitest'
import { CIRCUIT_QUEUES_BYTES_MAX } from '../limits.ts'
import { pattern } from '../session/session.fixtures.ts'
import { type Bare, type BareNet, bareNet, link } from './bare-peer.fixtures.ts'

const BYTES = 40_000_000

/** Opens a session over circuits and sends without end, as far as these tests go. */
function flood(net: BareNet, from: Bare, to: Bare): void {
  const call = from.callPeer(to.id)
  net.world.runUntil(() => call.answer() !== undefined, 12_000, 20)
  expect(call.answer()).toMatchObject({ kind: 'connected', path: { kind: 'circuit' } })
  const session = from.sessionWith(to) ?? 0
  const stream = from.openStream(session)
  from.node.command({ kind: 'stream-write', session, stream, chunks: [pattern(BYTES)] })
}

function got(bares: readonly Bare[]): number {
  let bytes = 0
  for (const bare of bares)
    for (const chunks of bare.received.values()) for (const chunk of chunks) bytes += chunk.length
  return bytes
}

/** Hidden receivers behind a second relay, which a wire of 2 MB/s leads to; two hidden senders before the first. */
function twoSources(net: BareNet, many: number) {
  const [near, far] = [net.add(), net.add({ public: true, rateBytesPerMs: 2_000 })]
  link(near, far)
  const senders = [net.add({ public: false }), net.add({ public: false })] as const
  for (const sender of senders) link(sender, near)
  const receivers = Array.from({ length: many + 1 }, () => net.add({ public: false }))
  for (const receiver of receivers) {
    link(receiver, far)
    near.routeTo(receiver, far)
    for (const sender of senders) sender.routeTo(receiver, near)
  }
  return { near, senders, receivers }
}

describe('a relay between two sources and a slow wire', () => {
  it('gives each a half, though one of them has twenty circuits', () => {
    const net = bareNet(11)
    const { near, senders, receivers } = twoSources(net, 20)
    const [first, ...others] = receivers
    if (first === undefined) throw new Error('there are receivers')
    for (const other of others) flood(net, senders[1], other)
    flood(net, senders[0], first)
    expect(near.counts.hops).toBe(21)
    net.world.run(4_000)
    const before = [got([first]), got(others)] as const
    let most = 0
    for (let i = 0; i < 100; i += 1) {
      net.world.run(100)
      most = Math.max(most, near.counts.queuedBytes)
    }
    const [one, many] = [got([first]) - before[0], got(others) - before[1]]
    // What waits at the end of a test stands in queues: the wire was never idle.
    expect(one + many).toBeGreaterThan(0.9 * 10_000 * 2_000)
    expect(one / (one + many)).toBeGreaterThan(0.4)
    expect(one / (one + many)).toBeLessThan(0.6)
    expect(most).toBeLessThan(CIRCUIT_QUEUES_BYTES_MAX / 4)
  })

  it('goes on where it can send no ping that would tell what has arrived', () => {
    const net = bareNet(13)
    const { near, senders, receivers } = twoSources(net, 1)
    const [first] = receivers
    if (first === undefined) throw new Error('there are receivers')
    // reason: only a queue of overlay messages that is full makes it so.
    const inside = near.peer.connector as unknown as { sendPing: () => number | null }
    inside.sendPing = () => null
    flood(net, senders[0], first)
    net.world.run(10_000)
    expect(got([first])).toBeGreaterThan(0.5 * 10_000 * 2_000)
  })

  it('lets its own sessions have a part of the wire, and keeps one for others', () => {
    const net = bareNet(12)
    const { near, senders, receivers } = twoSources(net, 1)
    const [first] = receivers
    if (first === undefined) throw new Error('there are receivers')
    flood(net, senders[0], first)
    const [, far] = [...net.world.nodes].map(node => node.id)
    const session = near.peer.connector.contact(far ?? near.id)?.session.id ?? 0
    const stream = near.openStream(session)
    near.node.command({ kind: 'stream-write', session, stream, chunks: [pattern(BYTES)] })
    net.world.run(10_000)
    const relayed = got([first])
    expect(relayed).toBeGreaterThan(0.3 * 10_000 * 2_000)
    expect(relayed).toBeLessThan(0.7 * 10_000 * 2_000)
  })
})

describe('a budget of a relay', () => {
  it('bounds the bytes that it passes on in all, shared by source', () => {
    const net = bareNet(13)
    const relay = net.add({ public: true, relayLimits: { bytesPerSecond: 1_000_000 } })
    const senders = [net.add({ public: false }), net.add({ public: false })] as const
    const receivers = Array.from({ length: 6 }, () => net.add({ public: false }))
    for (const end of [...senders, ...receivers]) link(end, relay)
    for (const sender of senders) for (const receiver of receivers) sender.routeTo(receiver, relay)
    const [first, ...others] = receivers
    if (first === undefined) throw new Error('there are receivers')
    for (const other of others) flood(net, senders[1], other)
    flood(net, senders[0], first)
    net.world.run(2_000)
    const before = [got([first]), got(others)] as const
    net.world.run(10_000)
    const [one, many] = [got([first]) - before[0], got(others) - before[1]]
    // What was on its way when the ten seconds began comes on top.
    expect(one + many).toBeLessThan(10_200_000)
    expect(one + many).toBeGreaterThan(8_500_000)
    expect(one / (one + many)).toBeGreaterThan(0.4)
    expect(one / (one + many)).toBeLessThan(0.6)
  })

  it('bounds how many circuits it carries: others go another way', () => {
    const net = bareNet(14)
    const [small, large] = [net.add({ public: true, relayLimits: { circuits: 2 } }), net.add()]
    const target = net.add({ public: false })
    const callers = Array.from({ length: 4 }, () => net.add({ public: false }))
    for (const end of [target, ...callers]) {
      link(end, small)
      link(end, large)
    }
    for (const caller of callers) {
      caller.routeTo(target, small, large)
      const call = caller.callPeer(target.id)
      net.world.runUntil(() => call.answer() !== undefined, 12_000, 20)
      expect(call.answer()).toMatchObject({ kind: 'connected' })
    }
    expect([small.counts.hops, large.counts.hops]).toEqual([2, 2])
  })
})
