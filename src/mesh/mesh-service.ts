/** A joined service as the user holds it: its members as they come and go, streams to and from them, broadcasts. */
import type { Fault } from '../core/base/fault.ts'
import { invariant } from '../core/base/invariant.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { PeerRef } from '../core/crypto/peer-ref.ts'
import { type Deferred, deferred, throwIfAborted, unlessAborted, type Waiting } from './abort.ts'
import type { Dispatch } from './dispatch.ts'
import {
  type HandlerErrorEvent,
  MemberEvent,
  MessageFromPeer,
  TypedEventTarget,
  type TypedTarget,
} from './mesh-events.ts'
import { type MeshStream, type OpenStream, RESET_NO_HANDLER } from './mesh-stream.ts'
import { mustBeHandler, runHandler, type StreamHandler } from './stream-handler.ts'
import type { PeerLike } from './target.ts'
import { invalidOption, WebmeshError } from './webmesh-error.ts'

/** A member of a service: usable wherever a peer is named. */
export interface Member {
  readonly peer: PeerId
  /** Where it can be reached, or null where only its id is known. */
  readonly ref: PeerRef | null
}

export interface ServiceEvents {
  /** A broadcast of another member. */
  message: MessageFromPeer
  /** A member appeared or went. */
  member: MemberEvent
  handlererror: HandlerErrorEvent
}

export interface Service extends TypedTarget<ServiceEvents> {
  /** As it was joined: `chat.example/1`. */
  readonly name: string
  /** The other members known now. */
  readonly members: readonly Member[]
  /**
   * Says what to do with streams that members open to this peer. When the promise that it returns settles, the stream is
   * ended on this side (reset where it rejected); a handler that returns nothing keeps its stream. One at a time: a later
   * call replaces the earlier, null removes it. Streams that come before there is one wait up to two seconds.
   */
  handle(handler: StreamHandler | null): void
  /** The other members: those known first, then others as they appear, until the service is left. Errors: `aborted`. */
  discover(options?: Waiting): AsyncIterableIterator<Member>
  /**
   * Opens a stream to a member, wherever it is. Errors: `peer-unreachable`, `no-such-service` (on the stream, where the
   * peer is no member), `aborted`, and those of a peer that is not well named.
   */
  open(peer: PeerLike, options?: Waiting): Promise<MeshStream>
  /**
   * Sends to all members. Resolves when it has left for the `neighbours` next in the tree; with 0 it waits for the first
   * ones to be linked. Errors: `message-too-large`, `aborted`.
   */
  broadcast(bytes: Uint8Array, options?: Waiting): Promise<{ readonly neighbours: number }>
  /** Leaves: other members see it go. Open streams stay open. */
  leave(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Streams from members wait for a handler this long: others may see this peer as a member before `join()` returned. */
const UNHANDLED_HOLD_MS = 2_000
/** And so many of them: more are refused. */
const UNHANDLED_STREAMS_MAX = 16

export class JoinedService extends TypedEventTarget<ServiceEvents> implements Service {
  readonly name: string
  /** Settles when the join does. */
  readonly joined: Deferred<void> = deferred()
  private readonly dispatch: Dispatch
  private readonly known = new Map<PeerId, Member>()
  private readonly discoveries = new Set<Discovery>()
  private handler: StreamHandler | null = null
  private readonly unhandled: OpenStream[] = []
  private holdTimer: ReturnType<typeof setTimeout> | null = null
  private left = false

  constructor(dispatch: Dispatch, name: string) {
    super()
    this.dispatch = dispatch
    this.name = name
  }

  get members(): readonly Member[] {
    return [...this.known.values()]
  }

  handle(handler: StreamHandler | null): void {
    mustBeHandler(handler)
    this.handler = handler
    if (handler === null) return
    this.stopHolding()
    for (const stream of this.unhandled.splice(0)) runHandler(handler, stream, this)
  }

  async *discover(options: Waiting = {}): AsyncIterableIterator<Member> {
    const { signal } = options
    throwIfAborted(signal)
    const discovery = new Discovery(this.known)
    if (this.left) discovery.end()
    this.discoveries.add(discovery)
    try {
      for (;;) {
        const member = discovery.next()
        if (member !== undefined) yield member
        else if (discovery.ended) return
        else await unlessAborted(discovery.changed(), signal)
        throwIfAborted(signal)
      }
    } finally {
      this.discoveries.delete(discovery)
    }
  }

  async open(peer: PeerLike, options: Waiting = {}): Promise<MeshStream> {
    this.mustBeJoined()
    // reason: a text that is no peer id is no key of the map, and gives undefined.
    const member = typeof peer === 'string' ? this.known.get(peer as PeerId) : undefined
    const session = await this.dispatch.connect(member ?? peer, options.signal)
    return session.open(this.name, options)
  }

  async broadcast(bytes: Uint8Array, options: Waiting = {}): Promise<{ readonly neighbours: number }> {
    throwIfAborted(options.signal)
    this.mustBeJoined()
    if (!(bytes instanceof Uint8Array)) throw invalidOption('broadcast() takes a Uint8Array')
    const event = await this.dispatch.request(options.signal, 'broadcast-sent', request => ({
      kind: 'service-broadcast',
      request,
      service: this.name,
      bytes: bytes.slice(),
    }))
    return { neighbours: event.neighbours }
  }

  async leave(): Promise<void> {
    if (this.left) return
    this.dispatch.command({ kind: 'service-leave', service: this.name })
    this.end({ code: 'closed', detail: `${this.name} was left` })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave()
  }

  private mustBeJoined(): void {
    if (this.left) throw new WebmeshError({ code: 'closed', detail: `${this.name} was left` })
  }

  // ---- for Dispatch ----

  onStream(stream: OpenStream): void {
    if (this.handler !== null) {
      runHandler(this.handler, stream, this)
      return
    }
    if (this.unhandled.length >= UNHANDLED_STREAMS_MAX) {
      stream.reset(RESET_NO_HANDLER)
      return
    }
    this.unhandled.push(stream)
    this.holdTimer ??= setTimeout(() => this.refuseUnhandled(), UNHANDLED_HOLD_MS)
  }

  onMember(peer: PeerId, ref: PeerRef | null, present: boolean): void {
    const before = this.known.get(peer)
    const member: Member = { peer, ref: ref ?? before?.ref ?? null }
    if (present) this.known.set(peer, member)
    else this.known.delete(peer)
    // A newer ref of a known member is no news of membership.
    if (present === (before !== undefined)) return
    for (const discovery of this.discoveries) discovery.onMember(member, present)
    this.dispatchEvent(new MemberEvent(member, present))
  }

  onMessage(from: PeerId, bytes: Uint8Array): void {
    this.dispatchEvent(new MessageFromPeer(from, bytes))
  }

  end(fault: Fault): void {
    if (this.left) return
    this.left = true
    this.joined.reject(new WebmeshError(fault))
    this.refuseUnhandled()
    this.known.clear()
    for (const discovery of this.discoveries) discovery.end()
    this.dispatch.forgetService(this)
  }

  private refuseUnhandled(): void {
    this.stopHolding()
    for (const stream of this.unhandled.splice(0)) stream.reset(RESET_NO_HANDLER)
  }

  private stopHolding(): void {
    if (this.holdTimer !== null) clearTimeout(this.holdTimer)
    this.holdTimer = null
  }
}

/** One running `discover()`: who is yet to be told. Bounded by the members known, since who goes is taken out again. */
class Discovery {
  ended = false
  private readonly pending: Map<PeerId, Member>
  private waiting: Deferred<void> | null = null

  constructor(known: ReadonlyMap<PeerId, Member>) {
    this.pending = new Map(known)
  }

  next(): Member | undefined {
    const first = this.pending.entries().next()
    if (first.done) return undefined
    this.pending.delete(first.value[0])
    return first.value[1]
  }

  changed(): Promise<void> {
    invariant(this.waiting === null, 'a discovery is waited for twice')
    this.waiting = deferred()
    return this.waiting.promise
  }

  onMember(member: Member, present: boolean): void {
    if (present) this.pending.set(member.peer, member)
    else this.pending.delete(member.peer)
    if (present) this.wake()
  }

  end(): void {
    this.ended = true
    this.wake()
  }

  private wake(): void {
    this.waiting?.resolve()
    this.waiting = null
  }
}
