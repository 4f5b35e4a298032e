/**
 * Greedy routing with one step of lookahead (spec 5.4): peers tell their links whom they are linked to, so a step is
 * chosen by the best position that it leads to within two hops (Manku, Naor, Wieder 2004: know thy neighbour's
 * neighbour), and, where that is known, by how long it takes to get there.
 */
import type { PeerId } from '../base/peer-id.ts'
import { type Position, ringDistance } from '../base/position.ts'
import { ROUTE_BACK_MS, ROUTE_HOP_MS, ROUTE_OCTAVE_MS, ROUTE_ROUND_TRIP_MS_MAX } from '../limits.ts'
import { firstNotBelow } from './ring-order.ts'

export interface Step {
  readonly peer: PeerId
  readonly position: Position
  /** Whom it is linked to: the first `directNeighbours` over a wire. Each part in rising order. */
  readonly neighbours: Float64Array
  readonly directNeighbours: number
}

/** How long ways take, as far as this peer knows. */
export interface Delays<T> {
  /** Of the session with a link, Infinity where it was not measured. */
  readonly roundTripMs: (link: T) => number
  /** How far from each other peers stand on the mean: what is left of a way is counted in octaves of it. */
  readonly gap: number
}

/** Which links count, and what makes one better than another. */
export interface StepRules<T> {
  readonly usable: (link: T) => boolean
  /** What stands exactly at the key does not count: a peer looks for those around itself. */
  readonly besides?: boolean
  /** Only those neighbours of a link count that it reaches over a wire: for circuits. */
  readonly directOnly?: boolean
  /** What links say of their neighbours does not count, only where they stand themselves: it may be a lie. */
  readonly ownOnly?: boolean
  /** The fastest way is sought; where nothing is said, the one that leads closest. */
  readonly delays?: Delays<T> | undefined
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
  const { usable, besides = false, directOnly = false, ownOnly = false, delays } = rules
  const selfDistance = besides && self === key ? Number.POSITIVE_INFINITY : ringDistance(self, key)
  let best: T | null = null
  let bestCost = Number.POSITIVE_INFINITY
  let bestOwn = Number.POSITIVE_INFINITY
  for (const link of links) {
    const own = ringDistance(link.position, key)
    if (besides && own === 0) continue
    const { neighbours, directNeighbours } = link
    let distance = ownOnly ? own : reach(neighbours, 0, directNeighbours, key, self, besides, own)
    if (!directOnly && !ownOnly)
      distance = reach(neighbours, directNeighbours, neighbours.length, key, self, besides, distance)
    if (distance >= selfDistance) continue
    let cost = own === 0 ? -1 : distance
    if (delays !== undefined && own > 0) {
      cost = restMs(distance, delays.gap) + (own < selfDistance ? 0 : ROUTE_BACK_MS)
      // Most links are told apart by that alone: their round trips need no look.
      if (cost < bestCost) cost += Math.min(delays.roundTripMs(link), ROUTE_ROUND_TRIP_MS_MAX) / 2
    }
    if (cost > bestCost || (cost === bestCost && own >= bestOwn) || !usable(link)) continue
    best = link
    bestCost = cost
    bestOwn = own
  }
  return best
}

/** What a way has left at a distance from its key, beside the hop that leads to whom it is about. */
function restMs(distance: number, gap: number): number {
  if (distance === 0) return 0
  // The logarithm, straight from octave to octave: that of the engine differs between machines in its last bits.
  let octaves = 0
  let rest = 1 + distance / gap
  for (; rest >= 2; rest /= 2) octaves += 1
  return ROUTE_HOP_MS + ROUTE_OCTAVE_MS * (octaves + rest - 1)
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
