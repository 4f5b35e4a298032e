/**
 * A wire as the core sees it (spec 3.1): a byte pipe of frames with a queue of known length. What is sent within a step
 * leaves as one `send` effect at its end.
 */
import { writeU32 } from '../base/bytes.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { PathView } from '../effect.ts'
import type { SessionId, WireFacts, WireId } from '../input.ts'
import {
  FLIGHT_BYTES_MAX,
  FRAME_BYTES_MAX,
  SHIELDED_SESSIONS_MAX,
  WIRE_QUEUE_BYTES_MAX,
  WIRE_RELAY_BYTES_MAX,
  WIRE_TURNS_BYTES_MAX,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import { FRAME_HEADER_BYTES, type Path } from './path.ts'
import { RelayPace } from './relay-pace.ts'

/** Something that frames arrive over: a wire, or the end of a circuit. */
export interface Carrier extends Path {
  /** Who is at the other end, once a session over it proved so. */
  peer: PeerId | null
  /** What only its two ends see alike, for handshakes over it; undefined where there is no such thing. */
  readonly binding: Uint8Array | undefined
  /** The wire at the bottom of it, or null while there is none. */
  bottom(): Wire | null
  /** The same as `room` for frames of circuits that others run over this peer. */
  relayRoom(): number
  /** Whether it rides on the session with this peer, which then must not ride on it (spec 5.6). */
  dependsOn(peer: PeerId): boolean
  /**
   * Passes on a frame's body, `bytes[start, end)`, under another label without copying it. The `spare` bytes before it
   * are its old header and may be overwritten.
   */
  forward(turn: Turn, label: number, bytes: Uint8Array, start: number, end: number, spare: number): void
}

export interface WireOwner {
  /** The wire has something to flush at the end of this step. */
  onWireDirty(wire: Wire): void
}

/** The effect while it is put together. */
interface Outgoing {
  readonly kind: 'send'
  readonly wire: WireId
  readonly buffers: Uint8Array[]
  bytes: number
}

export class Wire implements Carrier {
  readonly id: WireId
  about: WireFacts | null = null
  peer: PeerId | null = null
  /** Sessions of which it encrypts the packets itself. */
  private shielded: SessionId[] | null = null
  heardAt: Instant
  open = true
  private readonly owner: WireOwner
  /** What this step has sent so far. */
  private outgoing: Outgoing | null = null
  private queuedBytes = 0
  /** Of frames of others; null before the first. */
  private pace: RelayPace | null = null
  /** While frames of others wait: by how much this peer has sent more of its own than of theirs since then. */
  private ownAhead: number | null = null

  constructor(id: WireId, now: Instant, owner: WireOwner) {
    this.id = id
    this.heardAt = now
    this.owner = owner
  }

  get reliable(): boolean {
    return true
  }

  get remoteHost(): string | null {
    return this.about?.remoteHost ?? null
  }

  get binding(): Uint8Array | undefined {
    return this.about?.binding
  }

  get flightBytesMax(): number {
    return FLIGHT_BYTES_MAX
  }

  shields(session: SessionId): boolean {
    return this.shielded?.includes(session) === true
  }

  /** Its keys are bound to this session. */
  shield(session: SessionId): void {
    this.shielded ??= []
    // However many a stranger begins over one wire, it has use for the last of them alone.
    if (this.shielded.length >= SHIELDED_SESSIONS_MAX) this.shielded.shift()
    this.shielded.push(session)
  }

  /** Where frames of others pass, this peer's own never fill all that these may use; where such wait, no more than half. */
  room(): number {
    if (!this.open || (this.ownAhead !== null && this.ownAhead > FRAME_BYTES_MAX)) return 0
    const most = this.pace !== null ? WIRE_TURNS_BYTES_MAX + FRAME_BYTES_MAX : WIRE_QUEUE_BYTES_MAX
    return most - this.queuedBytes
  }

  relayRoom(): number {
    if (!this.open) return 0
    const most = this.ownAhead === null ? WIRE_RELAY_BYTES_MAX : WIRE_TURNS_BYTES_MAX
    return Math.min(most - this.queuedBytes, this.pace?.room ?? most)
  }

  /** Frames of others wait for this wire, or no longer do. */
  setWanted(wanted: boolean): void {
    if (!wanted) this.ownAhead = null
    else this.ownAhead ??= 0
  }

  /** So much of what was sent last was of others. */
  onRelayed(bytes: number): void {
    this.pace ??= new RelayPace()
    if (this.ownAhead !== null) this.ownAhead = Math.max(this.ownAhead - 2 * bytes, -FRAME_BYTES_MAX)
    this.pace.onGiven(bytes)
  }

  /** Whether a mark is to be sent behind what was of others (`onMarked`). */
  get wantsMark(): boolean {
    return this.pace?.wantsMark === true
  }

  onMarked(now: Instant): void {
    this.pace?.onMarked(now)
  }

  /** The other end has what was sent before the mark; or null, nobody will tell. */
  onMarkAnswered(now: Instant | null): void {
    if (now === null) this.pace?.onMarkLost()
    else this.pace?.onAnswered(now)
  }

  send(_turn: Turn, label: number, header: Uint8Array, rest: readonly Uint8Array[]): void {
    if (!this.open) return
    let bytes = header.length
    for (let i = 0; i < rest.length; i += 1) bytes += rest[i]!.length
    writeU32(header, 0, bytes - 4)
    writeU32(header, 4, label)
    const { buffers } = this.queue(header, bytes)
    for (let i = 0; i < rest.length; i += 1) buffers.push(rest[i]!)
  }

  forward(turn: Turn, label: number, bytes: Uint8Array, start: number, end: number, spare: number): void {
    if (!this.open) return
    if (spare < FRAME_HEADER_BYTES) {
      this.send(turn, label, new Uint8Array(FRAME_HEADER_BYTES), [bytes.subarray(start, end)])
      return
    }
    const from = start - FRAME_HEADER_BYTES
    writeU32(bytes, from, end - start + 4)
    writeU32(bytes, from + 4, label)
    const { outgoing } = this
    const last = outgoing?.buffers.at(-1)
    // Frames that lie back to back go on as one slice.
    if (
      outgoing !== null &&
      last !== undefined &&
      last.buffer === bytes.buffer &&
      last.byteOffset + last.length === bytes.byteOffset + from
    ) {
      outgoing.buffers.pop()
      this.queue(new Uint8Array(bytes.buffer, last.byteOffset, last.length + end - from), end - from)
    } else {
      this.queue(bytes.subarray(from, end), end - from)
    }
  }

  /** `bytes`: so many more leave. */
  private queue(buffer: Uint8Array, bytes: number): Outgoing {
    this.queuedBytes += bytes
    if (this.ownAhead !== null) this.ownAhead += bytes
    const { outgoing } = this
    if (outgoing !== null) {
      outgoing.buffers.push(buffer)
      outgoing.bytes += bytes
      return outgoing
    }
    this.owner.onWireDirty(this)
    const begun: Outgoing = { kind: 'send', wire: this.id, buffers: [buffer], bytes }
    this.outgoing = begun
    return begun
  }

  /** The host wrote `bytes` out. True when the wire had no room, for its own or for others, and has some now. */
  written(bytes: number): boolean {
    const [before, beforeRelay] = [this.room(), this.relayRoom()]
    this.queuedBytes = Math.max(0, this.queuedBytes - bytes)
    return (before <= 0 && this.room() > 0) || (beforeRelay <= 0 && this.relayRoom() > 0)
  }

  /** Hands what this step queued to the host. */
  flush(turn: Turn): void {
    const { outgoing } = this
    if (outgoing === null) return
    this.outgoing = null
    if (this.open) turn.effects.push(outgoing)
  }

  bottom(): Wire | null {
    return this.open ? this : null
  }

  dependsOn(): boolean {
    return false
  }

  view(): PathView {
    return { kind: 'wire', transport: this.about?.transport ?? 'tcp', remote: this.about?.remote ?? '' }
  }
}
