import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { peerIdOfBytes } from '../base/peer-id.ts'
import { RING, ringDistance } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { drawFarTarget } from './far-link-choice.ts'
import { inOrder } from './neighbour-news.ts'
import { nextStep, type Step } from './next-hop.ts'
import { closestAfter, closestBefore, closestTo } from './ring-order.ts'

function step(position: number, neighbours: readonly number[] = [], directNeighbours = neighbours.length): Step {
  return {
    peer: peerIdOfBytes(new Uint8Array(32)),
    position,
    neighbours: inOrder(Float64Array.from(neighbours), directNeighbours),
    directNeighbours,
  }
}

const all = (): boolean => true

describe('the next step towards a key', () => {
  it.each([
    ['there is no link', 0, 100, [], null],
    ['no link is closer', 90, 100, [step(50), step(115)], null],
    ['a link is closer', 0, 100, [step(50), step(120)], 120],
    ['a link stands at the key', 0, 100, [step(100), step(99)], 100],
    ['a link knows a closer one', 0, 100, [step(80), step(40, [99])], 40],
    ['two know the same one, the closer itself', 0, 100, [step(40, [99]), step(60, [99])], 60],
    ['a link knows only this peer', 90, 100, [step(40, [90])], null],
    ['the way is shorter across the end of the ring', 10, RING - 60, [step(200), step(RING - 50)], RING - 50],
  ] as const)('where %s', (_what, self, key, links, expected) => {
    expect(nextStep(self, key, links, { usable: all })?.position ?? null).toBe(expected)
  })

  it('takes the way that is expected to be the fastest: half a round trip, and so much for each octave that is left', () => {
    const times = new Map([
      [60, 300],
      [40, 20],
      [50, 30],
      [180, 1],
    ])
    const chosen = (self: number, key: number, links: readonly Step[]): number | undefined => {
      const roundTripMs = (link: Step): number => times.get(link.position) ?? Number.POSITIVE_INFINITY
      return nextStep(self, key, links, { usable: all, delays: { roundTripMs, gap: 1 } })?.position
    }
    const links = [step(60, [99]), step(40, [99]), step(50, [99]), step(180, [99])]
    expect(chosen(30, 100, links)).toBe(40)
    // The peer itself, whatever its round trip.
    expect(chosen(30, 99, [...links, step(99)])).toBe(99)
    // It does not itself stand closer: what it told may be old.
    expect(chosen(30, 100, [step(180, [99]), step(50, [99])])).toBe(50)
    expect(chosen(30, 100, links.slice(3))).toBe(180)
    // What the slow one leads to is one octave closer to the key, or two.
    expect(chosen(30, 100, [step(50, [97]), step(60, [99])])).toBe(50)
    expect(chosen(30, 100, [step(50, [93]), step(60, [99])])).toBe(60)
    // The peer that is sought is a hop less away.
    expect(chosen(30, 100, [step(50, [93]), step(60, [100])])).toBe(60)
    times.delete(50)
    expect(chosen(30, 100, [step(50, [99]), step(60, [99])])).toBe(60)
  })

  it('can go by where links stand themselves, whatever they say of their neighbours', () => {
    const links = [step(40, [100]), step(80, [10]), step(60, [99])]
    expect(nextStep(0, 100, links, { usable: all })?.position).toBe(40)
    expect(nextStep(0, 100, links, { usable: all, ownOnly: true })?.position).toBe(80)
    expect(nextStep(90, 100, links, { usable: all, ownOnly: true })).toBeNull()
  })

  it('passes over links that may not be used', () => {
    const links = [step(100), step(50)]
    expect(nextStep(0, 100, links, { usable: link => link.position !== 100 })?.position).toBe(50)
  })

  it('for circuits counts only those neighbours that a link reaches over a wire', () => {
    const links = [step(40, [95, 99], 1), step(60, [97], 1)]
    expect(nextStep(0, 100, links, { usable: all })?.position).toBe(40)
    expect(nextStep(0, 100, links, { usable: all, directOnly: true })?.position).toBe(60)
  })

  it('of one who looks for those around itself leads to them, not to itself', () => {
    const links = [step(100, [101]), step(60, [100, 97])]
    expect(nextStep(100, 100, links, { usable: all, besides: true })?.position).toBe(60)
    expect(nextStep(90, 100, links, { usable: all, besides: true })?.position).toBe(60)
  })

  it('is the one that a look at every neighbour of every link would choose', () => {
    const place = fc.nat(60).map(at => at * (RING / 61))
    const stepOf = fc
      .tuple(place, fc.array(place, { maxLength: 12 }), fc.nat(12))
      .map(([position, neighbours, direct]) => step(position, neighbours, Math.min(direct, neighbours.length)))
    const links = fc.array(stepOf, { maxLength: 8 })
    fc.assert(
      fc.property(place, place, links, fc.boolean(), fc.boolean(), (self, key, steps, besides, directOnly) => {
        const leadsTo = (link: Step): number => {
          const count = directOnly ? link.directNeighbours : link.neighbours.length
          const reached = [...link.neighbours.subarray(0, count)].filter(position => position !== self)
          const counted = [link.position, ...reached].filter(position => !(besides && position === key))
          return Math.min(...counted.map(position => ringDistance(position, key)))
        }
        const own = besides && self === key ? Number.POSITIVE_INFINITY : ringDistance(self, key)
        const able = steps.filter(link => !(besides && link.position === key) && leadsTo(link) < own)
        able.sort((a, b) => leadsTo(a) - leadsTo(b) || ringDistance(a.position, key) - ringDistance(b.position, key))
        expect(nextStep(self, key, steps, { usable: all, besides, directOnly })).toBe(able[0] ?? null)
      }),
    )
  })

  it('leads to the closest from anywhere in a ring with far links, in few steps', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), seed => {
        const rng = new Rng(seed)
        const draw = (): number => rng.below(2 ** 26) * 2 ** 26 + rng.below(2 ** 26)
        const peers = Array.from({ length: 200 }, draw)
        const placed = peers.map(position => ({ position }))
        const links = new Map<number, Set<number>>(peers.map(position => [position, new Set()]))
        const join = (a: number, b: number): void => {
          if (a === b) return
          links.get(a)?.add(b)
          links.get(b)?.add(a)
        }
        for (const peer of peers) {
          for (const near of [...closestAfter(peer, placed, 2), ...closestBefore(peer, placed, 2)])
            join(peer, near.position)
          for (let i = 0; i < 3; i += 1) {
            const [far] = closestTo(drawFarTarget(peer, 200, rng), placed, 1)
            if (far !== undefined) join(peer, far.position)
          }
        }
        for (let i = 0; i < 20; i += 1) {
          const key = draw()
          let here = rng.pick(peers) ?? 0
          let hops = 0
          for (;;) {
            const steps = [...(links.get(here) ?? [])].map(position => step(position, [...(links.get(position) ?? [])]))
            const next = nextStep(here, key, steps, { usable: all })
            if (next === null) break
            here = next.position
            hops += 1
            expect(hops).toBeLessThan(12)
          }
          const [closest] = closestTo(key, placed, 1)
          expect(ringDistance(here, key)).toBe(ringDistance(closest?.position ?? 0, key))
        }
      }),
      { numRuns: 20 },
    )
  })
})
