/**
 * A record of the registry: what one peer says of one service, signed by it (spec 6.2). An announcement says "I am a
 * member, here is my ref" and lies at the service's key; a descriptor says "this service exists" and lies at its shard
 * of the directory. A withdrawn one takes the place of what it withdraws until that would have expired. The signed bytes
 * are kept, so that passing a record on never re-encodes it.
 *
 *   version u8 = 1 | kind u8 | service text | sequence u48 | expires u48 | payload sized | public key 32 | signature 64
 *   kind: 1 announcement, 2 descriptor, 3 announcement withdrawn, 4 descriptor withdrawn
 *   payload: announcement: a PeerRef; descriptor: members u32 | summary text; withdrawn: empty
 */
import { ByteReader, ByteWriter, concatBytes, encodeUtf8, readWhole } from '../base/bytes.ts'
import { fail, ok, type Result } from '../base/fault.ts'
import { hexOfBytes } from '../base/hex.ts'
import type { WallTime } from '../base/instant.ts'
import { PEER_ID_BYTES, type PeerId, peerIdOfBytes } from '../base/peer-id.ts'
import { type Position, positionOfHash } from '../base/position.ts'
import { REF_BYTES_MAX } from '../crypto/peer-ref.ts'
import { type CryptoSuite, type Identity, SIGNATURE_BYTES } from '../crypto/suite.ts'
import { DIRECTORY_SHARDS, RECORD_BYTES_MAX, SUMMARY_BYTES_MAX } from '../limits.ts'
import { parseServiceName, SERVICE_TEXT_BYTES_MAX, type ServiceName } from './service-name.ts'

export type RecordKind = 'announcement' | 'descriptor'

/** Names what a record is about (kind, service, publisher): of two with one slot the later counts. 8 bytes, hexadecimal. */
export type Slot = string
export const SLOT_BYTES = 8

export interface RecordFields {
  readonly kind: RecordKind
  readonly withdrawn: boolean
  readonly service: ServiceName
  /** Wall-clock milliseconds of its making. */
  readonly sequence: number
  readonly expires: WallTime
  readonly payload: Uint8Array
}

export interface ServiceRecord extends RecordFields {
  readonly peer: PeerId
  /** Where on the ring it is kept. */
  readonly key: Position
  readonly slot: Slot
  /** The signed bytes. */
  readonly bytes: Uint8Array
}

export interface Description {
  /** How many members the publisher takes the service to have. */
  readonly members: number
  readonly summary: string
}

const RECORD_VERSION = 1
const WITHDRAWN = 2
const CONTEXT = encodeUtf8('webmesh-record1')

export function signRecord(suite: CryptoSuite, identity: Identity, fields: RecordFields): ServiceRecord {
  const body = new ByteWriter(192)
    .u8(RECORD_VERSION)
    .u8((fields.kind === 'announcement' ? 1 : 2) + (fields.withdrawn ? WITHDRAWN : 0))
    .text(fields.service)
    .u48(fields.sequence)
    .u48(fields.expires)
    .sized(fields.payload)
    .raw(identity.publicKey)
    .finish()
  const bytes = concatBytes(body, identity.sign(concatBytes(CONTEXT, body)))
  return recordOf(suite, fields, identity.peer, identity.publicKey, bytes)
}

/** Reads a record without checking its signature or its times. */
export function readRecord(suite: CryptoSuite, bytes: Uint8Array): Result<ServiceRecord> {
  const bad = (detail: string) => fail({ code: 'malformed', detail: `record: ${detail}` })
  if (bytes.length > RECORD_BYTES_MAX) return bad('too long')
  const reader = new ByteReader(bytes, 0, bytes.length - SIGNATURE_BYTES)
  const version = reader.u8()
  const code = reader.u8()
  const name = parseServiceName(reader.text(SERVICE_TEXT_BYTES_MAX))
  const sequence = reader.u48()
  const expires = reader.u48()
  const payload = reader.sized(REF_BYTES_MAX)
  const publicKey = reader.raw(PEER_ID_BYTES)
  if (!reader.finished) return bad('incomplete or damaged')
  if (version !== RECORD_VERSION) return bad('version')
  if (code < 1 || code > 4) return bad('kind')
  if (!name.ok) return bad('service name')
  const withdrawn = code > WITHDRAWN
  const kind: RecordKind = code % 2 === 1 ? 'announcement' : 'descriptor'
  if (withdrawn ? payload.length > 0 : !payloadFits(kind, payload, publicKey)) return bad('payload')
  const fields = { kind, withdrawn, service: name.value, sequence, expires, payload: payload.slice() }
  return ok(recordOf(suite, fields, peerIdOfBytes(publicKey), publicKey, bytes.slice()))
}

export function recordIsAuthentic(suite: CryptoSuite, record: ServiceRecord): boolean {
  const bodyBytes = record.bytes.length - SIGNATURE_BYTES
  const body = record.bytes.subarray(0, bodyBytes)
  const publicKey = body.subarray(bodyBytes - PEER_ID_BYTES)
  return suite.verify(publicKey, concatBytes(CONTEXT, body), record.bytes.subarray(bodyBytes))
}

export function descriptionBytes(description: Description): Uint8Array {
  return new ByteWriter(16).u32(description.members).text(description.summary).finish()
}

export function readDescription(payload: Uint8Array): Description | null {
  return readWhole(payload, reader => ({ members: reader.u32(), summary: reader.text(SUMMARY_BYTES_MAX) }))
}

export function keyOfService(suite: CryptoSuite, service: ServiceName): Position {
  return positionOfHash(hashOfService(suite, service))
}

export function keyOfShard(suite: CryptoSuite, shard: number): Position {
  return positionOfHash(suite.sha256(encodeUtf8(`directory:${shard}`)))
}

/** Which shard of the directory lists a service. */
export function shardOfService(suite: CryptoSuite, service: ServiceName): number {
  return hashOfService(suite, service)[31]! % DIRECTORY_SHARDS
}

export function hashOfService(suite: CryptoSuite, service: ServiceName): Uint8Array {
  return suite.sha256(encodeUtf8(`service:${service}`))
}

/** Written out: all records are of one shape, which they are not where fields are spread. */
function recordOf(
  suite: CryptoSuite,
  fields: RecordFields,
  peer: PeerId,
  publicKey: Uint8Array,
  bytes: Uint8Array,
): ServiceRecord {
  const { kind, withdrawn, service, sequence, expires, payload } = fields
  const hash = hashOfService(suite, service)
  const announcement = kind === 'announcement'
  const key = announcement ? positionOfHash(hash) : keyOfShard(suite, hash[31]! % DIRECTORY_SHARDS)
  const slot = slotOfBytes(suite.sha256(new Uint8Array([announcement ? 1 : 2]), hash, publicKey))
  return { kind, withdrawn, service, sequence, expires, payload, peer, key, slot, bytes }
}

export function slotOfBytes(bytes: Uint8Array): Slot {
  return hexOfBytes(bytes, SLOT_BYTES)
}

/** An announced ref must be the publisher's own (its key follows the version); finders check its signature. */
function payloadFits(kind: RecordKind, payload: Uint8Array, publicKey: Uint8Array): boolean {
  if (kind === 'descriptor') return readDescription(payload) !== null
  if (payload.length < 1 + PEER_ID_BYTES) return false
  for (let i = 0; i < PEER_ID_BYTES; i += 1) if (payload[i + 1] !== publicKey[i]) return false
  return true
}
