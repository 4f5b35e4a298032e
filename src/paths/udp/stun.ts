/**
 * The one question of STUN that is needed (RFC 8489): from which address do I seem to come? Asked of public peers, never of
 * anybody's server, and answered by every public peer. And the names in a request of ICE, which asks the same.
 */
import { decodeUtf8, equalBytes, readU32, writeU32 } from '../../core/base/bytes.ts'
import { bytesOfIp, ipOfBytes } from './ip-address.ts'

export interface SocketAddress {
  /** An IP address, IPv6 in lower case and without brackets. */
  readonly host: string
  readonly port: number
}

export const TRANSACTION_BYTES = 12
const HEADER_BYTES = 20
const BINDING_REQUEST = 0x0001
const BINDING_SUCCESS = 0x0101
const MAGIC_COOKIE = 0x2112a442
const USERNAME = 0x0006
const XOR_MAPPED_ADDRESS = 0x0020
const FAMILY_IPV4 = 1
const FAMILY_IPV6 = 2

/** Whether this may be STUN, by its first byte (RFC 7983) and the cookie. */
export function isStun(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_BYTES && bytes[0]! < 4 && readU32(bytes, 4) === MAGIC_COOKIE
}

export function bindingRequest(transaction: Uint8Array): Uint8Array {
  return message(BINDING_REQUEST, transaction, new Uint8Array(0))
}

/** The answer to a request that came from `from`; null where it is no such request. */
export function answerTo(request: Uint8Array, from: SocketAddress): Uint8Array | null {
  if (!isStun(request) || typeOf(request) !== BINDING_REQUEST) return null
  return bindingSuccess(transactionOf(request), from)
}

/** The answer that says so; null where the host is no IP address. */
export function bindingSuccess(transaction: Uint8Array, from: SocketAddress): Uint8Array | null {
  const ip = bytesOfIp(from.host)
  if (ip === null) return null
  const attribute = new Uint8Array(8 + ip.length)
  writeU16(attribute, 0, XOR_MAPPED_ADDRESS)
  writeU16(attribute, 2, 4 + ip.length)
  attribute[5] = ip.length === 4 ? FAMILY_IPV4 : FAMILY_IPV6
  writeU16(attribute, 6, from.port ^ (MAGIC_COOKIE >>> 16))
  attribute.set(masked(ip, transaction), 8)
  return message(BINDING_SUCCESS, transaction, attribute)
}

export function isBindingSuccess(bytes: Uint8Array): boolean {
  return isStun(bytes) && typeOf(bytes) === BINDING_SUCCESS
}

export function transactionOf(bytes: Uint8Array): Uint8Array {
  return bytes.slice(8, HEADER_BYTES)
}

/**
 * The message with one attribute more, of whole words, whose value is made of all before it, while the header's length counts it
 * already (RFC 8489 sections 14.5 and 14.7).
 */
export function withAttribute(
  bytes: Uint8Array,
  type: number,
  length: number,
  make: (content: Uint8Array) => Uint8Array,
): Uint8Array {
  const whole = new Uint8Array(bytes.length + 4 + length)
  whole.set(bytes)
  writeU16(whole, 2, whole.length - HEADER_BYTES)
  writeU16(whole, bytes.length, type)
  writeU16(whole, bytes.length + 2, length)
  whole.set(make(whole.subarray(0, bytes.length)), bytes.length + 4)
  return whole
}

/** What an answer to the request of this transaction says; null where it is none, or says nothing. */
export function mappedAddress(answer: Uint8Array, transaction: Uint8Array): SocketAddress | null {
  if (!isStun(answer) || typeOf(answer) !== BINDING_SUCCESS) return null
  if (!equalBytes(answer.subarray(8, HEADER_BYTES), transaction)) return null
  const value = attributeOf(answer, XOR_MAPPED_ADDRESS)
  return value === null ? null : readMapped(value, transaction)
}

/** The user names in a request of ICE (RFC 8445 section 7.2.2): whom it is for, and whose it is. Null where it is none. */
export function iceNames(request: Uint8Array): { readonly to: string; readonly from: string } | null {
  if (!isStun(request) || typeOf(request) !== BINDING_REQUEST) return null
  const value = attributeOf(request, USERNAME)
  const names = value === null ? null : decodeUtf8(value)?.split(':')
  return names?.length === 2 ? { to: names[0]!, from: names[1]! } : null
}

function attributeOf(bytes: Uint8Array, type: number): Uint8Array | null {
  const end = Math.min(bytes.length, HEADER_BYTES + readU16(bytes, 2))
  for (let at = HEADER_BYTES; at + 4 <= end; ) {
    const length = readU16(bytes, at + 2)
    if (readU16(bytes, at) === type && at + 4 + length <= end) return bytes.subarray(at + 4, at + 4 + length)
    // RFC 8489 section 14: attributes are padded to whole words.
    at += 4 + Math.ceil(length / 4) * 4
  }
  return null
}

function readMapped(value: Uint8Array, transaction: Uint8Array): SocketAddress | null {
  const bytes = value[1] === FAMILY_IPV4 ? 4 : value[1] === FAMILY_IPV6 ? 16 : 0
  if (bytes === 0 || value.length !== 4 + bytes) return null
  const port = readU16(value, 2) ^ (MAGIC_COOKIE >>> 16)
  return port === 0 ? null : { host: ipOfBytes(masked(value.subarray(4), transaction)), port }
}

/** RFC 8489 section 14.2: addresses are masked, since NATs of old rewrote what looked like one. */
function masked(ip: Uint8Array, transaction: Uint8Array): Uint8Array {
  const mask = new Uint8Array(4 + TRANSACTION_BYTES)
  writeU32(mask, 0, MAGIC_COOKIE)
  mask.set(transaction, 4)
  return ip.map((byte, i) => byte ^ mask[i]!)
}

function message(type: number, transaction: Uint8Array, attributes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + attributes.length)
  writeU16(bytes, 0, type)
  writeU16(bytes, 2, attributes.length)
  writeU32(bytes, 4, MAGIC_COOKIE)
  bytes.set(transaction, 8)
  bytes.set(attributes, HEADER_BYTES)
  return bytes
}

function typeOf(bytes: Uint8Array): number {
  return readU16(bytes, 0)
}

function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!
}

function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value & 255
}
