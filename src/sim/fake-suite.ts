/**
 * Cryptography for the simulator: the lengths and the shape of the real suites, none of their strength, a fraction of
 * their cost. A run with real cryptography at small size proves that the choice changes nothing else.
 */
import { equalBytes, readU32, writeU32 } from '../core/base/bytes.ts'
import { type PeerId, peerIdOfBytes } from '../core/base/peer-id.ts'
import type { Rng } from '../core/base/rng.ts'
import {
  AEAD_TAG_BYTES,
  type AeadKey,
  type CryptoSuite,
  type DhKey,
  type Identity,
  KEY_BYTES,
  SIGNATURE_BYTES,
} from '../core/crypto/suite.ts'

export function createFakeSuite(rng: Rng): CryptoSuite {
  const randomBytes = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i += 1) bytes[i] = rng.u32() & 0xff
    return bytes
  }
  const dhKey = (secret = randomBytes(KEY_BYTES)): DhKey => dhKeyOf(mix([secret]))
  return {
    ciphers: ['chacha20-poly1305'],
    randomBytes,
    sha256: (...parts) => mix(parts),
    identity: seed => new FakeIdentity(seed),
    verify: (publicKey, message, signature) => equalBytes(signature, fakeSignature(publicKey, message)),
    dhKey,
    dhPublicKeyOf: publicKey => publicKey,
    isDhPublicKeyOf: equalBytes,
    aeadKey: (_cipher, key) => shared.get(key) ?? new FakeAeadKey(key),
  }
}

/** A class: what is made anew for each peer of a world takes room in each. */
class FakeIdentity implements Identity {
  readonly peer: PeerId
  readonly publicKey: Uint8Array

  constructor(seed: Uint8Array) {
    this.publicKey = mix([seed])
    this.peer = peerIdOfBytes(this.publicKey)
  }

  get dhKey(): DhKey {
    return dhKeyOf(this.publicKey)
  }

  sign(message: Uint8Array): Uint8Array {
    return fakeSignature(this.publicKey, message)
  }
}

/** Both sides of an agreement know both public keys: their sum is what they share. */
function dhKeyOf(publicKey: Uint8Array): DhKey {
  return {
    publicKey,
    agree: other => {
      const shared = new Uint8Array(KEY_BYTES)
      for (let i = 0; i < KEY_BYTES; i += 1) shared[i] = publicKey[i]! + (other[i] ?? 0)
      return shared
    },
  }
}

function fakeSignature(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const signature = new Uint8Array(SIGNATURE_BYTES)
  signature.set(mix([publicKey, message]))
  return signature
}

/** By their bytes, the very array: handles that stand for many sessions. */
const shared = new WeakMap<Uint8Array, AeadKey>()

/** From now on all who are given this key get the same handle. */
export function shareKey(key: Uint8Array): void {
  shared.set(key, new FakeAeadKey(key))
}

class FakeAeadKey implements AeadKey {
  /** As a signed number: V8 keeps those within the object. */
  private readonly mark: number

  constructor(key: Uint8Array) {
    this.mark = readU32(key, 0) | 0
  }

  seal(nonce: Uint8Array, _associated: Uint8Array, parts: readonly Uint8Array[], spareBytes = 0): Uint8Array[] {
    let length = spareBytes + AEAD_TAG_BYTES
    for (let i = 0; i < parts.length; i += 1) length += parts[i]!.length
    const sealed = new Uint8Array(length)
    let at = spareBytes
    for (let i = 0; i < parts.length; i += 1) {
      const part = parts[i]!
      sealed.set(part, at)
      at += part.length
    }
    writeU32(sealed, at, this.tag(nonce))
    return [sealed]
  }

  open(
    nonce: Uint8Array,
    _associated: Uint8Array,
    sealed: Uint8Array,
    start = 0,
    end = sealed.length,
  ): Uint8Array | null {
    const tagAt = end - AEAD_TAG_BYTES
    if (tagAt < start || readU32(sealed, tagAt) !== this.tag(nonce)) return null
    return sealed.slice(start, tagAt)
  }

  private tag(nonce: Uint8Array): number {
    return (this.mark ^ readU32(nonce, 4) ^ readU32(nonce, 8)) >>> 0
  }
}

/** 32 bytes from the parts, well spread (murmur3's mixing, eight lanes). */
function mix(parts: readonly Uint8Array[]): Uint8Array {
  let a = 0x243f6a88
  let b = 0x85a308d3
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 1) {
      a = Math.imul(a ^ part[i]!, 0xcc9e2d51)
      a = (a << 15) | (a >>> 17)
      b = Math.imul(b + a, 0x1b873593) ^ (b >>> 13)
    }
    a ^= part.length
  }
  const out = new Uint8Array(KEY_BYTES)
  for (let lane = 0; lane < 8; lane += 1) {
    let z = (a + Math.imul(lane + 1, 0x9e3779b9)) ^ b
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    writeU32(out, lane * 4, (z ^ (z >>> 16)) >>> 0)
    b = (b + z) | 0
  }
  return out
}
