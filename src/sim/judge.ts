/**
 * Judges the state of a world by what each peer shows of itself (`snapshot`): who is linked to whom, who stands where. A
 * link counts where both ends show it and have a path. One look asks each peer once.
 */
import type { PeerId } from '../core/base/peer-id.ts'
import { type Position, RING, ringDistance } from '../core/base/position.ts'
import { type Delays, nextStep, type Step } from '../core/overlay/next-hop.ts'
import type { PeerSnapshot } from '../core/peer-options.ts'
import type { RingPicture } from './scenario.ts'
import type { Node } from './world.ts'

/** Routes that take more hops than this go nowhere. */
const HOPS_MAX = 64
/** A picture of more peers than this is thinned out. */
const PICTURE_PEERS_MAX = 600

interface Place extends Step {
  readonly index: number
}

export class Look {
  readonly nodes: readonly Node[]
  readonly snapshots: readonly PeerSnapshot[]
  /** Each node's links, as indexes into `nodes`. */
  readonly links: readonly (readonly number[])[]
  private readonly indexes = new Map<PeerId, number>()
  private readonly places = new Map<number, Place>()

  constructor(nodes: readonly Node[]) {
    this.nodes = nodes
    this.snapshots = nodes.map(node => node.peer.snapshot())
    for (const [index, node] of nodes.entries()) this.indexes.set(node.id, index)
    const shown = this.snapshots.map(({ links }) => this.shown(links))
    this.links = shown.map((list, index) => list.filter(other => shown[other]!.includes(index)))
  }

  /** The groups that links connect, largest first, as indexes. */
  components(): number[][] {
    const seen = new Uint8Array(this.nodes.length)
    const groups: number[][] = []
    for (let start = 0; start < this.nodes.length; start += 1) {
      if (seen[start] === 1) continue
      seen[start] = 1
      const group = [start]
      for (let done = 0; done < group.length; done += 1) {
        for (const next of this.links[group[done]!]!) {
          if (seen[next] === 1) continue
          seen[next] = 1
          group.push(next)
        }
      }
      groups.push(group)
    }
    return groups.sort((a, b) => b.length - a.length)
  }

  /** The share of nodes in the largest component; 1 of none. */
  componentShare(): number {
    return this.nodes.length === 0 ? 1 : (this.components()[0]?.length ?? 0) / this.nodes.length
  }

  /** All indexes in the order of the ring. */
  ringOrder(): number[] {
    const { snapshots } = this
    return snapshots
      .map((_, index) => index)
      .sort((a, b) => {
        const one = snapshots[a]!.ref
        const other = snapshots[b]!.ref
        return one.position - other.position || (one.peer < other.peer ? -1 : 1)
      })
  }

  /** Pairs of true ring neighbours that are not linked. */
  ringGaps(): (readonly [Node, Node])[] {
    const order = this.ringOrder()
    if (order.length < 2) return []
    const gaps: (readonly [Node, Node])[] = []
    for (const [rank, index] of order.entries()) {
      const next = order[(rank + 1) % order.length]!
      if (!this.links[index]!.includes(next)) gaps.push([this.nodes[index]!, this.nodes[next]!])
    }
    return gaps
  }

  /** The share of nodes that are linked with both their true ring neighbours. */
  ringShare(): number {
    if (this.nodes.length === 0) return 1
    const lacking = new Set(this.ringGaps().flat())
    return 1 - lacking.size / this.nodes.length
  }

  /**
   * Hops of a routed request from one node to another's position by the rule of spec 5.4 over the links as they are;
   * null where it ends elsewhere. What peers know late of each other's links does not show in it.
   */
  hops(from: number, to: number): number | null {
    const key = this.snapshots[to]!.ref.position
    let at = from
    let before = Number.POSITIVE_INFINITY
    for (let hops = 0; hops <= HOPS_MAX; hops += 1) {
      if (at === to) return hops
      const { position } = this.snapshots[at]!.ref
      const own = ringDistance(position, key)
      // Who stands farther than the hop before it goes on through what is closer than that one.
      const limit = before < own ? before : Number.POSITIVE_INFINITY
      const usable = (place: Place): boolean => ringDistance(place.position, key) < limit
      const places = this.links[at]!.map(index => this.place(index))
      const step = nextStep(position, key, places, { usable, delays: this.delays(at) })
      if (step === null) return null
      before = own
      at = step.index
    }
    return null
  }

  /** Nodes with more links than they have said they carry. */
  overfull(): Node[] {
    return this.nodes.filter((_, index) => this.snapshots[index]!.links.length > this.snapshots[index]!.ref.capacity)
  }

  /** The share of nodes whose estimate of how many there are is within `tolerance` of `truth`. */
  estimateShare(truth: number, tolerance: number): number {
    const close = this.snapshots.filter(({ estimatedPeers }) => Math.abs(estimatedPeers - truth) <= tolerance * truth)
    return this.nodes.length === 0 ? 1 : close.length / this.nodes.length
  }

  picture(): RingPicture {
    const ring = this.ringOrder()
    const every = Math.ceil(ring.length / PICTURE_PEERS_MAX)
    const shown = ring.filter((_, rank) => rank % every === 0)
    const ranks = new Map(shown.map((index, rank) => [index, rank]))
    const links: (readonly [number, number, string])[] = []
    for (const [rank, index] of shown.entries()) {
      for (const link of this.snapshots[index]!.links) {
        const other = this.indexes.get(link.peer)
        const to = other === undefined ? undefined : ranks.get(other)
        if (to !== undefined && link.role !== 'guest') links.push([rank, to, link.role])
      }
    }
    const peers = shown.map(index => {
      const node = this.nodes[index]!
      const position = unitPosition(this.snapshots[index]!.ref.position)
      return { position, device: node.profile.device, public: node.public }
    })
    return { peers, links }
  }

  private shown(links: PeerSnapshot['links']): number[] {
    const list: number[] = []
    for (const link of links) {
      const index = this.indexes.get(link.peer)
      if (index !== undefined && link.path.kind !== 'none') list.push(index)
    }
    return list
  }

  private delays(index: number): Delays<Place> {
    const times = new Map(this.snapshots[index]!.links.map(({ peer, roundTripMs }) => [peer, roundTripMs]))
    return { roundTripMs: ({ peer }) => times.get(peer) ?? Number.POSITIVE_INFINITY, gap: RING / this.nodes.length }
  }

  private place(index: number): Place {
    let place = this.places.get(index)
    if (place === undefined) {
      const { peer, position } = this.snapshots[index]!.ref
      const neighbours = Float64Array.from(this.links[index]!, other => this.snapshots[other]!.ref.position).sort()
      place = { index, peer, position, neighbours, directNeighbours: neighbours.length }
      this.places.set(index, place)
    }
    return place
  }
}

/** A value below which `share` of the sorted numbers lie; null of none. */
export function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null
}

function unitPosition(position: Position): number {
  return Math.round((position / RING) * 1e6) / 1e6
}
