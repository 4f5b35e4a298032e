/**
 * The messages between the overlays of two peers with a session (spec 5.3). Numbers are append-only.
 *
 *    1 hello            ref sized
 *    2 link-ask         purpose u8
 *    3 link-answer      accepted u8 | refs
 *    4 link-drop        (empty)
 *    5 neighbours       relayed u16 | direct u16 | count u16 | positions u56 … (the direct ones first)
 *    6 gossip           flags u8 (1: answer me) | estimate u32 | refs
 *    7 route            id u32 | key u56 | method u8 | ttl u8 | payload sized
 *    8 route-answer     id u32 | status u8 (0 answered, 1 no way on, 2 refused) | hops u8 | payload sized
 *    9 circuit-open     label u32 | target 32 | via (the opener first) | frame sized
 *   10 circuit-accept   forLabel u32 | label u32 | via
 *   11 circuit-refuse   forLabel u32 | reason u8
 *   12 circuit-close    label u32
 *   13 ref-ask          count u8 | positions u56 …
 *   14 neighbours-changed  relayed u16 | count u16 | (position u56 | state u8: 0 gone, 1 direct, 2 over a circuit) …
 *   15 circuit-hold     label u32 | hold u8 (1 hold, 0 go on)
 *
 *   refs = count u8 | (age u16 s | ref or its name sized)…      via = count u8 | (public key 32)…
 */
import { type ByteReader, ByteWriter, readWhole } from '../base/bytes.ts'
import { bytesOfPeerId, type PeerId, readPeerId } from '../base/peer-id.ts'
import { type Position, RING } from '../base/position.ts'
import { readRefBytes } from '../crypto/peer-ref.ts'
import {
  CIRCUIT_HOPS_MAX,
  GREETING_BYTES_MAX,
  NEIGHBOURS_MAX,
  REFS_PER_MESSAGE_MAX,
  ROUTED_PAYLOAD_BYTES_MAX,
} from '../limits.ts'
import type { NeighbourChange, NeighbourState } from './neighbour-news.ts'

/** Why a peer asks for a link: a near one is judged by the ring, any other by the room there is. */
export type LinkPurpose = 'near' | 'far' | 'random' | 'public' | 'way-in'
/** `unknown`: the peer that stands closest to the target's place does not know it. */
/** `unknown`: where the peer should be known, nobody knows it. `lost`: one that had a way to it lost it a moment ago. */
export type RefusalReason = 'no-route' | 'loop' | 'declined' | 'overloaded' | 'unknown' | 'lost'
export type RouteStatus = 'answered' | 'no-way-on' | 'refused'

/** A ref on its way: its signed bytes or its name (`ref-names.ts`), and how many seconds ago somebody had contact with the peer itself. */
export interface RefEntry {
  readonly ageSeconds: number
  readonly bytes: Uint8Array
}

export type OverlayMessage =
  | { readonly kind: 'hello'; readonly ref: Uint8Array }
  | { readonly kind: 'link-ask'; readonly purpose: LinkPurpose }
  | { readonly kind: 'link-answer'; readonly accepted: boolean; readonly refs: readonly RefEntry[] }
  | { readonly kind: 'link-drop' }
  /**
   * Positions of links: first the `direct` ones that a wire leads to, then those over circuits. `relayed`: how many
   * circuits of others the sender carries.
   */
  | {
      readonly kind: 'neighbours'
      readonly relayed: number
      readonly direct: number
      readonly positions: Float64Array
    }
  /** `estimate`: how many peers there are by what the sender sees alone. */
  | {
      readonly kind: 'gossip'
      readonly wantsAnswer: boolean
      readonly estimate: number
      readonly refs: readonly RefEntry[]
    }
  | {
      readonly kind: 'route'
      readonly id: number
      readonly key: Position
      readonly method: number
      readonly ttl: number
      readonly payload: Uint8Array
    }
  | {
      readonly kind: 'route-answer'
      readonly id: number
      readonly status: RouteStatus
      readonly hops: number
      readonly payload: Uint8Array
    }
  | {
      readonly kind: 'circuit-open'
      readonly label: number
      readonly target: PeerId
      readonly via: readonly PeerId[]
      readonly frame: Uint8Array
    }
  | {
      readonly kind: 'circuit-accept'
      readonly forLabel: number
      readonly label: number
      readonly via: readonly PeerId[]
    }
  | { readonly kind: 'circuit-refuse'; readonly forLabel: number; readonly reason: RefusalReason }
  | { readonly kind: 'circuit-close'; readonly label: number }
  | { readonly kind: 'circuit-hold'; readonly label: number; readonly hold: boolean }
  | { readonly kind: 'ref-ask'; readonly positions: readonly Position[] }
  | { readonly kind: 'neighbours-changed'; readonly relayed: number; readonly changes: readonly NeighbourChange[] }

const PURPOSES: readonly LinkPurpose[] = ['near', 'far', 'random', 'public', 'way-in']
const REASONS: readonly RefusalReason[] = ['no-route', 'loop', 'declined', 'overloaded', 'unknown', 'lost']
const STATUSES: readonly RouteStatus[] = ['answered', 'no-way-on', 'refused']
const STATES: readonly NeighbourState[] = ['gone', 'direct', 'relayed']

export function encodeOverlayMessage(message: OverlayMessage): Uint8Array {
  const writer = new ByteWriter(roomFor(message))
  switch (message.kind) {
    case 'hello':
      return writer.u8(1).sized(message.ref).finish()
    case 'link-ask':
      return writer.u8(2).oneOf(PURPOSES, message.purpose).finish()
    case 'link-answer':
      return writeRefs(writer.u8(3).flag(message.accepted), message.refs).finish()
    case 'link-drop':
      return writer.u8(4).finish()
    case 'neighbours':
      writer.u8(5).u16(message.relayed).u16(message.direct).u16(message.positions.length)
      for (const position of message.positions) writer.u56(position)
      return writer.finish()
    case 'gossip':
      writer.u8(6).flag(message.wantsAnswer).u32(message.estimate)
      return writeRefs(writer, message.refs).finish()
    case 'route':
      return writer
        .u8(7)
        .u32(message.id)
        .u56(message.key)
        .u8(message.method)
        .u8(message.ttl)
        .sized(message.payload)
        .finish()
    case 'route-answer':
      return writer
        .u8(8)
        .u32(message.id)
        .oneOf(STATUSES, message.status)
        .u8(message.hops)
        .sized(message.payload)
        .finish()
    case 'circuit-open':
      writer.u8(9).u32(message.label).raw(bytesOfPeerId(message.target))
      return writeVia(writer, message.via).sized(message.frame).finish()
    case 'circuit-accept':
      return writeVia(writer.u8(10).u32(message.forLabel).u32(message.label), message.via).finish()
    case 'circuit-refuse':
      return writer.u8(11).u32(message.forLabel).oneOf(REASONS, message.reason).finish()
    case 'circuit-close':
      return writer.u8(12).u32(message.label).finish()
    case 'circuit-hold':
      return writer.u8(15).u32(message.label).flag(message.hold).finish()
    case 'ref-ask':
      writer.u8(13).u8(message.positions.length)
      for (const position of message.positions) writer.u56(position)
      return writer.finish()
    case 'neighbours-changed':
      writer.u8(14).u16(message.relayed).u16(message.changes.length)
      for (const change of message.changes) writer.u56(change.position).oneOf(STATES, change.state)
      return writer.finish()
  }
}

/** Enough for the long ones, so that they are not copied while they are written. */
function roomFor(message: OverlayMessage): number {
  switch (message.kind) {
    case 'hello':
      return message.ref.length + 4
    case 'link-answer':
    case 'gossip': {
      let bytes = 3
      for (const ref of message.refs) bytes += ref.bytes.length + 5
      return bytes
    }
    case 'neighbours':
      return 7 + 7 * message.positions.length
    case 'route':
    case 'route-answer':
      return message.payload.length + 20
    default:
      return 64
  }
}

/** The message, or null where the bytes are not exactly one message of a known kind. */
export function decodeOverlayMessage(bytes: Uint8Array): OverlayMessage | null {
  return readWhole(bytes, readMessage)
}

function readMessage(reader: ByteReader): OverlayMessage | null {
  switch (reader.u8()) {
    case 1:
      return { kind: 'hello', ref: readRefBytes(reader) }
    case 2:
      return { kind: 'link-ask', purpose: reader.oneOf(PURPOSES) }
    case 3:
      return { kind: 'link-answer', accepted: reader.flag(), refs: readRefs(reader) }
    case 4:
      return { kind: 'link-drop' }
    case 5: {
      const relayed = reader.u16()
      const direct = reader.u16()
      const positions = readPositions(reader, reader.u16(), NEIGHBOURS_MAX)
      return direct > positions.length ? null : { kind: 'neighbours', relayed, direct, positions }
    }
    case 6:
      return { kind: 'gossip', wantsAnswer: reader.flag(), estimate: reader.u32(), refs: readRefs(reader) }
    case 7:
      return {
        kind: 'route',
        id: reader.u32(),
        key: readPosition(reader),
        method: reader.u8(),
        ttl: reader.u8(),
        payload: reader.sized(ROUTED_PAYLOAD_BYTES_MAX),
      }
    case 8:
      return {
        kind: 'route-answer',
        id: reader.u32(),
        status: reader.oneOf(STATUSES),
        hops: reader.u8(),
        payload: reader.sized(ROUTED_PAYLOAD_BYTES_MAX),
      }
    case 9:
      return {
        kind: 'circuit-open',
        label: readLabel(reader),
        target: readPeerId(reader),
        via: readVia(reader),
        frame: reader.sized(GREETING_BYTES_MAX),
      }
    case 10:
      return { kind: 'circuit-accept', forLabel: readLabel(reader), label: readLabel(reader), via: readVia(reader) }
    case 11:
      return { kind: 'circuit-refuse', forLabel: readLabel(reader), reason: reader.oneOf(REASONS) }
    case 12:
      return { kind: 'circuit-close', label: readLabel(reader) }
    case 13:
      return { kind: 'ref-ask', positions: reader.list(REFS_PER_MESSAGE_MAX, readPosition, reader.u8()) }
    case 14: {
      const relayed = reader.u16()
      return { kind: 'neighbours-changed', relayed, changes: reader.list(NEIGHBOURS_MAX, readChange, reader.u16()) }
    }
    case 15:
      return { kind: 'circuit-hold', label: readLabel(reader), hold: reader.flag() }
    default:
      return null
  }
}

export function writeRefs(writer: ByteWriter, refs: readonly RefEntry[]): ByteWriter {
  writer.u8(refs.length)
  for (const ref of refs) writer.u16(Math.min(ref.ageSeconds, 0xffff)).sized(ref.bytes)
  return writer
}

export function readRefs(reader: ByteReader): RefEntry[] {
  return reader.list(REFS_PER_MESSAGE_MAX, readRefEntry, reader.u8())
}

function readRefEntry(reader: ByteReader): RefEntry {
  return { ageSeconds: reader.u16(), bytes: readRefBytes(reader) }
}

/** 0 is for what belongs to no session yet (spec 3.1): nobody gives it away. */
function readLabel(reader: ByteReader): number {
  const label = reader.u32()
  if (label === 0) reader.failed = true
  return label
}

function writeVia(writer: ByteWriter, via: readonly PeerId[]): ByteWriter {
  writer.u8(via.length)
  for (const peer of via) writer.raw(bytesOfPeerId(peer))
  return writer
}

function readVia(reader: ByteReader): PeerId[] {
  return reader.list(CIRCUIT_HOPS_MAX, readPeerId, reader.u8())
}

function readPositions(reader: ByteReader, count: number, countMax: number): Float64Array {
  if (count > countMax) reader.failed = true
  const positions = new Float64Array(reader.failed ? 0 : count)
  for (let i = 0; i < positions.length && !reader.failed; i += 1) positions[i] = readPosition(reader)
  return positions
}

function readPosition(reader: ByteReader): Position {
  const position = reader.u56()
  if (position >= RING) reader.failed = true
  return position
}

function readChange(reader: ByteReader): NeighbourChange {
  return { position: readPosition(reader), state: reader.oneOf(STATES) }
}
