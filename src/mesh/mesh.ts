/**
 * The peer that a user runs: opens what it needs (store, identity, ports) in order and closes all of it again where one
 * step fails, joins the mesh, and gives out sessions and services. What happens inside a peer is the core's business.
 */
import type { Address } from '../core/base/address.ts'
import { type Fault, messageOf, ok } from '../core/base/fault.ts'
import { type PeerId, parsePeerId } from '../core/base/peer-id.ts'
import { type PeerRef, refText } from '../core/crypto/peer-ref.ts'
import { KEY_BYTES } from '../core/crypto/suite.ts'
import type { PathView, ServiceEntry } from '../core/effect.ts'
import type { NegotiatedTransport, Target } from '../core/input.ts'
import { createPeer } from '../core/peer.ts'
import type { LinkView } from '../core/peer-options.ts'
import { type DialInHost, type NatStatus, NOTHING_KNOWN } from '../host/own-network.ts'
import type { Platform } from '../host/platform.ts'
import { RunLoop } from '../host/run-loop.ts'
import type { Store } from '../host/store.ts'
import type { Negotiator } from '../paths/negotiator.ts'
import type { PortMappingState } from '../paths/port-mapping/port-mapping.ts'
import type { Acceptor } from '../paths/wire-driver.ts'
import {
  ASK_AFTER_MS,
  ASK_AGAIN_MS,
  type Meeting,
  SOURCE_TIMEOUT_MS,
  type WayInSource,
} from '../waysin/way-in-source.ts'
import { deferred, ignore, throwIfAborted, unlessAborted, type Waiting } from './abort.ts'
import { Dispatch, type WholePeerEvent } from './dispatch.ts'
import type { ListeningMesh, ListeningSide } from './listening-side.ts'
import {
  DatagramEvent,
  type HandlerErrorEvent,
  LinkEvent,
  SelfEvent,
  TypedEventTarget,
  type TypedTarget,
  UnlinkEvent,
  WarningEvent,
} from './mesh-events.ts'
import { type CheckedOptions, checkOptions, type ListenPoint, type MeshOptions, targetWayIn } from './mesh-options.ts'
import type { Member, Service } from './mesh-service.ts'
import type { Session } from './mesh-session.ts'
import { mustBeHandler, type StreamHandler } from './stream-handler.ts'
import { type PeerLike, serviceNameOf, targetText } from './target.ts'
import { invalidOption, WebmeshError } from './webmesh-error.ts'

export interface MeshEvents {
  /** The overlay keeps a session as a link. */
  link: LinkEvent
  unlink: UnlinkEvent
  /** This peer's ref changed. */
  self: SelfEvent
  /** A datagram over any session. */
  datagram: DatagramEvent
  /** Something went wrong that the peer can go on without, like a store that cannot be written. */
  warning: WarningEvent
  /** A handler set by `mesh.handle` failed. */
  handlererror: HandlerErrorEvent
}

/** What a peer knows of itself and its surroundings now. */
export interface MeshStatus {
  readonly peer: PeerId
  readonly ref: string
  readonly listening: readonly string[]
  readonly links: readonly LinkView[]
  /** How many peers the network has, as estimated from here. */
  readonly estimatedPeers: number
  readonly rememberedPeers: number
  readonly sessions: number
  /** How many circuits of others run over this peer. */
  readonly circuitsRelayed: number
  /** Registry records kept for others. */
  readonly records: number
  readonly services: readonly { readonly service: string; readonly members: readonly PeerId[] }[]
  /** This machine's public addresses and its NAT, as several other peers see them. */
  readonly nat: NatStatus
  /** Whether this network's gateway lets others dial this peer. */
  readonly portMapping: PortMappingState
  /** Which of this machine's addresses others can dial, as several peers found that were asked to. */
  readonly dialIn: readonly DialInHost[]
  /** What went wrong that the peer went on without. */
  readonly warnings: readonly WebmeshError[]
}

export interface PingOptions extends Waiting {
  /** How many round trips; 1 unless given. */
  readonly count?: number
  /** The pause between them; 100 ms unless given. */
  readonly intervalMs?: number
}

export interface PingOutcome {
  readonly peer: PeerId
  readonly roundTripsMs: readonly number[]
  /** The way that the last one took. */
  readonly path: PathView
}

export interface JoinOptions extends Waiting {
  /** A line on what the service is, for those who list services. */
  readonly summary?: string
}

/** One running peer with one identity. */
export interface Mesh extends TypedTarget<MeshEvents> {
  readonly id: PeerId
  /** This peer's ref as text, `webmesh:…`: give it to others, it is their way in. It changes; this is the present one. */
  readonly ref: string
  readonly peerRef: PeerRef
  /** Where it takes connections, as `tcp://host:port` with the real ports; the same ports take WebSockets. */
  readonly listening: readonly string[]
  /**
   * A session with any peer, wherever it is; the open one if there is one. Errors: `peer-unreachable`, `dial-timeout`,
   * `self-connect`, `wrong-peer`, `aborted`, and those of a peer that is not well named.
   */
  connect(peer: PeerLike, options?: Waiting): Promise<Session>
  /** Becomes a member of a service, `name/major`. Joining twice gives the same object. Errors: `invalid-service-name`. */
  join(service: string, options?: JoinOptions): Promise<Service>
  /**
   * The newest ref of a peer, by its id alone: from the peer itself, or, while it is away, from those next to it on the
   * ring. Errors: `peer-unreachable`, `timeout`, `invalid-peer-id`, `aborted`.
   */
  findPeer(peer: PeerId | string, options?: Waiting): Promise<PeerRef>
  /** The members of a service as the registry knows them, without joining it. */
  find(service: string, options?: Waiting): Promise<readonly Member[]>
  /** The services in the registry. */
  services(options?: Waiting): Promise<readonly ServiceEntry[]>
  /** Round-trip times to a peer. Errors: those of `connect`, `timeout`. */
  ping(peer: PeerLike, options?: PingOptions): Promise<PingOutcome>
  /**
   * Says what to do with streams that others open with this subject outside any joined service; null removes it. As in
   * `service.handle`, the stream ends when the promise of the handler settles.
   */
  handle(subject: string, handler: StreamHandler | null): void
  status(): MeshStatus
  /** Says goodbye, ends all sessions and closes the ports and the store. What was not sent by then is lost. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** What the doors of the package give: the platform, and three things that only the mesh needs of it. */
export interface MeshPlatform extends Platform {
  /** Runs a task when this turn of the event loop is over (not as a microtask: writes of a turn are to gather). */
  readonly soon: (task: () => void) => void
  /** The addresses of this machine that others might reach: no loopback, no link-local ones. */
  readonly ownHosts: () => readonly string[]
  /** What takes connections; null where nothing can. */
  readonly listeningSide: ((mesh: ListeningMesh) => ListeningSide) | null
}

const SEED_KEY = 'self/seed'
/** Kept by those who listen. */
export const CERTIFICATE_KEY = 'self/certificate'
/** Stands where damage took the identity: the next start must not make another one in silence either. */
const LOST_KEY = 'self/lost'
const SELF_PREFIX = 'self/'
/** Within this after its first link a peer asks the registry again where it was told of nothing. */
const NEWCOMER_MS = 3_000
const NEWCOMER_PAUSE_MS = 150
const REMEMBERED_PREFIX = 'ref/'

export async function startMesh(platform: MeshPlatform, options: MeshOptions): Promise<Mesh> {
  const checked = checkOptions(platform.suite, platform.clock.wallNow(), options)
  if (!checked.ok) throw new WebmeshError(checked.fault)
  const { signal, store: place, listen, waysIn, sources } = checked.value
  throwIfAborted(signal)
  const opened = await platform.openStore(place)
  if (!opened.ok) throw new WebmeshError(opened.fault)
  const { store, fault } = opened.value
  const before = await readStore(store, platform, fault)
  if (before instanceof WebmeshError) {
    await store.close()
    throw before
  }
  const mesh = new RunningMesh(platform, checked.value, store, before.seed)
  if (fault !== null) mesh.warn(fault)
  try {
    // A port in use is known before anyone is told of this peer.
    if (listen.length > 0) await mesh.listen(listen, store, before.certificate)
    throwIfAborted(signal)
    mesh.announce()
    mesh.watchNetwork()
    mesh.side?.begin()
    mesh.meet()
    const joining = mesh.joinMesh(checked.value, checked.value.remembered ? before.rememberedPeers : 0)
    if (waysIn.length + sources.length > 0) await joining
    // Without a way in given, remembered peers are tried while the user goes on.
    else joining.catch(ignore)
    return mesh
  } catch (error) {
    await mesh.close()
    throw error
  }
}

/** The peer id kept in a store; the identity is made where there is none. Errors: `store-…`. */
export async function storedIdentity(platform: Platform, place: string): Promise<PeerId> {
  const opened = await platform.openStore(place)
  if (!opened.ok) throw new WebmeshError(opened.fault)
  const { store, fault } = opened.value
  const held = await readStore(store, platform, fault)
  await store.close()
  if (held instanceof WebmeshError) throw held
  return platform.suite.identity(held.seed).peer
}

interface StoredSelf {
  readonly seed: Uint8Array
  readonly certificate: Uint8Array | null
  readonly rememberedPeers: number
}

/** The identity's seed, made where there is none, and how many peers are remembered. */
async function readStore(
  store: Store,
  platform: Platform,
  openFault: Fault | null,
): Promise<StoredSelf | WebmeshError> {
  const held = await store.load(SELF_PREFIX)
  if (!held.ok) return new WebmeshError(held.fault)
  const remembered = await store.load(REMEMBERED_PREFIX)
  if (!remembered.ok) return new WebmeshError(remembered.fault)
  const rememberedPeers = remembered.value.length
  const entry = held.value.find(item => item.key === SEED_KEY)
  const certificate = held.value.find(item => item.key === CERTIFICATE_KEY)?.value ?? null
  if (entry !== undefined) {
    if (entry.value.length === KEY_BYTES) return { seed: entry.value, certificate, rememberedPeers }
    return new WebmeshError({
      code: 'store-damaged',
      detail: 'the identity',
      got: entry.value.length,
      limit: KEY_BYTES,
    })
  }
  // An identity that was there must not be replaced by another one in silence.
  if (openFault !== null) {
    await store.save([{ key: LOST_KEY, value: new Uint8Array(1) }])
    return new WebmeshError({ ...openFault, detail: openFault.detail ?? 'the identity is missing' })
  }
  if (rememberedPeers > 0 || held.value.some(item => item.key === LOST_KEY))
    return new WebmeshError({ code: 'store-damaged', detail: 'its identity was lost' })
  const seed = platform.suite.randomBytes(KEY_BYTES)
  const fault = await store.save([{ key: SEED_KEY, value: seed }])
  return fault === null ? { seed, certificate, rememberedPeers } : new WebmeshError(fault)
}

class RunningMesh extends TypedEventTarget<MeshEvents> implements Mesh, ListeningMesh {
  readonly id: PeerId
  readonly platform: MeshPlatform
  readonly loop: RunLoop
  readonly dispatch: Dispatch
  readonly side: ListeningSide | null
  readonly options: CheckedOptions
  readonly negotiators: readonly Negotiator[]
  readonly startedAt: number
  private readonly warnings: WebmeshError[] = []
  private firstLinkAt: number | null = null
  private ownRef: PeerRef
  private closing: Promise<void> | null = null
  private readonly meetings: Meeting[] = []
  private cancelAsk = ignore
  private stopWatching = ignore
  private readonly left = deferred<void>()

  constructor(platform: MeshPlatform, options: CheckedOptions, store: Store, seed: Uint8Array) {
    super()
    const { suite, clock } = platform
    this.platform = platform
    this.options = options
    this.negotiators = platform.negotiators()
    this.startedAt = clock.monotonicNow()
    const identity = suite.identity(seed)
    this.id = identity.peer
    const peer = createPeer({
      suite,
      identity,
      seed: suite.randomBytes(16).join('.'),
      wallTime: clock.wallNow(),
      capacity: options.capacity ?? platform.defaultCapacity,
      relays: options.relays,
      relayLimits: options.relayLimits,
      ...(options.rendezvous === undefined ? {} : { rendezvous: options.rendezvous }),
      dialable: platform.dialable,
      negotiates: this.negotiators,
      pathlessMs: options.pathlessMs,
      forgets: !options.remembered,
    })
    this.ownRef = peer.snapshot().ref
    this.loop = new RunLoop({
      peer,
      clock,
      store,
      dial: (address, sink) => platform.dial(address, sink),
      negotiate: (transport, offer, helpers, sink) =>
        negotiatorOf(this.negotiators, transport).prepare(offer, helpers, sink),
      onSpent: platform.onSpent,
      onEvent: event => this.dispatch.onEvent(event),
      onStoreFault: fault => this.warn(fault),
    })
    this.dispatch = new Dispatch({
      suite,
      wallNow: () => clock.wallNow(),
      soon: platform.soon,
      pause: delayMs => this.pause(delayMs, undefined),
      command: command => this.loop.command(command),
      onPeerEvent: event => this.onPeerEvent(event),
      target: this,
    })
    this.side = platform.listeningSide?.(this) ?? null
  }

  get ref(): string {
    return refText(this.ownRef)
  }

  get peerRef(): PeerRef {
    return this.ownRef
  }

  get listening(): readonly string[] {
    return this.side?.places ?? []
  }

  async connect(peer: PeerLike, options: Waiting = {}): Promise<Session> {
    const session = await this.dispatch.connect(peer, options.signal)
    session.hold()
    return session
  }

  async join(service: string, options: JoinOptions = {}): Promise<Service> {
    const { summary = '', signal } = options
    if (typeof summary !== 'string') throw invalidOption('summary is text')
    return this.dispatch.joinService(serviceNameOf(service), summary, signal)
  }

  async findPeer(peer: PeerId | string, options: Waiting = {}): Promise<PeerRef> {
    const id = parsePeerId(String(peer))
    if (!id.ok) throw new WebmeshError(id.fault)
    const event = await this.dispatch.request(options.signal, 'peer-found', request => ({
      kind: 'peer-find',
      request,
      peer: id.value,
    }))
    return event.ref
  }

  async find(name: string, options: Waiting = {}): Promise<readonly Member[]> {
    const service = serviceNameOf(name)
    return this.askRegistry(options.signal, async () => {
      const event = await this.dispatch.request(options.signal, 'service-found', request => ({
        kind: 'service-find',
        request,
        service,
      }))
      return event.members.map(ref => ({ peer: ref.peer, ref }))
    })
  }

  async services(options: Waiting = {}): Promise<readonly ServiceEntry[]> {
    return this.askRegistry(options.signal, async () => {
      const event = await this.dispatch.request(options.signal, 'service-listed', request => ({
        kind: 'service-list',
        request,
      }))
      return event.services
    })
  }

  async ping(peer: PeerLike, options: PingOptions = {}): Promise<PingOutcome> {
    const { count = 1, intervalMs = 100, signal } = options
    if (!(Number.isInteger(count) && count >= 1)) throw invalidOption('count is a whole number from 1')
    if (!(intervalMs >= 0)) throw invalidOption('intervalMs is a number from 0')
    const session = await this.dispatch.connect(peer, signal)
    const roundTripsMs: number[] = []
    let { path } = session
    for (let i = 0; i < count; i += 1) {
      if (i > 0) await this.pause(intervalMs, signal)
      const pong = await session.ping(options)
      roundTripsMs.push(pong.roundTripMs)
      path = pong.path
    }
    return { peer: session.peer, roundTripsMs, path }
  }

  handle(subject: string, handler: StreamHandler | null): void {
    if (typeof subject !== 'string') throw invalidOption('a subject is text')
    mustBeHandler(handler)
    this.dispatch.handle(subject, handler)
  }

  status(): MeshStatus {
    const { ref, waysIn: _, ...snapshot } = this.loop.snapshot()
    const { peer, listening, warnings } = { peer: this.id, listening: this.listening, warnings: [...this.warnings] }
    const network = this.side?.view() ?? NOTHING_KNOWN
    return { peer, ref: refText(ref), listening, ...snapshot, ...network, warnings }
  }

  close(): Promise<void> {
    this.closing ??= this.windUp()
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // ---- for startMesh ----

  async listen(points: readonly ListenPoint[], store: Store, certificate: Uint8Array | null): Promise<void> {
    if (this.side === null)
      throw new WebmeshError({ code: 'not-supported', detail: 'a browser takes no connections; leave out listen' })
    await this.side.listen(points, store, certificate)
  }

  /** Others are told where this peer is, as far as it knows by itself. */
  announce(): void {
    const { side, options } = this
    if (side !== null) side.announce()
    else if (options.announce !== null) this.loop.command({ kind: 'announce', addresses: options.announce })
  }

  /** The addresses of this machine may change at any time, as when a laptop is carried from one network to another. */
  watchNetwork(): void {
    this.stopWatching = this.platform.watchNetwork(lost => {
      this.side?.lookAnew()
      this.loop.input({ kind: 'network-changed', lost })
    })
  }

  /** Other tabs, and peers of the local network, are asked while this peer has no link, and answered once it leads somewhere. */
  meet(): void {
    const { platform, options } = this
    const { tabs, lan } = platform.meetings
    const hasLink = (): boolean => this.loop.snapshot().links.length > 0
    const leadsIn = (): boolean => hasLink() || this.listening.length > 0
    const onWayIn = (way: string | Address): void => {
      const target =
        typeof way === 'string'
          ? targetWayIn(platform.suite, platform.clock.wallNow(), way)
          : ok<Target>({ kind: 'address', address: way })
      if (!target.ok || hasLink() || (target.value.kind === 'ref' && target.value.ref.peer === this.id)) return
      this.joinThrough([target.value], undefined).catch(ignore)
    }
    const ref = (): string | null => (leadsIn() ? this.ref : null)
    const accept: Acceptor = wire => this.loop.accept(wire)
    for (const meet of [options.tabs ? tabs : undefined, options.lan ? lan : undefined]) {
      const meeting = meet?.({ ref, accept, onWayIn }) ?? null
      if (meeting !== null) this.meetings.push(meeting)
    }
    if (this.meetings.length > 0) this.askMeetings(0)
  }

  private askMeetings(asked: number): void {
    if (this.closing !== null) return
    if (this.loop.snapshot().links.length === 0) for (const meeting of this.meetings) meeting.ask()
    const before = ASK_AFTER_MS[asked] ?? 0
    const delayMs = asked + 1 < ASK_AFTER_MS.length ? ASK_AFTER_MS[asked + 1]! - before : ASK_AGAIN_MS
    this.cancelAsk = this.platform.clock.setTimer(delayMs, () => this.askMeetings(asked + 1))
  }

  /** Settles when the peer is in through one of the ways given, or all have failed and none is remembered. */
  async joinMesh(options: CheckedOptions, rememberedPeers: number): Promise<void> {
    const { waysIn, sources, signal } = options
    const direct = waysIn.length > 0 || sources.length === 0 ? [this.joinThrough(waysIn, signal)] : []
    try {
      await Promise.any([...direct, ...sources.map(source => this.joinBySource(source, signal))])
    } catch (error) {
      // reason: `any` rejects with nothing else.
      const { errors } = error as AggregateError
      const other = errors.find(item => !(item instanceof WebmeshError && item.code === 'no-way-in'))
      if (other !== undefined) throw other
      // The core goes on trying the peers that it remembers.
      if (rememberedPeers > 0) return
      throw new WebmeshError({ code: 'no-way-in', detail: errors.map(item => item.detail).join('; ') })
    }
  }

  private async joinThrough(waysIn: readonly Target[], signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.dispatch.request(signal, 'joined', request => ({ kind: 'join-mesh', request, waysIn }))
    } catch (error) {
      if (!(error instanceof WebmeshError && error.code === 'no-way-in')) throw error
      const [first] = waysIn
      const tried = waysIn.length === 1 && first !== undefined ? targetText(first) : `none of ${waysIn.length} ways in`
      throw new WebmeshError({ code: 'no-way-in', detail: `${tried}: ${error.detail ?? 'peer-unreachable'}` })
    }
  }

  /** What a source lists that is no ref, or no valid one, is passed over. */
  private async joinBySource(source: WayInSource, signal: AbortSignal | undefined): Promise<void> {
    const named = source.kind === 'url' ? source.url : `dns:${source.name}`
    const none = (why: string): WebmeshError => new WebmeshError({ code: 'no-way-in', detail: `${named}: ${why}` })
    const limit = AbortSignal.timeout(SOURCE_TIMEOUT_MS)
    const both = signal === undefined ? limit : AbortSignal.any([signal, limit])
    let texts: readonly string[]
    try {
      texts = await unlessAborted(this.platform.findRefs(source, both), both, ignore)
    } catch (error) {
      throwIfAborted(signal)
      throw none(limit.aborted ? 'no answer in time' : sayWhy(error))
    }
    const { suite, clock } = this.platform
    const waysIn = texts
      .map(text => targetWayIn(suite, clock.wallNow(), text))
      .flatMap(target => (target.ok ? [target.value] : []))
    if (waysIn.length === 0) throw none('it lists no ref that can be used')
    await this.joinThrough(waysIn, signal)
  }

  warn(fault: Fault): void {
    const error = new WebmeshError(fault)
    this.warnings.push(error)
    this.dispatchEvent(new WarningEvent(error))
  }

  /**
   * A newcomer may itself be the closest to a key before its neighbours have handed it the records there: that it finds
   * nothing in its first moments means nothing.
   */
  private async askRegistry<T>(
    signal: AbortSignal | undefined,
    ask: () => Promise<readonly T[]>,
  ): Promise<readonly T[]> {
    throwIfAborted(signal)
    for (;;) {
      const found = await ask()
      const { firstLinkAt } = this
      const isNew = firstLinkAt !== null && this.platform.clock.monotonicNow() - firstLinkAt < NEWCOMER_MS
      if (found.length > 0 || !isNew) return found
      await this.pause(NEWCOMER_PAUSE_MS, signal)
    }
  }

  private onPeerEvent(event: WholePeerEvent): void {
    switch (event.kind) {
      case 'left':
        this.left.resolve()
        break
      case 'self':
        this.ownRef = event.ref
        this.dispatchEvent(new SelfEvent(refText(event.ref), event.ref))
        break
      case 'unheard':
        this.side?.lookAgain()
        break
      case 'link-up':
        this.firstLinkAt ??= this.platform.clock.monotonicNow()
        this.side?.onLink()
        this.dispatchEvent(new LinkEvent(event.peer, event.role, event.path))
        break
      case 'link-down':
        this.dispatchEvent(new UnlinkEvent(event.peer, new WebmeshError(event.fault)))
        break
      case 'datagram':
        this.dispatchEvent(new DatagramEvent(event.peer, event.bytes))
        break
    }
  }

  private async windUp(): Promise<void> {
    const fault: Fault = { code: 'closed', detail: 'this peer was closed' }
    const closed = this.side?.close()
    this.cancelAsk()
    this.stopWatching()
    for (const meeting of this.meetings) meeting.close()
    this.dispatch.close(fault)
    this.loop.command({ kind: 'leave-mesh' })
    await this.left.promise
    await this.loop.stop()
    for (const negotiator of this.negotiators) await negotiator.close()
    await closed
  }

  private pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    let cancel = ignore
    const passed = new Promise<void>(resolve => {
      cancel = this.platform.clock.setTimer(delayMs, resolve)
    })
    return unlessAborted(passed, signal, () => cancel())
  }
}

function sayWhy(error: unknown): string {
  return messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error)
}

function negotiatorOf(negotiators: readonly Negotiator[], transport: NegotiatedTransport): Negotiator {
  const negotiator = negotiators.find(other => other.transport === transport)
  if (negotiator === undefined) throw new Error(`a peer negotiates ${transport}, of which it was not told`)
  return negotiator
}
