import { describe, expect, it } from 'vitest'
import { RING } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { closestAfter, closestBefore } from './ring-order.ts'
import { estimatePeers, type Surroundings } from './size-estimate.ts'

const NONE = new Float64Array(0)

describe('the estimate of how many peers there are', () => {
  it.each([
    [0, 1],
    [1, 2],
    [3, 4],
  ])('with %d links is %d: then all are known', (links, estimate) => {
    const known = Array.from({ length: links }, (_, i) => ({
      position: i * 1_000,
      neighbours: NONE,
      directNeighbours: 0,
    }))
    expect(estimatePeers(5, known)).toBe(estimate)
  })

  it('is never below those that are known, whatever links claim', () => {
    const sparse = [1, 2, 3, 4, 5, 6].map(i => ({
      position: (RING / 7) * i,
      neighbours: Float64Array.from([0, RING / 2]),
      directNeighbours: 2,
    }))
    expect(estimatePeers(0, sparse)).toBeGreaterThanOrEqual(7)
  })

  it('is the truth where the links tell of the whole ring, however their gaps overlap', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const rng = new Rng(seed)
      const ring = Array.from({ length: 24 }, () => ({ position: Math.floor(rng.unit() * RING) }))
      ring.sort((a, b) => a.position - b.position)
      const [self, ...others] = ring
      if (self === undefined) throw new Error('24 were made')
      const links = others.map(({ position }) => {
        const near = [...closestAfter(position, ring, 2), ...closestBefore(position, ring, 2)]
        const neighbours = Float64Array.from(near, peer => peer.position).sort()
        return { position, neighbours, directNeighbours: 4 }
      })
      // It is linked with those next to it, and with every second one of the others.
      const some = links.filter((_, i) => i % 2 === 0 || i < 2 || i > 20)
      expect(estimatePeers(self.position, some), `seed ${seed}`).toBe(24)
    }
  })

  it.each([50, 1_000, 20_000])('of %d is right within a half where links announce theirs', size => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const rng = new Rng(seed)
      const ring = Array.from({ length: size }, () => ({ position: Math.floor(rng.unit() * RING) }))
      const around = (position: number): number[] =>
        [...closestAfter(position, ring, 2), ...closestBefore(position, ring, 2)].map(peer => peer.position)
      const self = rng.pick(ring)?.position ?? 0
      const far = rng.sample(ring, 8).map(peer => peer.position)
      const links: Surroundings[] = [...new Set([...around(self), ...far])]
        .filter(position => position !== self)
        .map(position => ({ position, neighbours: Float64Array.from(around(position)).sort(), directNeighbours: 4 }))
      const estimate = estimatePeers(self, links)
      expect(estimate / size, `seed ${seed}`).toBeGreaterThan(0.5)
      expect(estimate / size, `seed ${seed}`).toBeLessThan(2)
    }
  })
})
