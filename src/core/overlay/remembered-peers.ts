/**
 * The peers that this one remembers beside its links (spec 5.2): what carries it through mass failure and over a
 * restart. Bounded, by quota for each reason, with random eviction, so that no flood of refs pushes the others out.
 */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import { isPublic, type PeerRef } from '../crypto/peer-ref.ts'
import {
  CANDIDATE_BACKOFF_MAX_MS,
  CANDIDATE_BACKOFF_MS,
  FRESH_MS,
  REMEMBERED_LOST_MAX,
  REMEMBERED_MAX,
  REMEMBERED_NEAR_MAX,
} from '../limits.ts'

/** Why a peer is remembered: it was a link and is gone, it stands near on the ring, or by chance. */
export type MemoryReason = 'lost' | 'near' | 'random'

export class Remembered {
  readonly peer: PeerId
  readonly position: Position
  ref: PeerRef
  reason: MemoryReason
  /** When somebody, as far as this peer heard, last had contact with it; may lie before the start of time. */
  heardAt: Instant
  /** Attempts since the last contact. */
  failures = 0
  /** Not to be tried before. */
  restsUntil: Instant = 0

  constructor(ref: PeerRef, reason: MemoryReason, heardAt: Instant) {
    this.peer = ref.peer
    this.position = ref.position
    this.ref = ref
    this.reason = reason
    this.heardAt = heardAt
  }

  isFresh(now: Instant): boolean {
    return now - this.heardAt < FRESH_MS
  }
}

export class RememberedPeers {
  private readonly rng: Rng
  private readonly entries = new Map<PeerId, Remembered>()

  constructor(rng: Rng) {
    this.rng = rng
  }

  get size(): number {
    return this.entries.size
  }

  get(peer: PeerId): Remembered | undefined {
    return this.entries.get(peer)
  }

  all(): IterableIterator<Remembered> {
    return this.entries.values()
  }

  /** Takes in a verified ref. The newest of a peer counts; contact later than a failure clears it (rule 7). */
  learn(ref: PeerRef, reason: MemoryReason, heardAt: Instant): Remembered {
    const present = this.entries.get(ref.peer)
    if (present !== undefined) {
      if (ref.sequence > present.ref.sequence) present.ref = ref
      if (heardAt > present.heardAt) {
        // Word of contact after the last try gives another one.
        if (present.failures > 0 && heardAt > present.restsUntil - backoff(present.failures)) this.clear(present)
        present.heardAt = heardAt
      }
      if (reason !== 'random') present.reason = reason
      return present
    }
    const entry = new Remembered(ref, reason, heardAt)
    this.entries.set(ref.peer, entry)
    if (this.entries.size > REMEMBERED_MAX) this.evict(entry)
    return entry
  }

  succeeded(peer: PeerId, now: Instant): void {
    const entry = this.entries.get(peer)
    if (entry === undefined) return
    this.clear(entry)
    entry.heardAt = now
    if (entry.reason === 'lost') entry.reason = 'random'
  }

  /** A failed try: it rests, longer each time. Nobody is forgotten for a time-out. */
  failed(peer: PeerId, now: Instant, restMs: number | null): void {
    const entry = this.entries.get(peer)
    if (entry === undefined) return
    entry.failures += 1
    entry.restsUntil = now + (restMs ?? backoff(entry.failures))
  }

  private clear(entry: Remembered): void {
    entry.failures = 0
    entry.restsUntil = 0
  }

  /** Makes room: a random entry of the reason that is over its quota; among the random ones a peer behind a NAT first. */
  private evict(newest: Remembered): void {
    const byReason: Record<MemoryReason, Remembered[]> = { lost: [], near: [], random: [] }
    for (const entry of this.entries.values()) if (entry !== newest) byReason[entry.reason].push(entry)
    const over =
      byReason.lost.length > REMEMBERED_LOST_MAX
        ? byReason.lost
        : byReason.near.length > REMEMBERED_NEAR_MAX
          ? byReason.near
          : byReason.random
    const hidden = over.filter(entry => !isPublic(entry.ref))
    const pool = over === byReason.random && hidden.length > over.length / 4 ? hidden : over
    const victim = this.rng.pick(pool) ?? this.rng.pick(byReason.random) ?? this.rng.pick(byReason.near)
    if (victim !== undefined) this.entries.delete(victim.peer)
  }
}

function backoff(failures: number): number {
  return Math.min(CANDIDATE_BACKOFF_MS * 2 ** Math.min(failures - 1, 10), CANDIDATE_BACKOFF_MAX_MS)
}
