/**
 * The Noise Protocol Framework, revision 34 (noiseprotocol.org), sections 5.2, 5.3 and 7: interactive handshake patterns
 * over X25519 and SHA-256 with either cipher. Checked against published vectors (spec/vectors/noise.json). What a remote
 * peer sends never throws; a handshake that failed stays failed. No pre-shared keys: Webmesh has none.
 */
import { concatBytes, encodeUtf8, NO_BYTES } from '../base/bytes.ts'
import { fail, ok, type Result } from '../base/fault.ts'
import { invariant } from '../base/invariant.ts'
import { CipherState } from './noise-cipher.ts'
import { AEAD_TAG_BYTES, type CipherName, type CryptoSuite, type DhKey, KEY_BYTES } from './suite.ts'

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss'

interface Pattern {
  /** Static keys known beforehand. */
  readonly knownInitiator: boolean
  readonly knownResponder: boolean
  /** The initiator writes the first, then in turn. */
  readonly messages: readonly (readonly Token[])[]
}

export type PatternName = 'NN' | 'NK' | 'KK' | 'XX' | 'IK'

/** Section 7.5. Webmesh uses XX and IK; the others prove the machine. */
const PATTERNS: Record<PatternName, Pattern> = {
  NN: { knownInitiator: false, knownResponder: false, messages: [['e'], ['e', 'ee']] },
  NK: {
    knownInitiator: false,
    knownResponder: true,
    messages: [
      ['e', 'es'],
      ['e', 'ee'],
    ],
  },
  KK: {
    knownInitiator: true,
    knownResponder: true,
    messages: [
      ['e', 'es', 'ss'],
      ['e', 'ee', 'se'],
    ],
  },
  XX: { knownInitiator: false, knownResponder: false, messages: [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']] },
  IK: {
    knownInitiator: false,
    knownResponder: true,
    messages: [
      ['e', 'es', 's', 'ss'],
      ['e', 'ee', 'se'],
    ],
  },
}

const MESSAGE_BYTES_MAX = 65_535
const CIPHER_NAMES: Record<CipherName, string> = { 'aes-256-gcm': 'AESGCM', 'chacha20-poly1305': 'ChaChaPoly' }

export interface NoiseOptions {
  readonly suite: CryptoSuite
  readonly pattern: PatternName
  readonly cipher: CipherName
  readonly initiator: boolean
  readonly prologue: Uint8Array
  /** Our static key; null in patterns that have none for our side. */
  readonly localStatic: DhKey | null
  /** The other side's static key, where the pattern knows it beforehand. */
  readonly remoteStatic: Uint8Array | null
}

export interface NoiseKeys {
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
}

export class NoiseHandshake {
  private readonly suite: CryptoSuite
  private readonly pattern: Pattern
  private readonly initiator: boolean
  private readonly symmetric: SymmetricState
  private readonly localStatic: DhKey | null
  private localEphemeral: DhKey | null = null
  private remoteStaticKey: Uint8Array | null
  private remoteEphemeral: Uint8Array | null = null
  private messageNumber = 0
  private failed = false

  constructor(options: NoiseOptions) {
    const { suite, cipher, initiator, localStatic, remoteStatic } = options
    this.suite = suite
    this.pattern = PATTERNS[options.pattern]
    this.initiator = initiator
    this.localStatic = localStatic
    this.remoteStaticKey = remoteStatic
    this.symmetric = new SymmetricState(suite, cipher, `Noise_${options.pattern}_25519_${CIPHER_NAMES[cipher]}_SHA256`)
    this.symmetric.mixHash(options.prologue)
    if (this.pattern.knownInitiator) this.symmetric.mixHash(this.staticOf(true))
    if (this.pattern.knownResponder) this.symmetric.mixHash(this.staticOf(false))
  }

  /** The other side's static key, once it is known; authentic when the message that carried it was read without fault. */
  get remoteStatic(): Uint8Array | null {
    return this.remoteStaticKey
  }

  get finished(): boolean {
    return this.messageNumber === this.pattern.messages.length
  }

  /** At the end it names this very handshake: both sides hold the same 32 bytes, and no other handshake has them. */
  get handshakeHash(): Uint8Array {
    return this.symmetric.handshakeHash
  }

  /** Our next message. A fault only where the other side's keys, read before, are of low order. */
  writeMessage(payload: Uint8Array): Result<Uint8Array> {
    const tokens = this.nextTokens(this.initiator)
    const parts: Uint8Array[] = []
    for (const token of tokens) {
      if (token === 'e') {
        this.localEphemeral = this.suite.dhKey()
        parts.push(this.localEphemeral.publicKey)
        this.symmetric.mixHash(this.localEphemeral.publicKey)
      } else if (token === 's') {
        invariant(this.localStatic !== null, 'the pattern sends a static key')
        parts.push(this.symmetric.encryptAndHash(this.localStatic.publicKey))
      } else if (!this.mixAgreement(token)) {
        return this.refuse('a key of low order')
      }
    }
    parts.push(this.symmetric.encryptAndHash(payload))
    return ok(concatBytes(...parts))
  }

  /** Reads the other side's next message: its payload in memory of its own. Fault: `handshake-failed`. */
  readMessage(message: Uint8Array): Result<Uint8Array> {
    if (this.failed) return this.refuse('it failed before')
    const tokens = this.nextTokens(!this.initiator)
    if (message.length > MESSAGE_BYTES_MAX) return this.refuse('the message is too long')
    let at = 0
    for (const token of tokens) {
      if (token === 'e') {
        if (message.length < at + KEY_BYTES) return this.refuse('the message is too short')
        this.remoteEphemeral = message.slice(at, at + KEY_BYTES)
        at += KEY_BYTES
        this.symmetric.mixHash(this.remoteEphemeral)
      } else if (token === 's') {
        const length = KEY_BYTES + (this.symmetric.hasKey ? AEAD_TAG_BYTES : 0)
        if (message.length < at + length) return this.refuse('the message is too short')
        const remoteStatic = this.symmetric.decryptAndHash(message.subarray(at, at + length))
        if (remoteStatic === null) return this.refuse('a static key does not open')
        this.remoteStaticKey = remoteStatic.slice()
        at += length
      } else if (!this.mixAgreement(token)) {
        return this.refuse('a key of low order')
      }
    }
    const payload = this.symmetric.decryptAndHash(message.subarray(at))
    return payload === null ? this.refuse('a payload does not open') : ok(payload.slice())
  }

  /** After the last message. */
  keys(): NoiseKeys {
    invariant(this.finished && !this.failed, 'the handshake is over')
    const [first, second] = this.symmetric.split()
    return this.initiator ? { sendKey: first, receiveKey: second } : { sendKey: second, receiveKey: first }
  }

  private nextTokens(byInitiator: boolean): readonly Token[] {
    const tokens = this.pattern.messages[this.messageNumber]
    invariant(tokens !== undefined && !this.failed, 'the handshake goes on')
    invariant((this.messageNumber % 2 === 0) === byInitiator, 'the sides write in turn')
    this.messageNumber += 1
    return tokens
  }

  /** DH of the keys that the token names, initiator's first; false where the result is no secret. */
  private mixAgreement(token: 'ee' | 'es' | 'se' | 'ss'): boolean {
    const localIsStatic = usesStatic(token, this.initiator)
    const remoteIsStatic = usesStatic(token, !this.initiator)
    const local = localIsStatic ? this.localStatic : this.localEphemeral
    const remote = remoteIsStatic ? this.remoteStaticKey : this.remoteEphemeral
    invariant(local !== null && remote !== null, 'the pattern gives keys before it uses them')
    const secret = local.agree(remote)
    if (secret === null) return false
    this.symmetric.mixKey(secret)
    return true
  }

  private staticOf(ofInitiator: boolean): Uint8Array {
    const key = ofInitiator === this.initiator ? this.localStatic?.publicKey : this.remoteStaticKey
    invariant(key !== null && key !== undefined, 'the pattern knows this key beforehand')
    return key
  }

  private refuse(detail: string): ReturnType<typeof fail> {
    this.failed = true
    return fail({ code: 'handshake-failed', detail })
  }
}

function usesStatic(token: 'ee' | 'es' | 'se' | 'ss', side: boolean): boolean {
  switch (token) {
    case 'ee':
      return false
    case 'es':
      return !side
    case 'se':
      return side
    case 'ss':
      return true
  }
}

/** Section 5.2. */
class SymmetricState {
  private readonly suite: CryptoSuite
  private readonly cipher: CipherState
  private chainingKey: Uint8Array
  private hash: Uint8Array

  constructor(suite: CryptoSuite, cipher: CipherName, protocolName: string) {
    this.suite = suite
    this.cipher = new CipherState(suite, cipher, null)
    const name = encodeUtf8(protocolName)
    this.hash = new Uint8Array(KEY_BYTES)
    if (name.length <= KEY_BYTES) this.hash.set(name)
    else this.hash = suite.sha256(name)
    this.chainingKey = this.hash
  }

  get hasKey(): boolean {
    return this.cipher.hasKey
  }

  get handshakeHash(): Uint8Array {
    return this.hash
  }

  mixHash(data: Uint8Array): void {
    this.hash = this.suite.sha256(this.hash, data)
  }

  mixKey(secret: Uint8Array): void {
    const [chainingKey, key] = derivePair(this.suite, this.chainingKey, secret)
    this.chainingKey = chainingKey
    this.cipher.setKey(key)
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.cipher.encryptWithAd(this.hash, plaintext)
    this.mixHash(ciphertext)
    return ciphertext
  }

  decryptAndHash(ciphertext: Uint8Array): Uint8Array | null {
    const plaintext = this.cipher.decryptWithAd(this.hash, ciphertext)
    if (plaintext !== null) this.mixHash(ciphertext)
    return plaintext
  }

  split(): [Uint8Array, Uint8Array] {
    return derivePair(this.suite, this.chainingKey, NO_BYTES)
  }
}

const FIRST = new Uint8Array([1])
const SECOND = new Uint8Array([2])

/** HKDF with two outputs (section 4.3): what RFC 5869 makes of an empty info. */
function derivePair(suite: CryptoSuite, chainingKey: Uint8Array, material: Uint8Array): [Uint8Array, Uint8Array] {
  const secret = hmac(suite, chainingKey, material)
  const first = hmac(suite, secret, FIRST)
  return [first, hmac(suite, secret, first, SECOND)]
}

const HASH_BLOCK_BYTES = 64

/** HMAC-SHA-256 (RFC 2104) with a key of 32 bytes, on two plain hashes: native HMAC objects cost more. */
function hmac(suite: CryptoSuite, key: Uint8Array, ...message: readonly Uint8Array[]): Uint8Array {
  const inner = new Uint8Array(HASH_BLOCK_BYTES).fill(0x36)
  const outer = new Uint8Array(HASH_BLOCK_BYTES).fill(0x5c)
  for (let i = 0; i < KEY_BYTES; i += 1) {
    inner[i]! ^= key[i]!
    outer[i]! ^= key[i]!
  }
  return suite.sha256(outer, suite.sha256(inner, ...message))
}
