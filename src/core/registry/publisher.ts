/** Publishes this peer's own records and renews them until they are withdrawn (spec 6.6). */
import { encodeUtf8, NO_BYTES } from '../base/bytes.ts'
import type { Fault } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { Rng } from '../base/rng.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import {
  ANNOUNCEMENT_LIFETIME_MS,
  DESCRIPTOR_GAP_MS,
  DESCRIPTOR_LIFETIME_MS,
  PUBLICATION_GAP_MS,
  PUBLICATION_RETRY_MS,
  SERVICES_JOINED_MAX,
  SUMMARY_BYTES_MAX,
  WITHDRAWAL_TRIES_MAX,
} from '../limits.ts'
import { type OnAnswer, type OverlayPort, RoutedMethod } from '../overlay/overlay-port.ts'
import type { Turn } from '../turn.ts'
import { membersChangedMuch, newPublication, type Publication, publicationDelayMs } from './publication.ts'
import { descriptionBytes, type ServiceRecord, signRecord } from './record.ts'
import { besideKey } from './region.ts'
import type { RegistryOptions } from './registry.ts'
import { decodePutAnswer, encodeRegistryRequest, type PutAnswer } from './registry-messages.ts'
import { parseServiceName } from './service-name.ts'

/** After so many first hops a publication begins with the best one again. */
const PUT_WAYS_MAX = 6

export class Publisher {
  private readonly port: OverlayPort
  private readonly suite: CryptoSuite
  private readonly identity: Identity
  private readonly rng: Rng
  private readonly publications: Publication[] = []

  constructor(options: RegistryOptions) {
    this.port = options.port
    this.suite = options.suite
    this.identity = options.identity
    this.rng = options.rng
  }

  announce(turn: Turn, service: string, summary: string): Fault | null {
    const name = parseServiceName(service)
    if (!name.ok) return name.fault
    const bytes = encodeUtf8(summary).length
    if (bytes > SUMMARY_BYTES_MAX)
      return { code: 'invalid-option', detail: 'summary', got: bytes, limit: SUMMARY_BYTES_MAX }
    const own = this.publications.filter(publication => publication.service === name.value)
    if (own.length === 0 && this.publications.length >= SERVICES_JOINED_MAX * 2)
      return { code: 'overloaded', detail: 'services', limit: SERVICES_JOINED_MAX }
    for (const publication of own) {
      publication.summary = summary
      publication.withdrawing = false
      beginAnew(publication, turn.now)
    }
    // The descriptor tells how many members there are: the announcement's answer says it first.
    const soon = turn.now + this.rng.around(PUBLICATION_RETRY_MS, 0.5)
    for (const kind of ['announcement', 'descriptor'] as const) {
      if (own.some(publication => publication.kind === kind)) continue
      const dueAt = kind === 'announcement' ? turn.now : soon
      this.publications.push(newPublication(kind, name.value, summary, dueAt))
    }
    this.onWake(turn)
    return null
  }

  withdraw(turn: Turn, service: string): void {
    for (const publication of this.publications.slice()) {
      if (publication.service !== service || publication.withdrawing) continue
      publication.withdrawing = true
      publication.again = null
      beginAnew(publication, turn.now)
      if (publication.sequence === 0) this.forget(publication)
    }
    this.onWake(turn)
  }

  /** Whether the registry has not yet heard that this peer left a service. */
  get withdrawing(): boolean {
    return this.publications.some(publication => publication.withdrawing)
  }

  onSelfChanged(turn: Turn): void {
    for (const publication of this.publications) {
      if (publication.kind !== 'announcement') continue
      const soonest = publication.sentAt === null ? turn.now : publication.sentAt + PUBLICATION_GAP_MS
      publication.again = null
      // One under way carries the old ref: its answer would put the next one off.
      publication.underWay = false
      publication.dueAt = Math.min(publication.dueAt, Math.max(turn.now, soonest))
    }
    this.onWake(turn)
  }

  /** How many members a service has now: its descriptor is published again soon where it tells something else. */
  onMembers(turn: Turn, service: string, members: number): void {
    const descriptor = this.publications.find(other => other.kind === 'descriptor' && other.service === service)
    if (descriptor === undefined) return
    descriptor.members = Math.max(1, members)
    if (!descriptor.stored || !membersChangedMuch(descriptor.toldMembers, descriptor.members)) return
    const soon = Math.max(turn.now, (descriptor.sentAt ?? 0) + DESCRIPTOR_GAP_MS)
    descriptor.dueAt = Math.min(descriptor.dueAt, soon)
  }

  /** The registry does not list this peer, although it was told of it: whoever said that it is kept may have lied. */
  onUnlisted(turn: Turn, service: string): void {
    for (const publication of this.publications) {
      const { kind, stored, sentAt, withdrawing } = publication
      if (kind !== 'announcement' || publication.service !== service || withdrawing || !stored) continue
      publication.dueAt = Math.min(publication.dueAt, Math.max(turn.now, (sentAt ?? 0) + PUBLICATION_GAP_MS))
    }
  }

  onWake(turn: Turn): void {
    for (const publication of this.publications.slice())
      if (!publication.underWay && publication.dueAt <= turn.now) this.publish(turn, publication)
  }

  nextWake(): Instant | null {
    let wake: Instant | null = null
    for (const publication of this.publications) if (!publication.underWay) wake = earlier(wake, publication.dueAt)
    return wake
  }

  private publish(turn: Turn, publication: Publication): void {
    if (publication.withdrawing && publication.expires <= turn.wallTime) {
      this.forget(publication)
      return
    }
    const record = publication.again ?? this.nextRecord(turn, publication)
    publication.again = null
    publication.sentAt = turn.now
    publication.underWay = true
    // Every second one aims beside the key, over another way: whoever is closest, or on the way there, may fail or lie.
    const aside = (publication.failures + publication.timesStored) % 2 === 1
    const beside = besideKey(this.rng, record.key, this.port.estimatedPeers(), this.rng.below(2))
    // A withdrawal goes both ways at once: searches hear several holders, and whoever leaves does not wait for a second.
    const aims = publication.withdrawing ? [record.key, beside] : [aside ? beside : record.key]
    if (publication.ways.length >= PUT_WAYS_MAX) publication.ways = []
    const request = encodeRegistryRequest({ kind: 'put', record: record.bytes })
    const answers: (PutAnswer | null)[] = []
    const onAnswer: OnAnswer = (now, answer) => {
      // A withdrawal, a newer ref or another try has taken its place.
      if (publication.sequence !== record.sequence || !publication.underWay) return
      answers.push(answer.ok ? decodePutAnswer(answer.value) : null)
      if (answers.length < aims.length) return
      publication.underWay = false
      this.onPut(now, publication, answers.find(put => !isDone(put)) ?? answers[0] ?? null)
      if (publication.stored && publication.timesStored === 1) publication.again = record
    }
    for (const aim of aims) {
      this.port.request(turn, aim, RoutedMethod.registry, request, onAnswer, publication.ways)
    }
  }

  private nextRecord(turn: Turn, publication: Publication): ServiceRecord {
    const { kind, service, withdrawing } = publication
    const lifetimeMs = kind === 'announcement' ? ANNOUNCEMENT_LIFETIME_MS : DESCRIPTOR_LIFETIME_MS
    publication.sequence = Math.max(turn.wallTime, publication.sequence + 1)
    if (!withdrawing) publication.expires = publication.sequence + lifetimeMs
    const { sequence, expires } = publication
    const payload = withdrawing ? NO_BYTES : this.payloadOf(publication)
    return signRecord(this.suite, this.identity, { kind, withdrawn: withdrawing, service, sequence, expires, payload })
  }

  private payloadOf(publication: Publication): Uint8Array {
    if (publication.kind === 'announcement') return this.port.self().bytes
    publication.toldMembers = publication.members
    return descriptionBytes({ members: publication.members, summary: publication.summary })
  }

  private onPut(turn: Turn, publication: Publication, answer: PutAnswer | null): void {
    const outcome = answer?.outcome ?? 'failed'
    const members = answer?.members ?? 0
    const done = isDone(answer)
    publication.stored = outcome === 'stored'
    publication.failures = done ? 0 : publication.failures + 1
    if (publication.stored) publication.timesStored += 1
    if (publication.withdrawing && (done || publication.failures >= WITHDRAWAL_TRIES_MAX)) {
      this.forget(publication)
      return
    }
    // The first is followed by another at once: a record that only a liar has kept would be missing until the next.
    const delay =
      publication.timesStored === 1 && publication.stored
        ? PUBLICATION_RETRY_MS
        : publicationDelayMs(publication.kind, outcome, members, publication.failures)
    publication.dueAt = turn.now + this.rng.around(delay, 0.15)
    if (publication.kind === 'announcement' && done) this.onMembers(turn, publication.service, members)
  }

  private forget(publication: Publication): void {
    const at = this.publications.indexOf(publication)
    if (at >= 0) this.publications.splice(at, 1)
  }
}

function isDone(answer: PutAnswer | null): boolean {
  return answer?.outcome === 'stored' || answer?.outcome === 'outranked'
}

function beginAnew(publication: Publication, now: Instant): void {
  publication.underWay = false
  publication.failures = 0
  publication.dueAt = now
}
