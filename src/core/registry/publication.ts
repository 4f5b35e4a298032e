/**
 * What this peer itself publishes, and when it does so again (spec 6.6). In a service that is full at its key, those
 * outside the sample publish more rarely the more members there are: the key's holders see a constant load.
 */
import type { Instant, WallTime } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import {
  ANNOUNCEMENT_INTERVAL_MS,
  ANNOUNCEMENTS_PER_SERVICE_MAX,
  DESCRIPTOR_INTERVAL_MS,
  DESCRIPTORS_PER_SERVICE_MAX,
  PUBLICATION_INTERVAL_MS_MAX,
  PUBLICATION_RETRY_MS,
  PUBLICATION_RETRY_MS_MAX,
} from '../limits.ts'
import type { RecordKind, ServiceRecord } from './record.ts'
import type { PutOutcome } from './registry-messages.ts'
import type { ServiceName } from './service-name.ts'

export interface Publication {
  readonly kind: RecordKind
  readonly service: ServiceName
  summary: string
  withdrawing: boolean
  /** Of the record signed last; 0 before the first. */
  sequence: number
  expires: WallTime
  /** As the last answer to the announcement counted them, and as the descriptor signed last tells. */
  members: number
  toldMembers: number
  dueAt: Instant
  sentAt: Instant | null
  /** A put is under way; `dueAt` counts again after its answer. */
  underWay: boolean
  failures: number
  /** Whether the answer to the put before said that it is kept. */
  stored: boolean
  /** How many answers in all have said so. */
  timesStored: number
  /** The record that is put once more as it is: whoever holds it need not check or pass it on again. */
  again: ServiceRecord | null
  /** First hops of the puts before: they take turns, since one that says so may lie. */
  ways: PeerId[]
}

export function newPublication(kind: RecordKind, service: ServiceName, summary: string, dueAt: Instant): Publication {
  return {
    kind,
    service,
    summary,
    withdrawing: false,
    sequence: 0,
    expires: 0,
    members: 1,
    toldMembers: 1,
    dueAt,
    sentAt: null,
    underWay: false,
    failures: 0,
    stored: false,
    timesStored: 0,
    again: null,
    ways: [],
  }
}

/** How long to wait before the next put of the same, before jitter. `members` is what the answer said. */
export function publicationDelayMs(
  kind: RecordKind,
  outcome: PutOutcome | 'failed',
  members: number,
  failures: number,
): number {
  const announcement = kind === 'announcement'
  const interval = announcement ? ANNOUNCEMENT_INTERVAL_MS : DESCRIPTOR_INTERVAL_MS
  if (outcome === 'stored') return interval
  if (outcome === 'outranked') {
    const crowd = members / (announcement ? ANNOUNCEMENTS_PER_SERVICE_MAX : DESCRIPTORS_PER_SERVICE_MAX)
    return Math.min(PUBLICATION_INTERVAL_MS_MAX, interval * Math.max(2, crowd))
  }
  return Math.min(PUBLICATION_RETRY_MS_MAX, PUBLICATION_RETRY_MS * 2 ** Math.min(10, Math.max(0, failures - 1)))
}

/** Whether the number of members has changed so much that the descriptor should say so. */
export function membersChangedMuch(told: number, members: number): boolean {
  return members * 4 >= told * 5 || told * 4 >= members * 5
}
