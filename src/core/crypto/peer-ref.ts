/**
 * PeerRef: a signed, versioned, expiring record of where a peer is (spec 2.3). As text `webmesh:` and base64url: a link
 * that can be mailed; any one is enough to join. The signed bytes are kept, so that passing a ref on never re-encodes it.
 *
 *   version u8 = 1 | public key 32 | sequence u48 | expires u48 | capacity u16 | flags u8
 *   | address count u8 | addresses … | rendezvous count u8 | rendezvous … | signature 64
 *   rendezvous: public key 32 | address count u8 | addresses …
 */
import { type Address, readAddress, writeAddress } from '../base/address.ts'
import { bytesOfBase64url, textOfBase64url } from '../base/base64url.ts'
import { ByteReader, ByteWriter, concatBytes } from '../base/bytes.ts'
import { fail, ok, type Result } from '../base/fault.ts'
import { isGlobalHost } from '../base/global-host.ts'
import type { WallTime } from '../base/instant.ts'
import { bytesOfPeerId, PEER_ID_BYTES, type PeerId, peerIdOfBytes, readPeerId } from '../base/peer-id.ts'
import { type Position, positionOfHash } from '../base/position.ts'
import type { NegotiatedTransport } from '../input.ts'
import { type CryptoSuite, type Identity, SIGNATURE_BYTES } from './suite.ts'

/** By their numbers on the wire. */
export const NEGOTIATED_TRANSPORTS: readonly NegotiatedTransport[] = ['udp', 'webrtc']

export const REF_BYTES_MAX = 1024
export const REF_ADDRESSES_MAX = 8
export const REF_RENDEZVOUS_MAX = 4
export const REF_LIFETIME_MS = 7 * 24 * 3_600_000

const REF_VERSION = 1
const FLAG_RELAYS = 1
/** That of the first of the transports; the others' follow. */
const FLAG_NEGOTIATES = 2
const SCHEME = 'webmesh:'
const REF_TEXT_MAX = SCHEME.length + Math.ceil((REF_BYTES_MAX * 4) / 3)
const CONTEXT = new Uint8Array([0x77, 0x65, 0x62, 0x6d, 0x65, 0x73, 0x68, 0x2d, 0x72, 0x65, 0x66, 0x31]) // 'webmesh-ref1'

export interface Rendezvous {
  readonly peer: PeerId
  readonly addresses: readonly Address[]
}

/**
 * A class, so that V8 gives all of them one shape: objects put together by spreading had one each, and every look into a ref
 * missed its caches: a quarter of a simulation's time.
 */
export class PeerRef {
  readonly peer: PeerId
  readonly position: Position
  /** Of two refs of one peer the larger counts: wall-clock milliseconds of its making. */
  readonly sequence: number
  readonly expires: WallTime
  /** How many links the peer carries. */
  readonly capacity: number
  /** Whether it forwards circuits for others. */
  readonly relays: boolean
  /** By what transports it negotiates wires; empty where nothing is said. */
  readonly negotiates: readonly NegotiatedTransport[]
  /** Where it can be dialled; empty for a peer behind a NAT or in a browser. */
  readonly addresses: readonly Address[]
  /** Whether one of these can be dialled from anywhere: none of a private network, and not where STUN is served alone. */
  readonly isGlobal: boolean
  /** Through whom it can be reached. */
  readonly rendezvous: readonly Rendezvous[]
  /** The signed bytes. */
  readonly bytes: Uint8Array

  constructor(peer: PeerId, position: Position, fields: PeerRefFields, bytes: Uint8Array) {
    this.peer = peer
    this.position = position
    this.sequence = fields.sequence
    this.expires = fields.expires
    this.capacity = fields.capacity
    this.relays = fields.relays
    this.negotiates = fields.negotiates ?? []
    this.addresses = fields.addresses
    this.isGlobal = areGlobal(fields.addresses)
    this.rendezvous = fields.rendezvous
    this.bytes = bytes
  }
}

export type PeerRefFields = Pick<
  PeerRef,
  'sequence' | 'expires' | 'capacity' | 'relays' | 'addresses' | 'rendezvous'
> & {
  readonly negotiates?: readonly NegotiatedTransport[] | undefined
}

/** Whether one of them can be dialled from anywhere. */
export function areGlobal(addresses: readonly Address[]): boolean {
  return addresses.some(({ scheme, host }) => scheme !== 'udp' && isGlobalHost(host))
}

export function positionOfPeer(suite: CryptoSuite, publicKey: Uint8Array): Position {
  return positionOfHash(suite.sha256(publicKey))
}

/**
 * A new ref of our own. What would make it larger than any peer reads is left out: beyond the counts, then from the end
 * the rendezvous, then the addresses. The result holds what was signed.
 */
export function signPeerRef(suite: CryptoSuite, identity: Identity, fields: PeerRefFields): PeerRef {
  const addresses = fields.addresses.slice(0, REF_ADDRESSES_MAX)
  const rendezvous = fields.rendezvous
    .slice(0, REF_RENDEZVOUS_MAX)
    .map(entry => (entry.addresses.length > REF_ADDRESSES_MAX ? shortened(entry) : entry))
  const kept: PeerRefFields = { ...fields, addresses, rendezvous }
  let body = bodyOf(identity.publicKey, kept)
  while (body.length + SIGNATURE_BYTES > REF_BYTES_MAX) {
    if (rendezvous.pop() === undefined) addresses.pop()
    body = bodyOf(identity.publicKey, kept)
  }
  const bytes = new ByteWriter(body.length + SIGNATURE_BYTES)
    .raw(body)
    .raw(identity.sign(signedPart(body)))
    .finish()
  return new PeerRef(identity.peer, positionOfPeer(suite, identity.publicKey), kept, bytes)
}

/**
 * Reads a ref and checks its signature. Faults: `invalid-ref`, `version-mismatch`, `ref-forged`, `ref-expired` (where
 * `now` is given).
 */
export function readPeerRef(suite: CryptoSuite, bytes: Uint8Array, now: WallTime | null): Result<PeerRef> {
  const ref = readClaimedRef(suite, bytes, now)
  return ref.ok && !isSigned(suite, ref.value) ? fail({ code: 'ref-forged' }) : ref
}

/** Whether the peer that a ref names has signed it. */
export function isSigned(suite: CryptoSuite, ref: PeerRef): boolean {
  const { bytes } = ref
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES)
  return suite.verify(bytes.subarray(1, 1 + PEER_ID_BYTES), signedPart(body), bytes.subarray(body.length))
}

/** What a ref claims, its signature unchecked: enough to dial, not to pass on. Faults: those of `readPeerRef` but one. */
export function readClaimedRef(suite: CryptoSuite, bytes: Uint8Array, now: WallTime | null): Result<PeerRef> {
  if (bytes.length > REF_BYTES_MAX) return fail({ code: 'invalid-ref', got: bytes.length, limit: REF_BYTES_MAX })
  const reader = new ByteReader(bytes, 0, bytes.length - SIGNATURE_BYTES)
  const version = reader.u8()
  if (version !== REF_VERSION && !reader.failed)
    return fail({ code: 'version-mismatch', got: version, limit: REF_VERSION })
  const publicKey = reader.raw(PEER_ID_BYTES)
  const sequence = reader.u48()
  const expires = reader.u48()
  const capacity = reader.u16()
  const flags = reader.u8()
  const addresses = readAddresses(reader)
  const count = reader.u8()
  if (count > REF_RENDEZVOUS_MAX)
    return fail({ code: 'invalid-ref', detail: 'rendezvous', got: count, limit: REF_RENDEZVOUS_MAX })
  const rendezvous = reader.list(count, readRendezvous, count)
  if (!reader.finished) return fail({ code: 'invalid-ref', detail: 'its bytes are incomplete or damaged' })
  if (now !== null && expires <= now) return fail({ code: 'ref-expired' })
  const relays = (flags & FLAG_RELAYS) !== 0
  const negotiates = NEGOTIATED_TRANSPORTS.filter((_, i) => (flags & (FLAG_NEGOTIATES << i)) !== 0)
  const fields = { sequence, expires, capacity, relays, negotiates, addresses, rendezvous }
  return ok(new PeerRef(peerIdOfBytes(publicKey), positionOfPeer(suite, publicKey), fields, bytes.slice()))
}

/** The bytes of one, as messages hold them; nothing of it is judged. */
export function readRefBytes(reader: ByteReader): Uint8Array {
  return reader.sized(REF_BYTES_MAX)
}

export function refText(ref: PeerRef): string {
  return SCHEME + textOfBase64url(ref.bytes)
}

/** A ref from its text form; `read` may be `readClaimedRef`. */
export function parseRefText(
  suite: CryptoSuite,
  text: string,
  now: WallTime | null,
  read = readPeerRef,
): Result<PeerRef> {
  const trimmed = text.trim()
  if (!trimmed.startsWith(SCHEME)) return fail({ code: 'invalid-ref', detail: 'it does not start with "webmesh:"' })
  if (trimmed.length > REF_TEXT_MAX) return fail({ code: 'invalid-ref', got: trimmed.length, limit: REF_TEXT_MAX })
  const bytes = bytesOfBase64url(trimmed.slice(SCHEME.length))
  if (bytes === null) {
    // Text of whole bytes has no length like that: only letters are missing.
    const isCut = /^[\w-]+$/.test(trimmed.slice(SCHEME.length))
    const detail = isCut ? 'its bytes are incomplete or damaged' : 'it holds characters that no ref has'
    return fail({ code: 'invalid-ref', detail })
  }
  return read(suite, bytes, now)
}

function shortened({ peer, addresses }: Rendezvous): Rendezvous {
  return { peer, addresses: addresses.slice(0, REF_ADDRESSES_MAX) }
}

function bodyOf(publicKey: Uint8Array, fields: PeerRefFields): Uint8Array {
  let flags = fields.relays ? FLAG_RELAYS : 0
  for (const transport of fields.negotiates ?? []) flags |= FLAG_NEGOTIATES << NEGOTIATED_TRANSPORTS.indexOf(transport)
  const writer = new ByteWriter(256)
    .u8(REF_VERSION)
    .raw(publicKey)
    .u48(fields.sequence)
    .u48(fields.expires)
    .u16(fields.capacity)
    .u8(flags)
  writeAddresses(writer, fields.addresses)
  writer.u8(fields.rendezvous.length)
  for (const entry of fields.rendezvous) {
    writer.raw(bytesOfPeerId(entry.peer))
    writeAddresses(writer, entry.addresses)
  }
  return writer.finish()
}

function writeAddresses(writer: ByteWriter, addresses: readonly Address[]): void {
  writer.u8(addresses.length)
  for (const address of addresses) writeAddress(writer, address)
}

function readAddresses(reader: ByteReader): Address[] {
  return reader.list(REF_ADDRESSES_MAX, readAddress, reader.u8()).filter(address => address !== null)
}

function readRendezvous(reader: ByteReader): Rendezvous {
  return { peer: readPeerId(reader), addresses: readAddresses(reader) }
}

/** What is signed starts with a context, so that no other signed record can pass for a ref. */
function signedPart(body: Uint8Array): Uint8Array {
  return concatBytes(CONTEXT, body)
}
