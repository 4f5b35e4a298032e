/**
 * What one end of a punched wire must know of the other (spec 5.9).
 *
 *   version u8 | token 16 | stream u32 | mapping u8 | count u8 | (kind u8 | IP sized | port u16)…
 */
import { ByteReader, ByteWriter } from '../../core/base/bytes.ts'
import { bytesOfIp, ipOfBytes } from './ip-address.ts'
import type { SocketAddress } from './stun.ts'

/** How a NAT maps one socket for several destinations (RFC 4787 section 4.1): all alike, each on another port, not known. */
export type NatMapping = 'unknown' | 'independent' | 'dependent'

export interface PunchCandidate extends SocketAddress {
  /** Of the machine itself, or as others see it. */
  readonly kind: 'host' | 'reflexive'
}

export interface PunchDescription {
  /** Whoever sends it has read this description: probes without it are not answered. */
  readonly token: Uint8Array
  /** The number of this end's stream on its socket. */
  readonly stream: number
  readonly mapping: NatMapping
  readonly candidates: readonly PunchCandidate[]
}

/**
 * NATs that are in a hurry forget after 10 s that a socket may be answered (RFC 4787 asks for two minutes): within this something
 * goes over a punched wire, and for so long what helpers told of this machine's mappings counts.
 */
export const MAPPING_KEPT_MS = 8_000
export const TOKEN_BYTES = 16
export const CANDIDATES_MAX = 12
const VERSION = 1
const MAPPINGS: readonly NatMapping[] = ['unknown', 'independent', 'dependent']
const KINDS: readonly PunchCandidate['kind'][] = ['host', 'reflexive']

export function writePunchDescription({ token, stream, mapping, candidates }: PunchDescription): Uint8Array {
  const told = candidates
    .map(({ kind, host, port }) => ({ kind, ip: bytesOfIp(host), port }))
    .filter(({ ip }) => ip !== null)
    .slice(0, CANDIDATES_MAX)
  const writer = new ByteWriter(64 + 20 * told.length).u8(VERSION).raw(token).u32(stream)
  writer.oneOf(MAPPINGS, mapping).u8(told.length)
  for (const { kind, ip, port } of told) writer.oneOf(KINDS, kind).sized(ip!).u16(port)
  return writer.finish()
}

/** Null where it is none. */
export function readPunchDescription(bytes: Uint8Array): PunchDescription | null {
  const reader = new ByteReader(bytes)
  if (reader.u8() !== VERSION) return null
  const token = reader.raw(TOKEN_BYTES).slice()
  const stream = reader.u32()
  const mapping = reader.oneOf(MAPPINGS)
  const candidates = reader.list(CANDIDATES_MAX, readCandidate, reader.u8())
  return reader.finished ? { token, stream, mapping, candidates } : null
}

function readCandidate(reader: ByteReader): PunchCandidate {
  const kind = reader.oneOf(KINDS)
  const ip = reader.sized(16)
  const port = reader.u16()
  if (port === 0 || (ip.length !== 4 && ip.length !== 16)) reader.failed = true
  return { kind, host: ipOfBytes(ip), port }
}
