/**
 * The records that this peer holds for the network, and what they may take: by service, by publisher and in all
 * (spec 6.4). Judges and keeps; it checks no signature and sends nothing.
 */
import type { WallTime } from '../base/instant.ts'
import { invariant } from '../base/invariant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { type Position, ringDistance } from '../base/position.ts'
import { RareMap, RareSet } from '../base/rare-map.ts'
import type { CryptoSuite } from '../crypto/suite.ts'
import {
  ANNOUNCEMENT_LIFETIME_MS,
  ANNOUNCEMENTS_PER_SERVICE_MAX,
  CLOCK_SKEW_MS,
  DESCRIPTOR_LIFETIME_MS,
  DESCRIPTORS_PER_SERVICE_MAX,
  RECORDS_BYTES_MAX,
  RECORDS_MAX,
  RECORDS_PER_PUBLISHER_MAX,
  SERVICES_PER_SHARD_MAX,
} from '../limits.ts'
import { estimatedPublishers, sampleRank } from './member-sample.ts'
import type { RecordKind, ServiceRecord, Slot } from './record.ts'
import type { ServiceName } from './service-name.ts'

/** `untimely`: expired, made in the future, or living too long. `outranked`: not in the sample of a full service. */
export type Verdict = 'new' | 'known' | 'older' | 'untimely' | 'outranked' | 'full'

interface Held {
  readonly record: ServiceRecord
  /** Among the publishers of its service: lower stays. */
  readonly rank: number
  /** Of its key from this peer: nearer stays. */
  readonly distance: number
}

/** All records of one kind about one service. */
interface Group {
  readonly held: Map<Slot, Held>
}

export class RecordStore {
  private readonly suite: CryptoSuite
  private readonly position: Position
  private readonly secret: Uint8Array
  private readonly slots = new RareMap<Slot, Held>()
  private readonly groups: Readonly<Record<RecordKind, RareMap<ServiceName, Group>>> = {
    announcement: new RareMap(),
    descriptor: new RareMap(),
  }
  private readonly perPublisher = new RareMap<PeerId, number>()
  private readonly servicesPerShard = new RareMap<Position, number>()
  private bytes = 0
  /** Found when the store is full, until it goes. */
  private farthest: Held | null = null
  /** Slots whose record came, changed or went since the last `takeChanged`. */
  private changed = new RareSet<Slot>()

  constructor(suite: CryptoSuite, position: Position) {
    this.suite = suite
    this.position = position
    this.secret = suite.randomBytes(16)
  }

  get size(): number {
    return this.slots.size
  }

  get hasChanged(): boolean {
    return this.changed.size > 0
  }

  get(slot: Slot): ServiceRecord | null {
    return this.slots.get(slot)?.record ?? null
  }

  records(): IterableIterator<ServiceRecord> {
    return recordsOf(this.slots)
  }

  /** What `keep` would do with the record; nothing changes. */
  judge(record: ServiceRecord, wallTime: WallTime): Verdict {
    const lifetimeMax = record.kind === 'announcement' ? ANNOUNCEMENT_LIFETIME_MS : DESCRIPTOR_LIFETIME_MS
    if (record.expires <= wallTime || record.sequence > wallTime + CLOCK_SKEW_MS) return 'untimely'
    // A withdrawal lives as long as what it withdraws, which was made before it.
    if (record.expires - record.sequence > lifetimeMax) return 'untimely'
    const held = this.slots.get(record.slot)
    if (held !== undefined) {
      if (held.record.peer !== record.peer) return 'full'
      if (held.record.sequence === record.sequence) return 'known'
      return held.record.sequence > record.sequence ? 'older' : 'new'
    }
    if ((this.perPublisher.get(record.peer) ?? 0) >= RECORDS_PER_PUBLISHER_MAX) return 'full'
    const group = this.groups[record.kind].get(record.service)
    if (group === undefined) {
      const crowded = (this.servicesPerShard.get(record.key) ?? 0) >= SERVICES_PER_SHARD_MAX
      if (record.kind === 'descriptor' && crowded) return 'full'
    } else if (group.held.size >= groupMax(record.kind)) {
      return this.rankOf(record) < highestOf(group).rank ? 'new' : 'outranked'
    }
    if (this.roomFor(record)) return 'new'
    return ringDistance(this.position, record.key) < this.farthestHeld().distance ? 'new' : 'full'
  }

  /** Keeps a record that `judge` called new, in the place of its predecessor or of one that ranks behind it. */
  keep(record: ServiceRecord): void {
    this.remove(record.slot)
    const full = this.groups[record.kind].get(record.service)
    if (full !== undefined && full.held.size >= groupMax(record.kind)) this.remove(highestOf(full).record.slot)
    while (!this.roomFor(record)) this.remove(this.farthestHeld().record.slot)
    const held = { record, rank: this.rankOf(record), distance: ringDistance(this.position, record.key) }
    if (this.farthest !== null && held.distance > this.farthest.distance) this.farthest = held
    const group = this.groups[record.kind].get(record.service) ?? { held: new Map() }
    if (group.held.size === 0) {
      this.groups[record.kind].set(record.service, group)
      if (record.kind === 'descriptor') count(this.servicesPerShard, record.key, 1)
    }
    group.held.set(record.slot, held)
    this.slots.set(record.slot, held)
    count(this.perPublisher, record.peer, 1)
    this.bytes += record.bytes.length
    this.changed.add(record.slot)
    invariant(this.slots.size <= RECORDS_MAX && this.bytes <= RECORDS_BYTES_MAX, 'record store over its ceiling')
  }

  remove(slot: Slot): void {
    const held = this.slots.get(slot)
    if (held === undefined) return
    const { record } = held
    if (this.farthest === held) this.farthest = null
    this.slots.delete(slot)
    this.changed.add(slot)
    this.bytes -= record.bytes.length
    count(this.perPublisher, record.peer, -1)
    const groups = this.groups[record.kind]
    const group = groups.get(record.service)
    invariant(group?.held.delete(slot) === true, 'a held record is in its group')
    if (group.held.size > 0) return
    groups.delete(record.service)
    if (record.kind === 'descriptor') count(this.servicesPerShard, record.key, -1)
  }

  removeExpired(wallTime: WallTime): void {
    for (const { record } of this.slots.values()) if (record.expires <= wallTime) this.remove(record.slot)
  }

  /** What publishers say of a service now: neither expired nor withdrawn. */
  live(kind: RecordKind, service: ServiceName, wallTime: WallTime): ServiceRecord[] {
    const records: ServiceRecord[] = []
    for (const { record } of this.groups[kind].get(service)?.held.values() ?? [])
      if (!record.withdrawn && record.expires > wallTime) records.push(record)
    return records
  }

  /** How many members a service has: counted, or estimated where more than fit have announced themselves. */
  members(service: ServiceName, wallTime: WallTime): number {
    const group = this.groups.announcement.get(service)
    if (group === undefined) return 0
    const listed = this.live('announcement', service, wallTime).length
    return estimatedPublishers(listed, ANNOUNCEMENTS_PER_SERVICE_MAX, highestOf(group).rank)
  }

  /** Services with a descriptor in the shard that is kept at `key`, in the order of their names. */
  services(key: Position): ServiceName[] {
    const names: ServiceName[] = []
    for (const [service, group] of this.groups.descriptor) {
      const first = group.held.values().next().value
      if (first?.record.key === key) names.push(service)
    }
    return names.sort()
  }

  takeChanged(): Iterable<Slot> {
    const { changed } = this
    this.changed = new RareSet()
    return changed
  }

  private roomFor(record: ServiceRecord): boolean {
    const replaced = this.slots.get(record.slot)
    if (replaced !== undefined) return true
    return this.slots.size < RECORDS_MAX && this.bytes + record.bytes.length <= RECORDS_BYTES_MAX
  }

  private farthestHeld(): Held {
    let { farthest } = this
    if (farthest === null)
      for (const held of this.slots.values())
        if (farthest === null || held.distance > farthest.distance) farthest = held
    invariant(farthest !== null, 'a full store holds records')
    this.farthest = farthest
    return farthest
  }

  private rankOf(record: ServiceRecord): number {
    return sampleRank(this.suite, this.secret, record.peer)
  }
}

function groupMax(kind: RecordKind): number {
  return kind === 'announcement' ? ANNOUNCEMENTS_PER_SERVICE_MAX : DESCRIPTORS_PER_SERVICE_MAX
}

function highestOf(group: Group): Held {
  let highest: Held | null = null
  for (const held of group.held.values()) if (highest === null || held.rank > highest.rank) highest = held
  invariant(highest !== null, 'a group is never empty')
  return highest
}

function* recordsOf(slots: RareMap<Slot, Held>): IterableIterator<ServiceRecord> {
  for (const { record } of slots.values()) yield record
}

function count<K>(counts: RareMap<K, number>, key: K, by: number): void {
  const sum = (counts.get(key) ?? 0) + by
  if (sum === 0) counts.delete(key)
  else counts.set(key, sum)
}
