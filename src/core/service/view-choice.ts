/**
 * Which members a member keeps sessions with (spec 7.2): the next one on the ring each way, so that the sessions of all
 * members together are one connected ring; a few of the largest, which have many neighbours, so that the way between any
 * two is short; and any at random, so that the whole survives the loss of the large ones. Those held are preferred.
 */
import type { PeerId } from '../base/peer-id.ts'
import { clockwise, type Position, ringDistance } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import {
  LARGE_CAPACITY,
  MIDDLE_CAPACITY,
  VIEW_ANY,
  VIEW_INBOUND_LARGE,
  VIEW_INBOUND_MAX,
  VIEW_LARGE,
  VIEW_LARGE_OF_LARGE,
} from '../limits.ts'

export interface Candidate {
  readonly peer: PeerId
  readonly position: Position
}

/** A member as one to choose, or to tell of. */
export interface SizedCandidate extends Candidate {
  readonly capacity: number
}

/** How many others a member wants beside its ring neighbours. */
export interface ViewWish {
  /** Of the largest known. */
  readonly large: number
  readonly any: number
}

export interface RingNeighbours {
  readonly before: PeerId | null
  readonly after: PeerId | null
}

/** What a member of this capacity wishes. */
export function viewWish(capacity: number): ViewWish {
  return { large: capacity >= LARGE_CAPACITY ? VIEW_LARGE_OF_LARGE : VIEW_LARGE, any: VIEW_ANY }
}

/** How many others may count a member of this capacity into their view. */
export function guestsMax(capacity: number): number {
  return capacity >= LARGE_CAPACITY ? VIEW_INBOUND_LARGE : VIEW_INBOUND_MAX
}

export function ringNeighbours(position: Position, candidates: Iterable<Candidate>): RingNeighbours {
  let before: Candidate | null = null
  let after: Candidate | null = null
  for (const candidate of candidates) {
    if (after === null || clockwise(position, candidate.position) < clockwise(position, after.position))
      after = candidate
    if (before === null || clockwise(candidate.position, position) < clockwise(before.position, position))
      before = candidate
  }
  return { before: before?.peer ?? null, after: after?.peer ?? null }
}

/** `held`: those chosen before; `linked`: those with a session for this service, whoever chose it. */
export function chooseView(
  rng: Rng,
  position: Position,
  candidates: readonly SizedCandidate[],
  held: ReadonlySet<PeerId>,
  linked: ReadonlySet<PeerId>,
  wish: ViewWish,
): Set<PeerId> {
  const { before, after } = ringNeighbours(position, candidates)
  const chosen = new Set<PeerId>()
  if (before !== null) chosen.add(before)
  if (after !== null) chosen.add(after)
  const choose = (count: number, among: readonly SizedCandidate[]): void => {
    const sizeMax = chosen.size + count
    const others = among.map(({ peer }) => peer).filter(peer => !chosen.has(peer))
    const kept = others.filter(peer => held.has(peer))
    const fresh = others.filter(peer => !held.has(peer) && !linked.has(peer))
    for (const peer of [...kept, ...rng.sample(fresh, count)]) if (chosen.size < sizeMax) chosen.add(peer)
  }
  const sizeMax = chosen.size + wish.large + wish.any
  const larger = candidates.filter(({ capacity }) => capacity >= MIDDLE_CAPACITY)
  const sizes = [larger.filter(({ capacity }) => capacity >= LARGE_CAPACITY), larger]
  for (const among of sizes) choose(Math.max(0, sizeMax - wish.any - chosen.size), among)
  choose(sizeMax - chosen.size, candidates)
  return chosen
}

/** Whom to tell a member at `position` of: half of them those closest to it on the ring, some of the large, others any. */
export function chooseToTell(
  rng: Rng,
  position: Position,
  candidates: readonly SizedCandidate[],
  count: number,
): Set<PeerId> {
  const byDistance = [...candidates]
  byDistance.sort((a, b) => ringDistance(position, a.position) - ringDistance(position, b.position))
  const closest = byDistance.slice(0, Math.floor(count / 2))
  const others = byDistance.slice(closest.length)
  const large = others.filter(({ capacity }) => capacity >= LARGE_CAPACITY)
  const told = new Set([...closest, ...rng.sample(large, Math.floor(count / 4))].map(({ peer }) => peer))
  for (const { peer } of rng.sample(others, count)) if (told.size < count) told.add(peer)
  return told
}
