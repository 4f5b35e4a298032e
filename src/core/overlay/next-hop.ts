/**
 * Greedy routing with one step of lookahead (spec 5.4): peers tell their links whom they are linked to, so a step is
 * chosen by the best position that it leads to within two hops (Manku, Naor, Wieder 2004: know thy neighbour's
 * neighbour).
 */
import type { PeerId } from '../base/peer-id.ts'
import { type Position, ringDistance } from '../base/position.ts'

export interface Step {
  readonly peer: PeerId
  readonly position: Position
  readonly neighbours: Float64Array
  readonly directNeighbours: number
}

/**
 * The link to go on through towards `key`, or null where none leads closer than `self` stands: then `self` is the
 * closest. With `besides`, what stands exactly at the key does not count: a peer that looks for those around itself.
 * With `directOnly`, only those neighbours of a link count that it reaches over a wire: for circuits.
 */
export function nextStep<T extends Step>(
  self: Position,
  key: Position,
  links: Iterable<T>,
  usable: (link: T) => boolean,
  besides: boolean,
  directOnly = false,
): T | null {
  let best: T | null = null
  let bestDistance = besides && self === key ? Number.POSITIVE_INFINITY : ringDistance(self, key)
  let bestOwn = bestDistance
  for (const link of links) {
    if (!usable(link)) continue
    const own = ringDistance(link.position, key)
    if (besides && own === 0) continue
    let distance = own
    const count = directOnly ? link.directNeighbours : link.neighbours.length
    for (let i = 0; i < count; i += 1) {
      const position = link.neighbours[i]!
      const reach = ringDistance(position, key)
      if (reach < distance && !(besides && reach === 0) && position !== self) distance = reach
    }
    // Of two links that lead equally far, the one that stands closer itself.
    if (distance < bestDistance || (distance === bestDistance && best !== null && own < bestOwn)) {
      best = link
      bestDistance = distance
      bestOwn = own
    }
  }
  return best
}
