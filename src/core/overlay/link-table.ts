/** The links of a peer: bounded, symmetric, each kept for a purpose (spec 5.2). */
import type { Instant } from '../base/instant.ts'
import { invariant } from '../base/invariant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { ESTIMATE_DRIFT, ESTIMATE_MS, NEAR_PER_SIDE } from '../limits.ts'
import { inOrder, type NeighbourChange, type NeighbourView, withChanges } from './neighbour-news.ts'
import { belongsNear, closestAfter, closestBefore, isWithin, type NearBounds, nearBounds } from './ring-order.ts'
import type { ToldViews } from './told-views.ts'

/** What this side asked the link for; `guest` where the other side asked. */
export type LinkRole = 'near' | 'far' | 'random' | 'public' | 'way-in' | 'guest'

const NO_NEIGHBOURS = new Float64Array(0)

export class Link {
  readonly peer: PeerId
  readonly position: Position
  ref: PeerRef
  role: LinkRole
  /** Positions of the peers that this one says it is linked to; the direct ones, then the others, each in rising order. */
  neighbours: Float64Array = NO_NEIGHBOURS
  /** How many of them, the first ones, it reaches over a wire. */
  directNeighbours = 0
  /** Circuits of others that it carries, as it told last. */
  relayed = 0
  /** How many peers there are by what it sees alone, 0 while it has not said so; and when it did, in whole milliseconds. */
  estimate = 0
  estimatedAt: Instant = 0
  /** What this side saw alone just then; 0 where that is not known. */
  estimatedBeside = 0
  /** What it was told of this peer's own links; null before. */
  told: NeighbourView | null = null

  constructor(ref: PeerRef, role: LinkRole) {
    this.peer = ref.peer
    this.position = ref.position
    this.ref = ref
    this.role = role
  }

  /** The peer said how many there are, by what it sees; `own` is what this side sees. */
  hearEstimate(now: Instant, estimate: number, own: number): void {
    this.estimate = estimate
    // A whole number lies within the object.
    this.estimatedAt = Math.floor(now)
    this.estimatedBeside = own
  }

  /** Whether what it told of the network's size still counts: lately, and of a network that was about as large as it is now. */
  tellsSize(now: Instant, own: number): boolean {
    if (this.estimate === 0 || now - this.estimatedAt >= ESTIMATE_MS) return false
    const then = this.estimatedBeside === 0 ? own : this.estimatedBeside
    return own <= then * ESTIMATE_DRIFT && then <= own * ESTIMATE_DRIFT
  }

  /** The peer said whom it is linked to. Where others may have been told the same, `views` holds it for all. */
  tell(neighbours: Float64Array, direct: number, relayed: number, views?: ToldViews): void {
    this.relayed = relayed
    const positions = inOrder(neighbours, direct)
    this.neighbours = views?.shared(this.peer, positions) ?? positions
    this.directNeighbours = direct
  }

  /** Whether, as far as it said whom it is linked to, a peer there is among the nearest of it. */
  holdsNear(position: Position): boolean {
    const others = Array.from(this.neighbours, other => ({ position: other }))
    return belongsNear(this.position, others, position, NEAR_PER_SIDE)
  }

  /** The peer said what changed since. */
  tellChanges(changes: readonly NeighbourChange[], relayed: number, views?: ToldViews): void {
    this.relayed = relayed
    const { positions, direct } = withChanges(this.neighbours, this.directNeighbours, changes)
    this.neighbours = views?.shared(this.peer, positions) ?? positions
    this.directNeighbours = direct
  }
}

/** How many links of each kind a peer of some capacity asks for: a tab 4 near, 5 far, 2 random (prototype, rule 11). */
export interface LinkQuota {
  readonly far: number
  readonly random: number
}

export function linkQuota(capacity: number): LinkQuota {
  if (capacity <= 16) return { far: 5, random: 2 }
  if (capacity <= 64) return { far: 14, random: 4 }
  return { far: 60, random: 16 }
}

export class LinkTable {
  readonly capacity: number
  private readonly position: Position
  private readonly links = new Map<PeerId, Link>()
  /** The links in the order of adding, made anew with each change: walked far more often than changed. */
  private linkList: readonly Link[] = []
  private nearest: readonly Link[] | null = null
  private bounds: NearBounds | null = null

  constructor(position: Position, capacity: number) {
    this.position = position
    this.capacity = capacity
  }

  get size(): number {
    return this.links.size
  }

  get(peer: PeerId): Link | undefined {
    return this.links.get(peer)
  }

  has(peer: PeerId): boolean {
    return this.links.has(peer)
  }

  /** The link with the peer that stands there. */
  at(position: Position): Link | undefined {
    for (const link of this.linkList) if (link.position === position) return link
    return undefined
  }

  /** As they are now: what changes later does not change the list. */
  all(): readonly Link[] {
    return this.linkList
  }

  /** A peer never carries more than its capacity: who adds has made room. */
  add(link: Link): void {
    invariant(this.links.size < this.capacity || this.links.has(link.peer), 'more links than the capacity')
    this.links.set(link.peer, link)
    this.changed()
  }

  remove(peer: PeerId): Link | undefined {
    const link = this.links.get(peer)
    if (link === undefined) return undefined
    this.links.delete(peer)
    this.changed()
    return link
  }

  before(): Link[] {
    return closestBefore(this.position, this.linkList, NEAR_PER_SIDE)
  }

  after(): Link[] {
    return closestAfter(this.position, this.linkList, NEAR_PER_SIDE)
  }

  /** The nearest links on both sides, each once. */
  near(): readonly Link[] {
    this.nearest ??= [...new Set([...this.after(), ...this.before()])]
    return this.nearest
  }

  /** How near a peer must stand to belong among the nearest; another object whenever the links have changed. */
  nearBounds(): NearBounds {
    this.bounds ??= nearBounds(this.position, this.linkList, NEAR_PER_SIDE)
    return this.bounds
  }

  /** How far from each other peers stand here on the mean; Infinity while it has too few links to tell. */
  gap(): number {
    const { after, before } = this.nearBounds()
    return (after + before) / (2 * NEAR_PER_SIDE)
  }

  /** Whether a peer at this position belongs among the nearest on either side, or is there. */
  belongsNear(position: Position): boolean {
    return isWithin(this.position, this.nearBounds(), position)
  }

  count(role: LinkRole): number {
    let count = 0
    for (const link of this.linkList) if (link.role === role) count += 1
    return count
  }

  /**
   * The link to give up for one at `comer`: guests first, then what this side asked for, by chance; never one that is
   * near still when that has come, nor one of `kept`. Null where all are needed.
   */
  leastNeeded(rng: Rng, kept: readonly Link[], comer: Position): Link | null {
    const bounds = nearBounds(this.position, [...this.linkList, { position: comer }], NEAR_PER_SIDE)
    const isNear = (link: Link): boolean => isWithin(this.position, bounds, link.position)
    const spare = this.linkList.filter(link => !isNear(link) && !kept.includes(link))
    const guests = spare.filter(link => link.role === 'guest' || link.role === 'way-in' || link.role === 'near')
    return rng.pick(guests.length > 0 ? guests : spare) ?? null
  }

  private changed(): void {
    this.linkList = [...this.links.values()]
    this.nearest = null
    this.bounds = null
  }
}
