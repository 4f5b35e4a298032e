import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { ESTIMATE_MS } from '../limits.ts'
import { Link, type LinkRole, LinkTable, linkQuota } from './link-table.ts'

function link(position: number, role: LinkRole, open = true): Link {
  const ref: PeerRef = {
    // reason: any text that differs serves as an id.
    peer: `peer ${position}` as PeerId,
    position,
    sequence: 1,
    expires: 0,
    capacity: 24,
    relays: true,
    negotiates: [],
    addresses: open ? [{ scheme: 'tcp', host: '10.0.0.1', port: 1, extra: '' }] : [],
    isGlobal: false,
    rendezvous: [],
    bytes: new Uint8Array(0),
  }
  return new Link(ref, role)
}

function table(...links: readonly Link[]): LinkTable {
  const made = new LinkTable(1_000, 12)
  for (const one of links) made.add(one)
  return made
}

const NEAR = [link(998, 'near'), link(999, 'near'), link(1_001, 'near'), link(1_002, 'near')]

describe('the table of links', () => {
  it('knows the two nearest on each side, as links come and go', () => {
    const links = table(...NEAR, link(5, 'far'), link(1_003, 'guest'))
    const positions = (): number[] => [...links.near()].map(one => one.position).sort((a, b) => a - b)
    expect(positions()).toEqual([998, 999, 1_001, 1_002])
    links.remove(NEAR[2]?.peer ?? NEAR[0]!.peer)
    expect(positions()).toEqual([998, 999, 1_002, 1_003])
    expect(links.before().map(one => one.position)).toEqual([999, 998])
    expect(links.after().map(one => one.position)).toEqual([1_002, 1_003])
  })

  it('gives up guests before what it asked for itself, and never the nearest', () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const rng = new Rng(seed)
      const links = table(...NEAR, link(5, 'far'), link(6, 'guest'), link(7, 'random'), link(8, 'way-in'))
      expect(['guest', 'way-in']).toContain(links.leastNeeded(rng, [], 500_000)?.role)
      links.remove(link(6, 'guest').peer)
      links.remove(link(8, 'way-in').peer)
      expect(['far', 'random']).toContain(links.leastNeeded(rng, [], 500_000)?.role)
      expect(table(...NEAR).leastNeeded(rng, [], 500_000)).toBeNull()
    }
  })

  it('keeps those that it is told to keep', () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const kept = [link(1, 'public'), link(2, 'public'), link(3, 'public')]
      const links = table(...NEAR, ...kept, link(4, 'guest', false))
      expect(links.leastNeeded(new Rng(seed), kept, 500_000)?.position).toBe(4)
      links.remove(link(4, 'guest').peer)
      expect(links.leastNeeded(new Rng(seed), kept, 500_000)).toBeNull()
    }
  })

  it('gives up a near one only for one that is nearer', () => {
    const links = table(...NEAR)
    // The second on that side is not near any more when 1,000.5 comes; the far side keeps both.
    expect(links.leastNeeded(new Rng(1), [], 1_000.5)?.position).toBe(1_002)
    expect(links.leastNeeded(new Rng(1), [], 1_003)).toBeNull()
  })

  it('never holds more than its capacity', () => {
    const links = table(...Array.from({ length: 12 }, (_, i) => link(i, 'guest')))
    expect(() => links.add(link(12, 'near'))).toThrow('more links than the capacity')
    links.remove(link(3, 'guest').peer)
    links.add(link(12, 'near'))
    expect(links.size).toBe(12)
  })

  it.each([
    [12, 11],
    [24, 22],
    [256, 80],
  ])('of capacity %d asks for no more than %d links', (capacity, most) => {
    const { far, random } = linkQuota(capacity)
    expect(4 + far + random).toBeLessThanOrEqual(most)
  })
})

describe('what a link tells', () => {
  it('of the size of the network counts while this side sees about as many as it did then, and not for long', () => {
    const told = link(5, 'far')
    expect(told.tellsSize(0, 100)).toBe(false)
    told.hearEstimate(1_000, 120, 100)
    expect(told.tellsSize(2_000, 100)).toBe(true)
    expect(told.tellsSize(2_000, 120)).toBe(true)
    expect(told.tellsSize(2_000, 130)).toBe(false)
    expect(told.tellsSize(2_000, 75)).toBe(false)
    expect(told.tellsSize(1_000 + ESTIMATE_MS, 100)).toBe(false)
  })

  it('of whom it is linked to shows whether this peer is among those next to it', () => {
    const told = link(1_000, 'guest')
    told.tell(Float64Array.of(990, 995, 1_003, 1_010), 4, 0)
    expect([991, 1_009, 1_002].map(position => told.holdsNear(position))).toEqual([true, true, true])
    expect([989, 1_011].map(position => told.holdsNear(position))).toEqual([false, false])
  })
})
