/**
 * NAT-PMP (RFC 6886): what PCP came from, and what many gateways still speak alone. It tells its address apart from the mapping.
 *
 *   address  0 u8 | 0 u8                       →  0 u8 | 128 u8 | result u16 | epoch u32 | IP 4
 *   mapping  0 u8 | opcode u8 | 0 u16 | own port u16 | public port u16 | seconds u32
 *                                              →  0 u8 | 128 + opcode u8 | result u16 | epoch u32 | own port u16 |
 *                                                 public port u16 | seconds u32
 */
import { readU32, writeU32 } from '../../core/base/bytes.ts'
import { readU16, writeU16 } from './pcp.ts'
import type { PortToMap } from './port-mapping.ts'

const ANSWER = 128
const OPCODES = { udp: 1, tcp: 2 } as const

/** Section 3.5, for people. */
const RESULTS: readonly string[] = [
  'done',
  'it speaks another version',
  'it does not allow it',
  'it has no connection of its own',
  'it has no room for more',
  'it knows no such request',
]

export type NatPmpAnswer<Value> =
  | { readonly kind: 'told'; readonly value: Value }
  | { readonly kind: 'refused'; readonly why: string }

export function addressRequest(): Uint8Array {
  return new Uint8Array(2)
}

/** Null where it answers another question. */
export function readAddressAnswer(bytes: Uint8Array): NatPmpAnswer<string> | null {
  const refusal = refusalOf(bytes, 0)
  if (refusal !== undefined) return refusal
  return bytes.length < 12 ? null : { kind: 'told', value: bytes.subarray(8, 12).join('.') }
}

/** For 0 seconds the mapping ends. */
export function mappingRequest({ transport, port }: PortToMap, wanted: number, seconds: number): Uint8Array {
  const bytes = new Uint8Array(12)
  bytes[1] = OPCODES[transport]
  writeU16(bytes, 4, port)
  writeU16(bytes, 6, seconds === 0 ? 0 : wanted)
  writeU32(bytes, 8, seconds)
  return bytes
}

/** Null where it answers another question. */
export function readMappingAnswer(
  bytes: Uint8Array,
  { transport, port }: PortToMap,
): NatPmpAnswer<{ readonly port: number; readonly seconds: number }> | null {
  const refusal = refusalOf(bytes, OPCODES[transport])
  if (refusal !== undefined) return refusal
  if (bytes.length < 16 || readU16(bytes, 8) !== port) return null
  return { kind: 'told', value: { port: readU16(bytes, 10), seconds: readU32(bytes, 12) } }
}

/** Undefined where it is none. */
function refusalOf(
  bytes: Uint8Array,
  opcode: number,
): { readonly kind: 'refused'; readonly why: string } | null | undefined {
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== ANSWER + opcode) return null
  const result = readU16(bytes, 2)
  return result === 0 ? undefined : { kind: 'refused', why: RESULTS[result] ?? `result ${result}` }
}
