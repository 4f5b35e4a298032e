/**
 * Messages between members of a service (spec 7.5): `kind u8 | tag 8 | …`, where the tag names the service. Numbers are
 * append-only.
 *
 *   1 view-join    member for u32 ms | ref sized
 *   2 view-accept  member for u32 ms | refs sized …
 *   3 view-refuse  reason u8 (0 not a member, 1 full) | refs sized …
 *   4 view-leave   reason u8 (0 trimmed, 1 left the service, 2 not linked)
 *   5 gossip       age u16, in tenths of a second | content u8 | origin 32 | sequence u48 | signature 64 | payload, to the end
 *   6 ihave        message ids 14 …
 *   7 graft        message id 14
 *   8 prune
 *   9 place        parent u8 (1: the receiver is the sender's) | term u32 | capacity u16 | root 32 | round u32 | depth u8
 */
import { type ByteReader, ByteWriter, readWhole } from '../base/bytes.ts'
import { bytesOfHex } from '../base/hex.ts'
import { bytesOfPeerId, readPeerId } from '../base/peer-id.ts'
import { readRefBytes } from '../crypto/peer-ref.ts'
import { SIGNATURE_BYTES } from '../crypto/suite.ts'
import { BROADCAST_BYTES_MAX, IHAVE_IDS_MAX, SERVICE_MESSAGE_BYTES_MAX, VIEW_REFS_MAX } from '../limits.ts'
import {
  type Broadcast,
  codeOfContent,
  contentOfCode,
  MESSAGE_ID_BYTES,
  type MessageId,
  messageIdOfBytes,
} from './broadcast.ts'
import { type ServiceTag, TAG_BYTES, tagOfBytes } from './service-tag.ts'
import type { Place } from './tree-place.ts'

export type ServiceMessage =
  | { readonly kind: 'view-join'; readonly memberForMs: number; readonly ref: Uint8Array }
  | { readonly kind: 'view-accept'; readonly memberForMs: number; readonly refs: readonly Uint8Array[] }
  | { readonly kind: 'view-refuse'; readonly reason: RefuseReason; readonly refs: readonly Uint8Array[] }
  | { readonly kind: 'view-leave'; readonly reason: LeaveReason }
  /** `ageMs`: since it left its origin, as those say that kept it on the way. */
  | { readonly kind: 'gossip'; readonly broadcast: Broadcast; readonly ageMs: number }
  | { readonly kind: 'ihave'; readonly ids: readonly MessageId[] }
  | { readonly kind: 'graft'; readonly id: MessageId }
  | { readonly kind: 'prune' }
  | { readonly kind: 'place'; readonly place: Place; readonly isParent: boolean }

export type RefuseReason = 'not-a-member' | 'full'
/** `not-linked`: the receiver takes the sender for a neighbour, which it is not. */
export type LeaveReason = 'trimmed' | 'left' | 'not-linked'

const REFUSE_REASONS: readonly RefuseReason[] = ['not-a-member', 'full']
const LEAVE_REASONS: readonly LeaveReason[] = ['trimmed', 'left', 'not-linked']

/** Of a broadcast's age on the wire. */
const AGE_UNIT_MS = 100
/** Seven weeks; older members say this. */
const MEMBER_FOR_MS_MAX = 0xffffffff

export function encodeServiceMessage(tag: ServiceTag, message: ServiceMessage): Uint8Array {
  const writer = new ByteWriter(message.kind === 'gossip' ? 120 + message.broadcast.payload.length : 64)
  const start = (kind: number): ByteWriter => writer.u8(kind).raw(bytesOfHex(tag, TAG_BYTES))
  switch (message.kind) {
    case 'view-join':
      return start(1).u32(Math.min(message.memberForMs, MEMBER_FOR_MS_MAX)).sized(message.ref).finish()
    case 'view-accept':
      start(2).u32(Math.min(message.memberForMs, MEMBER_FOR_MS_MAX))
      return writeRefs(writer, message.refs).finish()
    case 'view-refuse':
      start(3).oneOf(REFUSE_REASONS, message.reason)
      return writeRefs(writer, message.refs).finish()
    case 'view-leave':
      return start(4).oneOf(LEAVE_REASONS, message.reason).finish()
    case 'gossip': {
      const { content, origin, sequence, signature, payload } = message.broadcast
      start(5)
        .u16(Math.min(Math.floor(message.ageMs / AGE_UNIT_MS), 0xffff))
        .u8(codeOfContent(content))
        .raw(bytesOfPeerId(origin))
        .u48(sequence)
      return writer.raw(signature).raw(payload).finish()
    }
    case 'ihave':
      start(6)
      for (const id of message.ids) writer.raw(bytesOfHex(id, MESSAGE_ID_BYTES))
      return writer.finish()
    case 'graft':
      return start(7).raw(bytesOfHex(message.id, MESSAGE_ID_BYTES)).finish()
    case 'prune':
      return start(8).finish()
    case 'place': {
      const { root, round, depth } = message.place
      start(9).flag(message.isParent).u32(root.term).u16(root.capacity)
      return writer.raw(bytesOfPeerId(root.peer)).u32(round).u8(depth).finish()
    }
  }
}

export function decodeServiceMessage(bytes: Uint8Array): { tag: ServiceTag; message: ServiceMessage } | null {
  return readWhole(bytes, reader => {
    const kind = reader.u8()
    const tag = tagOfBytes(reader.raw(TAG_BYTES))
    const message = readBody(kind, reader)
    return message === null ? null : { tag, message }
  })
}

function readBody(kind: number, reader: ByteReader): ServiceMessage | null {
  switch (kind) {
    case 1:
      return { kind: 'view-join', memberForMs: reader.u32(), ref: readRefBytes(reader) }
    case 2:
      return { kind: 'view-accept', memberForMs: reader.u32(), refs: reader.list(VIEW_REFS_MAX, readRefBytes) }
    case 3:
      return {
        kind: 'view-refuse',
        reason: reader.oneOf(REFUSE_REASONS),
        refs: reader.list(VIEW_REFS_MAX, readRefBytes),
      }
    case 4:
      return { kind: 'view-leave', reason: reader.oneOf(LEAVE_REASONS) }
    case 5: {
      const ageMs = reader.u16() * AGE_UNIT_MS
      const content = contentOfCode(reader.u8())
      const origin = readPeerId(reader)
      const sequence = reader.u48()
      const signature = reader.raw(SIGNATURE_BYTES)
      const payload = reader.rest()
      if (reader.failed || content === null || payload.length > BROADCAST_BYTES_MAX) return null
      const broadcast = { content, origin, sequence, signature, payload }
      return { kind: 'gossip', broadcast, ageMs }
    }
    case 6:
      return { kind: 'ihave', ids: reader.list(IHAVE_IDS_MAX, readMessageId) }
    case 7:
      return { kind: 'graft', id: readMessageId(reader) }
    case 8:
      return { kind: 'prune' }
    case 9: {
      const parent = reader.u8()
      const root = { term: reader.u32(), capacity: reader.u16(), peer: readPeerId(reader) }
      const place = { root, round: reader.u32(), depth: reader.u8() }
      return reader.failed || parent > 1 ? null : { kind: 'place', place, isParent: parent === 1 }
    }
    default:
      return null
  }
}

/** As many as fit one message. */
function writeRefs(writer: ByteWriter, refs: readonly Uint8Array[]): ByteWriter {
  for (const ref of refs) if (writer.length + ref.length + 2 <= SERVICE_MESSAGE_BYTES_MAX) writer.sized(ref)
  return writer
}

function readMessageId(reader: ByteReader): MessageId {
  return messageIdOfBytes(reader.raw(MESSAGE_ID_BYTES))
}
