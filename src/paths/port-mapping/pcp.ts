/**
 * The two messages of the Port Control Protocol that are needed (RFC 6887): a mapping for so many seconds, 0 to end it, and the
 * answer. Both go to UDP port 5351 of the gateway, where NAT-PMP is spoken too. Of an IPv6 address of this machine, which
 * nothing translates, a mapping is a hole in the gateway's firewall.
 *
 *   request  version u8 = 2 | opcode u8 = 1 | 0 u16 | seconds u32 | own IP 16
 *   answer   version u8 = 2 | opcode u8 = 129 | 0 u8 | result u8 | seconds u32 | epoch u32 | 0 12
 *   then     nonce 12 | protocol u8 | 0 3 | own port u16 | public port u16 | public IP 16
 */
import { equalBytes, readU32, writeU32 } from '../../core/base/bytes.ts'
import { bytesOfIp, plainIp } from '../udp/ip-address.ts'
import type { PortToMap } from './port-mapping.ts'

export const GATEWAY_PORT = 5_351
export const NONCE_BYTES = 12
const VERSION = 2
const MAP = 1
const ANSWER = 0x80
const HEADER_BYTES = 24
const MESSAGE_BYTES = HEADER_BYTES + 36
const PROTOCOLS = { tcp: 6, udp: 17 } as const
const UNSUPPORTED_VERSION = 1

/** RFC 6887 section 7.4, for people. */
const RESULTS: readonly string[] = [
  'done',
  'it speaks another version',
  'it does not allow it',
  'it could not read the request',
  'it knows no mappings',
  'it knows no such option',
  'the option is malformed',
  'it has no connection of its own',
  'it has no room for more',
  'it does not map this protocol',
  'this machine has too many mappings',
  'it cannot give this port',
  'another NAT stands between it and this machine',
  'too many remote peers',
]

export interface PcpRequest {
  /** Shown again to renew or end the mapping. */
  readonly nonce: Uint8Array
  /** As the gateway sees it. */
  readonly ownHost: string
  readonly port: PortToMap
  readonly wanted: number
  readonly seconds: number
}

export type PcpAnswer =
  | { readonly kind: 'granted'; readonly host: string; readonly port: number; readonly seconds: number }
  | { readonly kind: 'refused'; readonly why: string }
  /** The gateway knows NAT-PMP alone, or nothing of this. */
  | { readonly kind: 'other-version' }

export function pcpRequest({ nonce, ownHost, port, wanted, seconds }: PcpRequest): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_BYTES)
  bytes[0] = VERSION
  bytes[1] = MAP
  writeU32(bytes, 4, seconds)
  bytes.set(as16(ownHost), 8)
  bytes.set(nonce, HEADER_BYTES)
  bytes[36] = PROTOCOLS[port.transport]
  writeU16(bytes, 40, port.port)
  // Where it ends, nothing is suggested (section 15).
  writeU16(bytes, 42, seconds === 0 ? 0 : wanted)
  bytes.set(as16(ownHost.includes(':') ? '::' : '0.0.0.0'), 44)
  return bytes
}

/** Null where it answers another question. */
export function readPcpAnswer(
  bytes: Uint8Array,
  { nonce, port }: Pick<PcpRequest, 'nonce' | 'port'>,
): PcpAnswer | null {
  if (bytes.length < 4 || (bytes[1]! & ANSWER) === 0) return null
  // A gateway with NAT-PMP alone answers in its own version, with a result of 16 bits.
  if (bytes[0] !== VERSION || bytes[3] === UNSUPPORTED_VERSION) return { kind: 'other-version' }
  if (bytes[1] !== (MAP | ANSWER)) return null
  const result = bytes[3]!
  if (bytes.length < MESSAGE_BYTES) return result === 0 ? null : refused(result)
  const isOurs =
    equalBytes(bytes.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES), nonce) &&
    bytes[36] === PROTOCOLS[port.transport] &&
    readU16(bytes, 40) === port.port
  if (!isOurs) return null
  if (result !== 0) return refused(result)
  const host = plainIp(Array.from({ length: 8 }, (_, i) => readU16(bytes, 44 + 2 * i).toString(16)).join(':'))
  return host === null ? null : { kind: 'granted', host, port: readU16(bytes, 42), seconds: readU32(bytes, 4) }
}

function refused(result: number): PcpAnswer {
  return { kind: 'refused', why: RESULTS[result] ?? `result ${result}` }
}

/** IPv4 as IPv6, as all addresses of the protocol are. */
function as16(ip: string): Uint8Array {
  return bytesOfIp(ip.includes(':') ? ip : `::ffff:${ip}`)!
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value & 255
}
