/**
 * The X25519 public key that belongs to an Ed25519 one (spec 2.2): u = (1 + y) / (1 - y), RFC 7748 section 4.1. Node has
 * no such function, so both suites take it from noble; the same few peers are met again and again, so it is remembered.
 */
import { bytesToNumberLE, numberToBytesLE } from '@noble/curves/utils.js'
import { etc, Point } from '@noble/ed25519'
import { equalBytes } from '../base/bytes.ts'

const P = Point.CURVE().p

/** About 250 bytes each; a conversion costs a square root and an inversion in BigInt arithmetic, 0.14 ms. */
const REMEMBERED_MAX = 512

interface Remembered {
  readonly ed25519PublicKey: Uint8Array
  readonly dhPublicKey: Uint8Array
}

export class DhPublicKeys {
  /** Direct-mapped by bits of the key: who grinds keys for one slot only evicts, and can never give a wrong answer. */
  private readonly slots: (Remembered | undefined)[] = []

  /**
   * Null where the bytes are no point of the curve. A point of low order may pass here: `DhKey.agree` refuses what comes
   * of it.
   */
  of(ed25519PublicKey: Uint8Array): Uint8Array | null {
    if (ed25519PublicKey.length !== 32) return null
    const slot = (ed25519PublicKey[0]! | (ed25519PublicKey[1]! << 8)) % REMEMBERED_MAX
    const held = this.slots[slot]
    if (held !== undefined && equalBytes(held.ed25519PublicKey, ed25519PublicKey)) return held.dhPublicKey
    const dhPublicKey = montgomeryOf(ed25519PublicKey)
    if (dhPublicKey !== null) this.slots[slot] = { ed25519PublicKey: ed25519PublicKey.slice(), dhPublicKey }
    return dhPublicKey
  }
}

/** The same relation without the division: u (1 - y) = 1 + y modulo p, of the one form in which each is written. */
export function isDhPublicKeyOf(dhPublicKey: Uint8Array, ed25519PublicKey: Uint8Array): boolean {
  if (dhPublicKey.length !== 32 || ed25519PublicKey.length !== 32) return false
  const withoutSign = ed25519PublicKey.slice()
  withoutSign[31]! &= 0x7f
  const u = bytesToNumberLE(dhPublicKey)
  const y = bytesToNumberLE(withoutSign)
  return u < P && y < P && etc.mod(u * (1n - y) - (1n + y), P) === 0n
}

function montgomeryOf(ed25519PublicKey: Uint8Array): Uint8Array | null {
  try {
    const { y } = Point.fromBytes(ed25519PublicKey)
    return numberToBytesLE(etc.mod((1n + y) * etc.invert(1n - y, P), P), 32)
  } catch {
    return null
  }
}
