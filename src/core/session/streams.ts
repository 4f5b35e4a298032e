/**
 * The streams of one session (spec 4.5): opened, written, ended, reset; credit both ways; whose turn it is to send.
 * Made on the session's first use of a stream.
 */
import { encodeUtf8 } from '../base/bytes.ts'
import type { Fault } from '../base/fault.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { SessionId, StreamId } from '../input.ts'
import {
  ANSWER_QUEUE_BYTES_MAX,
  CREDIT_STEPS,
  SESSION_WINDOW_BYTES,
  STREAM_QUANTUM_BYTES,
  STREAM_QUEUE_HIGH_BYTES,
  STREAM_QUEUE_LOW_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_HELD_MAX,
  STREAMS_OPEN_MAX,
  SUBJECT_BYTES_MAX,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { ControlQueue } from './control-queue.ts'
import type { PacketContent } from './packet-content.ts'
import {
  STREAM_DATA_HEADER_BYTES_MAX,
  sessionCreditFrame,
  streamCreditFrame,
  streamEndFrame,
  streamOpenFrame,
  streamRefuseFrame,
  streamResetFrame,
} from './session-frames.ts'
import { Stream } from './stream.ts'

/** Far from where numbers lose their last bit. */
const STREAM_IDS_END = 2 ** 48

export class Streams {
  private readonly session: SessionId
  private readonly peer: PeerId
  private readonly control: ControlQueue
  private readonly table = new Map<StreamId, Stream>()
  /** The next ids of either side; all below them of the same parity are or were open. */
  private nextOwn: StreamId
  private nextOther: StreamId
  private openOwn = 0
  private openOther = 0
  private roundFirst: Stream | null = null
  private roundLast: Stream | null = null
  private roundSize = 0
  private creditsDue: Stream[] | null = null
  private sessionCreditDue = false
  private sentBytes = 0
  private sentBytesMax = SESSION_WINDOW_BYTES
  private receivedBytes = 0
  private receivedBytesMax = SESSION_WINDOW_BYTES
  private consumedBytes = 0

  constructor(session: SessionId, peer: PeerId, initiator: boolean, control: ControlQueue) {
    this.session = session
    this.peer = peer
    this.control = control
    this.nextOwn = initiator ? 0 : 1
    this.nextOther = initiator ? 1 : 0
  }

  get size(): number {
    return this.table.size
  }

  /** Something may be sendable; session credit can still forbid it. */
  get hasWork(): boolean {
    return this.roundFirst !== null || this.sessionCreditDue || this.creditsDue !== null
  }

  // ---- what this side does ----

  open(subject: string): StreamId | Fault {
    const bytes = encodeUtf8(subject)
    if (bytes.length > SUBJECT_BYTES_MAX)
      return { code: 'invalid-option', detail: 'stream subject', got: bytes.length, limit: SUBJECT_BYTES_MAX }
    if (this.openOwn >= STREAMS_OPEN_MAX || this.table.size >= STREAMS_HELD_MAX)
      return { code: 'overloaded', detail: 'open streams', got: this.table.size, limit: STREAMS_OPEN_MAX }
    const id = this.nextOwn
    this.nextOwn += 2
    const stream = new Stream(id, streamOpenFrame(id, bytes))
    this.table.set(id, stream)
    this.openOwn += 1
    this.enterRound(stream)
    return id
  }

  write(id: StreamId, chunks: readonly Uint8Array[]): void {
    const stream = this.table.get(id)
    if (stream === undefined || stream.ending) return
    stream.push(chunks)
    if (stream.queuedBytes > STREAM_QUEUE_HIGH_BYTES) stream.writerWaits = true
    this.enterRound(stream)
  }

  end(id: StreamId): void {
    const stream = this.table.get(id)
    if (stream === undefined || stream.ending) return
    stream.ending = true
    this.enterRound(stream)
  }

  reset(id: StreamId, code: number): void {
    const stream = this.table.get(id)
    if (stream === undefined) return
    if (stream.opening === null && !(stream.sendEnded && stream.receiveEnded))
      this.control.push(streamResetFrame(id, code >>> 0))
    this.drop(stream)
  }

  consume(id: StreamId, bytes: number): void {
    const stream = this.table.get(id)
    if (stream === undefined) return
    const taken = Math.min(bytes, stream.receivedBytes - stream.consumedBytes)
    stream.consumedBytes += taken
    this.consumeOfSession(taken)
    if (stream.finished) this.table.delete(id)
    else this.offerCredit(stream)
  }

  failAll(turn: Turn, fault: Fault): void {
    for (const stream of this.table.values()) {
      stream.nextInRound = null
      if (!(stream.sendEnded && stream.receiveEnded)) this.emitFailed(turn, stream.id, fault, 0)
    }
    this.table.clear()
    this.roundFirst = null
    this.roundLast = null
    this.roundSize = 0
    this.creditsDue = null
    this.sessionCreditDue = false
  }

  // ---- what goes into a packet ----

  fill(turn: Turn, content: PacketContent): void {
    this.fillCredits(content)
    // A stream that only session credit holds back keeps its place; once round without progress is enough.
    let fruitless = 0
    while (this.roundFirst !== null && fruitless < this.roundSize) {
      if (content.room <= STREAM_DATA_HEADER_BYTES_MAX) return
      const stream = this.roundFirst
      const before = content.length
      if (stream.opening !== null) {
        if (stream.opening.length > content.room) return
        content.add(stream.opening)
        stream.opening = null
      }
      this.cut(turn, stream, content)
      if (stream.ending && !stream.sendEnded && stream.queuedBytes === 0 && content.room >= 9) {
        content.add(streamEndFrame(stream.id))
        stream.sendEnded = true
        this.onDirectionEnded(stream)
      }
      fruitless = content.length > before ? 0 : fruitless + 1
      this.leaveRound()
      if (stream.hasWork) this.enterRound(stream)
    }
  }

  private cut(turn: Turn, stream: Stream, content: PacketContent): void {
    const length = Math.min(
      stream.queuedBytes,
      content.room - STREAM_DATA_HEADER_BYTES_MAX,
      stream.sentBytesMax - stream.sentBytes,
      this.sentBytesMax - this.sentBytes,
      this.roundSize > 1 ? STREAM_QUANTUM_BYTES : Number.POSITIVE_INFINITY,
    )
    if (length <= 0) return
    stream.cut(length, content)
    this.sentBytes += length
    // At zero always: only so does the writer know what it has outstanding, and that its own buffers are free again.
    if (stream.queuedBytes === 0 || (stream.writerWaits && stream.queuedBytes <= STREAM_QUEUE_LOW_BYTES)) {
      stream.writerWaits = false
      turn.emit({ kind: 'stream-drained', session: this.session, stream: stream.id, queuedBytes: stream.queuedBytes })
    }
  }

  private fillCredits(content: PacketContent): void {
    if (this.sessionCreditDue && content.room >= 9) {
      this.sessionCreditDue = false
      this.receivedBytesMax = this.consumedBytes + SESSION_WINDOW_BYTES
      content.add(sessionCreditFrame(this.receivedBytesMax))
    }
    const due = this.creditsDue
    if (due === null) return
    while (due.length > 0) {
      if (content.room < 17) return
      const stream = due.pop()!
      stream.creditDue = false
      if (stream.receiveEnded || this.table.get(stream.id) !== stream) continue
      stream.receivedBytesMax = stream.consumedBytes + STREAM_WINDOW_BYTES
      content.add(streamCreditFrame(stream.id, stream.receivedBytesMax))
    }
    this.creditsDue = null
  }

  // ---- what the other side did ----

  onOpen(turn: Turn, id: StreamId, subject: string): Fault | null {
    if (id % 2 !== this.nextOther % 2 || id < this.nextOther || id >= STREAM_IDS_END)
      return { code: 'malformed', detail: 'stream id' }
    this.nextOther = id + 2
    if (this.openOther >= STREAMS_OPEN_MAX)
      return { code: 'overloaded', detail: 'open streams', got: this.openOther + 1, limit: STREAMS_OPEN_MAX }
    if (this.table.size >= STREAMS_HELD_MAX) {
      if (this.control.bytes >= ANSWER_QUEUE_BYTES_MAX) return { code: 'overloaded', detail: 'refused streams' }
      this.control.push(streamRefuseFrame(id))
      return null
    }
    this.table.set(id, new Stream(id, null))
    this.openOther += 1
    turn.emit({ kind: 'stream-inbound', session: this.session, peer: this.peer, stream: id, subject })
    return null
  }

  onData(turn: Turn, id: StreamId, bytes: Uint8Array): Fault | null {
    if (!this.wasOpened(id) || bytes.length === 0) return { code: 'malformed', detail: 'stream data' }
    this.receivedBytes += bytes.length
    if (this.receivedBytes > this.receivedBytesMax)
      return { code: 'flow-control-broken', got: this.receivedBytes, limit: this.receivedBytesMax }
    const stream = this.table.get(id)
    if (stream === undefined) {
      this.consumeOfSession(bytes.length)
      return null
    }
    if (stream.receiveEnded) return { code: 'malformed', detail: 'data after the end' }
    stream.receivedBytes += bytes.length
    if (stream.receivedBytes > stream.receivedBytesMax)
      return { code: 'flow-control-broken', got: stream.receivedBytes, limit: stream.receivedBytesMax }
    turn.emit({ kind: 'stream-data', session: this.session, stream: id, chunks: [bytes] })
    return null
  }

  onEnd(turn: Turn, id: StreamId): Fault | null {
    if (!this.wasOpened(id)) return { code: 'malformed', detail: 'stream end' }
    const stream = this.table.get(id)
    if (stream === undefined) return null
    if (stream.receiveEnded) return { code: 'malformed', detail: 'second end' }
    stream.receiveEnded = true
    turn.emit({ kind: 'stream-ended', session: this.session, stream: id })
    this.onDirectionEnded(stream)
    return null
  }

  /** Both directions end. The reader drops what it has not read: nothing of it is accounted any more. */
  onReset(turn: Turn, id: StreamId, fault: Fault, code: number): Fault | null {
    if (!this.wasOpened(id)) return { code: 'malformed', detail: 'stream reset' }
    const stream = this.table.get(id)
    if (stream === undefined) return null
    const over = stream.sendEnded && stream.receiveEnded
    this.drop(stream)
    if (!over) this.emitFailed(turn, id, fault, code)
    return null
  }

  onStreamCredit(id: StreamId, offset: number): Fault | null {
    if (!this.wasOpened(id)) return { code: 'malformed', detail: 'stream credit' }
    const stream = this.table.get(id)
    if (stream === undefined || offset <= stream.sentBytesMax) return null
    stream.sentBytesMax = offset
    if (stream.hasWork) this.enterRound(stream)
    return null
  }

  onSessionCredit(offset: number): void {
    if (offset > this.sentBytesMax) this.sentBytesMax = offset
  }

  // ---- bookkeeping ----

  /** By either side, now or before. An own stream whose opening has not left is not known to the other. */
  private wasOpened(id: StreamId): boolean {
    if (id % 2 === this.nextOther % 2) return id < this.nextOther
    if (id >= this.nextOwn) return false
    const stream = this.table.get(id)
    return stream === undefined || stream.opening === null
  }

  private onDirectionEnded(stream: Stream): void {
    if (!stream.sendEnded || !stream.receiveEnded) return
    this.countClosed(stream)
    if (stream.finished) this.table.delete(stream.id)
  }

  private drop(stream: Stream): void {
    if (!(stream.sendEnded && stream.receiveEnded)) this.countClosed(stream)
    this.consumeOfSession(stream.receivedBytes - stream.consumedBytes)
    this.table.delete(stream.id)
    this.removeFromRound(stream)
  }

  private countClosed(stream: Stream): void {
    if (stream.id % 2 === this.nextOwn % 2) this.openOwn -= 1
    else this.openOther -= 1
  }

  private offerCredit(stream: Stream): void {
    if (stream.creditDue || stream.receiveEnded) return
    if (stream.consumedBytes + STREAM_WINDOW_BYTES - stream.receivedBytesMax < STREAM_WINDOW_BYTES / CREDIT_STEPS)
      return
    stream.creditDue = true
    this.creditsDue ??= []
    this.creditsDue.push(stream)
  }

  private consumeOfSession(bytes: number): void {
    this.consumedBytes += bytes
    if (this.consumedBytes + SESSION_WINDOW_BYTES - this.receivedBytesMax >= SESSION_WINDOW_BYTES / CREDIT_STEPS)
      this.sessionCreditDue = true
  }

  private enterRound(stream: Stream): void {
    if (stream.inRound) return
    stream.inRound = true
    if (this.roundLast === null) this.roundFirst = stream
    else this.roundLast.nextInRound = stream
    this.roundLast = stream
    this.roundSize += 1
  }

  /** The first stream of the round steps out. */
  private leaveRound(): void {
    const stream = this.roundFirst!
    this.roundFirst = stream.nextInRound
    if (this.roundFirst === null) this.roundLast = null
    stream.nextInRound = null
    stream.inRound = false
    this.roundSize -= 1
  }

  private removeFromRound(stream: Stream): void {
    if (!stream.inRound) return
    // Streams are few and resets rare: walking once round is cheaper than links both ways in every stream.
    for (let left = this.roundSize; left > 0; left -= 1) {
      const first = this.roundFirst!
      this.leaveRound()
      if (first !== stream) this.enterRound(first)
    }
  }

  private emitFailed(turn: Turn, stream: StreamId, fault: Fault, reset: number): void {
    turn.emit({ kind: 'stream-failed', session: this.session, stream, fault, reset })
  }
}
