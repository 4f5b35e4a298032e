/**
 * A session as the user holds it: whose it is, the way its packets take now, its streams and datagrams. There is one
 * for a peer at a time; whoever connects to the same peer holds the same. It outlives its paths (spec 4).
 */
import type { Fault } from '../core/base/fault.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { PathView } from '../core/effect.ts'
import type { Command, SessionId, StreamId } from '../core/input.ts'
import { type Deferred, deferred, throwIfAborted, type Waiting } from './abort.ts'
import type { Dispatch } from './dispatch.ts'
import { DatagramEvent, PathEvent, SessionCloseEvent, TypedEventTarget, type TypedTarget } from './mesh-events.ts'
import { type MeshStream, OpenStream } from './mesh-stream.ts'
import { WebmeshError } from './webmesh-error.ts'

export interface SessionEvents {
  /** Its packets travel another way now. */
  path: PathEvent
  datagram: DatagramEvent
  close: SessionCloseEvent
}

/** One measured round trip. */
export interface RoundTrip {
  readonly roundTripMs: number
  /** The way it took. */
  readonly path: PathView
}

export interface Session extends TypedTarget<SessionEvents> {
  readonly peer: PeerId
  /** How its packets travel now. */
  readonly path: PathView
  /**
   * Opens a stream. `subject` tells the other side what it is for: a service's name, or a name for which it called
   * `mesh.handle`. It may be written to at once. Errors: `session-lost`, `closed`, `overloaded`, `aborted`; where the
   * other side does not know the subject, the stream fails with `no-such-service`.
   */
  open(subject?: string, options?: Waiting): Promise<MeshStream>
  /** Asks the peer for a sign of life. Errors: `timeout`, `session-lost`, `closed`, `aborted`. */
  ping(options?: Waiting): Promise<RoundTrip>
  /** Sends bytes on their own: whole or not at all, in any order, never again. At most about 1,100 bytes fit every path. */
  sendDatagram(bytes: Uint8Array): void
  /** Resolves, with why, when the session has ended. */
  readonly closed: Promise<WebmeshError>
  /**
   * Whoever got it by `connect()` needs it no more; once for each of these. When nobody holds it, here and at the other
   * side, it ends by itself a while after its last stream.
   */
  release(): void
  /** Ends the session for all who hold it, at both sides: its streams are reset. What links and services need of it stays, unseen. */
  close(): void
  /** As `release()`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** How long a session that nobody holds outlives its last stream. */
const SESSION_IDLE_MS = 30_000

export class OpenSession extends TypedEventTarget<SessionEvents> implements Session {
  readonly peer: PeerId
  readonly id: SessionId
  private readonly dispatch: Dispatch
  private currentPath: PathView = { kind: 'none' }
  private streams: Map<StreamId, OpenStream> | null = null
  private endedBy: WebmeshError | null = null
  private whenClosed: Deferred<WebmeshError> | null = null
  /** How many got it by `connect()`, and may keep it without any stream. */
  private holders = 0
  /** The core keeps it open for us: `session-close` gives that up. */
  private kept = false
  private idleTimer: ReturnType<typeof setTimeout> | null = null

  constructor(dispatch: Dispatch, id: SessionId, peer: PeerId) {
    super()
    this.dispatch = dispatch
    this.id = id
    this.peer = peer
  }

  get path(): PathView {
    return this.currentPath
  }

  async open(subject = '', options: Waiting = {}): Promise<MeshStream> {
    throwIfAborted(options.signal)
    if (this.endedBy !== null) throw this.endedBy
    const event = await this.dispatch.request(options.signal, 'stream-opened', request => ({
      kind: 'stream-open',
      request,
      session: this.id,
      subject,
    }))
    const stream = this.streams?.get(event.stream)
    // The stream was put into the table with the event; only an end of the session in between can have taken it out.
    if (stream === undefined) throw this.endedBy ?? new WebmeshError({ code: 'no-such-stream' })
    return stream
  }

  async ping(options: Waiting = {}): Promise<RoundTrip> {
    throwIfAborted(options.signal)
    if (this.endedBy !== null) throw this.endedBy
    const event = await this.dispatch.request(options.signal, 'ponged', request => ({
      kind: 'ping',
      request,
      session: this.id,
    }))
    return { roundTripMs: event.roundTripMs, path: event.path }
  }

  sendDatagram(bytes: Uint8Array): void {
    if (this.endedBy !== null) throw this.endedBy
    this.dispatch.command({ kind: 'datagram-send', session: this.id, bytes: bytes.slice() })
  }

  get closed(): Promise<WebmeshError> {
    if (this.whenClosed === null) {
      this.whenClosed = deferred()
      if (this.endedBy !== null) this.whenClosed.resolve(this.endedBy)
    }
    return this.whenClosed.promise
  }

  close(): void {
    if (this.endedBy !== null) return
    for (const stream of [...(this.streams?.values() ?? [])]) stream.reset()
    this.giveUp({ kind: 'session-close', session: this.id, code: 'closed' })
  }

  release(): void {
    this.holders = Math.max(0, this.holders - 1)
    this.endIfIdle()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
  }

  // ---- for Dispatch ----

  onConnected(path: PathView): void {
    this.kept = true
    this.onPath(path)
    this.endIfIdle()
  }

  hold(): void {
    this.holders += 1
  }

  addStream(stream: StreamId, subject: string): OpenStream {
    const opened = new OpenStream(this.dispatch, this.id, stream, this.peer, subject)
    this.streams ??= new Map()
    this.streams.set(stream, opened)
    return opened
  }

  stream(stream: StreamId): OpenStream | undefined {
    return this.streams?.get(stream)
  }

  dropStream(stream: StreamId): void {
    this.streams?.delete(stream)
    if (this.streams?.size !== 0) return
    this.streams = null
    this.endIfIdle()
  }

  onPath(path: PathView): void {
    const changed = !samePath(this.currentPath, path)
    this.currentPath = path
    if (changed) this.dispatchEvent(new PathEvent(path))
  }

  onDatagram(bytes: Uint8Array): void {
    this.dispatchEvent(new DatagramEvent(this.peer, bytes))
  }

  end(fault: Fault): void {
    if (this.endedBy !== null) return
    if (this.idleTimer !== null) clearTimeout(this.idleTimer)
    const error = new WebmeshError(fault)
    this.endedBy = error
    this.currentPath = { kind: 'none' }
    for (const stream of [...(this.streams?.values() ?? [])]) stream.fail(error)
    this.streams = null
    this.whenClosed?.resolve(error)
    this.dispatchEvent(new SessionCloseEvent(error))
  }

  /** Without a stream and without a holder it is kept a while, for the next stream to the same peer. */
  private endIfIdle(): void {
    if (!this.isIdle || this.endedBy !== null) return
    if (!this.kept) this.leave()
    else
      this.idleTimer ??= setTimeout(() => {
        this.idleTimer = null
        if (this.isIdle) this.leave()
      }, SESSION_IDLE_MS)
  }

  private get isIdle(): boolean {
    return this.streams === null && this.holders === 0
  }

  /** The other side may be opening a stream just now: the core ends the session when neither side needs it. */
  private leave(): void {
    this.giveUp({ kind: 'session-release', session: this.id })
  }

  private giveUp(command: Command): void {
    this.dispatch.forgetSession(this)
    if (this.kept) this.dispatch.command(command)
    this.end({ code: 'closed', detail: 'this side closed the session' })
  }
}

function samePath(a: PathView, b: PathView): boolean {
  if (a.kind === 'wire' && b.kind === 'wire') return a.transport === b.transport && a.remote === b.remote
  if (a.kind === 'circuit' && b.kind === 'circuit') return a.via.join() === b.via.join()
  return a.kind === b.kind
}
