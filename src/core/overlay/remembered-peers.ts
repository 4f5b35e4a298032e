/**
 * The peers that this one remembers beside its links (spec 5.2): what carries it through mass failure and over a
 * restart. Bounded, by quota for each reason, with random eviction, so that no flood of refs pushes the others out.
 *
 * They are numbered in the order of coming, until the next one comes or goes. What is known of them stands in columns
 * under that number: as objects they would be half of what a simulated peer takes.
 */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import { RareMap } from '../base/rare-map.ts'
import type { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import {
  CANDIDATE_BACKOFF_MAX_MS,
  CANDIDATE_BACKOFF_MS,
  REMEMBERED_LOST_MAX,
  REMEMBERED_MAX,
  REMEMBERED_NEAR_MAX,
} from '../limits.ts'

/** Why a peer is remembered: it was a link and is gone, it stands near on the ring, or by chance. */
export type MemoryReason = 'lost' | 'near' | 'random'

/** One that is known, with what is asked of many at once: the ref itself is looked into only where it is chosen. */
export interface Known {
  readonly position: Position
  readonly isPublic: boolean
  readonly ref: PeerRef
}

/** Bytes of one in all columns. */
const ENTRY_BYTES = 21
const DOT = 46
const COLON = 58
/** No address is of other characters. */
const NAME = /[^\d.:a-f]|[g-z]/
const REASONS: readonly MemoryReason[] = ['random', 'near', 'lost']
const RANDOM = 0
const NEAR = 1
const LOST = 2
// Of the flags; the lowest two bits are the reason.
const REASON = 3
/** It could not be reached since the last contact. */
const FAILED = 4
/** The store holds a ref of it. */
const STORED = 8
/** The store holds this ref of it. */
const SAVED = 16
/** It accepts dials from where this peer is. */
const PUBLIC = 32
/** It is a link. */
const LINKED = 64
/** It failed, and may rest: looked at again when the first of all those has rested. */
const RESTING = 128

/** While one of them is chosen; for all alike, since nobody chooses within a choice. */
const pool = new Uint16Array(REMEMBERED_MAX + 1)
const rangeCounts = new Uint16Array(65_536)

interface Failures {
  readonly count: number
  readonly lastAt: Instant
  readonly restsUntil: Instant
}

export class RememberedPeers {
  private readonly rng: Rng
  private list: PeerRef[] = []
  /** When somebody, as far as this peer heard, last had contact with it; may lie before the start of time. */
  private heard = new Float64Array(0)
  private positions = new Float64Array(0)
  /** Parts of their ids, by which they are found. */
  private peerTags = new Uint16Array(0)
  /** The ranges of their addresses. */
  private ranges = new Uint16Array(0)
  private flags = new Uint8Array(0)
  /** Of those flagged as failed. */
  private readonly failing = new RareMap<PeerId, Failures>()
  /** When the first of those that rest has rested. */
  private restedAt: Instant = Number.POSITIVE_INFINITY
  /** Those in the store that gave way since it was last written. */
  private dropped: PeerId[] = []
  /** Grows with each peer that comes or goes and with each newer ref: who keeps something worked out from them looks. */
  version = 0
  private globalOnly = false

  constructor(rng: Rng) {
    this.rng = rng
  }

  get size(): number {
    return this.list.length
  }

  /** By number; they change with the next that is learnt. */
  refs(): readonly PeerRef[] {
    return this.list
  }

  /** Its number; -1 where it is not remembered. */
  indexOf(peer: PeerId): number {
    const { list, peerTags } = this
    const tag = tagOfPeer(peer)
    for (let i = list.length - 1; i >= 0; i -= 1) if (peerTags[i] === tag && list[i]!.peer === peer) return i
    return -1
  }

  refOf(peer: PeerId): PeerRef | undefined {
    return this.list[this.indexOf(peer)]
  }

  /** Whose position that is. */
  indexAt(position: Position): number {
    const { list, positions } = this
    for (let i = list.length - 1; i >= 0; i -= 1) if (positions[i] === position) return i
    return -1
  }

  refAt(position: Position): PeerRef | undefined {
    return this.list[this.indexAt(position)]
  }

  /** Whether only addresses count that can be dialled from anywhere. */
  get countsGlobalOnly(): boolean {
    return this.globalOnly
  }

  setGlobalOnly(globalOnly: boolean): void {
    if (globalOnly === this.globalOnly) return
    this.globalOnly = globalOnly
    for (const [index, ref] of this.list.entries()) this.setFlag(index, PUBLIC, this.countsAsPublic(ref))
    this.version += 1
  }

  /** Whether a peer accepts dials, by what counts now. */
  countsAsPublic(ref: PeerRef): boolean {
    return this.globalOnly ? ref.isGlobal : ref.addresses.length > 0
  }

  /** With what is known of it, without a look into its ref. */
  known(index: number): Known {
    return { position: this.positions[index]!, isPublic: this.isPublic(index), ref: this.list[index]! }
  }

  positionOf(index: number): Position {
    return this.positions[index]!
  }

  /** Whether it accepts dials; see `countsAsPublic`. */
  isPublic(index: number): boolean {
    return (this.flags[index]! & PUBLIC) !== 0
  }

  isLinked(index: number): boolean {
    return (this.flags[index]! & LINKED) !== 0
  }

  /** It became a link, or is none any more. */
  setLinked(peer: PeerId, linked: boolean): void {
    const index = this.indexOf(peer)
    if (index >= 0) this.setFlag(index, LINKED, linked)
  }

  heardAt(index: number): Instant {
    return this.heard[index]!
  }

  reason(index: number): MemoryReason {
    return REASONS[this.flags[index]! & REASON]!
  }

  /** Attempts since the last contact. */
  failures(index: number): number {
    return this.failuresOf(index)?.count ?? 0
  }

  hasFailed(index: number): boolean {
    return (this.flags[index]! & FAILED) !== 0
  }

  /** Not to be tried before. */
  restsUntil(index: number): Instant {
    return this.failuresOf(index)?.restsUntil ?? 0
  }

  /** Whether it failed so lately that it is not to be tried now. */
  isResting(index: number, now: Instant): boolean {
    if (now >= this.restedAt) this.findResting(now)
    return (this.flags[index]! & RESTING) !== 0
  }

  /** Takes in a verified ref. The newest of a peer counts; contact later than a failure clears it (rule 7). */
  learn(ref: PeerRef, reason: MemoryReason, heardAt: Instant, linked = false): void {
    const index = this.indexOf(ref.peer)
    if (index < 0) {
      this.place(ref, reason, heardAt, linked)
      return
    }
    const present = this.list[index]!
    if (ref.sequence > present.sequence) {
      this.list[index] = ref
      this.setAddress(index, ref)
      this.setFlag(index, SAVED, false)
      this.version += 1
    }
    if (heardAt > this.heard[index]!) {
      // Word of contact after the last try gives another one.
      const failures = this.failuresOf(index)
      if (failures !== undefined && heardAt > failures.lastAt) this.forgive(index)
      this.heard[index] = heardAt
    }
    if (reason !== 'random') this.setReason(index, reason)
  }

  succeeded(peer: PeerId, now: Instant): void {
    const index = this.indexOf(peer)
    if (index < 0) return
    this.forgive(index)
    this.heard[index] = now
    if (this.reason(index) === 'lost') this.setReason(index, 'random')
  }

  /** A failed try: it rests, longer each time. Nobody is forgotten for a time-out. */
  failed(peer: PeerId, now: Instant, restMs = CANDIDATE_BACKOFF_MS): void {
    const index = this.indexOf(peer)
    if (index < 0) return
    const before = this.failures(index)
    const restsUntil = now + Math.min(restMs * 2 ** Math.min(before, 10), CANDIDATE_BACKOFF_MAX_MS)
    this.failing.set(peer, { count: before + 1, lastAt: now, restsUntil })
    this.flags[index]! |= FAILED | RESTING
    this.restedAt = Math.min(this.restedAt, restsUntil)
  }

  /** Failures of before say nothing any more. */
  forgiveAll(): void {
    for (let i = 0; i < this.list.length; i += 1) this.forgive(i)
  }

  // ---- what the store holds ----

  /** Those whose ref the store does not hold; from now on it does. */
  takeUnsaved(): PeerRef[] {
    const unsaved = this.list.filter((_, index) => (this.flags[index]! & SAVED) === 0)
    for (let i = 0; i < this.list.length; i += 1) this.flags[i]! |= STORED | SAVED
    return unsaved
  }

  /** Those that the store is to forget. */
  takeDropped(): PeerId[] {
    const dropped = this.dropped.filter(peer => this.indexOf(peer) < 0)
    this.dropped = []
    return dropped
  }

  /** The store holds something under this name. */
  onLoaded(peer: PeerId): void {
    this.dropped.push(peer)
  }

  // ---- coming and going ----

  private place(ref: PeerRef, reason: MemoryReason, heardAt: Instant, linked: boolean): void {
    const { list } = this
    const index = list.length
    if (index === this.flags.length) this.grow()
    list.push(ref)
    this.heard[index] = heardAt
    this.positions[index] = ref.position
    this.peerTags[index] = tagOfPeer(ref.peer)
    this.flags[index] = linked ? LINKED : 0
    this.setAddress(index, ref)
    this.setReason(index, reason)
    this.version += 1
    if (list.length > REMEMBERED_MAX) this.evict(index)
    // It stays as long as that: pushing has left it room for a hundred more.
    else if (list.length === REMEMBERED_MAX) this.list = list.slice()
  }

  /**
   * Makes room: a random entry of the reason that is over its quota. Among the random ones those behind NATs give way
   * first, then those of the address range of which most are known: a flood of refs from one place pushes out its own.
   */
  private evict(newest: number): void {
    const over = REASONS.indexOf(this.overQuota())
    let entries = 0
    let hidden = 0
    for (let i = 0; i < this.list.length; i += 1) {
      if ((this.flags[i]! & REASON) !== over) continue
      entries += 1
      if (!this.isPublic(i)) hidden += 1
    }
    const onlyHidden = over === RANDOM && hidden > entries / 4
    // Which way does not matter where no range has more than one.
    const most = over === RANDOM && !onlyHidden ? this.countRanges(over) : 0
    let count = 0
    for (let i = 0; i < this.list.length; i += 1) {
      if (i === newest || (this.flags[i]! & REASON) !== over || (onlyHidden && this.isPublic(i))) continue
      if (most > 1 && rangeCounts[this.ranges[i]!] !== most) continue
      pool[count++] = i
    }
    this.remove(count === 0 ? newest : pool[this.rng.below(count)]!)
  }

  /** How many of the reason there are in each range: for the most of them. Valid until the next count. */
  private countRanges(reason: number): number {
    for (let i = 0; i < this.list.length; i += 1) rangeCounts[this.ranges[i]!] = 0
    let most = 0
    for (let i = 0; i < this.list.length; i += 1) {
      if ((this.flags[i]! & REASON) !== reason) continue
      const count = rangeCounts[this.ranges[i]!]! + 1
      rangeCounts[this.ranges[i]!] = count
      most = Math.max(most, count)
    }
    return most
  }

  private remove(index: number): void {
    const { peer } = this.list[index]!
    this.forgive(index)
    if ((this.flags[index]! & STORED) !== 0) this.dropped.push(peer)
    this.list.splice(index, 1)
    this.heard.copyWithin(index, index + 1)
    this.positions.copyWithin(index, index + 1)
    this.peerTags.copyWithin(index, index + 1)
    this.ranges.copyWithin(index, index + 1)
    this.flags.copyWithin(index, index + 1)
  }

  private overQuota(): MemoryReason {
    let lost = 0
    let near = 0
    for (let i = 0; i < this.list.length; i += 1) {
      const reason = this.flags[i]! & REASON
      if (reason === LOST) lost += 1
      else if (reason === NEAR) near += 1
    }
    return lost > REMEMBERED_LOST_MAX ? 'lost' : near > REMEMBERED_NEAR_MAX ? 'near' : 'random'
  }

  private grow(): void {
    const room = Math.min(Math.max(16, 2 * this.flags.length), REMEMBERED_MAX + 1)
    // One buffer for all: each takes as much again as dozens of entries.
    const buffer = new ArrayBuffer(ENTRY_BYTES * room)
    const heard = new Float64Array(buffer, 0, room)
    const positions = new Float64Array(buffer, 8 * room, room)
    const peerTags = new Uint16Array(buffer, 16 * room, room)
    const ranges = new Uint16Array(buffer, 18 * room, room)
    const flags = new Uint8Array(buffer, 20 * room, room)
    heard.set(this.heard)
    positions.set(this.positions)
    peerTags.set(this.peerTags)
    ranges.set(this.ranges)
    flags.set(this.flags)
    this.heard = heard
    this.positions = positions
    this.peerTags = peerTags
    this.ranges = ranges
    this.flags = flags
  }

  // ---- what is known of one ----

  private setReason(index: number, reason: MemoryReason): void {
    this.flags[index] = (this.flags[index]! & ~REASON) | REASONS.indexOf(reason)
  }

  private setFlag(index: number, flag: number, on: boolean): void {
    if (on) this.flags[index]! |= flag
    else this.flags[index]! &= ~flag
  }

  private setAddress(index: number, ref: PeerRef): void {
    this.setFlag(index, PUBLIC, this.countsAsPublic(ref))
    this.ranges[index] = rangeOf(ref)
  }

  /** Somebody has rested: who rests still, and until when the first of them. */
  private findResting(now: Instant): void {
    this.restedAt = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.list.length; i += 1) {
      if ((this.flags[i]! & RESTING) === 0) continue
      const until = this.restsUntil(i)
      if (until <= now) this.setFlag(i, RESTING, false)
      else this.restedAt = Math.min(this.restedAt, until)
    }
  }

  private failuresOf(index: number): Failures | undefined {
    return (this.flags[index]! & FAILED) === 0 ? undefined : this.failing.get(this.list[index]!.peer)
  }

  private forgive(index: number): void {
    if ((this.flags[index]! & FAILED) === 0) return
    this.failing.delete(this.list[index]!.peer)
    this.flags[index]! &= ~(FAILED | RESTING)
  }
}

/** The first 16 bits of an id: enough to tell a few hundred apart nearly always. */
function tagOfPeer(peer: PeerId): number {
  return (digit(peer, 0) << 12) | (digit(peer, 1) << 8) | (digit(peer, 2) << 4) | digit(peer, 3)
}

function digit(peer: PeerId, at: number): number {
  const code = peer.charCodeAt(at)
  return (code + 9 * (code >> 6)) & 15
}

/**
 * A hash in 16 bits of the IPv4 /16, the IPv6 /32, or the last two labels of a name: without making texts. Peers that
 * cannot be dialled are in one of their own.
 */
export function rangeOf(ref: PeerRef): number {
  const host = ref.addresses[0]?.host ?? ''
  const isName = NAME.test(host)
  const from = isName ? host.lastIndexOf('.', host.lastIndexOf('.') - 1) + 1 : 0
  let separators = 0
  let hash = 0x811c9dc5
  for (let i = from; i < host.length; i += 1) {
    const code = host.charCodeAt(i)
    if (!isName && (code === DOT || code === COLON)) separators += 1
    if (separators === 2) break
    // FNV-1a.
    hash = Math.imul(hash ^ code, 0x01000193)
  }
  return (hash ^ (hash >>> 16)) & 0xffff
}
