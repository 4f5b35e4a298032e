/**
 * The frames inside a packet's plaintext (spec 4.3): their numbers and the small ones' bytes. Frames stand back to back
 * and fill the packet. The reader is the session's own loop, which dispatches as it reads.
 *
 *   number  name            bytes after the number
 *   0x01    ping            token u32
 *   0x02    pong            token u32
 *   0x03    acknowledge     next varint | delay varint, ms | count u8 | count × (gap varint, length varint)
 *   0x04    here            (none) the sender speaks over this path from now on
 *   0x05    close           code u8
 *   0x06    datagram        length varint | bytes
 *   0x07    message         channel u8 | length varint | bytes
 *   0x08    stream-open     stream varint | subject: length varint, UTF-8
 *   0x09    stream-data     stream varint | length varint | bytes (at least one)
 *   0x0a    stream-end      stream varint
 *   0x0b    stream-reset    stream varint | code u32
 *   0x0c    stream-credit   stream varint | offset varint
 *   0x0d    session-credit  offset varint
 *   0x0e    stream-refuse   stream varint
 *   0x0f    path-ask        token u32 | urgent u8 (1: the sender has no other path)
 *   0x10    path-answer     token u32
 */
import { ByteWriter, varintBytes } from '../base/bytes.ts'
import type { FaultCode } from '../base/fault.ts'
import type { PacketContent } from './packet-content.ts'

interface FrameSink {
  u8(value: number): unknown
  varint(value: number): unknown
}

export const FRAME_PING = 0x01
export const FRAME_PONG = 0x02
export const FRAME_ACKNOWLEDGE = 0x03
export const FRAME_HERE = 0x04
export const FRAME_CLOSE = 0x05
export const FRAME_DATAGRAM = 0x06
export const FRAME_MESSAGE = 0x07
export const FRAME_STREAM_OPEN = 0x08
export const FRAME_STREAM_DATA = 0x09
export const FRAME_STREAM_END = 0x0a
export const FRAME_STREAM_RESET = 0x0b
export const FRAME_STREAM_CREDIT = 0x0c
export const FRAME_SESSION_CREDIT = 0x0d
export const FRAME_STREAM_REFUSE = 0x0e
export const FRAME_PATH_ASK = 0x0f
export const FRAME_PATH_ANSWER = 0x10

/** The longest header of a frame that carries bytes: kind, stream, length. */
export const STREAM_DATA_HEADER_BYTES_MAX = 1 + 8 + 3

/** Why a session is closed, by its number on the wire; what has none travels as `closed`. Append-only. */
const CLOSE_CODES: readonly FaultCode[] = [
  'closed',
  'malformed',
  'flow-control-broken',
  'message-too-large',
  'overloaded',
  'refused',
  'session-replaced',
  'session-lost',
  'aborted',
  'timeout',
  'no-such-service',
  'version-mismatch',
]

export function closeNumber(code: FaultCode): number {
  return Math.max(0, CLOSE_CODES.indexOf(code))
}

/** Numbers of later versions read as `closed`. */
export function closeCode(number: number): FaultCode {
  return CLOSE_CODES[number] ?? 'closed'
}

export function tokenFrame(kind: typeof FRAME_PING | typeof FRAME_PONG, token: number): Uint8Array {
  return new ByteWriter(5).u8(kind).u32(token).finish()
}

export function pathAskFrame(token: number, urgent: boolean): Uint8Array {
  return new ByteWriter(6).u8(FRAME_PATH_ASK).u32(token).flag(urgent).finish()
}

export function pathAnswerFrame(token: number): Uint8Array {
  return new ByteWriter(5).u8(FRAME_PATH_ANSWER).u32(token).finish()
}

export function hereFrame(): Uint8Array {
  return Uint8Array.of(FRAME_HERE)
}

export function closeFrame(code: FaultCode): Uint8Array {
  return Uint8Array.of(FRAME_CLOSE, closeNumber(code))
}

export function messageFrame(channel: number, bytes: Uint8Array): Uint8Array {
  return new ByteWriter(messageFrameBytes(bytes)).u8(FRAME_MESSAGE).u8(channel).sized(bytes).finish()
}

export function messageFrameBytes(bytes: Uint8Array): number {
  return 2 + varintBytes(bytes.length) + bytes.length
}

/** The same frame within the packet that is being put together. */
export function addMessageFrame(content: PacketContent, channel: number, bytes: Uint8Array): void {
  content.u8(FRAME_MESSAGE)
  content.u8(channel)
  content.varint(bytes.length)
  content.add(bytes)
}

export function streamOpenFrame(stream: number, subject: Uint8Array): Uint8Array {
  return new ByteWriter(subject.length + 10).u8(FRAME_STREAM_OPEN).varint(stream).sized(subject).finish()
}

export function streamEndFrame(stream: number): Uint8Array {
  return new ByteWriter(9).u8(FRAME_STREAM_END).varint(stream).finish()
}

export function streamResetFrame(stream: number, code: number): Uint8Array {
  return new ByteWriter(13).u8(FRAME_STREAM_RESET).varint(stream).u32(code).finish()
}

export function streamRefuseFrame(stream: number): Uint8Array {
  return new ByteWriter(9).u8(FRAME_STREAM_REFUSE).varint(stream).finish()
}

export function streamCreditFrame(stream: number, offset: number): Uint8Array {
  return new ByteWriter(17).u8(FRAME_STREAM_CREDIT).varint(stream).varint(offset).finish()
}

export function sessionCreditFrame(offset: number): Uint8Array {
  return new ByteWriter(9).u8(FRAME_SESSION_CREDIT).varint(offset).finish()
}

/** `ranges`: pairs of first and past-the-last number of packets held beyond `next`, ascending. */
export function acknowledgeFrame(next: number, delayMs: number, ranges: readonly number[]): Uint8Array {
  const writer = new ByteWriter(12 + ranges.length * 4)
  writeAcknowledgeFrame(writer, next, delayMs, ranges)
  return writer.finish()
}

/** Into the packet that is being put together, or any other place for bytes. */
export function writeAcknowledgeFrame(to: FrameSink, next: number, delayMs: number, ranges: readonly number[]): void {
  to.u8(FRAME_ACKNOWLEDGE)
  to.varint(next)
  to.varint(delayMs)
  to.u8(ranges.length / 2)
  let from = next
  for (let i = 0; i < ranges.length; i += 2) {
    to.varint(ranges[i]! - from)
    to.varint(ranges[i + 1]! - ranges[i]!)
    from = ranges[i + 1]!
  }
}
