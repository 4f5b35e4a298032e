/** A peer's name for good: its Ed25519 public key, as 64 lower-case hexadecimal digits (spec 2.1). */
import type { ByteReader } from './bytes.ts'
import { fail, ok, type Result } from './fault.ts'
import { bytesOfHex, hexOfBytes } from './hex.ts'

export type PeerId = string & { readonly __peerId: true }

export const PEER_ID_BYTES = 32

export function peerIdOfBytes(bytes: Uint8Array): PeerId {
  // reason: 32 bytes in hexadecimal are what the brand promises.
  return hexOfBytes(bytes, PEER_ID_BYTES) as PeerId
}

export function readPeerId(reader: ByteReader): PeerId {
  return peerIdOfBytes(reader.raw(PEER_ID_BYTES))
}

export function bytesOfPeerId(peer: PeerId): Uint8Array {
  return bytesOfHex(peer, PEER_ID_BYTES)
}

export function parsePeerId(text: string): Result<PeerId> {
  const lower = text.trim().toLowerCase()
  // reason: the pattern is what the brand promises.
  if (/^[0-9a-f]{64}$/.test(lower)) return ok(lower as PeerId)
  return fail({ code: 'invalid-peer-id', detail: text.slice(0, 80) })
}
