/**
 * The primitives that the core needs, injected: Node's native functions where present, audited pure JavaScript
 * elsewhere, a fast fake in the simulator. Everything is synchronous (run to completion); keys are opaque handles, since
 * importing a raw key costs more than using it.
 */
import type { PeerId } from '../base/peer-id.ts'

/** Ciphers for packets. The numbers in the handshake are those of spec 2.4. */
export type CipherName = 'aes-256-gcm' | 'chacha20-poly1305'

export const AEAD_TAG_BYTES = 16
export const SIGNATURE_BYTES = 64
export const KEY_BYTES = 32

export interface CryptoSuite {
  /** What this peer seals packets with, best first. */
  readonly ciphers: readonly CipherName[]
  /** Unpredictable bytes for keys: never from the seeded generator in production. */
  randomBytes(length: number): Uint8Array
  /** SHA-256 over the concatenation of the parts: 32 bytes. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array
  /** An identity from its 32-byte Ed25519 seed (RFC 8032). */
  identity(seed: Uint8Array): Identity
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** A fresh X25519 key pair (RFC 7748), or the one of a given 32-byte secret. */
  dhKey(secret?: Uint8Array): DhKey
  /** The X25519 public key that belongs to an Ed25519 public key, or null where that is no valid point. */
  dhPublicKeyOf(ed25519PublicKey: Uint8Array): Uint8Array | null
  /**
   * Whether an X25519 public key, proven by key agreement, is the one of an Ed25519 public key: a fiftieth of the cost of
   * working it out. Of bytes that are no point of the curve it may say yes to whoever made them up: nobody can sign by
   * them.
   */
  isDhPublicKeyOf(dhPublicKey: Uint8Array, ed25519PublicKey: Uint8Array): boolean
  aeadKey(cipher: CipherName, key: Uint8Array): AeadKey
}

export interface Identity {
  readonly peer: PeerId
  readonly publicKey: Uint8Array
  /** The X25519 key pair derived from the same seed: the static key of the Noise handshake (decision 2). */
  readonly dhKey: DhKey
  sign(message: Uint8Array): Uint8Array
}

export interface DhKey {
  readonly publicKey: Uint8Array
  /** The 32-byte shared secret, or null where the other key is of low order (all-zero result, RFC 7748 section 6.1). */
  agree(publicKey: Uint8Array): Uint8Array | null
}

export interface AeadKey {
  /**
   * Ciphertext of the concatenated parts in fresh memory, as one or more buffers, of which the last ends with the tag. The
   * first begins with `spareBytes` zeros for whoever asked.
   */
  seal(nonce: Uint8Array, associated: Uint8Array, parts: readonly Uint8Array[], spareBytes?: number): Uint8Array[]
  /** The plaintext of `sealed[start, end)`, all of it by default, in fresh memory; null where the tag does not fit. */
  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array, start?: number, end?: number): Uint8Array | null
}
