/**
 * A world of peers in virtual time: the production core, a modelled network. Peers that accept no dial stand for those
 * behind a NAT. Everything follows from the seed.
 */
import { type Address, addressText } from '../core/base/address.ts'
import { concatBytes } from '../core/base/bytes.ts'
import type { FaultCode } from '../core/base/fault.ts'
import type { Instant } from '../core/base/instant.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import { Rng } from '../core/base/rng.ts'
import type { PeerRef } from '../core/crypto/peer-ref.ts'
import type { CryptoSuite } from '../core/crypto/suite.ts'
import type { Effect, PeerEvent } from '../core/effect.ts'
import type { Command, Input, RequestId, StoreEntry, WireId } from '../core/input.ts'
import { createPeer } from '../core/peer.ts'
import type { Peer, PeerOptions } from '../core/peer-options.ts'
import { EventQueue } from './event-queue.ts'
import { createFakeSuite } from './fake-suite.ts'
import { WireEnd } from './network.ts'

export interface WorldOptions {
  readonly seed: number
  /** One-way delay of every wire, chosen for each between these. */
  readonly delayMs?: readonly [number, number]
  readonly suite?: CryptoSuite
  /** What a node is made of; the production peer where nothing else is said. */
  readonly make?: (options: PeerOptions) => Peer
}

export interface PlacedPeer {
  readonly public: boolean
  readonly capacity?: number
  readonly relays?: boolean
  /** The store of an earlier life. */
  readonly store?: Map<string, Uint8Array>
  readonly identitySeed?: Uint8Array
  /** Where a public one listens, if not at a place of its own. */
  readonly address?: Address
  /** What each of its wires carries at most; no bound where nothing is said. */
  readonly rateBytesPerMs?: number
}

const WALL_TIME_AT_START = 1_800_000_000_000
const DIAL_REFUSED_MS = 30

export class World {
  now: Instant = 0
  readonly nodes: Node[] = []
  readonly suite: CryptoSuite
  readonly rng: Rng
  private readonly queue = new EventQueue<() => void>()
  private readonly delayMs: readonly [number, number]
  private readonly byAddress = new Map<string, Node>()
  readonly make: (options: PeerOptions) => Peer
  private groups: ((node: Node) => number) | null = null
  private nextRequest = 1

  constructor(options: WorldOptions) {
    this.rng = new Rng(options.seed)
    this.suite = options.suite ?? createFakeSuite(this.rng.fork('keys'))
    this.delayMs = options.delayMs ?? [20, 60]
    this.make = options.make ?? createPeer
  }

  add(placed: PlacedPeer): Node {
    const node = new Node(this, this.nodes.length, placed)
    this.nodes.push(node)
    if (placed.public) this.byAddress.set(addressText(node.address), node)
    node.begin()
    return node
  }

  /** Lets time pass. */
  run(ms: number): void {
    const end = this.now + ms
    for (let at = this.queue.nextAt(); at !== null && at <= end; at = this.queue.nextAt()) {
      this.now = at
      this.queue.pop()?.()
    }
    this.now = end
  }

  /** Lets time pass until `done`, looked at every `everyMs`; how long it took, or null after `limitMs`. */
  runUntil(done: () => boolean, limitMs: number, everyMs = 250): number | null {
    const start = this.now
    while (this.now - start < limitMs) {
      if (done()) return this.now - start
      this.run(everyMs)
    }
    return done() ? this.now - start : null
  }

  live(): Node[] {
    return this.nodes.filter(node => node.alive)
  }

  /** From here on nothing passes between nodes of different groups; null heals, and what waited arrives. */
  split(groupOf: ((node: Node) => number) | null): void {
    this.groups = groupOf
    for (const node of this.nodes) for (const end of node.openWires()) end.pump()
  }

  /** Breaks all wires between two nodes; what is under way is lost. */
  cut(a: Node, b: Node): void {
    for (const end of a.openWires()) {
      const { other } = end
      if (other?.node !== b) continue
      end.lose('wire-lost')
      other.lose('wire-lost')
    }
  }

  /** The same peer begins again where it was, knowing what its store holds, or nothing. */
  restart(node: Node, keepsStore: boolean): Node {
    node.kill()
    const { placed, identitySeed, address } = node
    return this.add({ ...placed, identitySeed, address, ...(keepsStore ? { store: node.store } : {}) })
  }

  stall(node: Node, stalled: boolean): void {
    node.stalled = stalled
    if (stalled) return
    for (const end of node.openWires()) end.other?.pump()
  }

  connected(a: Node, b: Node): boolean {
    return this.groups === null || this.groups(a) === this.groups(b)
  }

  at(instant: Instant, action: () => void): void {
    this.queue.push(instant, action)
  }

  newRequest(): RequestId {
    return this.nextRequest++
  }

  nodeAt(address: Address): Node | undefined {
    return this.byAddress.get(addressText(address))
  }

  drawDelayMs(): number {
    return this.delayMs[0] + this.rng.below(this.delayMs[1] - this.delayMs[0] + 1)
  }
}

export class Node {
  readonly index: number
  readonly peer: Peer
  readonly id: PeerId
  readonly address: Address
  readonly public: boolean
  readonly store: Map<string, Uint8Array>
  readonly events: PeerEvent[] = []
  readonly placed: PlacedPeer
  readonly identitySeed: Uint8Array
  alive = true
  /** Died without a word, and its machine with it. */
  vanished = false
  /** Reads nothing that arrives. */
  stalled = false
  bytesSent = 0
  /** Called for each event; beside that, all are kept in `events`. */
  onEvent: ((event: PeerEvent) => void) | null = null
  private readonly world: World
  private readonly bornAt: Instant
  private readonly wires = new Map<WireId, WireEnd>()
  private nextAccepted = -1
  private wakeAt: Instant | null = null

  constructor(world: World, index: number, placed: PlacedPeer) {
    this.world = world
    this.index = index
    this.bornAt = world.now
    this.public = placed.public
    this.store = placed.store ?? new Map()
    this.placed = placed
    this.identitySeed = placed.identitySeed ?? world.suite.randomBytes(32)
    const identity = world.suite.identity(this.identitySeed)
    this.id = identity.peer
    this.address = placed.address ?? {
      scheme: 'tcp',
      host: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
      port: 4100,
      extra: '',
    }
    this.peer = world.make({
      suite: world.suite,
      identity,
      seed: world.rng.u32(),
      wallTime: WALL_TIME_AT_START + world.now,
      capacity: placed.capacity ?? 24,
      relays: placed.relays ?? true,
      dialable: ['tcp'],
    })
  }

  begin(): void {
    this.input({ kind: 'wake' })
    if (this.public) this.command({ kind: 'announce', addresses: [this.address] })
  }

  /** The peer's own time. */
  get now(): Instant {
    return this.world.now - this.bornAt
  }

  get ref(): PeerRef {
    return this.peer.snapshot().ref
  }

  command(command: Command): void {
    this.input({ kind: 'command', command })
  }

  /** Issues a command with a fresh request number; the event that answers it, once there is one. */
  ask(make: (request: RequestId) => Command): { answer: () => PeerEvent | undefined } {
    const request = this.world.newRequest()
    this.command(make(request))
    return { answer: () => this.events.find(event => 'request' in event && event.request === request) }
  }

  join(...waysIn: Node[]): void {
    const request = this.world.newRequest()
    const targets = waysIn.map(node => ({ kind: 'ref' as const, ref: node.ref }))
    this.command({ kind: 'join-mesh', request, waysIn: targets })
  }

  input(input: Input): void {
    if (!this.alive) return
    this.carryOut(this.peer.step(this.world.now - this.bornAt, input))
    const wake = this.peer.nextWake()
    if (wake === null) return
    const at = Math.max(this.bornAt + wake, this.world.now + 1)
    if (this.wakeAt !== null && this.wakeAt <= at && this.wakeAt > this.world.now) return
    this.wakeAt = at
    this.world.at(at, () => {
      if (this.wakeAt !== at) return
      this.wakeAt = null
      this.input({ kind: 'wake' })
    })
  }

  /** Vanishes: the others' wires break as TCP resets do, or, `silently`, stay open and mute. */
  kill(silently = false): void {
    this.alive = false
    this.vanished = silently
    if (silently) return
    for (const end of this.wires.values()) end.breakOther('wire-lost')
  }

  openWires(): WireEnd[] {
    return this.alive ? [...this.wires.values()] : []
  }

  onWireLost(end: WireEnd, code: FaultCode): void {
    this.wires.delete(end.id)
    this.input({ kind: 'wire-closed', wire: end.id, fault: { code } })
  }

  private carryOut(effects: readonly Effect[]): void {
    const events: PeerEvent[] = []
    for (const effect of effects) {
      switch (effect.kind) {
        case 'dial':
          this.dial(effect.wire, effect.address)
          break
        case 'send':
          this.send(effect.wire, effect.buffers, effect.bytes)
          break
        case 'hang-up': {
          const end = this.wires.get(effect.wire)
          if (end !== undefined) {
            this.wires.delete(effect.wire)
            end.breakOther('closed')
          }
          break
        }
        case 'save':
          if (effect.value === null) this.store.delete(effect.key)
          else this.store.set(effect.key, effect.value.slice())
          break
        case 'load': {
          const entries: StoreEntry[] = []
          for (const [key, value] of this.store) if (key.startsWith(effect.prefix)) entries.push({ key, value })
          this.world.at(this.world.now, () => this.input({ kind: 'loaded', load: effect.load, entries }))
          break
        }
        case 'event':
          events.push(effect.event)
          break
      }
    }
    for (const event of events) {
      this.events.push(event)
      this.onEvent?.(event)
    }
  }

  /** As TCP opens: the dialler knows after one round trip, the acceptor when the first bytes can come. */
  private dial(wire: WireId, address: Address): void {
    const { world } = this
    const { now } = world
    const delayMs = world.drawDelayMs()
    const target = world.nodeAt(address)
    const rate = Math.min(this.placed.rateBytesPerMs ?? Infinity, target?.placed.rateBytesPerMs ?? Infinity)
    const here = new WireEnd(world, this, wire, delayMs, rate, now + 2 * delayMs)
    this.wires.set(wire, here)
    if (target === undefined || !target.alive || !world.connected(this, target)) {
      // A machine that is there refuses at once; one that is not leaves the dial without an answer.
      if (target !== undefined && world.connected(this, target) && !target.vanished) {
        world.at(now + DIAL_REFUSED_MS, () => here.lose('dial-failed'))
      }
      return
    }
    world.at(now + 2 * delayMs, () => {
      if (!here.open || !target.alive || !world.connected(this, target)) return
      const there = new WireEnd(world, target, target.nextAccepted--, delayMs, rate, world.now + delayMs)
      here.other = there
      there.other = here
      const about = { transport: 'tcp' as const, remote: addressText(address), remoteHost: address.host }
      this.input({ kind: 'wire-open', wire, role: 'dialler', about })
    })
    world.at(now + 3 * delayMs, () => {
      const { other } = here
      if (other === null || !here.open || !target.alive) return
      target.wires.set(other.id, other)
      const about = { transport: 'tcp' as const, remote: addressText(this.address), remoteHost: this.address.host }
      target.input({ kind: 'wire-open', wire: other.id, role: 'acceptor', about })
    })
  }

  private send(wire: WireId, buffers: readonly Uint8Array[], bytes: number): void {
    const end = this.wires.get(wire)
    if (end === undefined || !end.open) return
    this.bytesSent += bytes
    end.send(concatBytes(...buffers))
  }
}
