/** A peer's name for good: its Ed25519 public key, as 64 lower-case hexadecimal digits (spec 2.1). */
import { fail, ok, type Result } from './fault.ts'

export type PeerId = string & { readonly __peerId: true }

export const PEER_ID_BYTES = 32

const DIGITS = '0123456789abcdef'
const codes: number[] = new Array(2 * PEER_ID_BYTES).fill(0)

/** Made of all its digits at once: put together one by one, each would hold a tree of 32 pieces, a kilobyte, for good. */
export function peerIdOfBytes(bytes: Uint8Array): PeerId {
  for (let i = 0; i < PEER_ID_BYTES; i += 1) {
    codes[2 * i] = DIGITS.charCodeAt(bytes[i]! >> 4)
    codes[2 * i + 1] = DIGITS.charCodeAt(bytes[i]! & 15)
  }
  // reason: 32 bytes in hexadecimal are what the brand promises.
  return String.fromCharCode(...codes) as PeerId
}

export function bytesOfPeerId(peer: PeerId): Uint8Array {
  const bytes = new Uint8Array(PEER_ID_BYTES)
  for (let i = 0; i < PEER_ID_BYTES; i += 1) {
    bytes[i] = (digit(peer.charCodeAt(2 * i)) << 4) | digit(peer.charCodeAt(2 * i + 1))
  }
  return bytes
}

export function parsePeerId(text: string): Result<PeerId> {
  const lower = text.trim().toLowerCase()
  // reason: the pattern is what the brand promises.
  if (/^[0-9a-f]{64}$/.test(lower)) return ok(lower as PeerId)
  return fail({ code: 'invalid-peer-id', detail: text.slice(0, 80) })
}

function digit(code: number): number {
  return code < 58 ? code - 48 : code - 87
}
