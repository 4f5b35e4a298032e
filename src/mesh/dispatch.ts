/**
 * Between the objects that a user holds and the run loop: commands go in, events come out and find their request,
 * session, stream or service. Small writes and consumed bytes of a turn are gathered here and leave once, at its end.
 */
import type { Fault, FaultCode } from '../core/base/fault.ts'
import type { WallTime } from '../core/base/instant.ts'
import { invariant, unreachable } from '../core/base/invariant.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { CryptoSuite } from '../core/crypto/suite.ts'
import type { PeerEvent } from '../core/effect.ts'
import type { Command, RequestId, SessionId } from '../core/input.ts'
import { abortedError, type Deferred, deferred, ignore, throwIfAborted, unlessAborted } from './abort.ts'
import type { EventSink } from './mesh-events.ts'
import { JoinedService } from './mesh-service.ts'
import { OpenSession } from './mesh-session.ts'
import { type OpenStream, RESET_NO_HANDLER, type StreamHost } from './mesh-stream.ts'
import { Staging } from './staging.ts'
import { runHandler, type StreamHandler } from './stream-handler.ts'
import { type PeerLike, targetFault, targetOf } from './target.ts'
import { WebmeshError } from './webmesh-error.ts'

/** A handshake takes longer than this, its first message less. */
const VERIFY_AFTER_MS = 1

/** What Dispatch needs of the world. */
export interface DispatchOptions {
  readonly suite: CryptoSuite
  readonly wallNow: () => WallTime
  /** Runs a task when this turn of the event loop is over. */
  readonly soon: (task: () => void) => void
  readonly pause: (delayMs: number) => Promise<void>
  readonly command: (command: Command) => void
  /** Events that concern the peer as a whole. */
  readonly onPeerEvent: (event: WholePeerEvent) => void
  /** Where failures of handlers for streams outside any service are reported. */
  readonly target: EventSink
}

export type WholePeerEvent = Extract<
  PeerEvent,
  { kind: 'left' | 'self' | 'unheard' | 'link-up' | 'link-down' | 'datagram' }
>

/** Events that answer a request, by kind. */
type Answer = Exclude<Extract<PeerEvent, { request: RequestId }>, { kind: 'failed' }>

interface Request {
  readonly kind: Answer['kind']
  readonly outcome: Deferred<Answer>
  /** The subject, with a `stream-open`. */
  readonly subject: string
}

export class Dispatch implements StreamHost {
  readonly staging = new Staging()
  delivering = false
  private readonly options: DispatchOptions
  private readonly requests = new Map<RequestId, Request>()
  private readonly sessions = new Map<SessionId, OpenSession>()
  private readonly services = new Map<string, JoinedService>()
  private readonly handlers = new Map<string, StreamHandler>()
  private nextRequest: RequestId = 1
  private flushing: OpenStream[] = []
  private closedBy: Fault | null = null

  constructor(options: DispatchOptions) {
    this.options = options
  }

  // ---- from the user's side ----

  command(command: Command): void {
    if (this.closedBy === null) this.options.command(command)
  }

  /** Sends a command that is answered, and waits for the answer. A `failed` rejects. */
  request<Kind extends Answer['kind']>(
    signal: AbortSignal | undefined,
    kind: Kind,
    make: (request: RequestId) => Command,
  ): Promise<Extract<Answer, { kind: Kind }>> {
    const outcome = deferred<Answer>()
    if (this.closedBy !== null) outcome.reject(new WebmeshError(this.closedBy))
    else if (signal?.aborted) outcome.reject(abortedError(signal))
    else {
      const request = this.nextRequest++
      const command = make(request)
      this.requests.set(request, { kind, outcome, subject: command.kind === 'stream-open' ? command.subject : '' })
      this.options.command(command)
      // reason: `answer` resolves a request only with an event of the kind that it waits for.
      return unlessAborted(outcome.promise, signal, () => this.requests.delete(request)) as Promise<
        Extract<Answer, { kind: Kind }>
      >
    }
    // reason: it is rejected.
    return outcome.promise as Promise<never>
  }

  async connect(peer: PeerLike, signal: AbortSignal | undefined): Promise<OpenSession> {
    throwIfAborted(signal)
    const target = targetOf(this.options.suite, this.options.wallNow(), peer)
    if (!target.ok) throw new WebmeshError(target.fault)
    const connected = this.request(signal, 'connected', request => ({
      kind: 'connect',
      request,
      target: target.value,
    }))
    // While the other side answers there is time to verify the ref.
    if (target.value.kind === 'ref')
      await Promise.race([connected.then(ignore, ignore), this.options.pause(VERIFY_AFTER_MS)])
    const fault = targetFault(this.options.suite, target.value)
    if (fault !== null) throw new WebmeshError(fault)
    const event = await connected
    const session = this.sessions.get(event.session)
    if (session === undefined)
      throw new WebmeshError({ code: 'session-lost', detail: 'it ended as soon as it was open' })
    return session
  }

  async joinService(name: string, summary: string, signal: AbortSignal | undefined): Promise<JoinedService> {
    throwIfAborted(signal)
    const before = this.services.get(name)
    if (before !== undefined) {
      await unlessAborted(before.joined.promise, signal)
      return before
    }
    const service = new JoinedService(this, name)
    this.services.set(name, service)
    try {
      await this.request(signal, 'service-joined', request => ({
        kind: 'service-join',
        request,
        service: name,
        summary,
      }))
    } catch (error) {
      // An aborted join may be under way in the core.
      if (error instanceof WebmeshError && error.code === 'aborted') await service.leave()
      else service.end(faultOf(error))
      throw error
    }
    service.joined.resolve()
    return service
  }

  handle(subject: string, handler: StreamHandler | null): void {
    if (handler === null) this.handlers.delete(subject)
    else this.handlers.set(subject, handler)
  }

  flushLater(stream: OpenStream): void {
    this.flushing.push(stream)
    if (this.flushing.length === 1) this.options.soon(this.flush)
  }

  private readonly flush = (): void => {
    const streams = this.flushing
    this.flushing = []
    for (const stream of streams) stream.flush()
  }

  /** Ends everything that a user holds. */
  close(fault: Fault): void {
    if (this.closedBy !== null) return
    this.flush()
    for (const service of this.services.keys()) this.command({ kind: 'service-leave', service })
    this.closedBy = fault
    for (const service of [...this.services.values()]) service.end(fault)
    for (const session of [...this.sessions.values()]) session.end(fault)
    this.sessions.clear()
    const error = new WebmeshError(fault)
    for (const request of this.requests.values()) request.outcome.reject(error)
    this.requests.clear()
  }

  forgetSession(session: OpenSession): void {
    this.sessions.delete(session.id)
  }

  forgetService(service: JoinedService): void {
    if (this.services.get(service.name) === service) this.services.delete(service.name)
  }

  onStreamDone(stream: OpenStream): void {
    this.sessions.get(stream.session)?.dropStream(stream.stream)
  }

  // ---- from the core ----

  onEvent(event: PeerEvent): void {
    // While the peer leaves, nothing reaches the user any more.
    if (this.closedBy !== null && event.kind !== 'left') return
    this.delivering = true
    try {
      this.deliver(event)
    } finally {
      this.delivering = false
    }
  }

  private deliver(event: PeerEvent): void {
    switch (event.kind) {
      case 'failed':
        this.onFailed(event.request, event.fault)
        break
      case 'left':
      case 'self':
      case 'unheard':
      case 'link-up':
      case 'link-down':
        this.options.onPeerEvent(event)
        break
      case 'connected':
        this.session(event.session, event.peer).onConnected(event.path)
        this.answer(event)
        break
      case 'joined':
      case 'ponged':
      case 'peer-found':
      case 'helpers-found':
      case 'service-found':
      case 'service-listed':
      case 'service-joined':
      case 'broadcast-sent':
        this.answer(event)
        break
      case 'path':
        this.sessions.get(event.session)?.onPath(event.path)
        break
      case 'session-closed':
        this.onSessionClosed(event.session, event.fault)
        break
      case 'stream-opened':
        this.onStreamOpened(event)
        break
      case 'stream-inbound':
        this.onStreamInbound(event)
        break
      case 'stream-data':
        this.sessions.get(event.session)?.stream(event.stream)?.onData(event.chunks)
        break
      case 'stream-ended':
        this.sessions.get(event.session)?.stream(event.stream)?.onEnded()
        break
      case 'stream-failed':
        this.sessions.get(event.session)?.stream(event.stream)?.onFailed(event.fault, event.reset)
        break
      case 'stream-drained':
        this.sessions.get(event.session)?.stream(event.stream)?.onDrained(event.queuedBytes)
        break
      case 'datagram':
        this.sessions.get(event.session)?.onDatagram(event.bytes)
        this.options.onPeerEvent(event)
        break
      case 'member':
        this.services.get(event.service)?.onMember(event.peer, event.ref, event.present)
        break
      case 'message':
        this.services.get(event.service)?.onMessage(event.from, event.bytes)
        break
      default:
        unreachable(event)
    }
  }

  private answer(event: Answer): void {
    const request = this.requests.get(event.request)
    // None: whoever asked gave up waiting.
    if (request === undefined) return
    invariant(request.kind === event.kind, 'a request is answered by another kind of event')
    this.requests.delete(event.request)
    request.outcome.resolve(event)
  }

  private onFailed(id: RequestId, fault: Fault): void {
    const request = this.requests.get(id)
    this.requests.delete(id)
    request?.outcome.reject(new WebmeshError(fault))
  }

  private session(id: SessionId, peer: PeerId): OpenSession {
    let session = this.sessions.get(id)
    if (session === undefined) {
      session = new OpenSession(this, id, peer)
      this.sessions.set(id, session)
    }
    return session
  }

  private onSessionClosed(id: SessionId, fault: Fault): void {
    const session = this.sessions.get(id)
    this.sessions.delete(id)
    session?.end(fault)
  }

  private onStreamOpened(event: Extract<PeerEvent, { kind: 'stream-opened' }>): void {
    const { session, stream, request: id } = event
    const request = this.requests.get(id)
    const holder = this.sessions.get(session)
    if (request === undefined || holder === undefined) {
      // Whoever asked gave up waiting: nobody will read or end it.
      this.command({ kind: 'stream-reset', session, stream, reset: 0 })
      return
    }
    holder.addStream(stream, request.subject)
    this.answer(event)
  }

  private onStreamInbound(event: Extract<PeerEvent, { kind: 'stream-inbound' }>): void {
    const stream = this.session(event.session, event.peer).addStream(event.stream, event.subject)
    const service = this.services.get(event.subject)
    const handler = this.handlers.get(event.subject)
    if (service !== undefined) service.onStream(stream)
    else if (handler !== undefined) runHandler(handler, stream, this.options.target)
    else stream.reset(RESET_NO_HANDLER)
  }
}

function faultOf(error: unknown): Fault {
  const code: FaultCode = error instanceof WebmeshError ? error.code : 'closed'
  return { code }
}
