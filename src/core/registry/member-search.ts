/**
 * One search for the members of a service (spec 6.5): several ways at once, since whoever answers, and whoever stands on
 * the way, may lie or keep silent. It decides when enough has been heard; asking is the search's.
 */
import type { Fault } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { FIND_WAYS_MAX, FIND_WAYS_MIN, FOUND_REFS_MAX } from '../limits.ts'
import type { OnFound } from './registry.ts'
import type { ServiceName } from './service-name.ts'

interface Heard {
  readonly members: number
  readonly peers: ReadonlySet<PeerId>
}

export class MemberSearch {
  readonly service: ServiceName
  readonly key: Position
  readonly done: OnFound
  /** Refs that need not be told in full, by their marks. */
  readonly held: ReadonlyMap<number, PeerRef>
  /** First hops that were asked. */
  readonly ways: PeerId[] = []
  readonly found = new Map<PeerId, PeerRef>()
  asked = 0
  /** Of them those whose answer is still waited for. */
  awaited = 0
  fault: Fault = { code: 'timeout', detail: 'find' }
  /** When another way is asked although not all have answered. */
  nextAt: Instant
  private readonly heard: Heard[] = []

  constructor(service: ServiceName, key: Position, held: ReadonlyMap<number, PeerRef>, nextAt: Instant, done: OnFound) {
    this.service = service
    this.key = key
    this.held = held
    this.nextAt = nextAt
    this.done = done
  }

  /** `refs` are those whose signature holds; `members` how many there are in all, as the answer says. */
  hear(refs: readonly PeerRef[], members: number): void {
    for (const ref of refs) {
      const known = this.found.get(ref.peer)
      if (known === undefined || known.sequence < ref.sequence) this.found.set(ref.peer, ref)
    }
    this.heard.push({ members: Math.max(members, refs.length), peers: new Set(refs.map(ref => ref.peer)) })
  }

  get answered(): boolean {
    return this.heard.length > 0
  }

  get mayAsk(): boolean {
    return this.asked < FIND_WAYS_MAX
  }

  /** Enough were heard, and two of them know of the same, or all say that there is nobody. */
  get settled(): boolean {
    const { heard } = this
    if (heard.length < FIND_WAYS_MIN) return false
    if (this.found.size === 0) return true
    return heard.some((one, at) => heard.slice(at + 1).some(other => agree(one, other)))
  }

  /** As the middle of those say that know of anybody: one liar counts for nothing. */
  get members(): number {
    const counts = this.heard.filter(({ peers }) => peers.size > 0).map(({ members }) => members)
    counts.sort((a, b) => a - b)
    return Math.max(this.found.size, counts[(counts.length - 1) >> 1] ?? 0)
  }
}

/** Of services with more members than fit an answer, two honest ones may tell of quite different ones. */
function agree(one: Heard, other: Heard): boolean {
  const fewer = Math.min(one.members, other.members)
  if (fewer > FOUND_REFS_MAX && Math.max(one.members, other.members) <= 2 * fewer) return true
  for (const peer of one.peers) if (other.peers.has(peer)) return true
  return false
}
