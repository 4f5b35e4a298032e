/** One side has lost a session that the other still holds: the new one keeps the wire over which that was found out. */
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
