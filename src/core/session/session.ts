/**
 * The end-to-end conversation of two peers (spec 4): numbers, seals and keeps packets until they are acknowledged, puts
 * arriving ones in order, and moves between paths without losing, doubling or reordering a byte. Streams are the table
 * in `streams.ts`; who is reached how, and the handshake, are decided elsewhere.
 *
 * Every packet has a number, its nonce. Ordered packets have a sequence number beside it, inside, and carry everything
 * that must arrive. Loose packets carry what may be lost: acknowledgements, datagrams, the goodbye. They are neither kept
 * nor acknowledged, so two idle sides fall silent.
 */
import { ByteReader, concatBytes, readU48, writeU48 } from '../base/bytes.ts'
import type { Fault, FaultCode } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import { invariant } from '../base/invariant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { SessionId, StreamId } from '../input.ts'
import {
  ACKNOWLEDGE_BYTES,
  ACKNOWLEDGE_BYTES_UNRELIABLE,
  ACKNOWLEDGE_DELAY_MS,
  ACKNOWLEDGE_PACKETS,
  ACKNOWLEDGE_UNASKED_BYTES,
  ACKNOWLEDGE_UNASKED_PACKETS,
  ANSWER_QUEUE_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  PACKET_PLAINTEXT_BYTES_MAX,
  PINGS_OPEN_MAX,
  REORDER_RANGES_MAX,
  SUBJECT_BYTES_MAX,
  UNACKNOWLEDGED_PACKETS_MAX,
  UNACKNOWLEDGED_RESERVE_PACKETS,
  USUAL_LOOKS_MAX,
  USUAL_SILENCE_DECAY,
  WATCH_LOOK_MS,
  WATCH_LOOKS,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import { ControlQueue } from './control-queue.ts'
import { packetContent } from './packet-content.ts'
import {
  BARE_PACKET_KIND,
  PACKET_HEADER_BYTES,
  PACKET_KIND,
  PACKET_TAG_BYTES,
  type PacketProtection,
} from './packet-protection.ts'
import { FRAME_HEADER_BYTES, type Path } from './path.ts'
import { ReorderBuffer } from './reorder-buffer.ts'
import { NO_BUFFERS, type SentPacket, SentPackets } from './sent-packets.ts'
import {
  closeCode,
  closeFrame,
  FRAME_ACKNOWLEDGE,
  FRAME_CLOSE,
  FRAME_DATAGRAM,
  FRAME_HERE,
  FRAME_MESSAGE,
  FRAME_PATH_ANSWER,
  FRAME_PATH_ASK,
  FRAME_PING,
  FRAME_PONG,
  FRAME_SESSION_CREDIT,
  FRAME_STREAM_CREDIT,
  FRAME_STREAM_DATA,
  FRAME_STREAM_END,
  FRAME_STREAM_OPEN,
  FRAME_STREAM_REFUSE,
  FRAME_STREAM_RESET,
  hereFrame,
  pathAnswerFrame,
  pathAskFrame,
  tokenFrame,
  writeAcknowledgeFrame,
} from './session-frames.ts'
import type { SessionOwner } from './session-owner.ts'
import { Streams } from './streams.ts'

/** Questions and answers about a path, and little else, are as short as this: mark, kind, token, urgency. */
const PATH_PACKET_BYTES_MAX = PACKET_HEADER_BYTES + 1 + 1 + 4 + 1 + PACKET_TAG_BYTES

/** A packet's plaintext starts with this, or with one more than its sequence number. */
const LOOSE = 0

/** The token of pings, and of questions to the path, that only ask for any packet: nobody waits for just this answer. */
const LIFE = 0

const NO_RANGES: readonly number[] = []

/** What is true of a session, as bits of one number: a peer holds dozens, a simulation millions, most of them at rest. */
const Bit = {
  initiator: 1,
  confirmed: 2,
  ended: 4,
  timed: 8,
  /** The owner has been told that there is something to flush. */
  dirty: 16,
  /** The other side is to be told by a new packet that this path is now the one. */
  hereDue: 32,
  acknowledgeNow: 64,
  opened: 128,
  /** Something was sent, or bytes of a stream came: when the path falls silent, it is asked once whether it is alive. */
  doubtful: 256,
} as const

export interface SessionOptions {
  readonly id: SessionId
  readonly peer: PeerId
  /** Whether this side opened the session: it picks the path, and its streams are even. */
  readonly initiator: boolean
  /** Under which label the other side knows the session. */
  readonly remoteLabel: number
  readonly protection: PacketProtection
  readonly owner: SessionOwner
}

/** While it is expected to be heard: how long it has not been. */
interface Watch {
  /** When to look next. */
  at: Instant
  /** Of the path, when it was looked at last. */
  heardAt: Instant
  /** Looks since it was heard. A machine that stood still has looked once, however long that was. */
  looks: number
  asked: boolean
}

interface OpenPing {
  readonly token: number
  readonly sentAt: Instant
}

export class Session {
  readonly id: SessionId
  readonly peer: PeerId
  readonly remoteLabel: number
  private readonly protection: PacketProtection
  private readonly owner: SessionOwner

  path: Path | null = null
  private bits: number
  private nextSequence = 0
  // Null while there is nothing in them.
  private sent: SentPackets | null = null
  private control: ControlQueue | null = null
  private streams: Streams | null = null
  private pings: OpenPing[] | null = null

  private expectedSequence = 0
  private highestNumber = -1
  private highestLooseNumber = -1
  /** Of an ordered packet that was processed: what has no higher number brings nothing new. */
  private processedNumber = -1
  private reorder: ReorderBuffer | null = null
  private acknowledgeAt: Instant | null = null
  private unacknowledgedBytes = 0
  private unacknowledgedPackets = 0
  private arrivedAt: Instant = 0
  /** Null while nothing is expected of the other side. */
  private watch: Watch | null = null
  /** The silences that were none, in looks: on a slow path a packet takes its time. */
  private usualLooks = 0

  constructor(options: SessionOptions) {
    this.id = options.id
    this.peer = options.peer
    this.remoteLabel = options.remoteLabel
    this.protection = options.protection
    this.owner = options.owner
    this.bits = options.initiator ? Bit.initiator : 0
  }

  /** Whether this side opened the session. */
  get initiator(): boolean {
    return this.is(Bit.initiator)
  }

  /** A packet of the other side has been opened: it holds the keys. */
  get confirmed(): boolean {
    return this.is(Bit.confirmed)
  }

  /** Nothing is sent or taken any more. */
  get ended(): boolean {
    return this.is(Bit.ended)
  }

  /** On the owner's list of those with deadlines. */
  get timed(): boolean {
    return this.is(Bit.timed)
  }

  set timed(timed: boolean) {
    if (timed) this.bits |= Bit.timed
    else this.bits &= ~Bit.timed
  }

  /** The packet that was received last opened: the other side made it. */
  get opened(): boolean {
    return this.is(Bit.opened)
  }

  private is(bit: number): boolean {
    return (this.bits & bit) !== 0
  }

  /** Smoothed over the present path, where that may drop; null until something was acknowledged over it. */
  get roundTripMs(): number | null {
    return this.sent?.roundTripMs ?? null
  }

  get openStreams(): number {
    return this.streams?.size ?? 0
  }

  /** Since when nothing of what waits for it is known to have arrived, over a path held since then; null where nothing waits. */
  standsSince(heldSince: Instant | null): Instant | null {
    if (this.sent !== null && this.sent.size > 0) return this.sent.newsAt
    return this.streams?.hasWork === true ? heldSince : null
  }

  /** No open stream, nothing queued, nothing due: at most a few packets wait for one the other way to acknowledge them. */
  get idle(): boolean {
    return (
      this.openStreams === 0 &&
      (this.control?.empty ?? true) &&
      (this.sent === null || this.sent.size <= ACKNOWLEDGE_UNASKED_PACKETS) &&
      ((this.sent?.oldest ?? null) === null || this.path?.reliable === true) &&
      this.streams?.hasWork !== true &&
      !this.is(Bit.hereDue | Bit.acknowledgeNow) &&
      this.acknowledgeAt === null
    )
  }

  // ---- paths ----

  /** Moves to another path: everything unacknowledged is sent again over it, as it was sealed. */
  usePath(turn: Turn, path: Path | null): void {
    if (path === this.path || this.ended) return
    this.path = path
    this.watch = null
    this.sent?.onPathChange(turn.now)
    if (path === null) return
    // Before anything new has a number: the other side drops an ordered packet whose number it is past.
    if (!path.shields(this.id)) this.sent?.sealBare(packet => this.seal([packet.subarray(PLAINTEXT_AT)]))
    if (this.initiator) this.bits |= Bit.hereDue
    this.markDirty()
  }

  /** For a peer that begins settled: the other side is there, and nothing is under way. */
  settle(path: Path): void {
    this.path = path
    this.bits |= Bit.confirmed
  }

  /** A relay on the path has more of this session's than it can pass on. */
  onPathHeld(): void {
    this.sent?.onHeld()
  }

  /** The side that did not open the session goes where the newest packets come from; so does the other without a path. */
  private follow(turn: Turn, number: number, path: Path): void {
    const newest = number > this.highestNumber
    if (newest) this.highestNumber = number
    if (path === this.path || !path.open) return
    const pathless = this.path === null || !this.path.open
    if (pathless || (newest && !this.initiator)) this.usePath(turn, path)
  }

  // ---- receiving ----

  /**
   * One whole packet, `bytes[start, end)`, borrowed. What does not open, is out of bounds, or comes too late to be of use is
   * dropped. A fault means that the authenticated other side broke the protocol: the caller closes the session.
   */
  receive(turn: Turn, bytes: Uint8Array, path: Path, start = 0, end = bytes.length): Fault | null {
    this.bits &= ~Bit.opened
    if (this.ended || end - start <= minimalBytes(bytes[start], path.shields(this.id))) return null
    const number = readU48(bytes, start + 1)
    const late = number <= this.processedNumber
    if (late && end - start > PATH_PACKET_BYTES_MAX) {
      // Not opened again: it only tells that an acknowledgement was lost or is late.
      this.askAcknowledgement(true, turn.now)
      return null
    }
    const plaintext = this.open(number, bytes, start, end)
    if (plaintext === null) return null
    if (!late) {
      path.heardAt = turn.now
      this.bits |= Bit.confirmed | Bit.opened
    }
    if (plaintext[0] === LOOSE && (plaintext[1] === FRAME_PATH_ASK || plaintext[1] === FRAME_PATH_ANSWER))
      return this.processPathFrame(turn, plaintext, path, late)
    if (late) {
      this.askAcknowledgement(true, turn.now)
      return null
    }
    this.follow(turn, number, path)
    const reader = new ByteReader(plaintext)
    const first = reader.varint()
    if (reader.failed) return malformed(first)
    if (first === LOOSE) {
      // Also against replay: a loose packet that a later one overtook is dropped.
      if (number <= this.highestLooseNumber) return null
      this.highestLooseNumber = number
      return this.process(turn, reader, true)
    }
    return this.receiveOrdered(turn, number, first - 1, plaintext, reader, path.reliable)
  }

  /** In fresh memory; null where it is not the other side's. */
  private open(number: number, bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    const from = start + PACKET_HEADER_BYTES
    if (bytes[start] === PACKET_KIND) return this.protection.open(number, headerCopy(bytes, start), bytes, from, end)
    return this.protection.passNumber(number) ? new Uint8Array(bytes.subarray(from, end)) : null
  }

  /**
   * A packet about the path on which it came, alone in it. It moves nothing by itself, but a side that has no path takes
   * what there is. One that a faster path has overtaken is answered all the same; since it may be a replay, nothing else
   * follows from it.
   */
  private processPathFrame(turn: Turn, plaintext: Uint8Array, path: Path, late: boolean): Fault | null {
    const reader = new ByteReader(plaintext, 1)
    const kind = reader.u8()
    const token = reader.u32()
    const urgent = kind === FRAME_PATH_ASK && reader.flag()
    if (!reader.finished) return malformed(kind)
    if (!late && (this.path === null || !this.path.open)) this.usePath(turn, path)
    if (kind === FRAME_PATH_ANSWER) {
      if (token !== LIFE) this.owner.paths.onAnswered(turn, this, path, token)
      return null
    }
    if (path.open) {
      packetContent.u8(LOOSE)
      packetContent.add(pathAnswerFrame(token))
      this.sealLoose(turn, path)
    }
    this.owner.paths.onAsked(turn, this, path, urgent)
    return null
  }

  private receiveOrdered(
    turn: Turn,
    number: number,
    sequence: number,
    plaintext: Uint8Array,
    reader: ByteReader,
    reliable: boolean,
  ): Fault | null {
    const ahead = sequence - this.expectedSequence
    if (ahead !== 0) {
      this.askAcknowledgement(true, turn.now)
      if (ahead < 0 || ahead >= UNACKNOWLEDGED_PACKETS_MAX + UNACKNOWLEDGED_RESERVE_PACKETS) return null
      this.reorder ??= new ReorderBuffer()
      this.reorder.add(sequence, plaintext)
      return null
    }
    this.processedNumber = number
    this.expectedSequence += 1
    this.arrivedAt = turn.now
    this.unacknowledgedBytes += plaintext.length
    this.unacknowledgedPackets += 1
    // Over a wire nothing is sent again: a few small packets wait for one that goes the other way anyway.
    const waits =
      reliable &&
      this.reorder === null &&
      this.unacknowledgedBytes <= ACKNOWLEDGE_UNASKED_BYTES &&
      this.unacknowledgedPackets <= ACKNOWLEDGE_UNASKED_PACKETS
    if (!waits) {
      const due =
        this.unacknowledgedBytes >= (reliable ? ACKNOWLEDGE_BYTES : ACKNOWLEDGE_BYTES_UNRELIABLE) ||
        this.unacknowledgedPackets >= ACKNOWLEDGE_PACKETS ||
        this.reorder !== null
      this.askAcknowledgement(due, turn.now)
    }
    const fault = this.process(turn, reader, false)
    return fault === null && this.reorder !== null ? this.processHeld(turn) : fault
  }

  private processHeld(turn: Turn): Fault | null {
    while (this.reorder !== null && !this.ended) {
      const plaintext = this.reorder.take(this.expectedSequence)
      if (plaintext === undefined) return null
      if (this.reorder.size === 0) this.reorder = null
      this.expectedSequence += 1
      const reader = new ByteReader(plaintext)
      reader.varint()
      const fault = this.process(turn, reader, false)
      if (fault !== null) return fault
    }
    return null
  }

  /** Reads the frames of one packet in order. */
  private process(turn: Turn, reader: ByteReader, loose: boolean): Fault | null {
    const length = reader.remaining
    while (reader.remaining > 0 && !this.ended) {
      const kind = reader.u8()
      if (loose && !mayBeLoose(kind)) return { code: 'malformed', detail: 'loose frame', got: kind }
      const fault = this.processFrame(turn, kind, reader, length, loose)
      if (fault !== null) return fault
    }
    return null
  }

  private processFrame(
    turn: Turn,
    kind: number,
    reader: ByteReader,
    packetBytes: number,
    loose: boolean,
  ): Fault | null {
    switch (kind) {
      case FRAME_STREAM_DATA: {
        const stream = reader.varint()
        const bytes = reader.sized(PACKET_PLAINTEXT_BYTES_MAX)
        if (reader.failed) return malformed(kind)
        this.bits |= Bit.doubtful
        return this.afterStreamFrame(this.streamTable().onData(turn, stream, bytes))
      }
      case FRAME_ACKNOWLEDGE:
        return this.onAcknowledge(turn, reader)
      case FRAME_MESSAGE: {
        const channel = reader.u8()
        const bytes = reader.sized(MESSAGE_BYTES_MAX)
        if (reader.failed) return malformed(kind)
        // A short message does not hold a whole packet's memory.
        this.owner.onMessage(turn, this, channel, bytes.length * 2 < packetBytes ? bytes.slice() : bytes)
        return null
      }
      case FRAME_STREAM_CREDIT: {
        const stream = reader.varint()
        const offset = reader.varint()
        if (reader.failed) return malformed(kind)
        return this.afterStreamFrame(this.streamTable().onStreamCredit(stream, offset))
      }
      case FRAME_SESSION_CREDIT: {
        const offset = reader.varint()
        if (reader.failed) return malformed(kind)
        this.streamTable().onSessionCredit(offset)
        return this.afterStreamFrame(null)
      }
      case FRAME_STREAM_OPEN: {
        const stream = reader.varint()
        const subject = reader.text(SUBJECT_BYTES_MAX)
        return reader.failed ? malformed(kind) : this.afterStreamFrame(this.streamTable().onOpen(turn, stream, subject))
      }
      case FRAME_STREAM_END: {
        const stream = reader.varint()
        return reader.failed ? malformed(kind) : this.streamTable().onEnd(turn, stream)
      }
      case FRAME_STREAM_RESET: {
        const stream = reader.varint()
        const code = reader.u32()
        if (reader.failed) return malformed(kind)
        return this.afterStreamFrame(this.streamTable().onReset(turn, stream, { code: 'stream-reset' }, code))
      }
      case FRAME_STREAM_REFUSE: {
        const stream = reader.varint()
        if (reader.failed) return malformed(kind)
        return this.afterStreamFrame(this.streamTable().onReset(turn, stream, { code: 'overloaded' }, 0))
      }
      case FRAME_DATAGRAM: {
        const bytes = reader.sized(DATAGRAM_BYTES_MAX)
        if (reader.failed) return malformed(kind)
        turn.emit({ kind: 'datagram', session: this.id, peer: this.peer, bytes })
        return null
      }
      case FRAME_PING: {
        const token = reader.u32()
        if (reader.failed) return malformed(kind)
        if ((loose || token === LIFE) && this.sendLooseToken(turn, FRAME_PONG, token)) return null
        const control = this.controlQueue()
        if (control.bytes >= ANSWER_QUEUE_BYTES_MAX) return { code: 'overloaded', detail: 'pings' }
        control.push(tokenFrame(FRAME_PONG, token))
        this.markDirty()
        return null
      }
      case FRAME_PONG: {
        const token = reader.u32()
        if (reader.failed) return malformed(kind)
        this.onPong(turn, token)
        return null
      }
      case FRAME_HERE:
        return null
      case FRAME_CLOSE: {
        const code = closeCode(reader.u8())
        if (reader.failed) return malformed(kind)
        this.finish(turn, { code })
        this.owner.onRemoteClose(turn, this, code)
        return null
      }
      default:
        return malformed(kind)
    }
  }

  private onAcknowledge(turn: Turn, reader: ByteReader): Fault | null {
    const next = reader.varint()
    const delayMs = reader.varint()
    const count = reader.u8()
    if (reader.failed || count > REORDER_RANGES_MAX || next > this.nextSequence) return malformed(FRAME_ACKNOWLEDGE)
    let ranges = NO_RANGES
    if (count > 0) {
      const read: number[] = []
      let at = next
      for (let i = 0; i < count; i += 1) {
        const first = at + reader.varint()
        const touches = first === at
        at = first + reader.varint()
        if (reader.failed || touches || at > this.nextSequence || at <= first) return malformed(FRAME_ACKNOWLEDGE)
        read.push(first, at)
      }
      ranges = read
    }
    const { sent } = this
    if (sent === null) return null
    const mayDrop = this.path !== null && !this.path.reliable
    if (sent.onAcknowledge(turn, next, ranges, delayMs, mayDrop)) this.markDirty()
    if (sent.size === 0 && sent.roundTripMs === null) this.sent = null
    return null
  }

  private onPong(turn: Turn, token: number): void {
    const { pings } = this
    const at = pings?.findIndex(ping => ping.token === token) ?? -1
    if (pings === null || at < 0) return
    const roundTripMs = turn.now - pings[at]!.sentAt
    if (pings.length === 1) this.pings = null
    else pings.splice(at, 1)
    this.owner.onPong(turn, this, token, roundTripMs)
  }

  private askAcknowledgement(atOnce: boolean, now: Instant): void {
    if (this.is(Bit.acknowledgeNow)) return
    if (atOnce) {
      this.bits |= Bit.acknowledgeNow
      this.markDirty()
    } else if (this.acknowledgeAt === null) {
      this.acknowledgeAt = now + ACKNOWLEDGE_DELAY_MS
      this.markDirty()
    }
  }

  // ---- what the owner asks for ----

  /** Queues a whole message, delivered in order; false when too much waits already. The bytes are not changed after. */
  sendMessage(_turn: Turn, channel: number, bytes: Uint8Array): boolean {
    invariant(bytes.length <= MESSAGE_BYTES_MAX, 'a message is over its bound')
    if (this.ended || this.control?.full === true) return false
    this.controlQueue().pushMessage(channel, bytes)
    this.markDirty()
    return true
  }

  /** Sends at once or not at all: false where there is no path, no room in it, or too many bytes. */
  sendDatagram(turn: Turn, bytes: Uint8Array): boolean {
    const { path } = this
    if (this.ended || path === null || !path.open || path.room() <= 0 || bytes.length > DATAGRAM_BYTES_MAX) return false
    packetContent.u8(LOOSE)
    if (this.acknowledgementDue) {
      this.addAcknowledgement(turn)
      this.acknowledged()
    }
    packetContent.u8(FRAME_DATAGRAM)
    packetContent.varint(bytes.length)
    packetContent.add(bytes)
    this.sealLoose(turn, path)
    return true
  }

  openStream(_turn: Turn, subject: string): StreamId | Fault {
    if (this.ended) return { code: 'closed' }
    const opened = this.streamTable().open(subject)
    this.markDirty()
    return opened
  }

  /** The chunks are the session's from now on. Ignored where the stream is gone or this side has ended it. */
  writeStream(_turn: Turn, stream: StreamId, chunks: readonly Uint8Array[]): void {
    this.streams?.write(stream, chunks)
    this.markDirty()
  }

  endStream(_turn: Turn, stream: StreamId): void {
    this.streams?.end(stream)
    this.markDirty()
  }

  /** Gives up both directions, without an event on this side. */
  resetStream(_turn: Turn, stream: StreamId, code: number): void {
    this.streams?.reset(stream, code)
    this.markDirty()
  }

  consumeStream(_turn: Turn, stream: StreamId, bytes: number): void {
    if (this.streams === null) return
    this.streams.consume(stream, bytes)
    if (this.streams.hasWork) this.markDirty()
  }

  /** Answered by `owner.onPong`, timed from now; false, and nothing sent, where too much waits already. */
  ping(turn: Turn, token: number): boolean {
    if (this.ended || this.control?.full === true || (this.pings?.length ?? 0) >= PINGS_OPEN_MAX) return false
    const ping = { token: token >>> 0, sentAt: turn.now }
    if (this.pings === null) this.pings = [ping]
    else this.pings.push(ping)
    this.controlQueue().push(tokenFrame(FRAME_PING, token))
    this.markDirty()
    return true
  }

  /** Asks for any packet, to know that the path is alive. */
  askForLife(turn: Turn): void {
    if (!this.ended && !this.sendLooseToken(turn, FRAME_PING, LIFE)) this.ping(turn, LIFE)
  }

  /** Asks for life, and tells the owner for how long nothing comes. */
  expectLife(turn: Turn): void {
    const { path } = this
    if (this.ended || path === null || !path.open) return
    if (this.watch?.asked === true) return
    this.askPath(turn, path, LIFE, false)
    this.watch = { at: turn.now + WATCH_LOOK_MS, heardAt: path.heardAt, looks: 0, asked: true }
    this.markDirty()
  }

  /**
   * A loose ping or pong, which acknowledges what came and leaves nothing to be acknowledged. False where only an ordered one
   * will do: over a path that may drop, and while this side waits for acknowledgement, since that one would show a gap.
   */
  private sendLooseToken(turn: Turn, kind: typeof FRAME_PING | typeof FRAME_PONG, token: number): boolean {
    const { path, sent } = this
    if (path === null || !path.open || !path.reliable || path.room() <= 0) return false
    if ((sent !== null && sent.size > 0) || this.is(Bit.hereDue)) return false
    packetContent.u8(LOOSE)
    if (this.acknowledgementDue) {
      this.addAcknowledgement(turn)
      this.acknowledged()
    }
    packetContent.u8(kind)
    packetContent.u32(token)
    this.sealLoose(turn, path)
    return true
  }

  /** Asks over a path that may not be the session's whether it carries both ways; answered by `owner.paths.onAnswered`. */
  askPath(turn: Turn, path: Path, token: number, urgent: boolean): void {
    if (this.ended || !path.open) return
    packetContent.u8(LOOSE)
    packetContent.add(pathAskFrame(token, urgent))
    this.sealLoose(turn, path)
  }

  /** Says goodbye, once and without waiting for an answer. What was not acknowledged may be lost. */
  close(turn: Turn, code: FaultCode): void {
    if (this.ended) return
    const { path } = this
    if (path?.open === true) {
      packetContent.u8(LOOSE)
      packetContent.add(closeFrame(code))
      this.sealLoose(turn, path)
    }
    this.finish(turn, { code })
  }

  /** Ends without a word. */
  abandon(turn: Turn, fault: Fault): void {
    if (!this.ended) this.finish(turn, fault)
  }

  private finish(turn: Turn, fault: Fault): void {
    this.bits |= Bit.ended
    this.bits &= ~(Bit.hereDue | Bit.acknowledgeNow)
    this.streams?.failAll(turn, fault)
    this.streams = null
    this.sent = null
    this.control = null
    this.reorder = null
    this.pings = null
    this.acknowledgeAt = null
    this.watch = null
  }

  // ---- sending ----

  /** Cuts, seals and sends what the path has room for. The owner calls it at the end of a step in which it was dirty. */
  flush(turn: Turn): void {
    this.bits &= ~Bit.dirty
    const { path } = this
    if (this.ended || path === null || !path.open) return
    if (this.is(Bit.hereDue) && path.room() > 0 && this.sent?.hasReserve !== false) this.sendHere(turn, path)
    const { sent } = this
    while (sent !== null && sent.nextWaiting !== null && this.mayFly(path)) this.sendAgain(turn, path, sent)
    if (sent === null || sent.nextWaiting === null) {
      while (this.sent?.hasPlace !== false && this.mayFly(path) && this.sealNext(turn, path)) {}
    }
    // Streams hold on to the queue.
    if (this.control?.empty === true && this.streams === null) this.control = null
    if (this.is(Bit.acknowledgeNow) && path.room() > 0) {
      packetContent.u8(LOOSE)
      this.addAcknowledgement(turn)
      this.sealLoose(turn, path)
      this.acknowledged()
    }
    if (this.watch === null && this.openStreams > 0 && (this.expectsLife || path.room() <= 0))
      this.watch = { at: turn.now + WATCH_LOOK_MS, heardAt: path.heardAt, looks: 0, asked: false }
  }

  /** When `onWake` is due at the latest. */
  nextWake(): Instant | null {
    const { path } = this
    if (this.ended || path === null || !path.open) return null
    const acknowledgeAt = this.is(Bit.acknowledgeNow) ? null : this.acknowledgeAt
    const { sent } = this
    const dueAt = earlier(acknowledgeAt, this.watch?.at ?? null)
    if (sent === null) return dueAt
    return earlier(dueAt, path.reliable ? sent.gapAt : sent.timeoutAt)
  }

  onWake(turn: Turn): void {
    const { path } = this
    if (this.ended || path === null || !path.open) return
    if (this.acknowledgeAt !== null && turn.now >= this.acknowledgeAt) this.askAcknowledgement(true, turn.now)
    if (this.watch !== null && turn.now >= this.watch.at) this.look(turn, path, this.watch)
    const { sent } = this
    if (sent === null || path !== this.path) return
    const { gapAt, timeoutAt } = sent
    if (path.reliable) {
      if (gapAt === null || turn.now < gapAt) return
      sent.onGap(turn.now)
      this.markDirty()
      return
    }
    if (timeoutAt !== null && turn.now >= timeoutAt) {
      // Where nothing more may be sent now, what is late waits too.
      if (path.room() <= 0) {
        sent.onBlocked(turn.now)
        return
      }
      sent.onTimeout()
      // A new number, or the other side may go on answering over a dead path: what is sent again has old ones.
      this.bits |= Bit.acknowledgeNow
      this.markDirty()
    }
  }

  private get expectsLife(): boolean {
    return this.is(Bit.doubtful) || this.sent?.mayGoUnanswered === false
  }

  /** Counts the looks at a path that keeps silent: asks after a few, and tells the owner of each further one. */
  private look(turn: Turn, path: Path, watch: Watch): void {
    watch.at = turn.now + WATCH_LOOK_MS
    if (path.heardAt > watch.heardAt) {
      const { looks, asked } = watch
      this.usualLooks = Math.max(this.usualLooks * USUAL_SILENCE_DECAY, Math.min(looks, USUAL_LOOKS_MAX))
      if (this.openStreams > 0 && this.expectsLife) {
        watch.heardAt = path.heardAt
        watch.looks = 0
        watch.asked = false
      } else {
        this.watch = null
      }
      if (looks < WATCH_LOOKS && !asked) return
      // The path is asked at once whether what was sent is there: a time-out would come late, having doubled each time.
      if (looks >= WATCH_LOOKS && !path.reliable && this.sent !== null) {
        this.sent.onHeardAgain()
        this.markDirty()
      }
      this.owner.paths.onHeardAgain(turn, this)
      return
    }
    watch.looks += 1
    if (watch.looks < WATCH_LOOKS) return
    // Over a wire what is small is acknowledged by the way only: its silence means nothing before it was asked.
    const tells = watch.asked || this.sent?.mayGoUnanswered === false
    if (!watch.asked) {
      watch.asked = true
      this.bits &= ~Bit.doubtful
      if (!tells) watch.looks = 0
      this.askPath(turn, path, LIFE, false)
    }
    if (tells) this.owner.paths.onSilent(turn, this, (watch.looks - 2 * this.usualLooks) * WATCH_LOOK_MS)
  }

  private mayFly(path: Path): boolean {
    return path.room() > 0 && (this.sent === null || this.sent.mayFly(path.flightBytesMax, !path.reliable))
  }

  /** A new number over the new path, before all that is sent again: the other side follows at once. */
  private sendHere(turn: Turn, path: Path): void {
    this.bits &= ~Bit.hereDue
    const early = (this.sent?.nextWaiting ?? null) !== null
    packetContent.varint(this.nextSequence + 1)
    if (this.acknowledgementDue) {
      this.addAcknowledgement(turn)
      this.acknowledged()
    }
    packetContent.add(hereFrame())
    if (!early && this.sent?.hasPlace !== false) {
      this.control?.fill(packetContent)
      this.streams?.fill(turn, packetContent)
    }
    const packet = this.sealOrdered(turn, path)
    // The other side may have no place for it yet; so it is sent once more in its turn.
    if (early) this.sent?.wait(packet)
  }

  private sendAgain(turn: Turn, path: Path, sent: SentPackets): void {
    const packet = sent.nextWaiting!
    // The old header may still lie in a socket's queue with the label of the old path.
    packet.header = packet.header.slice()
    sent.onSentAgain(packet, turn.now)
    path.send(turn, this.remoteLabel, packet.header, packet.rest)
  }

  /** False when there was nothing to send. An acknowledgement rides along, but does not make a packet. */
  private sealNext(turn: Turn, path: Path): boolean {
    if (this.control?.empty !== false && this.streams?.hasWork !== true) return false
    packetContent.varint(this.nextSequence + 1)
    const acknowledges = this.acknowledgementDue
    if (acknowledges) this.addAcknowledgement(turn)
    const before = packetContent.length
    this.control?.fill(packetContent)
    this.streams?.fill(turn, packetContent)
    if (packetContent.length === before) {
      packetContent.take()
      return false
    }
    this.sealOrdered(turn, path)
    if (acknowledges) this.acknowledged()
    return true
  }

  private sealOrdered(turn: Turn, path: Path): SentPacket {
    const sequence = this.nextSequence
    this.nextSequence += 1
    const sealed = this.sealNumbered(path)
    const header = sealed[0]!
    const rest = sealed.length === 1 ? NO_BUFFERS : sealed.slice(1)
    this.sent ??= new SentPackets()
    const packet = this.sent.add(sequence, header, rest, turn.now, !path.reliable)
    this.bits |= Bit.doubtful
    path.send(turn, this.remoteLabel, header, rest)
    return packet
  }

  /** Seals and sends a loose packet. */
  private sealLoose(turn: Turn, path: Path): void {
    const sealed = this.sealNumbered(path)
    path.send(turn, this.remoteLabel, sealed[0]!, sealed.length === 1 ? NO_BUFFERS : sealed.slice(1))
  }

  /** What was put together, under the next number, its first buffer beginning with what the path fills and the header. */
  private sealNumbered(path: Path): Uint8Array[] {
    const parts = packetContent.take()
    if (!path.shields(this.id)) return this.seal(parts)
    const packet = concatBytes(noHeader, ...parts)
    packet[FRAME_HEADER_BYTES] = BARE_PACKET_KIND
    writeU48(packet, FRAME_HEADER_BYTES + 1, this.protection.takeNumber())
    return [packet]
  }

  private seal(parts: readonly Uint8Array[]): Uint8Array[] {
    const { protection } = this
    const number = protection.unusedNumber
    presentHeader[0] = PACKET_KIND
    writeU48(presentHeader, 1, number)
    const sealed = protection.seal(number, presentHeader, parts, PLAINTEXT_AT)
    sealed[0]!.set(presentHeader, FRAME_HEADER_BYTES)
    return sealed
  }

  private get acknowledgementDue(): boolean {
    return this.is(Bit.acknowledgeNow) || this.unacknowledgedPackets > 0
  }

  private addAcknowledgement(turn: Turn): void {
    const delayMs = Math.max(0, Math.floor(turn.now - this.arrivedAt))
    const ranges = this.reorder?.ranges ?? NO_RANGES
    // What one of the packets whose turn has come brings about may make this due amid them: the others are here too.
    const isAmid = ranges[0] === this.expectedSequence
    const next = isAmid ? ranges[1]! : this.expectedSequence
    writeAcknowledgeFrame(packetContent, next, delayMs, isAmid ? ranges.slice(2) : ranges)
  }

  private acknowledged(): void {
    this.bits &= ~Bit.acknowledgeNow
    this.acknowledgeAt = null
    this.unacknowledgedBytes = 0
    this.unacknowledgedPackets = 0
  }

  private streamTable(): Streams {
    this.streams ??= new Streams(this.id, this.peer, this.initiator, this.controlQueue())
    return this.streams
  }

  private controlQueue(): ControlQueue {
    this.control ??= new ControlQueue()
    return this.control
  }

  private afterStreamFrame(fault: Fault | null): Fault | null {
    if (fault === null && (this.streams?.hasWork === true || this.control?.empty === false)) this.markDirty()
    return fault
  }

  private markDirty(): void {
    if (this.is(Bit.dirty | Bit.ended)) return
    this.bits |= Bit.dirty
    this.owner.onDirty(this)
  }
}

/** Where the plaintext of a bare packet begins in its buffer, and what is sealed in that of another. */
const PLAINTEXT_AT = FRAME_HEADER_BYTES + PACKET_HEADER_BYTES

const noHeader = new Uint8Array(PLAINTEXT_AT)

/** A packet has more bytes than this; without end where it is none, or may not come bare. */
function minimalBytes(kind: number | undefined, mayBeBare: boolean): number {
  if (kind === PACKET_KIND) return PACKET_HEADER_BYTES + PACKET_TAG_BYTES
  return kind === BARE_PACKET_KIND && mayBeBare ? PACKET_HEADER_BYTES : Number.POSITIVE_INFINITY
}

/** The header of the packet that is being sealed or opened: one for all, since nobody keeps it. */
const presentHeader = new Uint8Array(PACKET_HEADER_BYTES)

function headerCopy(bytes: Uint8Array, at: number): Uint8Array {
  for (let i = 0; i < PACKET_HEADER_BYTES; i += 1) presentHeader[i] = bytes[at + i]!
  return presentHeader
}

/** What may be lost, or is answered only where nothing is. */
function mayBeLoose(kind: number): boolean {
  return (
    kind === FRAME_ACKNOWLEDGE ||
    kind === FRAME_DATAGRAM ||
    kind === FRAME_CLOSE ||
    kind === FRAME_PING ||
    kind === FRAME_PONG
  )
}

function malformed(kind: number): Fault {
  return { code: 'malformed', detail: 'session frame', got: kind }
}
