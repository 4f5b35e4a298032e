/**
 * How many peers there are, from how densely they stand on the ring (spec 5.7). One peer's own four gaps say little
 * (0.5 to 2.9 times the truth); pooled over what its links announce they say 0.8 to 1.4.
 */
import { clockwise, type Position, RING } from '../base/position.ts'
import { closestAfter, closestBefore } from './ring-order.ts'

export interface Surroundings {
  readonly position: Position
  /** Positions of the peers that it is linked to. */
  readonly neighbours: Float64Array
}

export function estimatePeers(self: Position, links: readonly Surroundings[]): number {
  if (links.length < 4) return links.length + 1
  let gaps = 0
  let span = 0
  const add = (centre: Position, others: readonly { position: Position }[]): void => {
    const after = closestAfter(centre, others, 2)
    const before = closestBefore(centre, others, 2)
    const last = after[1]
    const first = before[1]
    if (last === undefined || first === undefined) return
    gaps += 4
    span += Math.min(clockwise(first.position, centre) + clockwise(centre, last.position), RING)
  }
  add(self, links)
  for (const link of links) {
    const others: { position: Position }[] = [{ position: self }]
    for (const position of link.neighbours) if (position !== self) others.push({ position })
    add(link.position, others)
  }
  const estimate = span === 0 ? 1 : Math.round((gaps * RING) / span)
  return Math.max(estimate, links.length + 1)
}
