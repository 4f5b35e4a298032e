/**
 * How many peers there are, from how densely they stand on the ring (spec 5.7). One peer's own four gaps say little
 * (0.5 to 2.9 times the truth); those around all its links together, each counted once, cover most of a small ring.
 */
import { clockwise, type Position, RING } from '../base/position.ts'
import { firstNotBelow } from './ring-order.ts'

export interface Surroundings {
  readonly position: Position
  /** Positions of the peers that it is linked to, in two parts, each in rising order. */
  readonly neighbours: Float64Array
  /** Where the second part begins. */
  readonly directNeighbours: number
}

export function estimatePeers(self: Position, links: readonly Surroundings[]): number {
  if (links.length < 4) return links.length + 1
  /** By where they begin: two peers next to each other tell of the same gap. */
  const gaps = new Map<Position, number>()
  const after = new NearestTwo()
  const before = new NearestTwo()
  const see = (centre: Position, other: Position): void => {
    after.add(clockwise(centre, other))
    before.add(clockwise(other, centre))
  }
  const take = (from: Position, gap: number): void => {
    // Who knows of one in between is right.
    const present = gaps.get(from)
    if (present === undefined || gap < present) gaps.set(from, gap)
  }
  const conclude = (centre: Position): void => {
    if (after.second < Number.POSITIVE_INFINITY && before.second < Number.POSITIVE_INFINITY) {
      take(centre, after.first)
      take((centre + after.first) % RING, after.second - after.first)
      take((centre - before.first + RING) % RING, before.first)
      take((centre - before.second + RING) % RING, before.second - before.first)
    }
    after.clear()
    before.clear()
  }
  for (const link of links) see(self, link.position)
  conclude(self)
  const seeNearest = (centre: Position, sorted: Float64Array, from: number, to: number): void => {
    // Two on either side, and two more for those that do not count: the centre and `self`.
    const steps = Math.min(4, to - from)
    const start = firstNotBelow(sorted, from, to, centre)
    for (let step = 0; step < steps; step += 1) {
      const next = start + step < to ? start + step : start + step - to + from
      const last = start - 1 - step >= from ? start - 1 - step : start - 1 - step + to - from
      if (sorted[next] !== self) after.add(clockwise(centre, sorted[next]!))
      if (sorted[last] !== self) before.add(clockwise(sorted[last]!, centre))
    }
  }
  for (const { position, neighbours, directNeighbours } of links) {
    see(position, self)
    seeNearest(position, neighbours, 0, directNeighbours)
    seeNearest(position, neighbours, directNeighbours, neighbours.length)
    conclude(position)
  }
  let span = 0
  for (const gap of gaps.values()) span += gap
  // So many gaps are a part of the ring as long as one less would be on average; all of them are the whole.
  const counted = gaps.size - 1 + Math.min(1, span / RING)
  const estimate = span === 0 ? 1 : Math.round((counted * RING) / span)
  return Math.max(estimate, links.length + 1)
}

/**
 * The middle of this peer's own estimate and those that its links told lately: what they see is other parts of the ring,
 * and a few liars move it little.
 */
export function middleEstimate(own: number, told: readonly number[]): number {
  const all = [own, ...told].sort((a, b) => a - b)
  return Math.round((all[(all.length - 1) >> 1]! + all[all.length >> 1]!) / 2)
}

/** The two smallest gaps seen, each once, but 0. */
class NearestTwo {
  first = Number.POSITIVE_INFINITY
  second = Number.POSITIVE_INFINITY

  add(gap: number): void {
    if (gap === 0 || gap >= this.second || gap === this.first) return
    if (gap < this.first) {
      this.second = this.first
      this.first = gap
    } else {
      this.second = gap
    }
  }

  clear(): void {
    this.first = Number.POSITIVE_INFINITY
    this.second = Number.POSITIVE_INFINITY
  }
}
