/**
 * Greedy routing with one step of lookahead (spec 5.4): peers tell their links whom they are linked to, so a step is
 * chosen by the best position that it leads to within two hops (Manku, Naor, Wieder 2004: know thy neighbour's
 * neighbour).
 */
import type { PeerId } from '../base/peer-id.ts'
import { type Position, ringDistance } from '../base/position.ts'
import { firstNotBelow } from './ring-order.ts'

export interface Step {
  readonly peer: PeerId
  readonly position: Position
  /** Whom it is linked to: the first `directNeighbours` over a wire. Each part in rising order. */
  readonly neighbours: Float64Array
  readonly directNeighbours: number
}

/** Which links count, and which of two that lead equally far is taken. */
export interface StepRules<T> {
  readonly usable: (link: T) => boolean
  /** What stands exactly at the key does not count: a peer looks for those around itself. */
  readonly besides?: boolean
  /** Only those neighbours of a link count that it reaches over a wire: for circuits. */
  readonly directOnly?: boolean
  /** What links say of their neighbours does not count, only where they stand themselves: it may be a lie. */
  readonly ownOnly?: boolean
  /** Of the session with a link; where nothing is said all are alike. */
  readonly roundTripMs?: (link: T) => number
}

/**
 * The link to go on through towards `key`, or null where none leads closer than `self` stands: then `self` is the
 * closest.
 */
export function nextStep<T extends Step>(
  self: Position,
  key: Position,
  links: Iterable<T>,
  rules: StepRules<T>,
): T | null {
  const { usable, besides = false, directOnly = false, ownOnly = false } = rules
  const selfDistance = besides && self === key ? Number.POSITIVE_INFINITY : ringDistance(self, key)
  let best: T | null = null
  let bestDistance = selfDistance
  for (const link of links) {
    const own = ringDistance(link.position, key)
    if (besides && own === 0) continue
    const { neighbours, directNeighbours } = link
    let distance = ownOnly ? own : reach(neighbours, 0, directNeighbours, key, self, besides, own)
    if (!directOnly && !ownOnly)
      distance = reach(neighbours, directNeighbours, neighbours.length, key, self, besides, distance)
    if (distance > bestDistance) continue
    if (distance === bestDistance && (best === null || !isBetter(link, best, key, selfDistance, rules))) continue
    if (!usable(link)) continue
    best = link
    bestDistance = distance
  }
  return best
}

/**
 * Of two that lead to the same peer: the one that is this peer; the one that stands closer than `self`, in case what it
 * told is old; the one with the shorter round trip; the one closer itself.
 */
function isBetter<T extends Step>(
  link: T,
  than: T,
  key: Position,
  selfDistance: number,
  { roundTripMs }: StepRules<T>,
): boolean {
  const own = ringDistance(link.position, key)
  const other = ringDistance(than.position, key)
  const leads = own < selfDistance
  if (roundTripMs === undefined || own === 0 || other === 0 || leads !== other < selfDistance) return own < other
  const mine = roundTripMs(link)
  const theirs = roundTripMs(than)
  return mine === theirs ? own < other : mine < theirs
}

/** How close `neighbours[from, to)`, in rising order and without `self`, come to the key: less than `distance`, or that. */
function reach(
  neighbours: Float64Array,
  from: number,
  to: number,
  key: Position,
  self: Position,
  besides: boolean,
  distance: number,
): number {
  const count = to - from
  if (count === 0) return distance
  const start = firstNotBelow(neighbours, from, to, key)
  let least = distance
  // The nearest on either side of the key, round the end of the ring, that counts.
  for (let step = 0, at = start; step < count; step += 1, at += 1) {
    if (at === to) at = from
    const position = neighbours[at]!
    if (position === self || (besides && position === key)) continue
    least = Math.min(least, ringDistance(position, key))
    break
  }
  for (let step = 0, at = start - 1; step < count; step += 1, at -= 1) {
    if (at < from) at = to - 1
    const position = neighbours[at]!
    if (position === self || (besides && position === key)) continue
    return Math.min(least, ringDistance(position, key))
  }
  return least
}
