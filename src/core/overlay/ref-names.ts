/**
 * Short names of refs (spec 5.3): who is told of a peer most often knows its ref already. A name says which ref is meant;
 * whoever does not hold it asks for it (`ref-ask`). And marks, by which a search says what need not be told in full.
 *
 *   name = position u56 | sequence u32 (its lower 32 bits)
 *   closest = (empty) or flags u8 (1: only public peers) | publics u8 | count u8 | count × mark u32
 *   mark = position + sequence, modulo 2^32
 */
import { ByteWriter, readWhole, u32Field } from '../base/bytes.ts'
import { type Position, RING } from '../base/position.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { MARKS_MAX, SEARCH_PUBLIC_REFS } from '../limits.ts'

/** No signed ref is as short. */
export const REF_NAME_BYTES = 11
const U32 = 2 ** 32

export interface RefName {
  readonly position: Position
  /** The lower 32 bits of the sequence number. */
  readonly sequence: number
}

export function nameOfRef(ref: PeerRef): Uint8Array {
  return new ByteWriter(REF_NAME_BYTES)
    .u56(ref.position)
    .u32(ref.sequence % U32)
    .finish()
}

/** The name that these bytes are; null where they are a whole ref. */
export function readRefName(bytes: Uint8Array): RefName | null {
  return readWhole(bytes, reader => ({ position: reader.u56() % RING, sequence: reader.u32() }))
}

/** Whether a ref of that peer is the one named, or a newer one. Sequence numbers are compared round the clock. */
export function isNamedOrNewer(ref: PeerRef, name: RefName): boolean {
  return (((ref.sequence % U32) - name.sequence) | 0) >= 0
}

/** What a search for those around a position tells of the searcher. */
export interface ClosestRequest {
  /** Only public peers are of use, around the key too. */
  readonly onlyPublic: boolean
  /** How many public peers it would like to hear of, wherever they are. */
  readonly publics: number
  /** Of the refs that it holds. */
  readonly marks: ReadonlySet<number>
}

export function markOf(ref: PeerRef): number {
  return (ref.position + ref.sequence) % U32
}

export function encodeClosestRequest(request: ClosestRequest): Uint8Array {
  const marks = [...request.marks].slice(0, MARKS_MAX)
  const writer = new ByteWriter(3 + 4 * marks.length).flag(request.onlyPublic).u8(request.publics).u8(marks.length)
  for (const mark of marks) writer.u32(mark)
  return writer.finish()
}

/** Null where the bytes are no such request. Nothing at all: who asks knows nobody. */
export function decodeClosestRequest(bytes: Uint8Array): ClosestRequest | null {
  if (bytes.length === 0) return { onlyPublic: false, publics: SEARCH_PUBLIC_REFS, marks: new Set() }
  return readWhole(bytes, reader => ({
    onlyPublic: reader.flag(),
    publics: Math.min(reader.u8(), SEARCH_PUBLIC_REFS),
    marks: new Set(reader.list(MARKS_MAX, u32Field, reader.u8())),
  }))
}
