/**
 * Where on the ring a record is kept (spec 6.3): at every peer within the stretch round its key that is expected to hold
 * the eight closest peers. The stretch follows from the network's size, not from who is closest: identities ground to
 * sit beside a key then cannot push a record off the honest ones.
 */
import { type Position, RING, ringDistance } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import { REGION_DROP_FACTOR, REGION_MARGIN, REGION_PEERS } from '../limits.ts'

export type Side = 'before' | 'after'

/** How far from a key its records are kept, either way. In a network of a dozen peers: everywhere. */
export function regionReach(estimatedPeers: number): number {
  return Math.floor((RING / 2) * Math.min(1, (REGION_PEERS * REGION_MARGIN) / Math.max(1, estimatedPeers)))
}

export function inRegion(key: Position, position: Position, estimatedPeers: number): boolean {
  return ringDistance(key, position) <= regionReach(estimatedPeers)
}

/** Whether a peer that holds a record goes on holding it: wider than `inRegion`, so that estimates may waver. */
export function staysInRegion(key: Position, position: Position, estimatedPeers: number): boolean {
  return ringDistance(key, position) <= regionReach(estimatedPeers) * REGION_DROP_FACTOR
}

/**
 * Whether, of the peers known at some place, at most one is closer to the key. Such a peer holds the key's records even
 * outside the region, where by chance or after many deaths the region is all but empty.
 */
export function isAmongClosest(key: Position, position: Position, others: Iterable<Position>): boolean {
  const distance = ringDistance(key, position)
  let closer = 0
  for (const other of others) if (ringDistance(key, other) < distance) closer += 1
  return closer < 2
}

/**
 * A place a quarter to three quarters of the region from the key, on one side of it: other holders than the closest, where
 * those are not to be relied on. Ways of odd and of even number lead to different sides.
 */
export function besideKey(rng: Rng, key: Position, estimatedPeers: number, way: number): Position {
  const distance = Math.floor(regionReach(estimatedPeers) * (0.25 + rng.unit() / 2))
  return (key + (way % 2 === 0 ? distance : RING - distance)) % RING
}
