/** Who stands next to whom on the ring: pure, over anything that has a position. */
import { clockwise, type Position, RING, ringDistance } from '../base/position.ts'

export interface Placed {
  readonly position: Position
}

/** The `count` items that follow `self` clockwise, nearest first. What stands exactly at `self` is left out. */
export function closestAfter<T extends Placed>(self: Position, items: Iterable<T>, count: number): T[] {
  return closestBy(items, count, item => clockwise(self, item.position))
}

/** The `count` items that precede `self`, nearest first. */
export function closestBefore<T extends Placed>(self: Position, items: Iterable<T>, count: number): T[] {
  return closestBy(items, count, item => clockwise(item.position, self))
}

/** The `count` items nearest to `key` either way, nearest first; what stands exactly there included. */
export function closestTo<T extends Placed>(key: Position, items: Iterable<T>, count: number): T[] {
  return closestBy(items, count, item => ringDistance(item.position, key) + 1)
}

/** Whether `candidate` belongs among the `perSide` nearest on either side of `self`, given who else is there. */
export function belongsNear(self: Position, others: Iterable<Placed>, candidate: Position, perSide: number): boolean {
  const after = clockwise(self, candidate)
  const before = RING - after
  let nearerAfter = 0
  let nearerBefore = 0
  for (const { position } of others) {
    if (position === candidate) continue
    const gap = clockwise(self, position)
    if (gap === 0) continue
    if (gap < after) nearerAfter += 1
    if (RING - gap < before) nearerBefore += 1
  }
  return after !== 0 && (nearerAfter < perSide || nearerBefore < perSide)
}

/** The items with the `count` smallest positive gaps, by insertion into a short list: no sort of the whole. */
function closestBy<T>(items: Iterable<T>, count: number, gapOf: (item: T) => number): T[] {
  const found: T[] = []
  const gaps: number[] = []
  for (const item of items) {
    const gap = gapOf(item)
    if (gap === 0) continue
    if (found.length === count && gap >= gaps[count - 1]!) continue
    let at = found.length
    while (at > 0 && gaps[at - 1]! > gap) at -= 1
    found.splice(at, 0, item)
    gaps.splice(at, 0, gap)
    if (found.length > count) {
      found.pop()
      gaps.pop()
    }
  }
  return found
}
