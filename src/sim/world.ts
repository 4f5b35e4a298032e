/**
 * A world of peers in virtual time: the production core, a modelled network. Peers that accept no dial stand for those
 * behind a NAT. Everything follows from the seed.
 */
import { type Address, addressText } from '../core/base/address.ts'
import { isGlobalHost } from '../core/base/global-host.ts'
import type { Instant, WallTime } from '../core/base/instant.ts'
import { invariant } from '../core/base/invariant.ts'
import { Rng } from '../core/base/rng.ts'
import type { CryptoSuite, Identity } from '../core/crypto/suite.ts'
import type { RequestId } from '../core/input.ts'
import type { RelayLimits } from '../core/overlay/relay-budget.ts'
import type { SettledState } from '../core/overlay/settled-state.ts'
import { ToldViews } from '../core/overlay/told-views.ts'
import { createPeer } from '../core/peer.ts'
import type { Negotiable, Peer, PeerOptions } from '../core/peer-options.ts'
import { VerifiedRefs } from '../core/registry/verified-refs.ts'
import { EventQueue } from './event-queue.ts'
import { createFakeSuite } from './fake-suite.ts'
import type { Traffic } from './network.ts'
import { type DeviceClass, latencyMs, type NetworkModel, type PeerProfile } from './network-model.ts'
import { Node } from './node.ts'
import { PeerStore, StoreShelf } from './peer-store.ts'
import { Punching } from './punching.ts'
import { Slab } from './slab.ts'
import { Trace } from './trace-hash.ts'

export type { Node } from './node.ts'

export interface WorldOptions {
  readonly seed: number
  /** One-way delay of every wire, chosen for each between these. */
  readonly delayMs?: readonly [number, number]
  readonly suite?: CryptoSuite
  /** What a node is made of; the production peer where nothing else is said. */
  readonly make?: (options: PeerOptions) => Peer
  /** Who the peers are and how far from each other; without it all are alike, and `delayMs` holds. */
  readonly model?: NetworkModel
  /** Whether nodes keep all their events. Large runs keep none: `onEvent` and `ask` hear of them as well. */
  readonly keepsEvents?: boolean
  /** So many refs that were read once need not be read again: the peers share them. */
  readonly refsMax?: number
}

/** What is settled of a peer; the rest is drawn from the world's model. */
export interface PlacedPeer {
  /** Whether it accepts dials. */
  readonly public?: boolean
  readonly device?: DeviceClass
  readonly capacity?: number
  readonly relays?: boolean
  readonly relayLimits?: RelayLimits
  readonly rendezvous?: number
  /** What it has stored in an earlier life. */
  readonly store?: PeerStore
  readonly identitySeed?: Uint8Array
  /** That of the seed, where it was made already. */
  readonly identity?: Identity
  /** Where a public one listens, if not at a place of its own. */
  readonly address?: Address
  /** Behind one NAT with others of this number: it announces a private address, at which these alone can dial it. */
  readonly network?: number
  /** What each of its wires carries at most; no bound where nothing is said. */
  readonly rateBytesPerMs?: number
  readonly profile?: PeerProfile
  /** Which wires through NATs its machine can make; by its device where the world has a model, else none. */
  readonly negotiates?: readonly Negotiable[]
  readonly pathlessMs?: number | undefined
}

/** Something whose time comes. */
export interface Happening {
  happen(): void
}

/** Where nobody says how many peers there are to be: more than those of any world. */
const SHARED_REFS_MAX = 8_388_608
const WALL_TIME_AT_START = 1_800_000_000_000

export class World {
  now: Instant = 0
  /** All that were added and not forgotten, in order. */
  readonly nodes: Node[] = []
  readonly suite: CryptoSuite
  readonly rng: Rng
  readonly model: NetworkModel | null
  readonly keepsEvents: boolean
  /** What a ref says is the same for all: read once, held once. */
  readonly refs: VerifiedRefs
  readonly views = new ToldViews()
  readonly trace = new Trace()
  readonly shelf = new StoreShelf()
  readonly punching = new Punching(this)
  /** Packets that were delivered, and their bytes. */
  messages = 0
  bytes = 0
  /** Of packets under way alone: what peers keep would keep whole slabs with it. */
  readonly packets = new Slab()
  /** Of wires that have come to rest. */
  readonly spareTraffic: Traffic[] = []
  private readonly queue = new EventQueue<Happening>()
  private readonly delayMs: readonly [number, number]
  private readonly byAddress = new Map<string, Node>()
  readonly make: (options: PeerOptions) => Peer
  private groups: ((node: Node) => number) | null = null
  private nextRequest = 1
  private added = 0

  constructor(options: WorldOptions) {
    this.rng = new Rng(options.seed)
    this.suite = options.suite ?? createFakeSuite(this.rng.fork('keys'))
    this.refs = new VerifiedRefs(this.suite, options.refsMax ?? SHARED_REFS_MAX)
    this.delayMs = options.delayMs ?? [20, 60]
    this.make = options.make ?? createPeer
    this.model = options.model ?? null
    this.keepsEvents = options.keepsEvents ?? true
  }

  /** `settled`: what the peer begins in the middle of. */
  add(placed: PlacedPeer = {}, settled?: SettledState): Node {
    const node = new Node(this, this.added, placed, settled)
    this.added += 1
    this.nodes.push(node)
    if (node.public) this.byAddress.set(placeKey(node.address, node), node)
    node.begin()
    return node
  }

  /** Lets time pass. */
  run(ms: number): void {
    const end = this.now + ms
    for (let at = this.queue.nextAt(); at !== null && at <= end; at = this.queue.nextAt()) {
      this.now = at
      this.queue.pop()?.happen()
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
    const { placed, identitySeed, address, profile, store } = node
    const empty = new PeerStore(this.shelf)
    if (keepsStore) node.store = empty
    return this.add({ ...placed, identitySeed, address, profile, store: keepsStore ? store : empty })
  }

  /** Drops a dead peer that never comes back, and its store: in long runs of churn such are many. */
  forget(node: Node): void {
    invariant(!node.alive, 'only the dead are forgotten')
    const at = this.nodes.indexOf(node)
    if (at >= 0) this.nodes.splice(at, 1)
    node.store.clear()
    this.views.forget(node.id)
    const address = placeKey(node.address, node)
    if (this.byAddress.get(address) === node) this.byAddress.delete(address)
  }

  stall(node: Node, stalled: boolean): void {
    node.stalled = stalled
    if (stalled) return
    for (const end of node.openWires()) end.other?.pump()
  }

  /**
   * Closes a laptop's lid: no step is made, what arrives waits, until TCP gives up. Where `clockStops`, the machine's
   * monotonic clock stands still meanwhile, as Linux' does; elsewhere it goes on.
   */
  freeze(node: Node, clockStops = false): void {
    node.freeze(clockStops)
  }

  /** Opens it again: the peer hears of the time that has passed as it does from the production run loop. */
  thaw(node: Node): void {
    node.thaw()
  }

  connected(a: Node, b: Node): boolean {
    return this.groups === null || this.groups(a) === this.groups(b)
  }

  at(instant: Instant, action: () => void): void {
    this.queue.push(instant, { happen: action })
  }

  schedule(instant: Instant, happening: Happening): void {
    this.queue.push(instant, happening)
  }

  /** Something reached a peer. */
  count(from: Node, to: Node, bytes: Uint8Array): void {
    this.messages += 1
    this.bytes += bytes.length
    to.bytesReceived += bytes.length
    this.trace.add(this.now, from.index, to.index, bytes)
  }

  get wallTime(): WallTime {
    return WALL_TIME_AT_START + this.now
  }

  newRequest(): RequestId {
    return this.nextRequest++
  }

  /** Who is at an address, for one who dials it. */
  nodeAt(address: Address, from: Node): Node | undefined {
    return this.byAddress.get(placeKey(address, from))
  }

  /** One way between two machines; without a model, drawn for each wire. */
  delayBetween(a: Node, b: Node | undefined): number {
    if (this.model === null || b === undefined) {
      return this.delayMs[0] + this.rng.below(this.delayMs[1] - this.delayMs[0] + 1)
    }
    return latencyMs(a.profile, b.profile)
  }
}

/** A private address means another place in each network. */
function placeKey(address: Address, { placed }: Node): string {
  const text = addressText(address)
  return placed.network === undefined || isGlobalHost(address.host) ? text : `${placed.network} ${text}`
}
