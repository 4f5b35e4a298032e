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
import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { bytesOfHex } from '../base/hex.ts'
import { REF_BYTES_MAX } from '../crypto/peer-ref.ts'
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
  const reader = new ByteReader(bytes)
  switch (reader.u8()) {
    case 1: {
      const record = reader.sized(RECORD_BYTES_MAX)
      return reader.finished ? { kind: 'put', record } : null
    }
    case 2: {
      const service = parseServiceName(reader.text(SERVICE_TEXT_BYTES_MAX))
      const count = reader.u8()
      const marks: number[] = []
      for (let left = reader.u8(); left > 0 && !reader.failed; left -= 1) marks.push(reader.u32())
      if (!reader.finished || !service.ok || count > FOUND_REFS_MAX || marks.length > FIND_MARKS_MAX) return null
      return { kind: 'find', service: service.value, count, marks }
    }
    case 3: {
      const shard = reader.u8()
      const after = reader.text(SERVICE_TEXT_BYTES_MAX)
      return reader.finished && shard < DIRECTORY_SHARDS ? { kind: 'list', shard, after } : null
    }
    default:
      return null
  }
}

export function encodePutAnswer(answer: PutAnswer): Uint8Array {
  return new ByteWriter(5).u8(OUTCOMES.indexOf(answer.outcome)).u32(answer.members).finish()
}

export function decodePutAnswer(bytes: Uint8Array): PutAnswer | null {
  const reader = new ByteReader(bytes)
  const outcome = OUTCOMES[reader.u8()]
  const members = reader.u32()
  return reader.finished && outcome !== undefined ? { outcome, members } : null
}

/** Takes as many refs as fit a routed answer. */
export function encodeFindAnswer(answer: FindAnswer): Uint8Array {
  let bytes = 5
  const refs: Uint8Array[] = []
  for (const ref of answer.refs) {
    bytes += ref.length + 2
    if (bytes > ROUTED_PAYLOAD_BYTES_MAX) break
    refs.push(ref)
  }
  const writer = new ByteWriter(bytes).u32(answer.members).u8(refs.length)
  for (const ref of refs) writer.sized(ref)
  return writer.finish()
}

export function decodeFindAnswer(bytes: Uint8Array): FindAnswer | null {
  const reader = new ByteReader(bytes)
  const members = reader.u32()
  const count = reader.u8()
  const refs: Uint8Array[] = []
  for (let i = 0; i < count && !reader.failed; i += 1) refs.push(reader.sized(REF_BYTES_MAX))
  return reader.finished && count <= FOUND_REFS_MAX ? { members, refs } : null
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
    .u8(taken < entries.length ? 1 : 0)
    .u16(taken)
    .raw(body.finish())
    .finish()
}

export function decodeListAnswer(bytes: Uint8Array): ListAnswer | null {
  const reader = new ByteReader(bytes)
  const more = reader.u8() === 1
  const count = reader.u16()
  const entries: ServiceEntry[] = []
  for (let i = 0; i < count && !reader.failed; i += 1) {
    const service = parseServiceName(reader.text(SERVICE_TEXT_BYTES_MAX))
    const members = reader.u32()
    const summary = reader.text(SUMMARY_BYTES_MAX)
    if (!service.ok) return null
    entries.push({ service: service.value, members, summary })
  }
  return reader.finished ? { more, entries } : null
}

export function encodeRegistryMessage(message: RegistryMessage): Uint8Array {
  switch (message.kind) {
    case 'replicate': {
      const writer = new ByteWriter(512)
        .u8(1)
        .u8(message.side === 'before' ? 0 : 1)
        .u8(message.hops)
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
  const reader = new ByteReader(bytes)
  switch (reader.u8()) {
    case 1: {
      const side = reader.u8()
      const hops = reader.u8()
      const records: Uint8Array[] = []
      while (!reader.failed && reader.remaining > 0) records.push(reader.sized(RECORD_BYTES_MAX))
      if (!reader.finished || side > 1 || hops > REPLICATE_HOPS_MAX) return null
      return { kind: 'replicate', side: side === 0 ? 'before' : 'after', hops, records }
    }
    case 2: {
      const entries: DigestEntry[] = []
      while (!reader.failed && reader.remaining > 0) {
        const slot = reader.raw(SLOT_BYTES)
        const sequence = reader.u48()
        if (!reader.failed) entries.push({ slot: slotOfBytes(slot), sequence })
      }
      return reader.finished && entries.length <= DIGEST_ENTRIES_MAX ? { kind: 'digest', entries } : null
    }
    case 3: {
      const slots: Slot[] = []
      while (!reader.failed && reader.remaining > 0) {
        const slot = reader.raw(SLOT_BYTES)
        if (!reader.failed) slots.push(slotOfBytes(slot))
      }
      return reader.finished && slots.length <= DIGEST_ENTRIES_MAX ? { kind: 'want', slots } : null
    }
    default:
      return null
  }
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
