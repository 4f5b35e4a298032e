/** Which public peers a peer behind a NAT names in its ref, by what those carry. */
import { describe, expect, it } from 'vitest'
import { World } from '../../sim/world.ts'
import { REBALANCE_MS } from '../limits.ts'
import type { PeerInside } from '../peer-sides.ts'
import { loadOf } from './rendezvous-choice.ts'

describe('a peer that cannot be dialled', () => {
  it('names the least loaded of its public links in place of the one that carries most, one at a time', () => {
    const world = new World({ seed: 1 })
    const first = world.add({ public: true })
    for (let i = 1; i < 8; i += 1) world.add({ public: true }).join(first)
    world.run(2_000)
    const hidden = world.add({ public: false })
    hidden.join(first)
    world.run(60_000)
    // reason: this world makes no other peers.
    const { links } = (hidden.peer as unknown as PeerInside).overlay
    world.run(6 * REBALANCE_MS)
    const named = hidden.ref.rendezvous.map(({ peer }) => peer)
    expect(named).toHaveLength(3)
    world.run(4 * REBALANCE_MS)
    expect(hidden.ref.rendezvous.map(({ peer }) => peer)).toEqual(named)
    const [busy] = named
    const link = links.all().find(({ peer }) => peer === busy)
    if (link === undefined) throw new Error('a rendezvous is a link')
    link.relayed = 200
    expect(loadOf(link)).toBeGreaterThan(2)
    const isNamed = (): boolean => hidden.ref.rendezvous.some(({ peer }) => peer === busy)
    expect(world.runUntil(() => !isNamed(), 2 * REBALANCE_MS)).not.toBeNull()
    expect(hidden.ref.rendezvous).toHaveLength(3)
    for (const peer of named.slice(1)) expect(hidden.ref.rendezvous.map(entry => entry.peer)).toContain(peer)
  })
})
