/**
 * A world that begins settled: peers, links, circuits and memories as they would be hours after all had joined, with no
 * handshake made and nothing under way. What the running protocol thinks of it is tested beside a grown world.
 */
import { addressText } from '../core/base/address.ts'
import { writeU32 } from '../core/base/bytes.ts'
import type { Instant } from '../core/base/instant.ts'
import { Rng } from '../core/base/rng.ts'
import { type PeerRef, REF_LIFETIME_MS, type Rendezvous, signPeerRef } from '../core/crypto/peer-ref.ts'
import { KEY_BYTES } from '../core/crypto/suite.ts'
import type { WireFacts } from '../core/input.ts'
import {
  FRESH_MS,
  LINK_SILENT_MS,
  PUBLIC_LINKS_MIN,
  REF_RENEW_MS,
  REMEMBERED_MAX,
  RENDEZVOUS_ADDRESSES_MAX,
  UPGRADE_BACKOFF_MAX_MS,
} from '../core/limits.ts'
import { inOrder } from '../core/overlay/neighbour-news.ts'
import { savedRefKey } from '../core/overlay/saved-ref.ts'
import type {
  SettledHop,
  SettledLink,
  SettledMemory as SettledMemoryEntry,
  SettledPath,
  SettledState,
} from '../core/overlay/settled-state.ts'
import { estimatePeers } from '../core/overlay/size-estimate.ts'
import { shareKey } from './fake-suite.ts'
import { slowerOf, WireEnd } from './network.ts'
import { latencyMs } from './network-model.ts'
import { Node } from './node.ts'
import { PeerStore } from './peer-store.ts'
import { negotiableOn } from './punching.ts'
import { drawLinks, type SettledLinks } from './settled-links.ts'
import { SettledMemory } from './settled-memory.ts'
import { SettledPaths } from './settled-paths.ts'
import { drawPeers, type SettledPeers } from './settled-peers.ts'
import type { World } from './world.ts'

/** How long ago all links came to stand. */
const STOOD_MS = 3_600_000
/** Of what is remembered, the oldest word of contact: half is fresh, as in grown worlds. */
const HEARD_MS_MAX = 2 * FRESH_MS
/** How many of the links have told what they think of the network's size within `FRESH_MS`. */
const TOLD_SHARE_NEAR = 0.9
const TOLD_SHARE = 0.3
/** Labels of one link: two ends of a session, two of its circuit, and two at each relay. */
const LABELS_PER_LINK = 16

/**
 * Adds peers to an empty world, the first `waysIn` of them servers. `gone`: by index, those that vanished in the instant
 * in which the world begins. They are never made: a mass failure of a large world costs what its survivors do.
 */
export function addSettled(world: World, count: number, waysIn = 1, gone?: ChooseGone): Node[] {
  const plan = new SettledPlan(world, count, waysIn)
  const absent = gone?.(plan.peers) ?? NOBODY
  const nodes: Node[] = []
  const byIndex: (Node | null)[] = []
  for (let index = 0; index < count; index += 1) {
    if (absent.has(index)) {
      byIndex.push(null)
      continue
    }
    const { identity, identitySeed, profile, address, public: isPublic } = plan.peers.all[index]!
    const remembered = plan.remembered(index)
    const store = new PeerStore(world.shelf, plan.stored(remembered))
    const placed = { identity, identitySeed, profile, address, public: isPublic, store }
    const node = world.add(placed, plan.state(index, remembered))
    nodes.push(node)
    byIndex.push(node)
  }
  plan.connect(byIndex)
  plan.finish()
  return nodes
}

export type ChooseGone = (peers: SettledPeers) => ReadonlySet<number>
const NOBODY: ReadonlySet<number> = new Set()

/** Peers that one remembers, by index; the first `near` of them for standing near. */
interface Chosen {
  readonly peers: readonly number[]
  readonly near: number
}

class SettledPlan {
  readonly peers: SettledPeers
  private readonly world: World
  private readonly seed: string
  private readonly memory: SettledMemory
  private readonly links: SettledLinks
  private readonly paths: SettledPaths
  private readonly refs: readonly PeerRef[]
  private readonly rendezvous: Rendezvous[] = []
  /** By peer: where its ref stands on the shelf. */
  private readonly shelved: readonly number[]
  private readonly facts: readonly Map<WireFacts['transport'], WireFacts>[]
  /** By peer, for all that it sends: sessions of their own keys would hold 5 KB more for each peer, and nobody forges here. */
  private readonly keys: readonly Uint8Array[]
  /** By link: its wire's number at the end that dialled, and at the other; what came over it last, so long ago. */
  private readonly dialled: Int32Array
  private readonly accepted: Int32Array
  private readonly silentMs: Uint16Array
  /** By peer: whom it tells its links of, those that it reaches over a wire first, and how many those are. */
  private readonly told: readonly Float64Array[]
  private readonly directs: Uint32Array
  private readonly estimates: Float64Array
  /** By relay: circuits through it, each as four times the link and the place among its relays. */
  private readonly relayed = new Map<number, number[]>()

  constructor(world: World, count: number, waysIn: number) {
    this.world = world
    this.seed = `settled/${world.rng.u32()}`
    this.peers = drawPeers(world, count, waysIn)
    this.memory = new SettledMemory(this.peers, this.seed)
    this.links = drawLinks(this.peers, this.memory, this.seed)
    this.paths = new SettledPaths(this.links, world.model !== null)
    for (const [link, relays] of this.paths.circuits()) {
      for (const [place, relay] of relays.entries()) {
        const list = this.relayed.get(relay)
        if (list === undefined) this.relayed.set(relay, [4 * link + place])
        else list.push(4 * link + place)
      }
    }
    this.facts = this.peers.all.map(() => new Map())
    this.keys = this.peers.all.map((_, index) => keyOf(index))
    const rng = new Rng(`${this.seed}/times`)
    this.refs = this.peers.all.map((_, index) => this.refOf(index, rng))
    for (const ref of this.refs) world.refs.add(ref)
    this.shelved = this.refs.map(({ peer, bytes }) => world.shelf.add(savedRefKey(peer), bytes))
    this.dialled = new Int32Array(this.links.count)
    this.accepted = new Int32Array(this.links.count)
    this.silentMs = new Uint16Array(this.links.count)
    this.numberWires(rng)
    this.directs = new Uint32Array(count)
    this.told = this.peers.all.map((_, index) => this.toldBy(index))
    this.estimates = Float64Array.from(this.peers.all, (_, index) => this.estimateOf(index))
  }

  state(index: number, remembered: Chosen): SettledState {
    const rng = new Rng(`${this.seed}/state/${index}`)
    const links: SettledLink[] = []
    for (let at = 0; at < this.links.degree(index); at += 1)
      links.push(this.linkState(this.links.linkOf(index, at), index, rng))
    const hops = (this.relayed.get(index) ?? []).map(item => this.hopState(Math.floor(item / 4), item % 4))
    return { ref: this.refs[index]!, links, hops, remembered: this.memoryState(remembered, rng) }
  }

  /** Whom a peer remembers. Those that are linked are remembered too, while there is room. */
  remembered(index: number): Chosen {
    const { near, open, hidden } = this.memory.of(index)
    const linked: number[] = []
    for (let at = 0; at < this.links.degree(index); at += 1)
      linked.push(this.links.other(this.links.linkOf(index, at), index))
    const peers = [...new Set([...near, ...open, ...linked, ...hidden])].slice(0, REMEMBERED_MAX)
    return { peers, near: near.length }
  }

  /** Where the refs of those stand on the shelf. */
  stored({ peers }: Chosen): number[] {
    return peers.map(other => this.shelved[other]!)
  }

  /** Nothing is added any more. */
  finish(): void {
    for (const number of this.shelved) this.world.shelf.remove(number)
  }

  /** Lays the wires between the nodes, which stand in the order of their peers; null for those that are gone. */
  connect(nodes: readonly (Node | null)[]): void {
    const { world } = this
    let nowhere: Node | null = null
    for (let link = 0; link < this.links.count; link += 1) {
      if (!this.paths.isWire(link)) continue
      let dialler = nodes[this.diallerOf(link)]!
      let acceptor = nodes[this.links.other(link, this.diallerOf(link))]!
      if (dialler === null && acceptor === null) continue
      if (dialler === null || acceptor === null) {
        nowhere ??= goneNode(world)
        dialler ??= nowhere
        acceptor ??= nowhere
      }
      const delayMs = world.delayBetween(dialler, acceptor)
      const slower = slowerOf(dialler, acceptor)
      const thereMs = delayMs + acceptor.profile.lateMs
      const backMs = delayMs + dialler.profile.lateMs
      const punched = this.paths.isPunched(link)
      const here = new WireEnd(dialler, this.dialled[link]!, thereMs, slower, world.now, punched)
      const there = new WireEnd(acceptor, this.accepted[link]!, backMs, slower, world.now, punched)
      here.other = there
      there.other = here
      if (dialler !== nowhere) dialler.settleWire(here)
      if (acceptor !== nowhere) acceptor.settleWire(there)
    }
  }

  // ---- what holds of the whole ----

  private refOf(index: number, rng: Rng): PeerRef {
    const { world, peers } = this
    const peer = peers.all[index]!
    const { identity, capacity, profile } = peer
    const madeAt = Math.floor(world.wallTime + profile.clockSkewMs - rng.unit() * REF_RENEW_MS)
    return signPeerRef(world.suite, identity, {
      sequence: madeAt,
      expires: madeAt + REF_LIFETIME_MS,
      capacity,
      relays: true,
      negotiates: world.model === null ? [] : negotiableOn(profile.device).map(({ transport }) => transport),
      addresses: peer.public ? [peer.address] : [],
      rendezvous: peer.public ? [] : this.rendezvousOf(index),
    })
  }

  /** The least loaded of the public peers that it is linked to. */
  private rendezvousOf(index: number): Rendezvous[] {
    const { links, peers } = this
    const open: { readonly index: number; readonly load: number }[] = []
    for (let at = 0; at < links.degree(index); at += 1) {
      const other = links.other(links.linkOf(index, at), index)
      const peer = peers.all[other]!
      if (peer.public) open.push({ index: other, load: links.degree(other) / peer.capacity })
    }
    open.sort((a, b) => a.load - b.load)
    return open.slice(0, PUBLIC_LINKS_MIN).map(item => this.asRendezvous(item.index))
  }

  /** One object for all refs that name it. */
  private asRendezvous(index: number): Rendezvous {
    const { peer, address } = this.peers.all[index]!
    const entry = this.rendezvous[index] ?? { peer, addresses: [address].slice(0, RENDEZVOUS_ADDRESSES_MAX) }
    this.rendezvous[index] = entry
    return entry
  }

  private numberWires(rng: Rng): void {
    const { links } = this
    const nextDialled = new Int32Array(this.peers.all.length).fill(1)
    const nextAccepted = new Int32Array(this.peers.all.length).fill(-1)
    for (let link = 0; link < links.count; link += 1) {
      this.silentMs[link] = rng.below(LINK_SILENT_MS)
      if (!this.paths.isWire(link)) continue
      const dialler = this.diallerOf(link)
      const acceptor = links.other(link, dialler)
      this.dialled[link] = nextDialled[dialler]!
      nextDialled[dialler] = nextDialled[dialler]! + 1
      // A negotiated wire has a number of the core at both ends.
      const isPunched = this.paths.isPunched(link)
      const next = isPunched ? nextDialled : nextAccepted
      this.accepted[link] = next[acceptor]!
      next[acceptor] = next[acceptor]! + (isPunched ? 1 : -1)
    }
  }

  /** Of a public and a hidden one it was the latter; else the one that asked. */
  private diallerOf(link: number): number {
    const asker = this.links.askers[link]!
    const granter = this.links.granters[link]!
    const { all } = this.peers
    return all[asker]!.public && !all[granter]!.public ? granter : asker
  }

  private toldBy(index: number): Float64Array {
    const direct: number[] = []
    const relayed: number[] = []
    for (let at = 0; at < this.links.degree(index); at += 1) {
      const link = this.links.linkOf(index, at)
      const { position } = this.peers.all[this.links.other(link, index)]!
      if (this.paths.isWire(link)) direct.push(position)
      else relayed.push(position)
    }
    this.directs[index] = direct.length
    return inOrder(Float64Array.from([...direct, ...relayed]), direct.length)
  }

  private estimateOf(index: number): number {
    const around = []
    for (let at = 0; at < this.links.degree(index); at += 1) {
      const other = this.links.other(this.links.linkOf(index, at), index)
      around.push({
        position: this.peers.all[other]!.position,
        neighbours: this.told[other]!,
        relayed: this.relayed.get(other)?.length ?? 0,
        directNeighbours: this.directs[other]!,
      })
    }
    return estimatePeers(this.peers.all[index]!.position, around)
  }

  // ---- what one peer has ----

  private linkState(link: number, index: number, rng: Rng): SettledLink {
    const other = this.links.other(link, index)
    const initiator = this.links.askers[link] === index
    const role = this.links.role(link, index)
    const told = rng.unit() < (role === 'near' ? TOLD_SHARE_NEAR : TOLD_SHARE)
    const label = labelOf(link, 1)
    return {
      ref: this.refs[other]!,
      role,
      initiator,
      label,
      remoteLabel: label,
      cipher: this.world.suite.ciphers[0]!,
      sendKey: this.keys[index]!,
      receiveKey: this.keys[other]!,
      path: this.pathState(link, index, initiator, rng),
      roundTripMs: this.roundTripMs(link),
      since: -STOOD_MS,
      heardAt: this.heardAt(link),
      neighbours: this.told[other]!,
      relayed: this.relayed.get(other)?.length ?? 0,
      directNeighbours: this.directs[other]!,
      // Both as whole numbers: others take 16 bytes more.
      estimate: told ? this.estimates[other]! | 0 : 0,
      estimatedAt: told ? -rng.below(FRESH_MS) | 0 : 0,
    }
  }

  /** As pings would have measured it; null where the world has no distances. */
  private roundTripMs(link: number): number | null {
    if (this.world.model === null) return null
    const ends = [this.links.askers[link]!, ...this.paths.relaysOf(link), this.links.granters[link]!]
    const [first, ...others] = ends.map(index => this.peers.all[index]!.profile)
    let sum = 0
    let from = first!
    for (const to of others) {
      sum += 2 * latencyMs(from, to) + from.lateMs + to.lateMs
      from = to
    }
    return Math.round(sum)
  }

  private heardAt(link: number): Instant {
    return -this.silentMs[link]!
  }

  private pathState(link: number, index: number, initiator: boolean, rng: Rng): SettledPath {
    const transport = this.paths.transport(link)
    if (transport !== null) {
      const dialler = this.diallerOf(link)
      const wire = dialler === index ? this.dialled[link]! : this.accepted[link]!
      return { kind: 'wire', wire, about: this.factsOf(this.links.other(link, index), transport) }
    }
    const relays = this.paths.relaysOf(link)
    const via = (initiator ? relays : [...relays].reverse()).map(relay => this.peers.all[relay]!.peer)
    const label = initiator ? openerLabel(link) : accepterLabel(link)
    const remoteLabel = initiator ? aheadLabel(link, 0) : backLabel(link, relays.length - 1)
    const betterAt = rng.unit() * UPGRADE_BACKOFF_MAX_MS
    return { kind: 'circuit', neighbour: via[0]!, label, remoteLabel, via, betterAt }
  }

  /** One object for all wires that lead there. */
  private factsOf(index: number, transport: WireFacts['transport']): WireFacts {
    const facts = this.facts[index]!
    let about = facts.get(transport)
    if (about === undefined) {
      const { address } = this.peers.all[index]!
      about = { transport, remote: addressText(address), remoteHost: address.host }
      facts.set(transport, about)
    }
    return about
  }

  private hopState(link: number, place: number): SettledHop {
    const relays = this.paths.relaysOf(link)
    const from = relays[place - 1] ?? this.links.askers[link]!
    const towards = relays[place + 1] ?? this.links.granters[link]!
    return {
      from: this.peers.all[from]!.peer,
      towards: this.peers.all[towards]!.peer,
      aheadLabel: aheadLabel(link, place),
      backLabel: backLabel(link, place),
      labelOfFrom: place === 0 ? openerLabel(link) : backLabel(link, place - 1),
      labelOfTowards: place === relays.length - 1 ? accepterLabel(link) : aheadLabel(link, place + 1),
      heardAt: this.heardAt(link),
    }
  }

  private memoryState({ peers, near }: Chosen, rng: Rng): SettledMemoryEntry[] {
    return peers.map((other, place) => {
      const reason = place < near ? 'near' : 'random'
      return { ref: this.refs[other]!, reason, heardAt: -rng.below(HEARD_MS_MAX) }
    })
  }
}

/** Stands for all that have vanished, at the far end of wires that tell nobody of it. */
function goneNode(world: World): Node {
  const node = new Node(world, -1, { public: true })
  node.kill(true)
  return node
}

function keyOf(index: number): Uint8Array {
  const key = new Uint8Array(KEY_BYTES)
  writeU32(key, 0, index + 1)
  shareKey(key)
  return key
}

function labelOf(link: number, which: number): number {
  return link * LABELS_PER_LINK + which
}

function openerLabel(link: number): number {
  return labelOf(link, 2)
}

function accepterLabel(link: number): number {
  return labelOf(link, 3)
}

function aheadLabel(link: number, place: number): number {
  return labelOf(link, 4 + 2 * place)
}

function backLabel(link: number, place: number): number {
  return labelOf(link, 5 + 2 * place)
}
