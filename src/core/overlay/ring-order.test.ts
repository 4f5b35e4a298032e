import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clockwise, RING, ringDistance } from '../base/position.ts'
import { belongsNear, closestAfter, closestBefore, closestTo } from './ring-order.ts'

const at = (...positions: number[]): { position: number }[] => positions.map(position => ({ position }))
const positionsOf = (items: readonly { position: number }[]): number[] => items.map(item => item.position)

/** Few places, so that equal ones come up, and both sides of where the ring closes. */
const place = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: RING - 12, max: RING - 1 }))
const places = fc.uniqueArray(place, { maxLength: 20 })

describe('the order on the ring', () => {
  it.each([
    [5, [], 2, [], []],
    [5, [5], 2, [], []],
    [5, [6, 7, 8], 2, [6, 7], [8, 7]],
    [5, [4, 6], 2, [6, 4], [4, 6]],
    [RING - 1, [0, 1, RING - 2], 2, [0, 1], [RING - 2, 1]],
    [0, [RING - 1, RING - 2, 1], 1, [1], [RING - 1]],
  ])('of those around %d among %j, %d a side, is %j after and %j before', (self, others, count, after, before) => {
    expect(positionsOf(closestAfter(self, at(...others), count))).toEqual(after)
    expect(positionsOf(closestBefore(self, at(...others), count))).toEqual(before)
  })

  it('is what sorting all of them gives', () => {
    fc.assert(
      fc.property(place, places, fc.integer({ min: 1, max: 5 }), (self, others, count) => {
        const strangers = others.filter(position => position !== self)
        const sorted = (gap: (position: number) => number, from: readonly number[]): number[] =>
          [...from].sort((a, b) => gap(a) - gap(b)).slice(0, count)
        expect(positionsOf(closestAfter(self, at(...others), count))).toEqual(
          sorted(position => clockwise(self, position), strangers),
        )
        expect(positionsOf(closestBefore(self, at(...others), count))).toEqual(
          sorted(position => clockwise(position, self), strangers),
        )
        // Two may be equally near, one on each side.
        const distances = positionsOf(closestTo(self, at(...others), count)).map(position =>
          ringDistance(position, self),
        )
        expect(distances).toEqual(
          sorted(position => ringDistance(position, self), others).map(position => ringDistance(position, self)),
        )
      }),
      { numRuns: 500 },
    )
  })

  it('counts one near exactly when it would be among the closest of a side', () => {
    fc.assert(
      fc.property(place, places, place, fc.integer({ min: 1, max: 3 }), (self, others, candidate, perSide) => {
        const all = at(...new Set([...others, candidate]))
        const isAmong =
          candidate !== self &&
          [...closestAfter(self, all, perSide), ...closestBefore(self, all, perSide)].some(
            item => item.position === candidate,
          )
        expect(belongsNear(self, at(...others), candidate, perSide)).toBe(isAmong)
      }),
      { numRuns: 500 },
    )
  })
})
