/**
 * Marks of refs: a search for members tells by four bytes each which refs it holds already, and is answered by the same
 * four bytes where one of these is meant (spec 6.5). Two refs with one mark: the searcher then takes one for the other,
 * and finds it anew the next time.
 *
 *   mark = the first 4 bytes of the public key plus the lower 32 bits of the sequence number, modulo 2^32
 */
import { ByteWriter, readU32 } from '../base/bytes.ts'
import { PEER_ID_BYTES } from '../base/peer-id.ts'

export const MARK_BYTES = 4
/** Of a ref: its version and public key, then the upper 16 bits of its sequence number. */
const SEQUENCE_LOW_AT = 1 + PEER_ID_BYTES + 2

/** Of the bytes of a whole ref. */
export function refMark(ref: Uint8Array): number {
  return (readU32(ref, 1) + readU32(ref, SEQUENCE_LOW_AT)) % 2 ** 32
}

export function markBytes(mark: number): Uint8Array {
  return new ByteWriter(MARK_BYTES).u32(mark).finish()
}
