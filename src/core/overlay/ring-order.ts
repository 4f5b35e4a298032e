/** Who stands next to whom on the ring: pure, over anything that has a position. */
import { clockwise, type Position, RING, ringDistance } from '../base/position.ts'

export interface Placed {
  readonly position: Position
}

/** Which way a gap is measured from a position: clockwise, against it, or the shorter of both. */
type Way = 'after' | 'before' | 'either'

/** The `count` items that follow `self` clockwise, nearest first. What stands exactly at `self` is left out. */
export function closestAfter<T extends Placed>(self: Position, items: readonly T[], count: number): T[] {
  return closest(self, items, count, 'after')
}

/** The `count` items that precede `self`, nearest first. */
export function closestBefore<T extends Placed>(self: Position, items: readonly T[], count: number): T[] {
  return closest(self, items, count, 'before')
}

/** The `perSide` items nearest to `self` on either side, those that follow first; where there are few, one may be in it twice. */
export function closestAround<T extends Placed>(self: Position, items: readonly T[], perSide: number): T[] {
  return [...closestAfter(self, items, perSide), ...closestBefore(self, items, perSide)]
}

/** The `count` items nearest to `key` either way, nearest first; what stands exactly there included. */
export function closestTo<T extends Placed>(key: Position, items: readonly T[], count: number): T[] {
  return closest(key, items, count, 'either')
}

/** How far the `perSide`th nearest stands on either side, Infinity where there are fewer: who is nearer belongs near. */
export interface NearBounds {
  readonly after: number
  readonly before: number
}

export function nearBounds(self: Position, others: readonly Placed[], perSide: number): NearBounds {
  const after = closestAfter(self, others, perSide)[perSide - 1]
  const before = closestBefore(self, others, perSide)[perSide - 1]
  return {
    after: after === undefined ? Number.POSITIVE_INFINITY : clockwise(self, after.position),
    before: before === undefined ? Number.POSITIVE_INFINITY : clockwise(before.position, self),
  }
}

/** Whether `candidate` is among the nearest that the bounds tell of, or would be. */
export function isWithin(self: Position, bounds: NearBounds, candidate: Position): boolean {
  const after = clockwise(self, candidate)
  return after !== 0 && (after <= bounds.after || RING - after <= bounds.before)
}

/** Whether `candidate` belongs among the `perSide` nearest on either side of `self`, given who else is there. */
export function belongsNear(self: Position, others: readonly Placed[], candidate: Position, perSide: number): boolean {
  return isWithin(self, nearBounds(self, others, perSide), candidate)
}

/** Where in `sorted[from, to)` the first position stands that is not below `key`; `to` where all are. */
export function firstNotBelow(sorted: Float64Array, from: number, to: number, key: Position): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}

/** Of what is found, while it is sought: nobody seeks within a search. */
const gaps: number[] = []

/** The items with the `count` smallest positive gaps, by insertion into a short list: no sort of the whole. */
function closest<T extends Placed>(self: Position, items: readonly T[], count: number, way: Way): T[] {
  const found: T[] = []
  let farthest = Number.POSITIVE_INFINITY
  // By index: an iterator costs an object for each item, and this loop is among the busiest.
  for (let i = 0; i < items.length; i += 1) {
    const item = items[i]!
    const { position } = item
    const gap =
      way === 'after'
        ? clockwise(self, position)
        : way === 'before'
          ? clockwise(position, self)
          : ringDistance(position, self) + 1
    if (gap === 0 || gap >= farthest) continue
    let at = found.length < count ? found.length : count - 1
    for (; at > 0 && gaps[at - 1]! > gap; at -= 1) {
      found[at] = found[at - 1]!
      gaps[at] = gaps[at - 1]!
    }
    found[at] = item
    gaps[at] = gap
    if (found.length === count) farthest = gaps[count - 1]!
  }
  return found
}
