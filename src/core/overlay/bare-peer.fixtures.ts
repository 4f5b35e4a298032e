/**
 * A peer that is nothing but a connector: whom to reach and which way circuits go is told by the test. It lives in a
 * world like any other, so wires can be cut, slowed and split.
 */

import { type Node, type PlacedPeer, World } from '../../sim/world.ts'
import { type Fault, fail, ok, type Result } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { type PeerRef, type PeerRefFields, REF_LIFETIME_MS, readPeerRef, signPeerRef } from '../crypto/peer-ref.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import type { Effect, PathView } from '../effect.ts'
import type { Command, Input, SessionId, StreamId } from '../input.ts'
import { PATHLESS_MS } from '../limits.ts'
import type { Peer, PeerOptions, PeerSnapshot } from '../peer-options.ts'
import { Channel } from '../session/session-owner.ts'
import { Turn } from '../turn.ts'
import { Connector } from './connector.ts'
import { type Contact, Need } from './contact.ts'
import { decodeOverlayMessage } from './overlay-messages.ts'

export class BarePeer implements Peer {
  readonly connector: Connector
  ref: PeerRef
  /** First choice first: the neighbours towards a peer. */
  readonly routes = new Map<PeerId, readonly PeerId[]>()
  /** Peers to whose places none stands closer than this one. */
  readonly closestTo = new Set<PeerId>()
  readonly refs = new Map<PeerId, PeerRef>()
  /** Of peers that others know, as a search finds them. */
  readonly findable = new Map<PeerId, PeerRef>()
  searches = 0
  /** What neighbours told of their load; 0 where nothing is said. */
  readonly loads = new Map<PeerId, number>()
  readonly messages: { readonly from: PeerId; readonly bytes: Uint8Array }[] = []
  readonly lost: { readonly peer: PeerId; readonly fault: Fault }[] = []
  private readonly suite: CryptoSuite
  private readonly identity: Identity
  private readonly options: PeerOptions
  private sequence = 1

  constructor(options: PeerOptions) {
    this.options = options
    this.suite = options.suite
    this.identity = options.identity
    this.ref = this.sign({ addresses: [], rendezvous: [] })
    this.connector = new Connector(options.suite, options.identity, options.relays, options.dialable, {
      relayLimits: options.relayLimits,
      onContact: (turn, contact) => {
        this.connector.send(turn, contact.peer, { kind: 'hello', ref: this.ref.bytes })
      },
      onPathLost: () => {},
      onContactLost: (_turn, contact, fault) => {
        this.lost.push({ peer: contact.peer, fault })
      },
      onMessage: (turn, contact, channel, bytes) => this.onMessage(turn, contact, channel, bytes),
      nextHop: (target, avoid) => this.nextHop(target, avoid),
      spared: () => [],
      helpers: () => [],
      loadOf: peer => this.loads.get(peer) ?? 0,
      isResting: () => false,
      onUnreachable: () => {},
      standsClosest: target => this.closestTo.has(target),
      refOf: peer => this.refs.get(peer) ?? null,
      locate: (turn, peer, onFound) => {
        this.searches += 1
        const ref = this.findable.get(peer)
        onFound(turn, ref === undefined ? fail({ code: 'peer-unreachable' }) : ok(ref))
      },
      capacity: () => options.capacity,
      isDialable: () => this.ref.addresses.length > 0,
      isHidden: () => this.ref.addresses.length === 0,
      negotiates: options.negotiates,
      pathlessMs: options.pathlessMs ?? PATHLESS_MS,
    })
  }

  step(now: Instant, input: Input): readonly Effect[] {
    const turn = new Turn(now, now)
    this.take(turn, input)
    const wake = this.nextWake()
    if (wake !== null && wake <= now) this.connector.onWake(turn)
    this.connector.board.flush(turn)
    return turn.effects
  }

  nextWake(): Instant | null {
    return this.connector.nextWake()
  }

  snapshot(): PeerSnapshot {
    return {
      ref: this.ref,
      links: [],
      waysIn: [],
      rememberedPeers: 0,
      estimatedPeers: 1,
      sessions: this.connector.sessionCount,
      circuitsRelayed: this.connector.circuits.relayedCount,
      records: 0,
      services: [],
    }
  }

  /** Its ref, with these as rendezvous. */
  refBehind(others: readonly BarePeer[]): PeerRef {
    const rendezvous = others.map(({ ref }) => ({ peer: ref.peer, addresses: ref.addresses }))
    return this.sign({ addresses: [], rendezvous })
  }

  private sign(fields: Pick<PeerRefFields, 'addresses' | 'rendezvous'>): PeerRef {
    const { capacity, relays } = this.options
    const negotiates = this.options.negotiates?.map(({ transport }) => transport)
    const expires = this.options.wallTime + REF_LIFETIME_MS
    const always = { sequence: this.sequence++, expires, capacity, relays, negotiates }
    return signPeerRef(this.suite, this.identity, { ...always, ...fields })
  }

  private take(turn: Turn, input: Input): void {
    const { connector } = this
    const { board } = connector
    if (input.kind === 'wire-open') board.onWireOpen(turn, input.wire, input.about)
    else if (input.kind === 'wire-described') connector.onWireDescribed(turn, input.wire, input.description)
    else if (input.kind === 'wire-bytes') board.onWireBytes(turn, input.wire, input.bytes)
    else if (input.kind === 'wire-writable') board.onWireWritable(turn, input.wire, input.bytes)
    else if (input.kind === 'wire-closed') board.onWireClosed(turn, input.wire, input.fault)
    else if (input.kind === 'network-changed') connector.onNetworkChanged(turn, input.lost)
    else if (input.kind === 'command') this.onCommand(turn, input.command)
  }

  private onCommand(turn: Turn, command: Command): void {
    const { connector } = this
    const session = 'session' in command ? connector.session(command.session) : null
    switch (command.kind) {
      case 'announce':
        this.ref = this.sign({ addresses: command.addresses, rendezvous: [] })
        return
      case 'connect': {
        const { request, target } = command
        const onReached = (later: Turn, outcome: Result<Contact>): void => {
          if (!outcome.ok) {
            later.emit({ kind: 'failed', request, fault: outcome.fault })
            return
          }
          const { session: opened, peer } = outcome.value
          connector.need(later.now, outcome.value, Need.user)
          const path = opened.path?.view() ?? { kind: 'none' }
          later.emit({ kind: 'connected', request, session: opened.id, peer, path })
        }
        if (target.kind === 'address') connector.reachAddress(turn, target.address, onReached)
        else if (target.kind === 'peer') connector.reach(turn, target.peer, null, true, onReached)
        else connector.reach(turn, target.ref.peer, target.ref, true, onReached)
        return
      }
      case 'ping':
        if (session !== null) connector.ping(turn, session, command.request)
        return
      case 'session-release':
        connector.releaseForUser(turn, command.session)
        return
      case 'session-close':
        connector.closeForUser(turn, command.session, command.code)
        return
      case 'stream-open': {
        const stream = session?.openStream(turn, command.subject)
        if (session !== null && typeof stream === 'number')
          turn.emit({ kind: 'stream-opened', request: command.request, session: session.id, stream })
        return
      }
      case 'stream-write':
        session?.writeStream(turn, command.stream, command.chunks)
        return
      case 'stream-reset':
        session?.resetStream(turn, command.stream, command.reset)
        return
      case 'stream-end':
        session?.endStream(turn, command.stream)
        return
      case 'stream-consumed':
        session?.consumeStream(turn, command.stream, command.bytes)
        return
      case 'leave-mesh':
        connector.closeAll(turn)
        return
      default:
        throw new Error(`a bare peer does not know ${command.kind}`)
    }
  }

  private onMessage(turn: Turn, contact: Contact, channel: number, bytes: Uint8Array): void {
    if (channel !== Channel.overlay) {
      this.messages.push({ from: contact.peer, bytes })
      return
    }
    const message = decodeOverlayMessage(bytes)
    const { circuits } = this.connector
    if (message?.kind === 'hello') {
      const read = readPeerRef(this.suite, message.ref, null)
      if (read.ok) contact.ref = read.value
    } else if (message?.kind === 'circuit-open') circuits.onOpen(turn, contact.peer, message)
    else if (message?.kind === 'circuit-accept') circuits.onAccept(turn, contact.peer, message)
    else if (message?.kind === 'circuit-refuse') circuits.onRefuse(turn, contact.peer, message.forLabel, message.reason)
    else if (message?.kind === 'circuit-close') circuits.onClose(turn, contact.peer, message.label)
    else if (message?.kind === 'circuit-hold') circuits.onHold(turn, contact.peer, message.label, message.hold)
  }

  private nextHop(target: PeerId, avoid: readonly PeerId[]): PeerId | null {
    const choices = [target, ...(this.routes.get(target) ?? [])]
    return choices.find(peer => !avoid.includes(peer) && this.connector.contact(peer)?.session.path != null) ?? null
  }
}

export interface BareNet {
  readonly world: World
  readonly add: (placed?: PlacedPeer) => Bare
  /** A node of this world that was added otherwise: restarted. */
  readonly adopt: (node: Node) => Bare
}

/** A world of such peers; cryptography is faked unless given. */
export function bareNet(seed: number, delayMs: readonly [number, number] = [20, 40], suite?: CryptoSuite): BareNet {
  const make = (options: PeerOptions): BarePeer => new BarePeer(options)
  const world = new World({ seed, delayMs, make, ...(suite === undefined ? {} : { suite }) })
  const adopt = (node: Node): Bare => new Bare(world, node)
  return { world, adopt, add: (placed = { public: true }) => adopt(world.add(placed)) }
}

/** One node and what tests ask of it. */
export class Bare {
  readonly world: World
  readonly node: Node
  readonly peer: BarePeer
  /** Whether what arrives on streams is consumed at once. */
  reads = true
  readonly received = new Map<string, Uint8Array[]>()

  constructor(world: World, node: Node) {
    this.world = world
    this.node = node
    // reason: this world makes no other peers.
    this.peer = node.peer as BarePeer
    node.onEvent = event => {
      if (event.kind !== 'stream-data') return
      const key = `${event.session}/${event.stream}`
      const chunks = this.received.get(key) ?? []
      this.received.set(key, chunks)
      let bytes = 0
      for (const chunk of event.chunks) {
        chunks.push(chunk.slice())
        bytes += chunk.length
      }
      const { session, stream } = event
      if (this.reads) node.command({ kind: 'stream-consumed', session, stream, bytes })
    }
  }

  get id(): PeerId {
    return this.node.id
  }

  get counts(): Connector['counts'] {
    return this.peer.connector.counts
  }

  /** Calls by ref, whose answer is in the events. */
  call(to: Bare): Call {
    return this.node.ask(request => ({ kind: 'connect', request, target: { kind: 'ref', ref: to.peer.ref } }))
  }

  callPeer(peer: PeerId): Call {
    return this.node.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer } }))
  }

  callAddress(to: Bare): Call {
    return this.node.ask(request => ({
      kind: 'connect',
      request,
      target: { kind: 'address', address: to.node.address },
    }))
  }

  /** The way to a peer that is no neighbour. */
  routeTo(to: Bare, ...hops: readonly Bare[]): void {
    this.peer.routes.set(
      to.id,
      hops.map(hop => hop.id),
    )
  }

  sessionWith(other: Bare): SessionId | null {
    return this.peer.connector.contact(other.id)?.session.id ?? null
  }

  pathTo(other: Bare): PathView['kind'] {
    return this.peer.connector.contact(other.id)?.session.path?.view().kind ?? 'none'
  }

  openStream(session: SessionId): StreamId {
    const { answer } = this.node.ask(request => ({ kind: 'stream-open', request, session, subject: '' }))
    const event = answer()
    if (event?.kind !== 'stream-opened') throw new Error('no stream')
    return event.stream
  }

  bytesOn(stream: StreamId): Uint8Array {
    for (const [key, chunks] of this.received) if (key.endsWith(`/${stream}`)) return Buffer.concat(chunks)
    return new Uint8Array(0)
  }
}

export interface Call {
  readonly answer: () => { readonly kind: string } | undefined
}

/** Two sides that have opened a session, over a wire. */
export function link(from: Bare, to: Bare): void {
  const { answer } = from.call(to)
  from.world.runUntil(() => answer() !== undefined, 10_000, 10)
  if (answer()?.kind !== 'connected') throw new Error(`not linked: ${JSON.stringify(answer())}`)
  from.world.run(500)
}
