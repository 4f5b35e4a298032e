/**
 * A network of peers in memory for tests of registry and service: an overlay with perfect knowledge, in virtual time.
 * Every peer has its two neighbours on the ring each side, requests reach the closest living peer, sessions open after a
 * round trip and close some seconds after one end dies.
 */
import { type Fault, fail, ok } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { clockwise, type Position, ringDistance } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { type PeerRef, REF_LIFETIME_MS, signPeerRef } from '../crypto/peer-ref.ts'
import { nativeSuite } from '../crypto/suite.fixtures.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import type { Effect, PeerEvent } from '../effect.ts'
import { isForRegistry, type OverlayPort } from '../overlay/overlay-port.ts'
import { Registry } from '../registry/registry.ts'
import { Channel } from '../session/session-owner.ts'
import { Turn } from '../turn.ts'
import { Services } from './joined-services.ts'

export const WALL_AT_START = 1_700_000_000_000

export interface MeshOptions {
  readonly peers: number
  readonly seed?: number
  readonly suite?: CryptoSuite
  /** One way, spread by half either way. */
  readonly latencyMs?: number
  /** After how long a death is noticed. */
  readonly noticeMs?: number
}

export interface TestPeer {
  readonly index: number
  readonly identity: Identity
  ref: PeerRef
  registry: Registry
  services: Services
  alive: boolean
  readonly events: PeerEvent[]
  readonly saved: Map<string, Uint8Array>
  /** What the service part keeps; links to neighbours are beside it. */
  readonly kept: Set<PeerId>
  saves: number
  wokenAt: Instant | null
}

interface Happening {
  readonly at: Instant
  readonly order: number
  readonly run: () => void
}

export class TestMesh {
  now: Instant = 0
  readonly suite: CryptoSuite
  readonly peers: TestPeer[] = []
  readonly faults: Fault[] = []
  /** Messages that arrived, by channel and first byte: `3/5` is a service's gossip. */
  readonly arrived = new Map<string, number>()
  /** Says whether a message is lost on its way. */
  loses: (from: TestPeer, to: TestPeer, channel: number, bytes: Uint8Array) => boolean = () => false
  private readonly rng: Rng
  private readonly latencyMs: number
  private readonly noticeMs: number
  private readonly byId = new Map<PeerId, TestPeer>()
  private readonly sessions = new Set<string>()
  private readonly lastArrivals = new Map<string, Instant>()
  private readonly nearCache = new Map<TestPeer, { before: PeerRef[]; after: PeerRef[] }>()
  private queue: Happening[] = []
  private order = 0

  constructor(options: MeshOptions) {
    this.rng = new Rng(options.seed ?? 1)
    this.suite = options.suite ?? fakeSuite(this.rng.fork('suite'))
    this.latencyMs = options.latencyMs ?? 40
    this.noticeMs = options.noticeMs ?? 3_000
    for (let index = 0; index < options.peers; index += 1) this.peers.push(this.makePeer(index))
    for (const peer of this.peers) this.step(peer, turn => peer.registry.onNearChanged(turn))
  }

  peer(index: number): TestPeer {
    const peer = this.peers[index]
    if (peer === undefined) throw new Error(`no peer ${index}`)
    return peer
  }

  /** The living, closest to a key first. */
  closest(key: Position): TestPeer[] {
    return this.living().sort((a, b) => this.distance(key, a) - this.distance(key, b))
  }

  living(): TestPeer[] {
    return this.peers.filter(peer => peer.alive)
  }

  turn(): Turn {
    return new Turn(this.now, WALL_AT_START + this.now)
  }

  /** One step of a peer: what it does, and then its effects. */
  step<T>(peer: TestPeer, act: (turn: Turn) => T): T {
    const turn = this.turn()
    const result = act(turn)
    this.carryOut(peer, turn.effects)
    this.arm(peer)
    return result
  }

  run(ms: number): void {
    const end = this.now + ms
    for (let next = this.queue[0]; next !== undefined && next.at <= end; next = this.queue[0]) {
      this.pop()
      this.now = Math.max(this.now, next.at)
      next.run()
    }
    this.now = end
  }

  addPeer(): TestPeer {
    const before = this.nearSets()
    const peer = this.makePeer(this.peers.length)
    this.peers.push(peer)
    this.nearCache.clear()
    this.tellNearChanges(before)
    return peer
  }

  /** The peer is gone at once; others notice later. */
  kill(peer: TestPeer): void {
    const before = this.nearSets()
    peer.alive = false
    this.nearCache.clear()
    this.after(this.noticeMs, () => {
      for (const other of this.living()) this.closeSession(other, peer)
      this.tellNearChanges(before)
    })
  }

  /** The same peer anew, with what it had saved. */
  restart(peer: TestPeer): void {
    const before = this.nearSets()
    peer.alive = true
    this.nearCache.clear()
    peer.events.length = 0
    peer.kept.clear()
    Object.assign(peer, this.partsOf(peer))
    const entries = [...peer.saved].map(([key, value]) => ({ key, value }))
    this.step(peer, turn => peer.registry.restore(turn, entries))
    this.step(peer, turn => peer.registry.onNearChanged(turn))
    this.tellNearChanges(before)
  }

  /** Closes an open session as a lost path would, on both sides. */
  closeSession(a: TestPeer, b: TestPeer): void {
    if (!this.hasSession(a, b) && !this.sessions.has(pair(a, b)) && a.alive && b.alive) return
    this.sessions.delete(pair(a, b))
    for (const [end, other] of [
      [a, b],
      [b, a],
    ] as const) {
      end.kept.delete(other.identity.peer)
      if (end.alive) this.step(end, turn => end.services.onSessionClosed(turn, other.identity.peer))
    }
  }

  hasSession(a: TestPeer, b: TestPeer): boolean {
    return this.sessions.has(pair(a, b)) || this.near(a).some(ref => ref.peer === b.identity.peer)
  }

  // ---- making ----

  private makePeer(index: number): TestPeer {
    const seed = this.suite.sha256(new Uint8Array([index >> 8, index & 255, this.rng.below(256)]))
    const identity = this.suite.identity(seed)
    const ref = signPeerRef(this.suite, identity, {
      sequence: WALL_AT_START,
      expires: WALL_AT_START + REF_LIFETIME_MS,
      capacity: 24,
      relays: true,
      addresses: [{ scheme: 'tcp', host: `10.0.${index >> 8}.${index & 255}`, port: 4100, extra: '' }],
      rendezvous: [],
    })
    const bare = { index, identity, ref, alive: true, events: [], saved: new Map(), kept: new Set<PeerId>(), saves: 0 }
    // reason: the parts need the peer's port, which needs the peer; they are set in the same statement's next line.
    const peer = { ...bare, wokenAt: null } as unknown as TestPeer
    Object.assign(peer, this.partsOf(peer))
    this.byId.set(identity.peer, peer)
    return peer
  }

  private partsOf(peer: TestPeer): { registry: Registry; services: Services } {
    const { suite } = this
    const { identity } = peer
    const port = this.portOf(peer)
    const registry = new Registry({ port, suite, identity, rng: this.rng.fork(`registry ${peer.index}`) })
    const services = new Services({ port, suite, identity, registry, rng: this.rng.fork(`service ${peer.index}`) })
    return { registry, services }
  }

  private portOf(peer: TestPeer): OverlayPort {
    return {
      self: () => peer.ref,
      near: () => this.nearSides(peer),
      estimatedPeers: () => this.living().length,
      learn: () => {},
      release: (_turn, other) => {
        peer.kept.delete(other)
      },
      request: (turn, key, method, payload, onAnswer) => {
        if (!isForRegistry(method)) throw new Error('unexpected method')
        const owner = this.ownerOf(key)
        if (owner === undefined || owner === peer) {
          const answer = peer.registry.onRequest(turn, key, payload)
          onAnswer(turn, answer === null ? fail({ code: 'refused' }) : ok(answer))
          return
        }
        const bytes = payload.slice()
        this.after(3 * this.latency(), () => {
          const place = this.ownerOf(key)
          const answer = place === undefined ? null : this.step(place, now => place.registry.onRequest(now, key, bytes))
          this.after(3 * this.latency(), () => {
            if (peer.alive)
              this.step(peer, now => onAnswer(now, answer === null ? fail({ code: 'refused' }) : ok(answer)))
          })
        })
      },
      send: (_turn, channel, to, message) => {
        const target = this.byId.get(to)
        if (target === undefined || !this.hasSession(peer, target)) return false
        const bytes = message.slice()
        // A session keeps the order of its messages.
        const way = `${peer.index}>${target.index}`
        const at = Math.max(this.now + this.latency(), this.lastArrivals.get(way) ?? 0)
        this.lastArrivals.set(way, at)
        this.after(at - this.now, () => this.deliver(peer, target, channel, bytes))
        return true
      },
      keep: (turn, ref, onOpen) => {
        const target = this.byId.get(ref.peer)
        if (target === undefined || target === peer) throw new Error('keep of an unknown peer')
        peer.kept.add(ref.peer)
        if (this.hasSession(peer, target)) {
          onOpen(turn, ok(ref.peer))
          return
        }
        this.after(target.alive ? 2 * this.latency() : 4_000, () => {
          if (!peer.alive) return
          if (target.alive) this.sessions.add(pair(peer, target))
          const outcome = target.alive ? ok(ref.peer) : fail({ code: 'peer-unreachable' })
          this.step(peer, now => onOpen(now, outcome))
        })
      },
    }
  }

  // ---- happening ----

  private deliver(from: TestPeer, to: TestPeer, channel: number, bytes: Uint8Array): void {
    if (!to.alive || this.loses(from, to, channel, bytes)) return
    const kind = `${channel}/${bytes[0]}`
    this.arrived.set(kind, (this.arrived.get(kind) ?? 0) + 1)
    const part = channel === Channel.registry ? to.registry : to.services
    const fault = this.step(to, turn => part.onMessage(turn, from.identity.peer, bytes))
    if (fault === null) return
    this.faults.push(fault)
    this.closeSession(to, from)
  }

  private carryOut(peer: TestPeer, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'event') peer.events.push(effect.event)
      if (effect.kind !== 'save') continue
      peer.saves += 1
      if (effect.value === null) peer.saved.delete(effect.key)
      else peer.saved.set(effect.key, effect.value)
    }
  }

  private arm(peer: TestPeer): void {
    const wakes = [peer.registry.nextWake(), peer.services.nextWake()].filter(wake => wake !== null)
    if (wakes.length === 0) return
    const at = Math.max(this.now, Math.min(...wakes))
    if (peer.wokenAt !== null && peer.wokenAt <= at && peer.wokenAt >= this.now) return
    peer.wokenAt = at
    this.after(at - this.now, () => {
      if (peer.wokenAt !== at || !peer.alive) return
      peer.wokenAt = null
      this.step(peer, turn => {
        peer.registry.onWake(turn)
        peer.services.onWake(turn)
      })
    })
  }

  private latency(): number {
    return this.rng.around(this.latencyMs, 0.5)
  }

  private after(ms: number, run: () => void): void {
    const { queue } = this
    queue.push({ at: this.now + ms, order: this.order++, run })
    for (let child = queue.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1
      if (!earlierThan(queue[child]!, queue[parent]!)) return
      swap(queue, child, parent)
      child = parent
    }
  }

  private pop(): void {
    const { queue } = this
    const last = queue.pop()!
    if (queue.length === 0) return
    queue[0] = last
    for (let parent = 0; ; ) {
      let least = parent
      for (const child of [2 * parent + 1, 2 * parent + 2])
        if (child < queue.length && earlierThan(queue[child]!, queue[least]!)) least = child
      if (least === parent) return
      swap(queue, least, parent)
      parent = least
    }
  }

  // ---- the ring ----

  private ownerOf(key: Position): TestPeer | undefined {
    let owner: TestPeer | undefined
    for (const peer of this.peers)
      if (peer.alive && (owner === undefined || this.distance(key, peer) < this.distance(key, owner))) owner = peer
    return owner
  }

  private distance(key: Position, peer: TestPeer): number {
    return ringDistance(key, peer.ref.position)
  }

  private nearSides(peer: TestPeer): { before: PeerRef[]; after: PeerRef[] } {
    const cached = this.nearCache.get(peer)
    if (cached !== undefined) return cached
    const at = peer.ref.position
    const others = this.living().filter(other => other !== peer)
    const ring = others.map(other => other.ref).sort((a, b) => clockwise(at, a.position) - clockwise(at, b.position))
    const sides = { before: ring.slice(-2).reverse(), after: ring.slice(0, 2) }
    this.nearCache.set(peer, sides)
    return sides
  }

  private near(peer: TestPeer): PeerRef[] {
    const { before, after } = this.nearSides(peer)
    return [...before, ...after]
  }

  private nearSets(): Map<TestPeer, string> {
    return new Map(
      this.living().map(peer => [
        peer,
        this.near(peer)
          .map(ref => ref.peer)
          .join(),
      ]),
    )
  }

  private tellNearChanges(before: Map<TestPeer, string>): void {
    for (const [peer, near] of this.nearSets())
      if (before.get(peer) !== near) this.step(peer, turn => peer.registry.onNearChanged(turn))
  }
}

/** Hashes as the real one; signs by a hash with the public key, which anybody could forge. */
export function fakeSuite(rng: Rng): CryptoSuite {
  const signature = (publicKey: Uint8Array, message: Uint8Array): Uint8Array => {
    const half = nativeSuite.sha256(publicKey, message)
    return new Uint8Array([...half, ...half])
  }
  return {
    ...nativeSuite,
    randomBytes: length => Uint8Array.from({ length }, () => rng.below(256)),
    verify: (publicKey, message, given) => signature(publicKey, message).every((byte, i) => byte === given[i]),
    identity: seed => {
      const real = nativeSuite.identity(seed)
      return { ...real, sign: message => signature(real.publicKey, message) }
    },
  }
}

function pair(a: TestPeer, b: TestPeer): string {
  return a.index < b.index ? `${a.index}-${b.index}` : `${b.index}-${a.index}`
}

function earlierThan(a: Happening, b: Happening): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

function swap(queue: Happening[], i: number, j: number): void {
  const held = queue[i]!
  queue[i] = queue[j]!
  queue[j] = held
}
