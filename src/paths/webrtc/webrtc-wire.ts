/**
 * A wire over a WebRTC data channel (spec 3.6), whatever library makes the channel. What is sent is cut into messages that
 * every browser takes, and handed over only while little is buffered; borders of messages mean nothing, as on a stream. An end
 * is announced by the one text message there is, behind all that was sent: closing a channel tells nothing of the kind.
 */
import type { Fault } from '../../core/base/fault.ts'
import type { WireFacts } from '../../core/input.ts'
import { FrameSplitter } from '../frame-splitter.ts'
import type { NegotiatedSink, NegotiatedWire } from '../negotiator.ts'
import { LINGER_MS, type Wire, type WireSink } from '../wire-driver.ts'
import { type RtcDescription, readRtcDescription, writeRtcDescription } from './rtc-description.ts'

/** Within what all take, and small enough for SCTP not to hold up what comes behind (RFC 8831 section 6.6). */
const MESSAGE_BYTES_MAX = 65_536
/** More is not handed to the library while so much is with it; it tells when less than the second is left. */
const BUFFERED_BYTES_MAX = 1_048_576
export const BUFFERED_BYTES_LOW = 262_144
const END = 'end'
/** What left shows in no event before `BUFFERED_BYTES_LOW` is passed: it is looked at this often. */
const WRITTEN_POLL_MS = 10

/** One end of a connection with a single ordered, reliable data channel, as libraries have it. None of it may throw. */
export interface RtcEnd {
  /** False where the channel is closed. */
  send(message: Uint8Array | string): boolean
  bufferedBytes(): number
  /** Ends the connection at once. */
  close(): void
}

export interface NegotiatedRtcEnd extends RtcEnd {
  /** The offerer's: what the answerer said. */
  acceptAnswer(answer: RtcDescription): void
}

export class WebRtcWire implements Wire {
  private readonly sink: WireSink
  private readonly splitter = new FrameSplitter()
  private end: RtcEnd | null = null
  protected state: 'preparing' | 'open' | 'ending' | 'closed' = 'preparing'
  private fault: Fault | null = null
  private endTold = false
  private readonly waiting: Uint8Array[] = []
  /** Where the first of them is cut. */
  private waitingAt = 0
  /** Handed to the library and not yet reported written. */
  private unreported = 0
  private poll: ReturnType<typeof setTimeout> | undefined
  private linger: ReturnType<typeof setTimeout> | undefined
  private limit: ReturnType<typeof setTimeout> | undefined

  constructor(sinkOf: (wire: WebRtcWire) => WireSink) {
    this.sink = sinkOf(this)
  }

  attach(end: RtcEnd): void {
    this.end = end
    if (this.state === 'closed') end.close()
  }

  /** Gives it up unless it is open by then. */
  limitOpening(limitMs: number): void {
    this.limit = setTimeout(() => this.fail({ code: 'dial-timeout', limit: limitMs }), limitMs)
  }

  // ---- Wire ----

  send(buffers: readonly Uint8Array[]): void {
    if (this.state === 'ending' || this.state === 'closed') return
    this.waiting.push(...buffers)
    if (this.state === 'open') this.pump()
  }

  hangUp(): void {
    if (this.state === 'ending' || this.state === 'closed') return
    this.fault ??= { code: 'closed' }
    if (this.state === 'preparing') {
      this.finishSoon()
      return
    }
    this.state = 'ending'
    this.linger = setTimeout(() => this.finish(), LINGER_MS)
    this.pump()
  }

  // ---- what the library tells ----

  onOpen(about: WireFacts): void {
    if (this.state !== 'preparing') return
    this.state = 'open'
    clearTimeout(this.limit)
    this.sink.onOpen(about)
    this.pump()
  }

  /** The memory is this wire's from here on. */
  onMessage(message: Uint8Array | string): void {
    if (message === END) {
      this.fault ??= this.splitter.partial
        ? { code: 'malformed', detail: 'the wire ended within a frame' }
        : { code: 'closed' }
      this.finish()
      return
    }
    if (this.state !== 'open') return
    this.countWritten()
    if (typeof message === 'string') {
      this.fail({ code: 'malformed', detail: 'a text message over WebRTC' })
      return
    }
    const fault = this.splitter.push(message, this.sink)
    if (fault !== null) this.fail(fault)
  }

  onBufferedLow(): void {
    this.countWritten()
    this.pump()
  }

  /** The connection or its channel is gone. */
  onLost(fault: Fault): void {
    this.fail(fault)
  }

  // ---- inside ----

  private pump(): void {
    const { end, waiting } = this
    if (end === null || this.state === 'closed') return
    while (waiting.length > 0 && end.bufferedBytes() < BUFFERED_BYTES_MAX) {
      const message = this.nextMessage()
      if (!end.send(message)) {
        this.fault ??= { code: 'wire-lost', detail: 'the data channel is closed' }
        this.finishSoon()
        return
      }
      this.unreported += message.length
    }
    if (this.state === 'ending' && waiting.length === 0 && !this.endTold) {
      this.endTold = true
      if (!end.send(END)) {
        this.finishSoon()
        return
      }
    }
    if (this.unreported > 0 || waiting.length > 0) this.poll ??= setTimeout(this.look, WRITTEN_POLL_MS)
  }

  /** Of the buffers that wait: small ones together, a large one in parts. */
  private nextMessage(): Uint8Array {
    const { waiting } = this
    let length = 0
    for (let i = 0; i < waiting.length && length < MESSAGE_BYTES_MAX; i += 1)
      length += waiting[i]!.length - (i === 0 ? this.waitingAt : 0)
    const message = new Uint8Array(Math.min(length, MESSAGE_BYTES_MAX))
    let used = 0
    for (let at = 0; at < message.length; ) {
      const buffer = waiting[used]!
      const part = buffer.subarray(this.waitingAt, this.waitingAt + message.length - at)
      message.set(part, at)
      at += part.length
      this.waitingAt += part.length
      if (this.waitingAt < buffer.length) break
      used += 1
      this.waitingAt = 0
    }
    waiting.splice(0, used)
    return message
  }

  private readonly look = (): void => {
    this.poll = undefined
    this.countWritten()
    this.pump()
  }

  private countWritten(): void {
    if (this.end === null || this.state === 'closed') return
    const written = this.unreported - Math.min(this.unreported, this.end.bufferedBytes())
    if (written <= 0) return
    this.unreported -= written
    if (this.state === 'open') this.sink.onWritten(written)
  }

  protected fail(fault: Fault): void {
    this.fault ??= fault
    this.finish()
  }

  /** For calls from outside: nobody may be called inside of them. */
  private finishSoon(): void {
    this.state = 'ending'
    this.waiting.length = 0
    this.endTold = true
    setTimeout(() => this.finish(), 0)
  }

  private finish(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    clearTimeout(this.poll)
    clearTimeout(this.linger)
    clearTimeout(this.limit)
    this.waiting.length = 0
    this.end?.close()
    this.sink.onClosed(this.fault ?? { code: 'wire-lost' })
  }
}

/** One whose ends tell each other of themselves first. */
export class NegotiatedRtcWire extends WebRtcWire implements NegotiatedWire {
  private readonly negotiated: NegotiatedSink
  private readonly negotiatedEnd: NegotiatedRtcEnd

  constructor(sink: NegotiatedSink, end: NegotiatedRtcEnd) {
    super(() => sink)
    this.negotiated = sink
    this.negotiatedEnd = end
    this.attach(end)
  }

  proceed(answer: Uint8Array): void {
    if (this.state !== 'preparing') return
    const description = readRtcDescription(answer)
    if (description === null) this.fail({ code: 'malformed', detail: 'what the other side told of its WebRTC end' })
    else this.negotiatedEnd.acceptAnswer(description)
  }

  onDescribed(description: RtcDescription): void {
    if (this.state === 'preparing') this.negotiated.onDescribed(writeRtcDescription(description))
  }
}
