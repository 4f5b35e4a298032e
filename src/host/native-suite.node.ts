/**
 * The primitives on Node's own crypto: 10 to 50 times faster than pure JavaScript. Keys are KeyObjects throughout (a raw
 * key costs 30 µs at each use on Node 24). The one thing that Node lacks, an Ed25519 public key as an X25519 one, comes
 * from noble.
 */

import * as nodeCrypto from 'node:crypto'
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type DecipherGCM,
  diffieHellman,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomFillSync,
  sign,
  verify,
} from 'node:crypto'
import { concatBytes, equalBytes } from '../core/base/bytes.ts'
import { invariant } from '../core/base/invariant.ts'
import { type PeerId, peerIdOfBytes } from '../core/base/peer-id.ts'
import { DhPublicKeys, isDhPublicKeyOf } from '../core/crypto/dh-public-key.ts'
import {
  AEAD_TAG_BYTES,
  type AeadKey,
  type CipherName,
  type CryptoSuite,
  type DhKey,
  type Identity,
  KEY_BYTES,
  SIGNATURE_BYTES,
} from '../core/crypto/suite.ts'

const CIPHERS: readonly CipherName[] = ['aes-256-gcm', 'chacha20-poly1305']
/** Ready-made ephemeral key pairs: each takes 45 µs off a handshake, and is made again when nothing else is to do. */
const SPARE_DH_KEYS = 4
/** Up to here a packet is sealed into one buffer: the copy is cheaper than a further buffer in the socket's list. */
const ONE_BUFFER_BYTES_MAX = 1024

// ---- hash ----

// Node 20.12 and later hash in one call, in half the time of an object with a state.
const sha256: CryptoSuite['sha256'] =
  typeof nodeCrypto.hash === 'function'
    ? (...parts) => plain(nodeCrypto.hash('sha256', parts.length === 1 ? parts[0]! : concatBytes(...parts), 'buffer'))
    : (...parts) => {
        const state = createHash('sha256')
        for (const part of parts) state.update(part)
        return plain(state.digest())
      }

// ---- identity and signatures ----

class NativeIdentity implements Identity {
  readonly peer: PeerId
  readonly publicKey: Uint8Array
  readonly dhKey: DhKey
  private readonly privateKey: KeyObject

  constructor(seed: Uint8Array) {
    invariant(seed.length === KEY_BYTES, 'an identity has a seed of 32 bytes')
    this.privateKey = privateKeyOf('Ed25519', seed)
    this.publicKey = rawPublicKey(createPublicKey(this.privateKey))
    this.peer = peerIdOfBytes(this.publicKey)
    // RFC 8032 section 5.1.5: the scalar of an Ed25519 seed; X25519 clamps it in the same way.
    this.dhKey = dhKeyOfSecret(createHash('sha512').update(seed).digest().subarray(0, KEY_BYTES))
  }

  sign(message: Uint8Array): Uint8Array {
    return plain(sign(null, message, this.privateKey))
  }
}

function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
  try {
    return verify(null, message, publicKeyOf('Ed25519', publicKey), signature)
  } catch {
    return false
  }
}

// ---- key agreement ----

class NativeDhKey implements DhKey {
  readonly publicKey: Uint8Array
  private readonly privateKey: KeyObject

  constructor(privateKey: KeyObject, publicKey: Uint8Array) {
    this.privateKey = privateKey
    this.publicKey = publicKey
  }

  agree(publicKey: Uint8Array): Uint8Array | null {
    if (publicKey.length !== KEY_BYTES) return null
    try {
      return plain(diffieHellman({ privateKey: this.privateKey, publicKey: importedDhKey(publicKey) }))
    } catch {
      return null
    }
  }
}

/** The public keys of the handshakes under way: each is used twice. */
const IMPORTED_DH_KEYS = 8
const importedDhKeys: { readonly bytes: Uint8Array; readonly key: KeyObject }[] = []
let importedNext = 0

function importedDhKey(bytes: Uint8Array): KeyObject {
  const held = importedDhKeys.find(entry => equalBytes(entry.bytes, bytes))
  if (held !== undefined) return held.key
  const key = publicKeyOf('X25519', bytes)
  importedDhKeys[importedNext] = { bytes: bytes.slice(), key }
  importedNext = (importedNext + 1) % IMPORTED_DH_KEYS
  return key
}

function dhKeyOfSecret(secret: Uint8Array): DhKey {
  invariant(secret.length === KEY_BYTES, 'an X25519 secret has 32 bytes')
  const privateKey = privateKeyOf('X25519', secret)
  return new NativeDhKey(privateKey, rawPublicKey(createPublicKey(privateKey)))
}

/**
 * The public half comes out of the generation encoded: `export()` of a generated key can stop Node 20 for good. The export
 * holds the key's lock while it allocates, and if V8 then collects what generated the key, that waits for the same lock:
 * once in some 80,000 keys where young objects have 1 MiB.
 */
function freshDhKey(): DhKey {
  const options = { publicKeyEncoding: { format: 'jwk' } }
  // reason: Node's types know neither a JWK here nor one half alone.
  const { privateKey, publicKey } = generateKeyPairSync('x25519', options as object) as unknown as {
    privateKey: KeyObject
    publicKey: JsonWebKey
  }
  return new NativeDhKey(privateKey, bytesOfJwk(publicKey))
}

class SpareDhKeys {
  private readonly spare: DhKey[] = []
  private refilling = false

  take(): DhKey {
    if (!this.refilling) {
      this.refilling = true
      setImmediate(this.refill).unref()
    }
    return this.spare.pop() ?? freshDhKey()
  }

  private readonly refill = (): void => {
    this.refilling = false
    while (this.spare.length < SPARE_DH_KEYS) this.spare.push(freshDhKey())
  }
}

// ---- sealing ----

class NativeAeadKey implements AeadKey {
  private readonly cipher: CipherName
  private readonly key: KeyObject

  constructor(cipher: CipherName, key: Uint8Array) {
    invariant(key.length === KEY_BYTES, 'a cipher key has 32 bytes')
    this.cipher = cipher
    this.key = createSecretKey(key)
  }

  seal(nonce: Uint8Array, associated: Uint8Array, parts: readonly Uint8Array[], spareBytes = 0): Uint8Array[] {
    let length = 0
    for (const part of parts) length += part.length
    hastenYoungCollection(length)
    const cipher = createCipheriv(nodeName(this.cipher), this.key, nonce, TAG_OPTIONS)
    cipher.setAAD(associated)
    return length <= ONE_BUFFER_BYTES_MAX
      ? [sealInOne(cipher, parts, length, spareBytes)]
      : sealInParts(cipher, parts, spareBytes)
  }

  open(
    nonce: Uint8Array,
    associated: Uint8Array,
    sealed: Uint8Array,
    start = 0,
    end = sealed.length,
  ): Uint8Array | null {
    const length = end - start - AEAD_TAG_BYTES
    if (length < 0) return null
    hastenYoungCollection(length)
    const decipher = createDecipheriv(nodeName(this.cipher), this.key, nonce, TAG_OPTIONS)
    decipher.setAAD(associated)
    decipher.setAuthTag(sealed.subarray(start + length, end))
    const opened = plain(decipher.update(sealed.subarray(start, start + length)))
    return tagFits(decipher) ? opened : null
  }
}

/**
 * Every packet is sealed or opened into fresh memory outside V8's heap, and when 64 MiB of that have gathered V8 marks
 * its whole heap: a third of the CPU of a bulk transfer. Its cheap collections of young objects free such memory too,
 * but come by the bytes on the heap, of which a packet leaves few. So a large packet leaves this much more.
 */
const LITTER_LENGTH = 2_048
const LITTERING_BYTES_MIN = 16_384
const litter: { last: unknown[] } = { last: [] }

function hastenYoungCollection(length: number): void {
  if (length >= LITTERING_BYTES_MIN) litter.last = new Array(LITTER_LENGTH)
}

const TAG_OPTIONS = { authTagLength: AEAD_TAG_BYTES }

// Node's types know the AEAD forms of these functions by the cipher's name; both names here behave as GCM does.
function nodeName(cipher: CipherName): 'aes-256-gcm' {
  // reason: 'chacha20-poly1305' takes the same options and has the same methods.
  return cipher as 'aes-256-gcm'
}

function sealInOne(cipher: CipherGCM, parts: readonly Uint8Array[], length: number, spareBytes: number): Uint8Array {
  const end = spareBytes + length
  const sealed = new Uint8Array(end + AEAD_TAG_BYTES)
  let at = spareBytes
  for (const part of parts) {
    sealed.set(part, at)
    at += part.length
  }
  sealed.set(cipher.update(sealed.subarray(spareBytes, end)), spareBytes)
  cipher.final()
  sealed.set(cipher.getAuthTag(), end)
  return sealed
}

function sealInParts(cipher: CipherGCM, parts: readonly Uint8Array[], spareBytes: number): Uint8Array[] {
  const sealed: Uint8Array[] = spareBytes > 0 ? [new Uint8Array(spareBytes)] : []
  for (const part of parts) if (part.length > 0) sealed.push(plain(cipher.update(part)))
  cipher.final()
  sealed.push(plain(cipher.getAuthTag()))
  return sealed
}

function tagFits(decipher: DecipherGCM): boolean {
  try {
    decipher.final()
    return true
  } catch {
    return false
  }
}

// ---- forms of keys and bytes ----

type Curve = 'Ed25519' | 'X25519'

/** What stands before the 32 bytes of a private key in PKCS #8 (RFC 8410 section 7). */
const PRIVATE_KEY_PREFIX: Record<Curve, Uint8Array> = {
  Ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  X25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
}

function privateKeyOf(curve: Curve, secret: Uint8Array): KeyObject {
  return createPrivateKey({
    key: Buffer.from(concatBytes(PRIVATE_KEY_PREFIX[curve], secret)),
    format: 'der',
    type: 'pkcs8',
  })
}

/** The same for a public key (section 4), in base64: 12 bytes, so that the key's own digits follow without a seam. */
const PUBLIC_KEY_PREFIX: Record<Curve, string> = { Ed25519: 'MCowBQYDK2VwAyEA', X25519: 'MCowBQYDK2VuAyEA' }

// Node 20 reads a JWK in 10 µs and PEM in 120. Node 24 reads PEM in 10; at a JWK it throws and catches two errors inside,
// whose stack traces cost 20 to 100 µs.
const PEM_IS_FAST = Number(process.versions.node.split('.')[0]) >= 24

function publicKeyOf(curve: Curve, bytes: Uint8Array): KeyObject {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return PEM_IS_FAST
    ? createPublicKey(
        `-----BEGIN PUBLIC KEY-----\n${PUBLIC_KEY_PREFIX[curve]}${buffer.toString('base64')}\n-----END PUBLIC KEY-----\n`,
      )
    : createPublicKey({ key: { kty: 'OKP', crv: curve, x: buffer.toString('base64url') }, format: 'jwk' })
}

/** Of one that was made from a private key, not generated: see `freshDhKey`. */
function rawPublicKey(publicKey: KeyObject): Uint8Array {
  return bytesOfJwk(publicKey.export({ format: 'jwk' }))
}

function bytesOfJwk({ x }: JsonWebKey): Uint8Array {
  invariant(typeof x === 'string', 'an exported public key has its bytes in x')
  return new Uint8Array(Buffer.from(x, 'base64url'))
}

/** The core gets no Buffers: their `slice` does not copy. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}

// ---- all of it ----

/** One for the process: its peers share the spare key pairs and the converted keys. */
const dhPublicKeys = new DhPublicKeys()
const spareDhKeys = new SpareDhKeys()

export const nativeSuite: CryptoSuite = {
  ciphers: CIPHERS,
  randomBytes: length => randomFillSync(new Uint8Array(length)),
  sha256,
  identity: seed => new NativeIdentity(seed),
  verify: verifySignature,
  dhKey: secret => (secret === undefined ? spareDhKeys.take() : dhKeyOfSecret(secret)),
  dhPublicKeyOf: publicKey => dhPublicKeys.of(publicKey),
  isDhPublicKeyOf,
  aeadKey: (cipher, key) => new NativeAeadKey(cipher, key),
}
