import type { Fault, Result } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { type Position, RING } from '../base/position.ts'
import { RareMap } from '../base/rare-map.ts'
import type { Rng } from '../base/rng.ts'
import { type PeerRef, positionOfPeer } from '../crypto/peer-ref.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import type { ServiceEntry } from '../effect.ts'
import type { StoreEntry } from '../input.ts'
import { DIGEST_ENTRIES_MAX, RECORD_SAVE_MS, RECORD_SWEEP_MS, REPLICATE_HOPS_MAX } from '../limits.ts'
import type { OverlayPort } from '../overlay/overlay-port.ts'
import { Channel } from '../session/session-owner.ts'
import type { Turn } from '../turn.ts'
import { Publisher } from './publisher.ts'
import { keyOfShard, readDescription, readRecord, recordIsAuthentic, type ServiceRecord } from './record.ts'
import { RecordStore, type Verdict } from './record-store.ts'
import { markBytes, refMark } from './ref-mark.ts'
import { inRegion, isAmongClosest, regionReach, type Side, staysInRegion } from './region.ts'
import {
  batchesOf,
  type DigestEntry,
  decodeRegistryMessage,
  decodeRegistryRequest,
  encodeFindAnswer,
  encodeListAnswer,
  encodePutAnswer,
  encodeRegistryMessage,
  type PutAnswer,
} from './registry-messages.ts'
import { savedRecord, savedRecordKey, unsavedRecord } from './saved-record.ts'
import { type MembersHeld, Search } from './search.ts'
import type { ServiceName } from './service-name.ts'
import { VerifiedRefs } from './verified-refs.ts'

export interface RegistryOptions {
  readonly port: OverlayPort
  readonly suite: CryptoSuite
  readonly identity: Identity
  readonly rng: Rng
  /** Shared with other peers, where given. */
  readonly refs?: VerifiedRefs | undefined
}

/** `members`: how many there are in all, as the answering peer counts or estimates. */
export type OnFound = (turn: Turn, found: Result<PeerRef[]>, members: number) => void
export type OnListed = (turn: Turn, listed: Result<ServiceEntry[]>) => void

/** How many publishers of a descriptor are heard about the number of members. */
const COUNTS_HEARD = 5
const BOTH_SIDES: readonly Side[] = ['before', 'after']

export class Registry {
  /** Refs read by this part and by those above it. */
  readonly refs: VerifiedRefs
  private readonly port: OverlayPort
  private readonly suite: CryptoSuite
  private readonly rng: Rng
  private readonly publisher: Publisher
  private readonly search: Search
  private readonly position: Position
  private readonly store: RecordStore
  /** The neighbours, each with the size of network by whose region it was told of records. */
  private toldFor = new RareMap<PeerId, number>()
  private sweepAt: Instant | null = null
  private saveAt: Instant | null = null

  constructor(options: RegistryOptions) {
    this.port = options.port
    this.suite = options.suite
    this.rng = options.rng
    this.refs = options.refs ?? new VerifiedRefs(options.suite)
    this.publisher = new Publisher(options)
    this.search = new Search(options, this.refs, {
      held: (turn, service, count) => this.membersHeld(turn, service, count),
      onUnlisted: (turn, service) => this.publisher.onUnlisted(turn, service),
    })
    this.position = positionOfPeer(options.suite, options.identity.publicKey)
    this.store = new RecordStore(options.suite, this.position)
  }

  // ---- on behalf of this peer ----

  /** Publishes this peer as a member until `withdraw`. Faults: `invalid-service-name`, `invalid-option`, `overloaded`. */
  announce(turn: Turn, service: string, summary: string): Fault | null {
    return this.publisher.announce(turn, service, summary)
  }

  withdraw(turn: Turn, service: string): void {
    this.publisher.withdraw(turn, service)
  }

  get withdrawing(): boolean {
    return this.publisher.withdrawing
  }

  /** This peer's ref changed: members must find the new one. */
  onSelfChanged(turn: Turn): void {
    this.publisher.onSelfChanged(turn)
  }

  /**
   * Up to 64 members, a random sample where there are more, this peer not among them; `held` are refs of members that
   * need not be told in full. Faults: those of `request`.
   */
  find(turn: Turn, service: string, done: OnFound, held: readonly PeerRef[] = []): void {
    const onFound: OnFound = (now, found, members) => {
      if (found.ok) this.publisher.onMembers(now, service, members)
      done(now, found, members)
    }
    this.search.find(turn, service, onFound, held)
  }

  /** All services of the network, by name; without those whose shard did not answer. A fault where none did. */
  list(turn: Turn, done: OnListed): void {
    this.search.list(turn, done)
  }

  // ---- on behalf of the network ----

  /** The answer to a request that was routed here, or null where it makes no sense. */
  onRequest(turn: Turn, key: Position, payload: Uint8Array): Uint8Array | null {
    const request = decodeRegistryRequest(payload)
    if (request === null) return null
    switch (request.kind) {
      case 'put':
        return this.answerPut(turn, key, request.record)
      case 'find': {
        const { members, refs } = this.membersHeld(turn, request.service, request.count)
        const held = new Set(request.marks)
        const told = refs.map(ref => {
          const mark = refMark(ref)
          return held.has(mark) ? markBytes(mark) : ref
        })
        return encodeFindAnswer({ members, refs: told })
      }
      case 'list': {
        const services = this.store.services(keyOfShard(this.suite, request.shard))
        const names = services.filter(name => name > request.after)
        const entries = names.map(name => this.entryOf(name, turn)).filter(entry => entry !== null)
        return encodeListAnswer(entries)
      }
    }
  }

  /** A fault means that the sender broke the protocol. */
  onMessage(turn: Turn, from: PeerId, bytes: Uint8Array): Fault | null {
    const message = decodeRegistryMessage(bytes)
    if (message === null) return { code: 'malformed', detail: 'registry message' }
    switch (message.kind) {
      case 'replicate': {
        const fresh: ServiceRecord[] = []
        for (const recordBytes of message.records) {
          const record = readRecord(this.suite, recordBytes)
          if (!record.ok) return record.fault
          if (!this.holds(record.value.key)) continue
          const verdict = this.accept(turn, record.value)
          if (verdict === 'forged') return { code: 'malformed', detail: 'record with a wrong signature' }
          if (verdict === 'new') fresh.push(record.value)
        }
        // In a mesh that is one region both ways round lead to the same peers: who hears it first over one must tell both.
        const isWhole = regionReach(this.port.estimatedPeers()) >= RING / 2
        for (const side of isWhole ? BOTH_SIDES : [message.side]) {
          if (message.hops > 0) this.passOn(turn, fresh, side, message.hops - 1)
        }
        return null
      }
      case 'digest':
        this.wantMissing(turn, from, message.entries)
        return null
      case 'want': {
        const wanted = message.slots.map(slot => this.store.get(slot)).filter(record => record !== null)
        this.sendRecords(turn, from, wanted, this.sideOf(from), REPLICATE_HOPS_MAX)
        return null
      }
    }
  }

  /**
   * The neighbours on the ring are others now: each is told of what it should hold and has not been told of. To those
   * that stayed that is little: what the region has grown by, and what they are one of the two closest to now.
   */
  onNearChanged(turn: Turn): void {
    const told = this.toldFor
    this.toldFor = new RareMap()
    const estimated = this.port.estimatedPeers()
    for (const ref of this.neighboursNow().values()) {
      const toldFor = told.get(ref.peer) ?? null
      const records = this.thoseFor(ref, this.store.records())
      const untold = toldFor === null ? records : records.filter(({ key }) => !inRegion(key, ref.position, toldFor))
      this.sendDigest(turn, ref.peer, untold)
      this.toldFor.set(ref.peer, Math.min(estimated, toldFor ?? estimated))
    }
  }

  onWake(turn: Turn): void {
    this.search.onWake(turn)
    this.publisher.onWake(turn)
    if (this.sweepAt !== null && this.sweepAt <= turn.now) this.sweep(turn)
    if (this.saveAt !== null && this.saveAt <= turn.now) this.save(turn)
  }

  nextWake(): Instant | null {
    const tidying = earlier(this.sweepAt, this.saveAt)
    return earlier(tidying, earlier(this.search.nextWake(), this.publisher.nextWake()))
  }

  /** Takes back what was saved under `record/…`; expired and damaged entries are deleted. */
  restore(turn: Turn, entries: readonly StoreEntry[]): void {
    for (const entry of entries) {
      const record = unsavedRecord(this.suite, entry)
      const verdict = record === null ? null : this.store.judge(record, turn.wallTime)
      if (record !== null && verdict === 'new') this.store.keep(record)
      else if (verdict !== 'known') turn.effects.push({ kind: 'save', key: entry.key, value: null })
    }
    this.store.takeChanged()
    if (this.store.size > 0) this.sweepAt ??= turn.now + RECORD_SWEEP_MS
  }

  /** How many records are held. */
  snapshotCount(): number {
    return this.store.size
  }

  // ---- holding ----

  private answerPut(turn: Turn, key: Position, bytes: Uint8Array): Uint8Array | null {
    const record = readRecord(this.suite, bytes)
    if (!record.ok) return null
    const { service, key: place } = record.value
    const answer = (outcome: PutAnswer['outcome']): Uint8Array =>
      encodePutAnswer({ outcome, members: this.store.members(service, turn.wallTime) })
    if (place !== key && !this.holds(place)) return answer('misplaced')
    const verdict = this.accept(turn, record.value)
    switch (verdict) {
      case 'forged':
        return null
      case 'new':
        this.passOn(turn, [record.value], 'before', REPLICATE_HOPS_MAX)
        this.passOn(turn, [record.value], 'after', REPLICATE_HOPS_MAX)
        return answer('stored')
      case 'known':
        return answer('stored')
      default:
        return answer(verdict)
    }
  }

  /** Keeps the record if it is new, has room and is authentic. What is held already is not checked again. */
  private accept(turn: Turn, record: ServiceRecord): Verdict | 'forged' {
    const verdict = this.store.judge(record, turn.wallTime)
    if (verdict !== 'new') return verdict
    if (!recordIsAuthentic(this.suite, record)) return 'forged'
    this.store.keep(record)
    this.sweepAt ??= turn.now + RECORD_SWEEP_MS
    this.saveAt ??= turn.now + RECORD_SAVE_MS
    return 'new'
  }

  private membersHeld(turn: Turn, service: ServiceName, count: number): MembersHeld {
    const refs = this.store.live('announcement', service, turn.wallTime).map(record => record.payload)
    return { members: this.store.members(service, turn.wallTime), refs: this.rng.sample(refs, count) }
  }

  private entryOf(service: ServiceName, turn: Turn): ServiceEntry | null {
    const records = this.store.live('descriptor', service, turn.wallTime)
    records.sort((a, b) => b.sequence - a.sequence)
    const told = records.map(record => readDescription(record.payload)).filter(description => description !== null)
    const newest = told[0]
    if (newest === undefined) return null
    // The median of the newest few: one liar counts for nothing. Never fewer than have published.
    const counts = told.slice(0, COUNTS_HEARD).map(description => description.members)
    counts.sort((a, b) => a - b)
    const members = Math.max(told.length, counts[Math.floor(counts.length / 2)]!)
    return { service, summary: newest.summary, members }
  }

  // ---- passing on ----

  private passOn(turn: Turn, records: readonly ServiceRecord[], side: Side, hops: number): void {
    if (records.length === 0) return
    for (const neighbour of this.port.near()[side])
      this.sendRecords(turn, neighbour.peer, this.thoseFor(neighbour, records), side, hops)
  }

  private sendRecords(turn: Turn, to: PeerId, records: readonly ServiceRecord[], side: Side, hops: number): void {
    for (const batch of batchesOf(records.map(record => record.bytes))) {
      const message = encodeRegistryMessage({ kind: 'replicate', side, hops, records: batch })
      if (!this.port.send(turn, Channel.registry, to, message)) return
    }
  }

  private sendDigest(turn: Turn, to: PeerId, entries: readonly DigestEntry[]): void {
    for (let i = 0; i < entries.length; i += DIGEST_ENTRIES_MAX) {
      const part = entries.slice(i, i + DIGEST_ENTRIES_MAX)
      const message = encodeRegistryMessage({ kind: 'digest', entries: part })
      if (!this.port.send(turn, Channel.registry, to, message)) return
    }
  }

  private wantMissing(turn: Turn, from: PeerId, entries: readonly DigestEntry[]): void {
    const slots = entries
      .filter(entry => (this.store.get(entry.slot)?.sequence ?? -1) < entry.sequence)
      .map(entry => entry.slot)
    if (slots.length > 0) this.port.send(turn, Channel.registry, from, encodeRegistryMessage({ kind: 'want', slots }))
  }

  private thoseFor(neighbour: PeerRef, records: Iterable<ServiceRecord>): ServiceRecord[] {
    const estimated = this.port.estimatedPeers()
    let positions: Position[] | null = null
    const chosen: ServiceRecord[] = []
    for (const record of records) {
      positions ??= [this.position, ...Array.from(this.neighboursNow().values(), ref => ref.position)]
      const belongs =
        inRegion(record.key, neighbour.position, estimated) || isAmongClosest(record.key, neighbour.position, positions)
      if (belongs) chosen.push(record)
    }
    return chosen
  }

  /** Whether this peer is one to hold what belongs at the key. */
  private holds(key: Position): boolean {
    if (staysInRegion(key, this.position, this.port.estimatedPeers())) return true
    const positions = Array.from(this.neighboursNow().values(), ref => ref.position)
    return isAmongClosest(key, this.position, positions)
  }

  private neighboursNow(): Map<PeerId, PeerRef> {
    const { before, after } = this.port.near()
    return new Map([...before, ...after].map(ref => [ref.peer, ref]))
  }

  private sideOf(peer: PeerId): Side {
    return this.port.near().before.some(ref => ref.peer === peer) ? 'before' : 'after'
  }

  // ---- tidying ----

  private sweep(turn: Turn): void {
    this.store.removeExpired(turn.wallTime)
    // What belongs elsewhere: the neighbours that hold it were told of it when they came.
    for (const record of this.store.records()) if (!this.holds(record.key)) this.store.remove(record.slot)
    this.sweepAt = this.store.size > 0 ? turn.now + RECORD_SWEEP_MS : null
    if (this.store.hasChanged) this.saveAt ??= turn.now + RECORD_SAVE_MS
  }

  private save(turn: Turn): void {
    this.saveAt = null
    for (const slot of this.store.takeChanged()) {
      const record = this.store.get(slot)
      const value = record === null ? null : savedRecord(this.suite, record)
      turn.effects.push({ kind: 'save', key: savedRecordKey(slot), value })
    }
  }
}
