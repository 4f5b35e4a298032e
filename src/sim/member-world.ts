/**
 * The members of one service, and nothing else of the mesh: the production code of views and trees (src/core/service)
 * over a modelled network. Sessions open after two round trips and end when a member is gone; what stands below them,
 * links, circuits and NATs, is left out, and so a service of ten thousand fits one process. The registry is a few holders
 * that each keep a random sample of all announcements and answer with a part of it, as the real ones do (spec 6.4).
 */
import { ok } from '../core/base/fault.ts'
import type { Instant } from '../core/base/instant.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import { Rng } from '../core/base/rng.ts'
import { type PeerRef, REF_LIFETIME_MS, signPeerRef } from '../core/crypto/peer-ref.ts'
import type { CryptoSuite } from '../core/crypto/suite.ts'
import {
  ANNOUNCEMENT_LIFETIME_MS,
  ANNOUNCEMENTS_PER_SERVICE_MAX,
  FIND_WAYS_MIN,
  FOUND_REFS_MAX,
} from '../core/limits.ts'
import type { OverlayPort } from '../core/overlay/overlay-port.ts'
import { parseServiceName, type ServiceName } from '../core/registry/service-name.ts'
import { VerifiedRefs } from '../core/registry/verified-refs.ts'
import { Service } from '../core/service/service.ts'
import { decodeServiceMessage } from '../core/service/service-messages.ts'
import { Turn } from '../core/turn.ts'
import { EventQueue } from './event-queue.ts'
import { createFakeSuite } from './fake-suite.ts'
import { latencyMs, type NetworkModel, type PeerProfile } from './network-model.ts'

const WALL_AT_START = 1_700_000_000_000
/** Of the registry: about as many as are close to a key. */
const HOLDERS = 6
const FIND_MS = 400
/** A sample is drawn anew this often at most. */
const SAMPLE_MS = 1_000
/** Until a dial of nobody is given up. */
const NO_ANSWER_MS = 4_000
/** Until a session's end is noticed that nobody told of: its silence is probed (spec 4.6). */
const UNTOLD_MS: readonly [number, number] = [20_000, 26_000]
const FRAME_BYTES = 40

export interface MemberWorldOptions {
  readonly seed: number
  readonly model: NetworkModel
  /** Told each broadcast payload that arrives, the first copy and others, and from which member. */
  readonly onPayload: (to: Member, payload: Uint8Array, fromIndex: number) => void
}

export interface Member {
  readonly index: number
  readonly profile: PeerProfile
  readonly ref: PeerRef
  readonly joinedAt: Instant
  readonly service: Service
  alive: boolean
}

interface Node extends Member {
  service: Service
  readonly sessions: Set<Node>
  /** Where it stands in each holder's order. */
  readonly ranks: readonly number[]
  wokenAt: Instant | null
  uplinkFreeAt: Instant
  diedAt: Instant | null
}

type Happening = () => void

export class MemberWorld {
  now: Instant = 0
  /** Messages by their kind, as they arrived, and the bytes of all that were sent. */
  readonly arrived = new Map<number, number>()
  sentBytes = 0
  private readonly options: MemberWorldOptions
  private readonly suite: CryptoSuite
  private readonly rng: Rng
  private readonly name: ServiceName
  private readonly refs: VerifiedRefs
  private readonly queue = new EventQueue<Happening>()
  private readonly nodes: Node[] = []
  private readonly byId = new Map<PeerId, Node>()
  private readonly lastArrivals = new Map<number, Instant>()
  private readonly samples: Node[][] = Array.from({ length: HOLDERS }, () => [])
  private sampledAt = Number.NEGATIVE_INFINITY
  private announced = 0

  constructor(options: MemberWorldOptions) {
    this.options = options
    this.rng = new Rng(options.seed).fork('members')
    this.suite = createFakeSuite(this.rng.fork('keys'))
    this.refs = new VerifiedRefs(this.suite, 1_000_000)
    const name = parseServiceName('members.example/1')
    if (!name.ok) throw new Error(name.fault.code)
    this.name = name.value
  }

  get members(): readonly Member[] {
    return this.nodes
  }

  join(): Member {
    const { suite, rng, options } = this
    const index = this.nodes.length
    const profile = options.model.draw()
    const identity = suite.identity(Uint8Array.of(index >> 16, index >> 8, index, rng.below(256)))
    const ref = signPeerRef(suite, identity, {
      sequence: WALL_AT_START + Math.floor(this.now),
      expires: WALL_AT_START + Math.floor(this.now) + REF_LIFETIME_MS,
      capacity: profile.capacity,
      relays: profile.nat === 'public',
      addresses:
        profile.nat === 'public' ? [{ scheme: 'tcp', host: `10.0.${index >> 8}.1`, port: 4_100, extra: '' }] : [],
      rendezvous: [],
    })
    this.refs.read(ref.bytes, WALL_AT_START + this.now)
    const bare = {
      index,
      profile,
      ref,
      joinedAt: this.now,
      alive: true,
      sessions: new Set<Node>(),
      ranks: Array.from({ length: HOLDERS }, () => rng.unit()),
      wokenAt: null,
      uplinkFreeAt: 0,
      diedAt: null,
    }
    // reason: the service needs the member's port, which needs the member; it is set two lines below.
    const node = bare as unknown as Node
    const turn = new Turn(this.now, WALL_AT_START + this.now)
    node.service = new Service(
      turn,
      {
        port: this.portOf(node),
        suite,
        identity,
        rng: rng.fork(`service ${index}`),
        registry: { refs: this.refs, find: (_turn, _service, onFound) => this.find(node, onFound) },
        release: () => {},
      },
      this.name,
    )
    this.nodes.push(node)
    this.byId.set(ref.peer, node)
    this.step(node, now => node.service.onWake(now))
    return node
  }

  /** Gone at once; where it says no word, those it had sessions with notice late. */
  kill(member: Member, saysSo: boolean): void {
    const node = this.nodes[member.index]
    if (node === undefined || !node.alive) return
    node.alive = false
    node.diedAt = this.now
    for (const other of node.sessions) {
      const noticeMs = saysSo
        ? latencyMs(node.profile, other.profile)
        : UNTOLD_MS[0] + (UNTOLD_MS[1] - UNTOLD_MS[0]) * this.rng.unit()
      this.after(noticeMs, () => {
        other.sessions.delete(node)
        if (other.alive) this.step(other, turn => other.service.onSessionClosed(turn, node.ref.peer))
      })
    }
  }

  broadcast(member: Member, payload: Uint8Array): void {
    const node = this.nodes[member.index]
    if (node?.alive === true) this.step(node, turn => node.service.broadcast(turn, payload))
  }

  run(ms: number): void {
    const end = this.now + ms
    for (let at = this.queue.nextAt(); at !== null && at <= end; at = this.queue.nextAt()) {
      this.now = Math.max(this.now, at)
      this.queue.pop()?.()
    }
    this.now = end
  }

  /** How many members it keeps in its view. */
  neighboursOf(member: Member): number {
    return this.byId.get(member.ref.peer)?.service.neighbours ?? 0
  }

  private step(node: Node, act: (turn: Turn) => unknown): void {
    act(new Turn(this.now, WALL_AT_START + this.now))
    this.arm(node)
  }

  private arm(node: Node): void {
    const wake = node.service.nextWake()
    if (wake === null) return
    const at = Math.max(this.now, wake)
    if (node.wokenAt !== null && node.wokenAt <= at) return
    node.wokenAt = at
    this.after(at - this.now + node.profile.lateMs, () => {
      if (node.wokenAt !== at || !node.alive) return
      node.wokenAt = null
      this.step(node, turn => node.service.onWake(turn))
    })
  }

  private portOf(node: Node): OverlayPort {
    return {
      self: () => node.ref,
      near: () => ({ before: [], after: [] }),
      estimatedPeers: () => this.nodes.length,
      learn: () => {},
      release: () => {},
      request: () => {
        throw new Error('the registry is not asked over the overlay here')
      },
      send: (_turn, _channel, to, message) => this.send(node, to, message),
      keep: (_turn, ref, onOpen) => {
        const target = this.byId.get(ref.peer)
        if (target === undefined) throw new Error('an unknown member')
        if (node.sessions.has(target)) {
          onOpen(_turn, ok(ref.peer))
          return
        }
        const waitMs = target.alive ? 4 * latencyMs(node.profile, target.profile) : NO_ANSWER_MS
        this.after(waitMs, () => {
          if (!node.alive) return
          if (target.alive) {
            node.sessions.add(target)
            target.sessions.add(node)
          }
          const { alive } = target
          this.step(node, turn =>
            onOpen(turn, alive ? ok(ref.peer) : { ok: false, fault: { code: 'peer-unreachable' } }),
          )
        })
      },
    }
  }

  /** In order on each way; a member sends at its rate, and what is lost comes later, and what is behind it with it. */
  private send(node: Node, to: PeerId, message: Uint8Array): boolean {
    const target = this.byId.get(to)
    if (target === undefined || !node.sessions.has(target)) return false
    const { model } = this.options
    const bytes = message.length + FRAME_BYTES
    const oneWayMs = latencyMs(node.profile, target.profile)
    this.sentBytes += bytes
    node.uplinkFreeAt = Math.max(this.now, node.uplinkFreeAt) + bytes / node.profile.rateBytesPerMs
    const way = node.index * 0x100_0000 + target.index
    const arrivesAt = node.uplinkFreeAt + oneWayMs + model.drawRetransmitMs(bytes, 2 * oneWayMs)
    const at = Math.max(arrivesAt, this.lastArrivals.get(way) ?? 0)
    this.lastArrivals.set(way, at)
    this.after(at - this.now + target.profile.lateMs, () => this.deliver(node, target, message))
    return true
  }

  private deliver(from: Node, to: Node, bytes: Uint8Array): void {
    if (!to.alive) return
    const decoded = decodeServiceMessage(bytes)
    if (decoded === null) throw new Error('a message that cannot be read')
    const { message } = decoded
    this.arrived.set(bytes[0]!, (this.arrived.get(bytes[0]!) ?? 0) + 1)
    if (message.kind === 'gossip' && message.broadcast.content === 'payload')
      this.options.onPayload(to, message.broadcast.payload, from.index)
    this.step(to, turn => {
      const fault = to.service.onMessage(turn, from.ref.peer, message)
      if (fault !== null) throw new Error(`a fault between honest members: ${fault.code} ${fault.detail}`)
    })
  }

  // ---- the registry ----

  private find(
    node: Node,
    onFound: (turn: Turn, found: { ok: true; value: PeerRef[] }, members: number) => void,
  ): void {
    this.after(this.rng.around(FIND_MS, 0.5), () => {
      if (!node.alive) return
      this.drawSamples()
      const found = new Set<PeerRef>()
      for (const sample of this.rng.sample(this.samples, FIND_WAYS_MIN))
        for (const other of this.rng.sample(sample, FOUND_REFS_MAX)) if (other !== node) found.add(other.ref)
      this.step(node, turn => onFound(turn, { ok: true, value: [...found] }, this.announced))
    })
  }

  private drawSamples(): void {
    if (this.now - this.sampledAt < SAMPLE_MS) return
    this.sampledAt = this.now
    // Nobody says that it goes: the dead stay listed until their announcement expires, on the mean for three quarters of it.
    const listed = this.nodes.filter(
      ({ diedAt }) => diedAt === null || this.now - diedAt < 0.8 * ANNOUNCEMENT_LIFETIME_MS,
    )
    this.announced = listed.length
    this.samples.forEach((sample, holder) => {
      listed.sort((a, b) => a.ranks[holder]! - b.ranks[holder]!)
      sample.splice(0, sample.length, ...listed.slice(0, ANNOUNCEMENTS_PER_SERVICE_MAX))
    })
  }

  private after(ms: number, happening: Happening): void {
    this.queue.push(this.now + ms, happening)
  }
}
