/**
 * The primitives in pure JavaScript, on the audited noble libraries: what browsers use, and any host without native
 * crypto. Results are the same, byte for byte, as those of `native-suite.node.ts`.
 */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { pow } from '@noble/curves/abstract/modular.js'
import { montgomery } from '@noble/curves/abstract/montgomery.js'
import { getPublicKey, hashes, Point, sign, verify as verifySignature } from '@noble/ed25519'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { concatBytes } from '../base/bytes.ts'
import { invariant } from '../base/invariant.ts'
import { type PeerId, peerIdOfBytes } from '../base/peer-id.ts'
import { DhPublicKeys, isDhPublicKeyOf } from './dh-public-key.ts'
import {
  AEAD_TAG_BYTES,
  type AeadKey,
  type CipherName,
  type CryptoSuite,
  type DhKey,
  type Identity,
  KEY_BYTES,
  SIGNATURE_BYTES,
} from './suite.ts'

type NobleCipher = typeof chacha20poly1305

hashes.sha512 = sha512

/** Its parameters are those of RFC 7748, 4.1 and 5: noble's own `x25519` brings all of its Edwards curves with it, 4 KB gzipped. */
const P = Point.CURVE().p
const x25519 = montgomery({
  P,
  type: 'x25519',
  powPminus2: x => pow(x, P - 2n, P),
  adjustScalarBytes: clamped,
})

/** As both X25519 (RFC 7748, 5) and Ed25519 (RFC 8032, 5.1.5) want a scalar; in place. */
function clamped(scalar: Uint8Array): Uint8Array {
  scalar[0]! &= 248
  scalar[31]! &= 127
  scalar[31]! |= 64
  return scalar
}

/**
 * `randomBytes` must be unpredictable: keys come from it. Without noble's `gcm` the suite knows ChaCha20-Poly1305 alone, and
 * loses nothing by it: AES-256-GCM is chosen only where both sides like it best (spec 4.1.5), which noble never does.
 */
export function createNobleSuite(
  randomBytes: (length: number) => Uint8Array,
  gcm: NobleCipher | null = null,
): CryptoSuite {
  const dhPublicKeys = new DhPublicKeys()
  return {
    ciphers: gcm === null ? ['chacha20-poly1305'] : ['chacha20-poly1305', 'aes-256-gcm'],
    randomBytes,
    sha256: hash,
    identity: seed => new NobleIdentity(seed),
    verify,
    dhKey: secret => new NobleDhKey(secret ?? randomBytes(KEY_BYTES)),
    dhPublicKeyOf: publicKey => dhPublicKeys.of(publicKey),
    isDhPublicKeyOf,
    aeadKey: (cipher, key) => new NobleAeadKey(cipherOf(cipher, gcm), key),
  }
}

function cipherOf(name: CipherName, gcm: NobleCipher | null): NobleCipher {
  if (name === 'chacha20-poly1305') return chacha20poly1305
  invariant(gcm !== null, 'a session has a cipher that its suite offered')
  return gcm
}

function hash(...parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return sha256(parts[0]!)
  const state = sha256.create()
  for (const part of parts) state.update(part)
  return state.digest()
}

/** By the letter of RFC 8032 (canonical points only), as near as noble comes to what OpenSSL checks. */
function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
  try {
    return verifySignature(signature, message, publicKey, { zip215: false })
  } catch {
    return false
  }
}

class NobleIdentity implements Identity {
  readonly peer: PeerId
  readonly publicKey: Uint8Array
  readonly dhKey: DhKey
  private readonly seed: Uint8Array

  constructor(seed: Uint8Array) {
    invariant(seed.length === KEY_BYTES, 'an identity has a seed of 32 bytes')
    this.seed = seed.slice()
    this.publicKey = getPublicKey(this.seed)
    this.peer = peerIdOfBytes(this.publicKey)
    this.dhKey = new NobleDhKey(sha512(this.seed).slice(0, KEY_BYTES))
  }

  sign(message: Uint8Array): Uint8Array {
    return sign(message, this.seed)
  }
}

class NobleDhKey implements DhKey {
  readonly publicKey: Uint8Array
  private readonly secret: Uint8Array

  constructor(secret: Uint8Array) {
    invariant(secret.length === KEY_BYTES, 'an X25519 secret has 32 bytes')
    this.secret = secret.slice()
    this.publicKey = x25519.getPublicKey(this.secret)
  }

  agree(publicKey: Uint8Array): Uint8Array | null {
    try {
      return x25519.getSharedSecret(this.secret, publicKey)
    } catch {
      return null
    }
  }
}

class NobleAeadKey implements AeadKey {
  private readonly cipher: NobleCipher
  private readonly key: Uint8Array

  constructor(cipher: NobleCipher, key: Uint8Array) {
    invariant(key.length === KEY_BYTES, 'a cipher key has 32 bytes')
    this.cipher = cipher
    this.key = key.slice()
  }

  seal(nonce: Uint8Array, associated: Uint8Array, parts: readonly Uint8Array[], spareBytes = 0): Uint8Array[] {
    const plain = parts.length === 1 ? parts[0]! : concatBytes(...parts)
    const sealed = this.cipher(this.key, nonce, associated).encrypt(plain)
    return spareBytes === 0 ? [sealed] : [new Uint8Array(spareBytes), sealed]
  }

  open(
    nonce: Uint8Array,
    associated: Uint8Array,
    sealed: Uint8Array,
    start = 0,
    end = sealed.length,
  ): Uint8Array | null {
    if (end - start < AEAD_TAG_BYTES) return null
    try {
      return this.cipher(this.key, nonce, associated).decrypt(sealed.subarray(start, end))
    } catch {
      return null
    }
  }
}
