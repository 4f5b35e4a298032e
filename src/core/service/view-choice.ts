/**
 * Which members a member keeps sessions with (spec 7.2): the next one on the ring each way, so that the sessions of all
 * members together are one connected ring, and a few at random, so that the way between any two is short and the whole
 * survives the loss of many. Those held already are preferred among the random ones.
 */
import type { PeerId } from '../base/peer-id.ts'
import { clockwise, type Position, ringDistance } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'

export interface Candidate {
  readonly peer: PeerId
  readonly position: Position
}

export interface RingNeighbours {
  readonly before: PeerId | null
  readonly after: PeerId | null
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
  candidates: readonly Candidate[],
  held: ReadonlySet<PeerId>,
  linked: ReadonlySet<PeerId>,
  randomCount: number,
): Set<PeerId> {
  const { before, after } = ringNeighbours(position, candidates)
  const chosen = new Set<PeerId>()
  if (before !== null) chosen.add(before)
  if (after !== null) chosen.add(after)
  const sizeMax = chosen.size + randomCount
  const others = candidates.map(candidate => candidate.peer).filter(peer => !chosen.has(peer))
  const kept = others.filter(peer => held.has(peer))
  const fresh = others.filter(peer => !held.has(peer) && !linked.has(peer))
  for (const peer of [...kept, ...rng.sample(fresh, randomCount)]) if (chosen.size < sizeMax) chosen.add(peer)
  return chosen
}

/** Whom to tell a member at `position` of: half of them those closest to it on the ring, half any. */
export function chooseToTell(
  rng: Rng,
  position: Position,
  candidates: readonly Candidate[],
  count: number,
): Set<PeerId> {
  const byDistance = [...candidates]
  byDistance.sort((a, b) => ringDistance(position, a.position) - ringDistance(position, b.position))
  const closest = byDistance.slice(0, Math.floor(count / 2))
  const others = byDistance.slice(closest.length)
  return new Set([...closest, ...rng.sample(others, count - closest.length)].map(({ peer }) => peer))
}
