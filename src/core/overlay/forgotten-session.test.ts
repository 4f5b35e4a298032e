/**
 * One side has lost a session that the other still holds: the new one keeps the wire over which that was found out. A process that
 * stood still has lost nothing, though its system takes wires in its name and it answers none of what comes over them.
 */
import { describe, expect, it } from 'vitest'
import { bareNet, link } from './bare-peer.fixtures.ts'

describe('a session that the other side has forgotten', () => {
  it('gives way to one over the same wire, which stays', () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const net = bareNet(seed)
      const { world } = net
      const [a, b] = [net.add({ public: false }), net.add()]
      link(a, b)
      const old = a.sessionWith(b)
      const again = net.adopt(world.restart(b.node, false))
      world.run(500)
      const call = a.call(again)
      world.runUntil(() => call.answer() !== undefined, 12_000, 50)
      expect(call.answer(), `seed ${seed}`).toMatchObject({ kind: 'connected' })
      const fresh = a.sessionWith(again)
      expect(fresh, `seed ${seed}`).not.toBe(old)
      world.run(1_000)
      // Held from then on, at both ends, over a wire.
      expect(again.sessionWith(a), `seed ${seed}`).not.toBeNull()
      expect(a.pathTo(again), `seed ${seed}`).toBe('wire')
      expect(
        a.node.events.filter(event => event.kind === 'session-closed'),
        `seed ${seed}`,
      ).toHaveLength(1)
    }
  })
})

describe('a session whose other side stands still', () => {
  it('goes on, and its streams, whenever the other side does', () => {
    for (let stillMs = 9_000; stillMs <= 45_000; stillMs += 1_500) {
      const net = bareNet(stillMs)
      const { world } = net
      const pathlessMs = 120_000
      const [a, b] = [net.add({ public: false, pathlessMs }), net.add({ public: true, pathlessMs })]
      link(a, b)
      const session = a.sessionWith(b)!
      const stream = a.openStream(session)
      const write = (byte: number): void =>
        a.node.command({ kind: 'stream-write', session, stream, chunks: [Uint8Array.of(byte)] })
      write(1)
      world.run(1_000)
      world.stall(b.node, true)
      write(2)
      world.run(stillMs)
      world.stall(b.node, false)
      world.run(5_000)
      expect([...b.bytesOn(stream)], `${stillMs} ms`).toEqual([1, 2])
      expect(a.sessionWith(b), `${stillMs} ms`).toBe(session)
    }
  })
})
