/**
 * The registry's bytes (spec 6.5): requests that are routed to a key with their answers, and messages between peers that
 * are neighbours on the ring. The first byte is the kind; numbers are append-only.
 *
 *   request 1 put     | record sized              answer: outcome u8 | members u32
 *   request 2 find    | service text | count u8 | marks: count u8, u32 …
 *                                                 answer: members u32 | count u8 | refs or their marks, sized …
 *   request 3 list    | shard u8 | after text     answer: more u8 | count u16 | entries: service text, members u32, summary text
 *   message 1 replicate | side u8 | hops u8 | records sized …
 *   message 2 digest    | entries: slot 8, sequence u48 …
 *   message 3 want      | slots 8 …
 */
import { type ByteReader, ByteWriter, readWhole, u32Field } from '../base/bytes.ts'
import { bytesOfHex } from '../base/hex.ts'
import { readRefBytes } from '../crypto/peer-ref.ts'
import type { ServiceEntry } from '../effect.ts'
import {
  DIGEST_ENTRIES_MAX,
  DIRECTORY_SHARDS,
  FIND_MARKS_MAX,
  FOUND_REFS_MAX,
  RECORD_BYTES_MAX,
  REGISTRY_MESSAGE_BYTES_MAX,
  REPLICATE_HOPS_MAX,
  ROUTED_PAYLOAD_BYTES_MAX,
  SUMMARY_BYTES_MAX,
} from '../limits.ts'
import { SLOT_BYTES, type Slot, slotOfBytes } from './record.ts'
import type { Side } from './region.ts'
import { parseServiceName, SERVICE_TEXT_BYTES_MAX, type ServiceName } from './service-name.ts'

export type RegistryRequest =
  | { readonly kind: 'put'; readonly record: Uint8Array }
  /** `marks`: of refs that the searcher holds. */
  | {
      readonly kind: 'find'
      readonly service: ServiceName
      readonly count: number
      readonly marks: readonly number[]
    }
  /** `after`: the last name of the page before, or ''. */
  | { readonly kind: 'list'; readonly shard: number; readonly after: string }

/** `outranked`: the service is full and this publisher not in its sample; it should publish more rarely. */
export type PutOutcome = 'stored' | 'outranked' | 'older' | 'untimely' | 'full' | 'misplaced'

export interface PutAnswer {
  readonly outcome: PutOutcome
  readonly members: number
}

export interface FindAnswer {
  readonly members: number
  /** Whole, or by their marks. */
  readonly refs: readonly Uint8Array[]
}

export interface ListAnswer {
  readonly more: boolean
  readonly entries: readonly ServiceEntry[]
}

export type RegistryMessage =
  | { readonly kind: 'replicate'; readonly side: Side; readonly hops: number; readonly records: readonly Uint8Array[] }
  | { readonly kind: 'digest'; readonly entries: readonly DigestEntry[] }
  | { readonly kind: 'want'; readonly slots: readonly Slot[] }

export interface DigestEntry {
  readonly slot: Slot
  readonly sequence: number
}

const SIDES: readonly Side[] = ['before', 'after']
const OUTCOMES: readonly PutOutcome[] = ['stored', 'outranked', 'older', 'untimely', 'full', 'misplaced']

export function encodeRegistryRequest(request: RegistryRequest): Uint8Array {
  switch (request.kind) {
    case 'put':
      return new ByteWriter(request.record.length + 3).u8(1).sized(request.record).finish()
    case 'find': {
      const writer = new ByteWriter().u8(2).text(request.service).u8(request.count).u8(request.marks.length)
      for (const mark of request.marks) writer.u32(mark)
      return writer.finish()
    }
    case 'list':
      return new ByteWriter().u8(3).u8(request.shard).text(request.after).finish()
  }
}

export function decodeRegistryRequest(bytes: Uint8Array): RegistryRequest | null {
  return readWhole(bytes, reader => {
    switch (reader.u8()) {
      case 1:
        return { kind: 'put', record: readRecord(reader) }
      case 2:
        return {
          kind: 'find',
          service: readService(reader),
          count: reader.u8(FOUND_REFS_MAX),
          marks: reader.list(FIND_MARKS_MAX, u32Field, reader.u8()),
        }
      case 3:
        return { kind: 'list', shard: reader.u8(DIRECTORY_SHARDS - 1), after: reader.text(SERVICE_TEXT_BYTES_MAX) }
      default:
        return null
    }
  })
}

export function encodePutAnswer(answer: PutAnswer): Uint8Array {
  return new ByteWriter().oneOf(OUTCOMES, answer.outcome).u32(answer.members).finish()
}

export function decodePutAnswer(bytes: Uint8Array): PutAnswer | null {
  return readWhole(bytes, reader => ({ outcome: reader.oneOf(OUTCOMES), members: reader.u32() }))
}

/** Takes as many refs as fit a routed answer. */
export function encodeFindAnswer(answer: FindAnswer): Uint8Array {
  let bytes = 5
  const refs = answer.refs.filter(ref => {
    bytes += ref.length + 2
    return bytes <= ROUTED_PAYLOAD_BYTES_MAX
  })
  const writer = new ByteWriter(bytes).u32(answer.members).u8(refs.length)
  for (const ref of refs) writer.sized(ref)
  return writer.finish()
}

export function decodeFindAnswer(bytes: Uint8Array): FindAnswer | null {
  return readWhole(bytes, reader => ({
    members: reader.u32(),
    refs: reader.list(FOUND_REFS_MAX, readRefBytes, reader.u8()),
  }))
}

/** Takes as many entries as fit a routed answer and says whether any are left; they are in the order of their names. */
export function encodeListAnswer(entries: readonly ServiceEntry[]): Uint8Array {
  const body = new ByteWriter(1_024)
  let taken = 0
  for (const entry of entries) {
    if (body.length + SERVICE_TEXT_BYTES_MAX + SUMMARY_BYTES_MAX + 7 > ROUTED_PAYLOAD_BYTES_MAX - 3) break
    body.text(entry.service).u32(entry.members).text(entry.summary)
    taken += 1
  }
  return new ByteWriter(body.length + 3)
    .flag(taken < entries.length)
    .u16(taken)
    .raw(body.finish())
    .finish()
}

export function decodeListAnswer(bytes: Uint8Array): ListAnswer | null {
  return readWhole(bytes, reader => ({
    more: reader.flag(),
    entries: reader.list(Number.POSITIVE_INFINITY, readEntry, reader.u16()),
  }))
}

export function encodeRegistryMessage(message: RegistryMessage): Uint8Array {
  switch (message.kind) {
    case 'replicate': {
      const writer = new ByteWriter(512).u8(1).oneOf(SIDES, message.side).u8(message.hops)
      for (const record of message.records) writer.sized(record)
      return writer.finish()
    }
    case 'digest': {
      const writer = new ByteWriter(1 + message.entries.length * (SLOT_BYTES + 6)).u8(2)
      for (const entry of message.entries) writer.raw(bytesOfHex(entry.slot, SLOT_BYTES)).u48(entry.sequence)
      return writer.finish()
    }
    case 'want': {
      const writer = new ByteWriter(1 + message.slots.length * SLOT_BYTES).u8(3)
      for (const slot of message.slots) writer.raw(bytesOfHex(slot, SLOT_BYTES))
      return writer.finish()
    }
  }
}

export function decodeRegistryMessage(bytes: Uint8Array): RegistryMessage | null {
  return readWhole(bytes, reader => {
    switch (reader.u8()) {
      case 1:
        return {
          kind: 'replicate',
          side: reader.oneOf(SIDES),
          hops: reader.u8(REPLICATE_HOPS_MAX),
          records: reader.list(Number.POSITIVE_INFINITY, readRecord),
        }
      case 2:
        return { kind: 'digest', entries: reader.list(DIGEST_ENTRIES_MAX, readDigestEntry) }
      case 3:
        return { kind: 'want', slots: reader.list(DIGEST_ENTRIES_MAX, readSlot) }
      default:
        return null
    }
  })
}

function readRecord(reader: ByteReader): Uint8Array {
  return reader.sized(RECORD_BYTES_MAX)
}

function readSlot(reader: ByteReader): Slot {
  return slotOfBytes(reader.raw(SLOT_BYTES))
}

function readService(reader: ByteReader): ServiceName {
  const service = parseServiceName(reader.text(SERVICE_TEXT_BYTES_MAX))
  if (!service.ok) reader.failed = true
  // reason: what a failed reader yields counts for nothing.
  return (service as { value: ServiceName }).value
}

function readEntry(reader: ByteReader): ServiceEntry {
  return { service: readService(reader), members: reader.u32(), summary: reader.text(SUMMARY_BYTES_MAX) }
}

function readDigestEntry(reader: ByteReader): DigestEntry {
  return { slot: readSlot(reader), sequence: reader.u48() }
}

/** Parts of a list of records, each of which fits one message. */
export function batchesOf(records: readonly Uint8Array[]): Uint8Array[][] {
  const batches: Uint8Array[][] = []
  let bytes = REGISTRY_MESSAGE_BYTES_MAX
  for (const record of records) {
    if (bytes + record.length + 2 > REGISTRY_MESSAGE_BYTES_MAX) {
      batches.push([])
      bytes = 3
    }
    bytes += record.length + 2
    batches[batches.length - 1]!.push(record)
  }
  return batches
}
