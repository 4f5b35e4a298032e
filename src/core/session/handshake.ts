/**
 * The handshake of a session (spec 4.1): Noise IK where the other peer's id is known, XX where only an address is. Pure:
 * packets in, packets out. It proves both identities, tells both labels, and settles the packet cipher. When to send
 * again, how long to wait and whom to believe yet is the switchboard's.
 */
import { ByteReader, ByteWriter, concatBytes, encodeUtf8, equalBytes, NO_BYTES } from '../base/bytes.ts'
import { fail, ok, type Result } from '../base/fault.ts'
import { bytesOfPeerId, PEER_ID_BYTES, type PeerId, peerIdOfBytes } from '../base/peer-id.ts'
import { NoiseHandshake, type PatternName } from '../crypto/noise.ts'
import type { CipherName, CryptoSuite, Identity } from '../crypto/suite.ts'
import { chooseCipher, readChoice, writeChoice, writeOffer } from './cipher-choice.ts'

/** The first byte of a frame's body (spec 3.2). */
export const PacketKind = {
  ik1: 0x01,
  ik2: 0x02,
  xx1: 0x03,
  xx2: 0x04,
  xx3: 0x05,
} as const

export const HANDSHAKE_VERSION = 1

export type HandshakeState =
  /** IK message 1 is sent: message 2 ends it. */
  | { readonly kind: 'ik-asked'; readonly noise: NoiseHandshake; readonly localLabel: number; readonly remote: PeerId }
  /** XX message 1 is sent: message 2 tells who answers there, message 3 ends it. */
  | { readonly kind: 'xx-asked'; readonly noise: NoiseHandshake; readonly localLabel: number }
  /** XX message 2 is sent: message 3 tells who asked. */
  | {
      readonly kind: 'xx-answered'
      readonly noise: NoiseHandshake
      readonly localLabel: number
      readonly remoteLabel: number
      readonly cipher: CipherName
    }

export interface Established {
  readonly peer: PeerId
  readonly initiator: boolean
  readonly cipher: CipherName
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
  readonly localLabel: number
  readonly remoteLabel: number
  /** Names this very session at both ends: what other channels are bound to. */
  readonly handshakeHash: Uint8Array
}

export type Answer =
  /** IK. The initiator is known, but message 1 may be a replay: believe it when the session's first packet opens. */
  | {
      readonly kind: 'established'
      readonly reply: Uint8Array
      readonly remoteLabel: number
      readonly established: Established
    }
  /** XX. */
  | {
      readonly kind: 'waiting'
      readonly reply: Uint8Array
      readonly remoteLabel: number
      readonly state: HandshakeState
    }

interface Local {
  readonly suite: CryptoSuite
  readonly identity: Identity
}

/** Message 1, sent or answered over some carrier. */
interface Beginning extends Local {
  readonly localLabel: number
  /** What only the two ends of the carrier see alike; nothing where there is no such thing. */
  readonly binding?: Uint8Array | undefined
}

/**
 * Message 1, to be sent with label 0: IK to a known peer, XX where `remote` is null. Faults: `self-connect`,
 * `invalid-peer-id` where the id is no key.
 */
export function startHandshake(
  options: Beginning & { readonly remote: PeerId | null },
): Result<{ state: HandshakeState; packet: Uint8Array }> {
  const { suite, identity, remote, localLabel } = options
  const offer = writeOffer(new ByteWriter(4), suite).finish()
  if (remote === null) {
    const header = new ByteWriter(6).u8(PacketKind.xx1).u8(HANDSHAKE_VERSION).u32(localLabel).finish()
    const noise = newNoise(options, 'XX', true, header, null)
    const message = noise.writeMessage(offer)
    return message.ok
      ? ok({ state: { kind: 'xx-asked', noise, localLabel }, packet: concatBytes(header, message.value) })
      : message
  }
  if (remote === identity.peer) return fail({ code: 'self-connect' })
  const remoteKey = bytesOfPeerId(remote)
  const header = new ByteWriter(10)
    .u8(PacketKind.ik1)
    .u8(HANDSHAKE_VERSION)
    .u32(localLabel)
    .raw(remoteKey.subarray(0, CALLED_BYTES))
    .finish()
  const remoteStatic = suite.dhPublicKeyOf(remoteKey)
  if (remoteStatic === null) return fail({ code: 'invalid-peer-id', detail: remote })
  const noise = newNoise(options, 'IK', true, concatBytes(header, remoteKey), remoteStatic)
  const message = noise.writeMessage(concatBytes(identity.publicKey, offer))
  return message.ok
    ? ok({ state: { kind: 'ik-asked', noise, localLabel, remote }, packet: concatBytes(header, message.value) })
    : fail({ code: 'invalid-peer-id', detail: remote })
}

/**
 * Judges message 1 of someone else's handshake and answers it. Faults: `malformed`, `version-mismatch`, `wrong-peer` (it
 * is for another peer), `self-connect`, `handshake-failed`.
 */
export function answerHandshake(options: Beginning & { readonly packet: Uint8Array }): Result<Answer> {
  const { packet } = options
  const reader = new ByteReader(packet)
  const kind = reader.u8()
  const version = reader.u8()
  if (reader.failed || (kind !== PacketKind.ik1 && kind !== PacketKind.xx1)) return MALFORMED
  if (version !== HANDSHAKE_VERSION) return fail({ code: 'version-mismatch', got: version, limit: HANDSHAKE_VERSION })
  const remoteLabel = reader.u32()
  if (reader.failed || remoteLabel === 0) return MALFORMED
  return kind === PacketKind.ik1 ? answerIk(options, reader, remoteLabel) : answerXx(options, reader, remoteLabel)
}

/**
 * The next message of a handshake under way; it spends the state, whatever comes of it. Faults: `malformed`,
 * `handshake-failed`, `self-connect`.
 */
export function continueHandshake(
  options: Local & { readonly state: HandshakeState; readonly packet: Uint8Array },
): Result<{ reply: Uint8Array | null; established: Established }> {
  const { state } = options
  switch (state.kind) {
    case 'ik-asked':
      return finishIk(options, state)
    case 'xx-asked':
      return finishXxInitiator(options, state)
    case 'xx-answered':
      return finishXxResponder(options, state)
  }
}

// ---- IK:  1  kind u8 | version u8 | label u32 | called 4 | Noise (public key 32 | cipher offer)
//           2  kind u8 | Noise (label u32 | cipher u8)

function answerIk(
  options: Beginning & { readonly packet: Uint8Array },
  reader: ByteReader,
  remoteLabel: number,
): Result<Answer> {
  const { suite, identity, packet, localLabel } = options
  const called = reader.raw(CALLED_BYTES)
  if (reader.failed) return MALFORMED
  // Told apart here, before any costly step, and so that the caller learns that another peer has its address now.
  if (!equalBytes(called, identity.publicKey.subarray(0, CALLED_BYTES))) return fail({ code: 'wrong-peer' })
  const header = packet.subarray(0, packet.length - reader.remaining)
  const noise = newNoise(options, 'IK', false, concatBytes(header, identity.publicKey), null)
  const read = noise.readMessage(reader.rest())
  if (!read.ok) return read
  const payload = new ByteReader(read.value)
  const peer = readPeer(options, noise, payload)
  const cipher = chooseCipher(suite, payload)
  if (!peer.ok) return peer
  if (cipher === null || !payload.finished) return MALFORMED
  const message = noise.writeMessage(writeAnswer(localLabel, cipher).finish())
  if (!message.ok) return message
  const reply = concatBytes(Uint8Array.of(PacketKind.ik2), message.value)
  const established = establish(noise, { peer: peer.value, initiator: false, cipher, localLabel, remoteLabel })
  return ok({ kind: 'established', reply, remoteLabel, established })
}

function finishIk(
  options: Local & { readonly packet: Uint8Array },
  state: HandshakeState & { readonly kind: 'ik-asked' },
): Result<{ reply: Uint8Array | null; established: Established }> {
  const { noise, localLabel, remote } = state
  const read = readMessage(noise, options.packet, PacketKind.ik2)
  if (!read.ok) return read
  const payload = read.value
  const { remoteLabel, cipher } = readAnswer(options.suite, payload)
  if (!payload.finished || cipher === null) return MALFORMED
  return ok({
    reply: null,
    established: establish(noise, { peer: remote, initiator: true, cipher, localLabel, remoteLabel }),
  })
}

// ---- XX:  1  kind u8 | version u8 | label u32 | Noise (cipher offer)
//           2  kind u8 | Noise (label u32 | cipher u8 | public key 32)
//           3  kind u8 | Noise (public key 32)

function answerXx(
  options: Beginning & { readonly packet: Uint8Array },
  reader: ByteReader,
  remoteLabel: number,
): Result<Answer> {
  const { suite, identity, packet, localLabel } = options
  const header = packet.subarray(0, packet.length - reader.remaining)
  const noise = newNoise(options, 'XX', false, header, null)
  const read = noise.readMessage(reader.rest())
  if (!read.ok) return read
  const payload = new ByteReader(read.value)
  const cipher = chooseCipher(suite, payload)
  if (cipher === null || !payload.finished) return MALFORMED
  const message = noise.writeMessage(writeAnswer(localLabel, cipher).raw(identity.publicKey).finish())
  if (!message.ok) return message
  const reply = concatBytes(Uint8Array.of(PacketKind.xx2), message.value)
  return ok({
    kind: 'waiting',
    reply,
    remoteLabel,
    state: { kind: 'xx-answered', noise, localLabel, remoteLabel, cipher },
  })
}

function finishXxInitiator(
  options: Local & { readonly packet: Uint8Array },
  state: HandshakeState & { readonly kind: 'xx-asked' },
): Result<{ reply: Uint8Array | null; established: Established }> {
  const { noise, localLabel } = state
  const read = readMessage(noise, options.packet, PacketKind.xx2)
  if (!read.ok) return read
  const payload = read.value
  const { remoteLabel, cipher } = readAnswer(options.suite, payload)
  const peer = readPeer(options, noise, payload)
  if (!peer.ok) return peer
  if (!payload.finished || cipher === null) return MALFORMED
  const message = noise.writeMessage(options.identity.publicKey)
  if (!message.ok) return message
  return ok({
    reply: concatBytes(Uint8Array.of(PacketKind.xx3), message.value),
    established: establish(noise, { peer: peer.value, initiator: true, cipher, localLabel, remoteLabel }),
  })
}

function finishXxResponder(
  options: Local & { readonly packet: Uint8Array },
  state: HandshakeState & { readonly kind: 'xx-answered' },
): Result<{ reply: Uint8Array | null; established: Established }> {
  const { noise, localLabel, remoteLabel, cipher } = state
  const read = readMessage(noise, options.packet, PacketKind.xx3)
  if (!read.ok) return read
  const payload = read.value
  const peer = readPeer(options, noise, payload)
  if (!peer.ok) return peer
  if (!payload.finished) return MALFORMED
  return ok({
    reply: null,
    established: establish(noise, { peer: peer.value, initiator: false, cipher, localLabel, remoteLabel }),
  })
}

// ---- what both share ----

/** What the next message holds, which must be of that kind. */
function readMessage(noise: NoiseHandshake, packet: Uint8Array, kind: number): Result<ByteReader> {
  if (packet[0] !== kind) return MALFORMED
  const read = noise.readMessage(packet.subarray(1))
  return read.ok ? ok(new ByteReader(read.value)) : read
}

const MALFORMED = fail({ code: 'malformed', detail: 'handshake' })
const CALLED_BYTES = 4
const PROLOGUE = encodeUtf8('webmesh')

function newNoise(
  local: Beginning,
  pattern: PatternName,
  initiator: boolean,
  clearText: Uint8Array,
  remoteStatic: Uint8Array | null,
): NoiseHandshake {
  return new NoiseHandshake({
    suite: local.suite,
    pattern,
    cipher: 'chacha20-poly1305',
    initiator,
    // The clear text's kind tells its length: no other binding gives the same bytes.
    prologue: concatBytes(PROLOGUE, clearText, local.binding ?? NO_BYTES),
    localStatic: local.identity.dhKey,
    remoteStatic,
  })
}

/** The sender's identity; it must be the one whose X25519 key the handshake has just proven. */
function readPeer(local: Local, noise: NoiseHandshake, payload: ByteReader): Result<PeerId> {
  const publicKey = payload.raw(PEER_ID_BYTES)
  if (payload.failed) return MALFORMED
  const proven = noise.remoteStatic
  if (proven === null || !local.suite.isDhPublicKeyOf(proven, publicKey))
    return fail({ code: 'handshake-failed', detail: 'the identity does not belong to the key' })
  const peer = peerIdOfBytes(publicKey)
  return peer === local.identity.peer ? fail({ code: 'self-connect' }) : ok(peer)
}

function establish(
  noise: NoiseHandshake,
  facts: Pick<Established, 'peer' | 'initiator' | 'cipher' | 'localLabel' | 'remoteLabel'>,
): Established {
  const { peer, initiator, cipher, localLabel, remoteLabel } = facts
  const { sendKey, receiveKey } = noise.keys()
  const { handshakeHash } = noise
  return { peer, initiator, cipher, sendKey, receiveKey, localLabel, remoteLabel, handshakeHash }
}

function writeAnswer(localLabel: number, cipher: CipherName): ByteWriter {
  return writeChoice(new ByteWriter(40).u32(localLabel), cipher)
}

/** The cipher is null where the answer is not one that the offer allows. */
function readAnswer(suite: CryptoSuite, payload: ByteReader): { remoteLabel: number; cipher: CipherName | null } {
  const remoteLabel = payload.u32()
  const cipher = readChoice(suite, payload)
  return { remoteLabel, cipher: remoteLabel === 0 ? null : cipher }
}
