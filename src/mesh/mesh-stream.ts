/**
 * A stream as the user holds it: `write()` and an async iterator, and the Web's `readable` and `writable` made on first
 * access. It gathers what is written, and what was consumed, and hands both to the core once a turn (a microtask flush
 * falls to a fifth of the messages); large writes go at once and are not copied. What the bytes mean to the wire is the
 * session's business (spec 4).
 */
import type { Fault } from '../core/base/fault.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { Command, SessionId, StreamId } from '../core/input.ts'
import { abortedError, type Deferred, deferred, ignore, rejected, unlessAborted, type Waiting } from './abort.ts'
import type { Staging } from './staging.ts'
import { invalidOption, WebmeshError } from './webmesh-error.ts'

/** One ordered byte stream to a peer, both ways, with backpressure. Message borders are not kept: it is a byte stream. */
export interface MeshStream extends AsyncIterable<Uint8Array> {
  /** The peer at the other end. */
  readonly peer: PeerId
  /** What the opener said it is for: the service's name where a service opened it. */
  readonly subject: string
  /**
   * Writes bytes. Await it: it resolves when more may be written, and the bytes may be changed again from then on.
   * Errors: `closed` after `end()`, `stream-reset`, `session-lost`, `aborted` (the bytes are on their way all the same).
   */
  write(bytes: Uint8Array, options?: Waiting): Promise<void>
  /** The next bytes, or null when the other side has ended. Errors: `stream-reset`, `session-lost`, `aborted`. */
  read(options?: Waiting): Promise<Uint8Array | null>
  /** Ends this direction; the other may still send. Resolves when all that was written has been handed on. */
  end(): Promise<void>
  /** Gives up both directions. The other side gets `stream-reset` with `code`, 0 … 2^32 − 1, 0 unless given. */
  reset(code?: number): void
  /** Resolves when both directions have ended in order; rejects with the error that ended the stream. */
  readonly closed: Promise<void>
  /** The same bytes as a Web stream. Either this or `read()` and the iterator, not both. */
  readonly readable: ReadableStream<Uint8Array>
  /** `write()` and `end()` as a Web stream. */
  readonly writable: WritableStream<Uint8Array>
  /** Leaving the loop leaves the stream open: another loop, or `read()`, goes on from there. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array>
  /** Ends this direction, and gives up the other where it has not ended. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Codes with which Webmesh itself resets a stream: the uppermost 65,536 are its own. */
export const RESET_NO_HANDLER = 0xffff0001
export const RESET_HANDLER_FAILED = 0xffff0002

/** From here on a write goes to the core at once, uncopied. */
export const LARGE_WRITE_BYTES = 16_384
/** Writes resolve at once while no more than this waits to be sealed. */
export const WRITE_HIGH_BYTES = 262_144
/** How much a Web stream holds ready for its reader; more stays unread, and holds the sender back. */
const READABLE_HIGH_BYTES = 262_144
const WRITABLE_HIGH_BYTES = 65_536
/**
 * Reading is told to the core by so much. What all streams of a session may hold back so is half of the session's
 * window, so that it never stands still for it.
 */
const CONSUMED_REPORT_BYTES = 8_192

/** What a stream needs of what it belongs to. */
export interface StreamHost {
  readonly staging: Staging
  /** An event is being delivered: a listener of the user's is on the stack. */
  readonly delivering: boolean
  command(command: Command): void
  /** Calls `stream.flush()` at the end of this turn. */
  flushLater(stream: OpenStream): void
  /** The stream has ended both ways, or failed. */
  onStreamDone(stream: OpenStream): void
}

const DONE: Promise<void> = Promise.resolve()
const FINISHED: IteratorReturnResult<undefined> = { done: true, value: undefined }

type Writing = 'open' | 'ending' | 'ended'
/** Who takes what arrives. */
type Taking = 'nobody-yet' | 'reader' | 'web' | 'nobody'

export class OpenStream implements MeshStream {
  readonly peer: PeerId
  readonly subject: string
  readonly session: SessionId
  readonly stream: StreamId
  private readonly host: StreamHost

  private writing: Writing = 'open'
  /** What ended the stream before its time. */
  private failure: WebmeshError | null = null
  private otherEnded = false
  private flushing = false

  /** The run of small writes at the end of `chunks`, in the staging slab. */
  private runSlab: Uint8Array | null = null
  private runStart = 0
  private runEnd = 0
  private chunks: Uint8Array[] | null = null
  private stagedBytes = 0
  /** Given to the core and not known to be sealed. */
  private queuedBytes = 0
  /** Of the bytes in the core's queue some are a writer's own: its promise waits until all are sealed. */
  private lent = false
  private drain: Deferred<void> | null = null

  private taking: Taking = 'nobody-yet'
  private inbox: Uint8Array[] | null = null
  private inboxAt = 0
  private reads: Deferred<Uint8Array | null>[] | null = null
  private consumedBytes = 0
  private whenClosed: Deferred<void> | null = null
  private web: WebReader | null = null
  private webWritable: WritableStream<Uint8Array> | null = null
  private webWriter: WritableStreamDefaultController | null = null

  constructor(host: StreamHost, session: SessionId, stream: StreamId, peer: PeerId, subject: string) {
    this.host = host
    this.session = session
    this.stream = stream
    this.peer = peer
    this.subject = subject
  }

  // ---- writing ----

  write(bytes: Uint8Array, options?: Waiting): Promise<void> {
    if (this.failure !== null || this.writing !== 'open') return rejected(this.cannotWrite())
    if (!(bytes instanceof Uint8Array)) return rejected(invalidOption('write() takes a Uint8Array'))
    if (bytes.length >= LARGE_WRITE_BYTES) this.writeLarge(bytes)
    else if (bytes.length > 0) this.stage(bytes)
    if (!this.lent && this.stagedBytes + this.queuedBytes <= WRITE_HIGH_BYTES) return DONE
    this.drain ??= deferred()
    return unlessAborted(this.drain.promise, options?.signal)
  }

  end(): Promise<void> {
    if (this.failure !== null) return rejected(this.failure)
    if (this.writing === 'open') {
      this.writing = 'ending'
      this.flushLater()
    }
    if (this.stagedBytes + this.queuedBytes === 0) return DONE
    this.drain ??= deferred()
    return this.drain.promise
  }

  reset(code = 0): void {
    if (!(Number.isInteger(code) && code >= 0 && code <= 0xffffffff))
      throw invalidOption('a reset code is a whole number from 0 to 4294967295')
    if (this.failure !== null) return
    this.dropInbox()
    if (this.isDone()) return
    this.host.command({ kind: 'stream-reset', session: this.session, stream: this.stream, reset: code })
    this.fail(new WebmeshError({ code: 'closed', detail: 'this side gave up the stream' }))
  }

  private cannotWrite(): WebmeshError {
    return this.failure ?? new WebmeshError({ code: 'closed', detail: 'the stream was ended on this side' })
  }

  private stage(bytes: Uint8Array): void {
    const { staging } = this.host
    const start = staging.reserve(bytes.length)
    if (this.runSlab !== staging.slab || this.runEnd !== start) {
      this.closeRun()
      this.runSlab = staging.slab
      this.runStart = start
    }
    staging.slab.set(bytes, start)
    this.runEnd = staging.used
    this.stagedBytes += bytes.length
    this.flushLater()
  }

  private writeLarge(bytes: Uint8Array): void {
    this.closeRun()
    if (this.host.delivering) {
      // A `stream-drained` that is about to be delivered would be taken for this write's: it goes as a copy.
      this.chunks ??= []
      this.chunks.push(bytes.slice())
      this.stagedBytes += bytes.length
      this.flushLater()
      return
    }
    const chunks = this.chunks ?? []
    this.chunks = null
    chunks.push(bytes)
    const length = this.stagedBytes + bytes.length
    this.stagedBytes = 0
    this.lent = true
    this.queuedBytes += length
    this.host.command({ kind: 'stream-write', session: this.session, stream: this.stream, chunks })
  }

  private closeRun(): void {
    if (this.runSlab === null) return
    this.chunks ??= []
    this.chunks.push(this.runSlab.subarray(this.runStart, this.runEnd))
    this.runSlab = null
  }

  private flushLater(): void {
    if (this.flushing) return
    this.flushing = true
    this.host.flushLater(this)
  }

  /** The end of a turn: what was gathered goes to the core. */
  flush(): void {
    this.flushing = false
    if (this.failure !== null) return
    const { session, stream } = this
    if (this.stagedBytes > 0) {
      this.closeRun()
      const chunks = this.chunks ?? []
      this.chunks = null
      this.queuedBytes += this.stagedBytes
      this.stagedBytes = 0
      this.host.command({ kind: 'stream-write', session, stream, chunks })
    }
    if (this.consumedBytes >= CONSUMED_REPORT_BYTES || (this.otherEnded && this.consumedBytes > 0)) {
      const bytes = this.consumedBytes
      this.consumedBytes = 0
      this.host.command({ kind: 'stream-consumed', session, stream, bytes })
    }
    if (this.writing === 'ending') {
      this.writing = 'ended'
      this.host.command({ kind: 'stream-end', session, stream })
      this.doneIfBothEnded()
    }
  }

  onDrained(queuedBytes: number): void {
    this.queuedBytes = queuedBytes
    if (queuedBytes === 0) this.lent = false
    const backlog = this.stagedBytes + queuedBytes
    if (this.drain === null || this.lent || backlog > (this.writing === 'open' ? WRITE_HIGH_BYTES / 2 : 0)) return
    const { drain } = this
    this.drain = null
    drain.resolve()
  }

  // ---- reading ----

  read(options?: Waiting): Promise<Uint8Array | null> {
    if (options?.signal?.aborted) return rejected(abortedError(options.signal))
    const otherSurface = this.take('reader')
    if (otherSurface !== null) return rejected(otherSurface)
    const ready = this.next()
    if (ready !== undefined) return Promise.resolve(ready)
    if (this.failure !== null) return rejected(this.failure)
    const waiting = deferred<Uint8Array | null>()
    this.reads ??= []
    this.reads.push(waiting)
    return unlessAborted(waiting.promise, options?.signal, () => {
      this.reads?.splice(this.reads.indexOf(waiting), 1)
    })
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    const otherSurface = this.take('reader')
    if (otherSurface !== null) throw otherSurface
    return new StreamIterator(this)
  }

  /** The next chunk; null at the end, undefined where nothing is there. */
  next(): Uint8Array | null | undefined {
    const { inbox } = this
    if (inbox === null) return this.otherEnded ? null : undefined
    const chunk = inbox[this.inboxAt]!
    this.inboxAt += 1
    if (this.inboxAt === inbox.length) {
      this.inbox = null
      this.inboxAt = 0
    } else if (this.inboxAt === 64) {
      this.inbox = inbox.slice(64)
      this.inboxAt = 0
    }
    this.consumed(chunk.length)
    return chunk
  }

  /** Settles who reads; the error where that is someone else already. */
  private take(taking: 'reader' | 'web'): WebmeshError | null {
    if (this.taking === 'nobody-yet') this.taking = taking
    if (this.taking === taking) return null
    return invalidOption('a stream is read either through readable or through read() and the iterator')
  }

  /** What nobody will read counts as read, or the session would hold room for it for good. */
  private dropInbox(): void {
    while (this.inbox !== null) this.next()
  }

  private consumed(bytes: number): void {
    this.consumedBytes += bytes
    if (this.consumedBytes >= CONSUMED_REPORT_BYTES || this.otherEnded) this.flushLater()
  }

  onData(chunks: readonly Uint8Array[]): void {
    if (this.web !== null) {
      this.web.push(chunks)
      return
    }
    for (const chunk of chunks) {
      const waiting = this.reads?.shift()
      if (this.taking === 'nobody' || waiting !== undefined) {
        this.consumed(chunk.length)
        waiting?.resolve(chunk)
      } else {
        this.inbox ??= []
        this.inbox.push(chunk)
      }
    }
  }

  onEnded(): void {
    this.otherEnded = true
    if (this.consumedBytes > 0) this.flushLater()
    this.web?.end()
    const reads = this.reads
    this.reads = null
    for (const waiting of reads ?? []) waiting.resolve(null)
    this.doneIfBothEnded()
  }

  // ---- the end ----

  get closed(): Promise<void> {
    if (this.whenClosed === null) {
      this.whenClosed = deferred()
      if (this.failure !== null) this.whenClosed.reject(this.failure)
      else if (this.isDone()) this.whenClosed.resolve()
    }
    return this.whenClosed.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.failure !== null) return
    await this.end().catch(ignore)
    if (this.otherEnded) this.dropInbox()
    else this.reset()
  }

  onFailed(fault: Fault, reset: number): void {
    if (fault.code === 'stream-reset' && reset === RESET_NO_HANDLER)
      this.fail(new WebmeshError({ code: 'no-such-service', detail: this.subject }, reset))
    else if (fault.code === 'stream-reset')
      this.fail(
        new WebmeshError({ code: 'stream-reset', detail: fault.detail ?? `its code is ${resetText(reset)}` }, reset),
      )
    else this.fail(new WebmeshError(fault))
  }

  fail(error: WebmeshError): void {
    if (this.failure !== null || this.isDone()) return
    this.failure = error
    this.chunks = null
    this.runSlab = null
    this.stagedBytes = 0
    this.queuedBytes = 0
    this.drain?.reject(error)
    this.drain = null
    const reads = this.reads
    this.reads = null
    for (const waiting of reads ?? []) waiting.reject(error)
    this.web?.fail(error)
    this.webWriter?.error(error)
    this.whenClosed?.reject(error)
    this.host.onStreamDone(this)
  }

  /** Whether this is the error that ended the stream. */
  endedBy(error: unknown): boolean {
    return this.failure !== null && this.failure === error
  }

  private isDone(): boolean {
    return this.writing === 'ended' && this.otherEnded
  }

  private doneIfBothEnded(): void {
    if (!this.isDone()) return
    this.whenClosed?.resolve()
    this.host.onStreamDone(this)
  }

  // ---- Web streams ----

  get readable(): ReadableStream<Uint8Array> {
    if (this.web === null) {
      const otherSurface = this.take('web')
      if (otherSurface !== null) throw otherSurface
      this.web = new WebReader(
        bytes => this.consumed(bytes),
        () => this.stopReading(),
      )
      const held = this.inbox?.slice(this.inboxAt) ?? []
      this.inbox = null
      this.inboxAt = 0
      this.web.push(held)
      if (this.otherEnded) this.web.end()
      else if (this.failure !== null) this.web.fail(this.failure)
    }
    return this.web.readable
  }

  get writable(): WritableStream<Uint8Array> {
    this.webWritable ??= new WritableStream<Uint8Array>(
      {
        start: controller => {
          this.webWriter = controller
          if (this.failure !== null) controller.error(this.failure)
        },
        write: chunk => this.write(chunk),
        close: () => this.end(),
        abort: () => this.reset(),
      },
      { highWaterMark: WRITABLE_HIGH_BYTES, size: byteLength },
    )
    return this.webWritable
  }

  /** The reader of the Web stream cancelled it: what still arrives is dropped, the other direction goes on. */
  private stopReading(): void {
    this.web = null
    this.taking = 'nobody'
    this.dropInbox()
    if (this.writing === 'ended') this.reset()
  }
}

class StreamIterator implements AsyncIterableIterator<Uint8Array> {
  private readonly stream: OpenStream

  constructor(stream: OpenStream) {
    this.stream = stream
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const ready = this.stream.next()
    if (ready) return Promise.resolve({ done: false, value: ready })
    const later = this.stream.read().then(resultOf)
    later.catch(ignore)
    return later
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    return Promise.resolve(FINISHED)
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/**
 * The readable half as a Web stream: chunks are enqueued as they arrive, which is faster than being pulled; what the
 * reader has taken since shows in `desiredSize`, and flows back as credit.
 */
class WebReader {
  readonly readable: ReadableStream<Uint8Array>
  private controller: ReadableStreamDefaultController<Uint8Array> | null = null
  private readonly onConsumed: (bytes: number) => void
  private enqueuedBytes = 0
  private closed = false

  constructor(onConsumed: (bytes: number) => void, onCancel: () => void) {
    this.onConsumed = onConsumed
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: controller => {
          this.controller = controller
        },
        pull: () => this.credit(),
        cancel: () => {
          this.closed = true
          this.onConsumed(this.enqueuedBytes)
          this.enqueuedBytes = 0
          onCancel()
        },
      },
      { highWaterMark: READABLE_HIGH_BYTES, size: byteLength },
    )
  }

  push(chunks: readonly Uint8Array[]): void {
    if (this.closed) return
    for (const chunk of chunks) {
      this.enqueuedBytes += chunk.length
      this.controller?.enqueue(chunk)
    }
    this.credit()
  }

  end(): void {
    if (this.closed) return
    this.closed = true
    this.controller?.close()
    // What is still in the Web stream's queue counts as read: after the end there is nothing to hold back.
    if (this.enqueuedBytes > 0) this.onConsumed(this.enqueuedBytes)
    this.enqueuedBytes = 0
  }

  fail(error: WebmeshError): void {
    if (this.closed) return
    this.closed = true
    this.controller?.error(error)
  }

  private credit(): void {
    if (this.closed || this.controller === null) return
    const held = READABLE_HIGH_BYTES - (this.controller.desiredSize ?? READABLE_HIGH_BYTES)
    const taken = this.enqueuedBytes - held
    if (taken <= 0) return
    this.enqueuedBytes = held
    this.onConsumed(taken)
  }
}

function resultOf(chunk: Uint8Array | null): IteratorResult<Uint8Array, undefined> {
  return chunk === null ? FINISHED : { done: false, value: chunk }
}

function byteLength(chunk: Uint8Array): number {
  return chunk.byteLength
}

function resetText(reset: number): string {
  return reset === RESET_HANDLER_FAILED ? `${reset}: its handler failed` : String(reset)
}
