/**
 * CipherState of the Noise Protocol Framework, revision 34, section 5.1, and the two things that packets share with it:
 * how a number becomes a nonce (section 12) and how a key becomes the next (REKEY, section 4.2).
 */
import { concatBytes, NO_BYTES, writeU48 } from '../base/bytes.ts'
import { invariant } from '../base/invariant.ts'
import { type AeadKey, type CipherName, type CryptoSuite, KEY_BYTES } from './suite.ts'

const NONCE_BYTES = 12
const ZEROS = new Uint8Array(KEY_BYTES)

// One buffer for all: a suite reads the nonce before it returns.
const nonce = new Uint8Array(NONCE_BYTES)

/**
 * The nonce of a number below 2^48: 4 zero bytes, then 8 bytes of it, big-endian for AES-GCM and little-endian for
 * ChaCha20-Poly1305. The bytes are valid until the next call.
 */
export function nonceOf(cipher: CipherName, number: number): Uint8Array {
  nonce.fill(0)
  if (cipher === 'aes-256-gcm') writeU48(nonce, 6, number)
  else writeU48LittleEndian(nonce, 4, number)
  return nonce
}

function writeU48LittleEndian(bytes: Uint8Array, at: number, value: number): void {
  let rest = value
  for (let i = 0; i < 6; i += 1) {
    bytes[at + i] = rest
    rest = Math.floor(rest / 256)
  }
}

/** REKEY: the first 32 bytes of 32 zeros sealed with the nonce 2^64 − 1, which no packet has; both ciphers write it alike. */
export function nextKey(key: AeadKey): Uint8Array {
  nonce.fill(0xff)
  nonce.fill(0, 0, 4)
  return concatBytes(...key.seal(nonce, NO_BYTES, [ZEROS])).slice(0, KEY_BYTES)
}

export class CipherState {
  private readonly suite: CryptoSuite
  private readonly cipher: CipherName
  /** Imported on first use: half the keys of a handshake are mixed further before they seal anything. */
  private key: Uint8Array | AeadKey | null
  private number = 0

  constructor(suite: CryptoSuite, cipher: CipherName, key: Uint8Array | null) {
    this.suite = suite
    this.cipher = cipher
    this.key = key
  }

  get hasKey(): boolean {
    return this.key !== null
  }

  setKey(key: Uint8Array): void {
    this.key = key
    this.number = 0
  }

  encryptWithAd(associated: Uint8Array, plaintext: Uint8Array): Uint8Array {
    if (this.key === null) return plaintext
    const sealed = this.aeadKey().seal(nonceOf(this.cipher, this.number), associated, [plaintext])
    this.number += 1
    return sealed.length === 1 ? sealed[0]! : concatBytes(...sealed)
  }

  /** Null where the tag does not fit; the number is not used up then. */
  decryptWithAd(associated: Uint8Array, ciphertext: Uint8Array): Uint8Array | null {
    if (this.key === null) return ciphertext
    const opened = this.aeadKey().open(nonceOf(this.cipher, this.number), associated, ciphertext)
    if (opened !== null) this.number += 1
    return opened
  }

  rekey(): void {
    this.key = nextKey(this.aeadKey())
  }

  private aeadKey(): AeadKey {
    invariant(this.key !== null, 'a cipher without a key seals nothing')
    if (this.key instanceof Uint8Array) this.key = this.suite.aeadKey(this.cipher, this.key)
    return this.key
  }
}
