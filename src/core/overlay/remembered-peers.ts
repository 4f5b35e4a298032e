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
  /** Which part of the address space it is in; peers that cannot be dialled are in none. */
  readonly range: string
  ref: PeerRef
  /** What the store holds of it, or is to hold. */
  saved: PeerRef | null = null
  reason: MemoryReason
  /** When somebody, as far as this peer heard, last had contact with it; may lie before the start of time. */
  heardAt: Instant
  /** Attempts since the last contact, and when the last of them failed. */
  failures = 0
  failedAt: Instant = 0
  /** Not to be tried before. */
  restsUntil: Instant = 0

  constructor(ref: PeerRef, reason: MemoryReason, heardAt: Instant) {
    this.peer = ref.peer
    this.position = ref.position
    this.range = rangeOf(ref)
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
  /** The same in the order of coming: walked far more often than changed. */
  private readonly list: Remembered[] = []
  /** Theirs, in the same order: to be searched without a table. */
  private positions = new Float64Array(16)
  /** Those in the store that gave way since it was last written. */
  readonly dropped: PeerId[] = []
  /** Grows with each peer that comes or goes and with each newer ref: who keeps something worked out from them looks. */
  version = 0

  constructor(rng: Rng) {
    this.rng = rng
  }

  get size(): number {
    return this.entries.size
  }

  get(peer: PeerId): Remembered | undefined {
    return this.entries.get(peer)
  }

  at(position: Position): Remembered | undefined {
    const { list, positions } = this
    for (let i = list.length - 1; i >= 0; i -= 1) if (positions[i] === position) return list[i]
    return undefined
  }

  /** In the order of coming; it changes with the next that is learnt. */
  all(): readonly Remembered[] {
    return this.list
  }

  /** Takes in a verified ref. The newest of a peer counts; contact later than a failure clears it (rule 7). */
  learn(ref: PeerRef, reason: MemoryReason, heardAt: Instant): Remembered {
    const present = this.entries.get(ref.peer)
    if (present !== undefined) {
      if (ref.sequence > present.ref.sequence) {
        present.ref = ref
        this.version += 1
      }
      if (heardAt > present.heardAt) {
        // Word of contact after the last try gives another one.
        if (present.failures > 0 && heardAt > present.failedAt) this.clear(present)
        present.heardAt = heardAt
      }
      if (reason !== 'random') present.reason = reason
      return present
    }
    const entry = new Remembered(ref, reason, heardAt)
    this.entries.set(ref.peer, entry)
    this.place(entry)
    this.version += 1
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
  failed(peer: PeerId, now: Instant, restMs = CANDIDATE_BACKOFF_MS): void {
    const entry = this.entries.get(peer)
    if (entry === undefined) return
    entry.failures += 1
    entry.failedAt = now
    entry.restsUntil = now + Math.min(restMs * 2 ** Math.min(entry.failures - 1, 10), CANDIDATE_BACKOFF_MAX_MS)
  }

  private clear(entry: Remembered): void {
    entry.failures = 0
    entry.restsUntil = 0
  }

  /**
   * Makes room: a random entry of the reason that is over its quota. Among the random ones those behind NATs give way
   * first, then those of the address range of which most are known: a flood of refs from one place pushes out its own.
   */
  private evict(newest: Remembered): void {
    const over = this.overQuota()
    const entries = this.list.filter(entry => entry.reason === over)
    let pool: readonly Remembered[] = entries
    if (over === 'random') {
      const hidden = entries.filter(entry => !isPublic(entry.ref))
      pool = hidden.length > entries.length / 4 ? hidden : mostCrowded(entries)
    }
    const others = pool.filter(entry => entry !== newest)
    const victim = this.rng.pick(others.length > 0 ? others : pool)
    if (victim === undefined) return
    this.entries.delete(victim.peer)
    if (victim.saved !== null) this.dropped.push(victim.peer)
    const at = this.list.indexOf(victim)
    this.list.splice(at, 1)
    this.positions.copyWithin(at, at + 1)
  }

  private place(entry: Remembered): void {
    const { list } = this
    if (list.length === this.positions.length) {
      const grown = new Float64Array(Math.min(2 * list.length, REMEMBERED_MAX + 1))
      grown.set(this.positions)
      this.positions = grown
    }
    this.positions[list.length] = entry.position
    list.push(entry)
  }

  private overQuota(): MemoryReason {
    let lost = 0
    let near = 0
    for (const { reason } of this.list) {
      if (reason === 'lost') lost += 1
      else if (reason === 'near') near += 1
    }
    return lost > REMEMBERED_LOST_MAX ? 'lost' : near > REMEMBERED_NEAR_MAX ? 'near' : 'random'
  }
}

/** Those of the range that has the most; all, where no range has more than one. */
function mostCrowded(entries: readonly Remembered[]): readonly Remembered[] {
  const counts = new Map<string, number>()
  let most = 1
  for (const { range } of entries) {
    const count = (counts.get(range) ?? 0) + 1
    counts.set(range, count)
    if (count > most) most = count
  }
  return most === 1 ? entries : entries.filter(({ range }) => counts.get(range) === most)
}

/** An IPv4 /16, an IPv6 /32, or the last two labels of a name. */
function rangeOf(ref: PeerRef): string {
  const host = ref.addresses[0]?.host ?? ''
  if (host.includes(':')) return host.split(':', 2).join(':')
  const parts = host.split('.')
  return /^[\d.]+$/.test(host) ? parts.slice(0, 2).join('.') : parts.slice(-2).join('.')
}
