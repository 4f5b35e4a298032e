/**
 * A peer that speaks the protocol and means harm: a production peer, so that it joins, is linked to and is reached like any
 * other, with what it tells and what it does for others turned false. Each of its ways can be left out, to see what one
 * does alone. All hostile peers of a world conspire: they know each other.
 */
import type { Address } from '../core/base/address.ts'
import { ByteWriter } from '../core/base/bytes.ts'
import type { WallTime } from '../core/base/instant.ts'
import { bytesOfPeerId, type PeerId } from '../core/base/peer-id.ts'
import { type Position, positionOfHash } from '../core/base/position.ts'
import { Rng } from '../core/base/rng.ts'
import { type PeerRef, REF_LIFETIME_MS, signPeerRef } from '../core/crypto/peer-ref.ts'
import type { CryptoSuite } from '../core/crypto/suite.ts'
import { FOUND_REFS_MAX, NEIGHBOURS_MAX } from '../core/limits.ts'
import type { Connector, ConnectorPort } from '../core/overlay/connector.ts'
import type { Contact } from '../core/overlay/contact.ts'
import type { Overlay } from '../core/overlay/overlay.ts'
import {
  decodeOverlayMessage,
  type OverlayMessage,
  type RefEntry,
  writeRefs,
} from '../core/overlay/overlay-messages.ts'
import { RoutedMethod } from '../core/overlay/overlay-port.ts'
import { closestTo } from '../core/overlay/ring-order.ts'
import { createPeer } from '../core/peer.ts'
import type { Peer, PeerOptions } from '../core/peer-options.ts'
import {
  decodeRegistryRequest,
  encodeFindAnswer,
  encodeListAnswer,
  encodePutAnswer,
} from '../core/registry/registry-messages.ts'
import { Channel } from '../core/session/session-owner.ts'
import type { Turn } from '../core/turn.ts'

/** What a hostile peer does; what is left out it does as an honest one would. */
export interface HostileWays {
  /** Every second one tells refs whose signatures do not hold: that gives it away. */
  readonly forgedRefs: boolean
  /** Tells refs that are signed and lead nowhere: of peers at dead addresses, as if somebody had met them just now. */
  readonly deadRefs: boolean
  /** Tells of no honest peer, only of accomplices. */
  readonly ownRefs: boolean
  /** Says that it is linked to everyone it knows: routes lead to it. */
  readonly claimedLinks: boolean
  /** Grants links that it does not keep. */
  readonly hollowLinks: boolean
  /** Lets routed requests wait for an answer that never comes. */
  readonly swallowedRequests: boolean
  /** Answers them in the place of others: with accomplices, with nothing, with garbage. */
  readonly falseAnswers: boolean
  /** Does not answer those who ask for a circuit through it. */
  readonly swallowedCircuits: boolean
  /** Grants circuits, over which nothing passes. */
  readonly deafCircuits: boolean
}

export const ALL_HOSTILE_WAYS: HostileWays = {
  forgedRefs: true,
  deadRefs: true,
  ownRefs: true,
  claimedLinks: true,
  hollowLinks: true,
  swallowedRequests: true,
  falseAnswers: true,
  swallowedCircuits: true,
  deafCircuits: true,
}

const DEAD_PEERS = 128
const REFS_TOLD = 8

/** What all hostile peers of a world know together. */
export class Conspiracy {
  readonly ways: HostileWays
  private readonly recruits = new Set<PeerId>()
  private readonly refOf = new Map<PeerId, () => PeerRef>()
  private readonly suite: CryptoSuite
  private readonly rng: Rng
  private dead: PeerRef[] = []

  constructor(suite: CryptoSuite, rng: Rng, ways: HostileWays) {
    this.suite = suite
    this.rng = rng
    this.ways = ways
  }

  /** Takes the peer of this seed in: it is made hostile. */
  recruit(seed: Uint8Array): void {
    this.recruits.add(this.suite.identity(seed).peer)
  }

  includes(peer: PeerId): boolean {
    return this.recruits.has(peer)
  }

  join(peer: PeerId, refOf: () => PeerRef): void {
    this.refOf.set(peer, refOf)
  }

  /** A seed whose peer stands within `reach` of a position, on either side: keys cost nothing but tries. */
  seedNear(position: Position, reach: number): Uint8Array {
    for (;;) {
      const seed = this.suite.randomBytes(32)
      const { publicKey } = this.suite.identity(seed)
      if (Math.abs(positionOfHash(this.suite.sha256(publicKey)) - position) <= reach) return seed
    }
  }

  /** What is told to a peer at a position instead of the truth. */
  refsFor(position: Position, truth: readonly RefEntry[], wallTime: WallTime, forges: boolean): RefEntry[] {
    const { ways, rng } = this
    const told: Uint8Array[] = []
    const friends = this.accomplices().filter(ref => ref.position !== position)
    if (ways.ownRefs) for (const ref of closestTo(position, friends, REFS_TOLD)) told.push(ref.bytes)
    if (ways.deadRefs) for (const ref of closestTo(position, this.deadPeers(wallTime), 3)) told.push(ref.bytes)
    if (forges) for (const ref of rng.sample(friends, 1)) told.push(forged(ref.bytes))
    const refs = told.map(bytes => ({ ageSeconds: 0, bytes }))
    return ways.ownRefs ? refs : [...truth.slice(0, REFS_TOLD), ...refs]
  }

  refsAt(position: Position): Uint8Array[] {
    return closestTo(position, this.accomplices(), FOUND_REFS_MAX).map(ref => ref.bytes)
  }

  private accomplices(): PeerRef[] {
    return Array.from(this.refOf.values(), refOf => refOf())
  }

  private deadPeers(wallTime: WallTime): readonly PeerRef[] {
    const { suite } = this
    while (this.dead.length < DEAD_PEERS) {
      const index = this.dead.length
      const address: Address = { scheme: 'tcp', host: `10.255.${index}.1`, port: 4100, extra: '' }
      const fields = { sequence: wallTime, expires: wallTime + REF_LIFETIME_MS, capacity: 256, relays: true }
      const identity = suite.identity(suite.randomBytes(32))
      this.dead.push(signPeerRef(suite, identity, { ...fields, addresses: [address], rendezvous: [] }))
    }
    return this.dead
  }
}

/** What is changed of a production peer: it shows none of this. */
interface Inside {
  readonly connector: Pick<Connector, 'board' | 'send'> & { readonly port: ConnectorPort }
  readonly overlay: Overlay
  readonly ref: PeerRef
}

/** A production peer between whose parts a hostile one sits: it reads what comes in and rewrites what goes out. */
export function createHostilePeer(options: PeerOptions, conspiracy: Conspiracy): Peer {
  const peer = createPeer(options)
  // reason: production has no hook for this, so the parts are reached from outside
  const inside = peer as unknown as Inside
  const mask = new Mask(options, conspiracy, inside)
  const { connector } = inside
  const port = connector.port
  const sendTruly = connector.send.bind(connector)
  const takeTruly = port.onMessage.bind(port)
  mask.sendTruly = sendTruly
  connector.send = (turn, to, message) => sendTruly(turn, to, mask.told(turn, to, message))
  port.onMessage = (turn, contact, channel, bytes) => {
    if (!mask.keeps(turn, contact, channel, bytes)) takeTruly(turn, contact, channel, bytes)
  }
  conspiracy.join(options.identity.peer, () => inside.ref)
  return peer
}

/** One hostile peer's own part. */
class Mask {
  sendTruly: (turn: Turn, to: PeerId, message: OverlayMessage) => boolean = () => false
  private readonly self: PeerId
  private readonly suite: CryptoSuite
  private readonly rng: Rng
  private readonly conspiracy: Conspiracy
  private readonly inside: Inside
  private readonly forges: boolean

  constructor({ identity, suite, seed }: PeerOptions, conspiracy: Conspiracy, inside: Inside) {
    this.self = identity.peer
    this.suite = suite
    this.rng = new Rng(seed).fork('hostile')
    this.conspiracy = conspiracy
    this.inside = inside
    this.forges = conspiracy.ways.forgedRefs && this.rng.unit() < 0.5
  }

  /** What is told to a peer in the place of what an honest one would tell. */
  told(turn: Turn, to: PeerId, message: OverlayMessage): OverlayMessage {
    const { ways } = this.conspiracy
    switch (message.kind) {
      case 'gossip':
      case 'link-answer':
        return { ...message, refs: this.refsFor(turn, this.positionOf(to), message.refs) }
      case 'neighbours':
      case 'neighbours-changed':
        return ways.claimedLinks ? this.claims() : message
      default:
        return message
    }
  }

  /** Deals with a message in its own way; false where the production peer is to deal with it. */
  keeps(turn: Turn, contact: Contact, channel: number, bytes: Uint8Array): boolean {
    const { ways } = this.conspiracy
    // Of records it holds none: what is put here is lost.
    if (channel === Channel.registry) return ways.falseAnswers || ways.swallowedRequests
    const message = channel === Channel.overlay ? decodeOverlayMessage(bytes) : null
    const from = contact.peer
    switch (message?.kind) {
      case 'circuit-open': {
        if (message.target === this.self || !(ways.swallowedCircuits || ways.deafCircuits)) return false
        if (this.takesOne(ways.deafCircuits, ways.swallowedCircuits)) this.refuseCunningly(turn, from, message)
        return true
      }
      case 'route': {
        if (!(ways.swallowedRequests || ways.falseAnswers)) return false
        if (this.takesOne(ways.falseAnswers, ways.swallowedRequests)) this.answerFalsely(turn, from, message)
        return true
      }
      case 'link-ask': {
        if (!ways.hollowLinks || this.rng.unit() < 0.5) return false
        this.sendTruly(turn, from, { kind: 'link-answer', accepted: true, refs: [] })
        return true
      }
      default:
        return false
    }
  }

  /** Whether the first of two ways is taken, now the one, now the other where both may be. */
  private takesOne(way: boolean, other: boolean): boolean {
    return way && (!other || this.rng.unit() < 0.5)
  }

  /** Nobody knows that peer, or: here is your circuit, over which nothing passes. */
  private refuseCunningly(turn: Turn, to: PeerId, { label, target }: OpenMessage): void {
    if (this.rng.unit() < 0.5) {
      this.sendTruly(turn, to, { kind: 'circuit-refuse', forLabel: label, reason: 'unknown' })
      return
    }
    const own = this.inside.connector.board.addLabel(null)
    this.sendTruly(turn, to, { kind: 'circuit-accept', forLabel: label, label: own, via: [target] })
  }

  /** Linked to everyone it has ever heard of. */
  private claims(): OverlayMessage {
    const { links, memory } = this.inside.overlay
    const places = new Set([...links.all(), ...memory.refs()].map(({ position }) => position))
    const positions = Float64Array.from([...places].slice(0, NEIGHBOURS_MAX))
    return { kind: 'neighbours', relayed: 0, direct: positions.length, positions }
  }

  private answerFalsely(turn: Turn, to: PeerId, { id, key, method, payload }: RouteMessage): void {
    const answer = (status: 'answered' | 'refused', bytes: Uint8Array): void => {
      this.sendTruly(turn, to, { kind: 'route-answer', id, status, hops: 0, payload: bytes })
    }
    if (method === RoutedMethod.closest) {
      answer('answered', writeRefs(new ByteWriter(1_024), this.refsFor(turn, key, [])).finish())
    } else if (method === RoutedMethod.locate) {
      if (this.rng.unit() < 0.5) answer('refused', new Uint8Array(0))
      else answer('answered', forged(this.inside.ref.bytes))
    } else {
      answer('answered', this.falseRegistryAnswer(key, payload))
    }
  }

  private refsFor(turn: Turn, position: Position, truth: readonly RefEntry[]): RefEntry[] {
    return this.conspiracy.refsFor(position, truth, turn.wallTime, this.forges)
  }

  private falseRegistryAnswer(key: Position, payload: Uint8Array): Uint8Array {
    switch (decodeRegistryRequest(payload)?.kind) {
      case 'put':
        return encodePutAnswer({ outcome: 'stored', members: 1 })
      case 'list':
        return encodeListAnswer([])
      default: {
        const refs = this.rng.unit() < 0.5 ? [] : this.conspiracy.refsAt(key)
        return encodeFindAnswer({ members: refs.length, refs })
      }
    }
  }

  private positionOf(peer: PeerId): Position {
    return this.inside.overlay.refOf(peer)?.position ?? positionOfHash(this.suite.sha256(bytesOfPeerId(peer)))
  }
}

type OpenMessage = Extract<OverlayMessage, { kind: 'circuit-open' }>
type RouteMessage = Extract<OverlayMessage, { kind: 'route' }>

/** The same claim under a signature that does not hold. */
function forged(ref: Uint8Array): Uint8Array {
  const bytes = ref.slice()
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) ^ 1
  return bytes
}
