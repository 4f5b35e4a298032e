/**
 * What a peer does about the links that it has (spec 5.2, 5.8): random ones change, needless ones go, ways in are left for
 * others, the next on the ring is watched, who was lost is looked for, and a peer without an address names its rendezvous.
 * Which links it lacks is `link-seeking.ts`'s.
 */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { clockwise } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import {
  LOST_PROBE_MS,
  NEAR_PER_SIDE,
  REBALANCE_CHOICES,
  REBALANCE_MS,
  REBALANCE_RATIO,
  ROTATE_MS,
  UNBURDEN_MS,
  WATCHED_SILENT_MS,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { Gossip } from './gossip.ts'
import type { LinkSeeking } from './link-seeking.ts'
import type { Link } from './link-table.ts'
import type { Surrounds } from './overlay-needs.ts'
import {
  inSeveralRanges,
  leastLoaded,
  loadOf,
  mayReplace,
  namedAddresses,
  type RendezvousSwap,
  rangeSwap,
} from './rendezvous-choice.ts'
import { isWithin, nearBounds } from './ring-order.ts'

export interface LinkCareOwner {
  giveUp(turn: Turn, link: Link): void
  /** Ways in through which many come, and those that this peer has left. */
  spared(): readonly PeerId[]
}

export class LinkCare {
  private readonly around: Surrounds
  private readonly seeking: LinkSeeking
  private readonly gossip: Gossip
  private readonly owner: LinkCareOwner
  private rotateAt: Instant
  private probeAt: Instant
  private unburdenAt: Instant
  private rebalanceAt: Instant

  constructor(around: Surrounds, seeking: LinkSeeking, gossip: Gossip, owner: LinkCareOwner, now: Instant) {
    const { rng } = around
    this.around = around
    this.seeking = seeking
    this.gossip = gossip
    this.owner = owner
    this.rotateAt = now + rng.around(ROTATE_MS, 0.5)
    this.probeAt = now + rng.around(LOST_PROBE_MS)
    this.unburdenAt = now + rng.around(UNBURDEN_MS)
    this.rebalanceAt = now + rng.around(REBALANCE_MS, 0.5)
  }

  /** For a peer that begins settled: it is somewhere between one time and the next. */
  settle(now: Instant, rng: Rng): void {
    this.rotateAt = now + rng.unit() * ROTATE_MS
    this.probeAt = now + rng.unit() * LOST_PROBE_MS
    this.unburdenAt = now + rng.unit() * UNBURDEN_MS
    this.rebalanceAt = now + rng.unit() * REBALANCE_MS
  }

  /** When something of this is due. */
  nextAt(): Instant {
    return Math.min(this.rotateAt, this.probeAt, this.unburdenAt, this.rebalanceAt)
  }

  tend(turn: Turn): void {
    this.watchNext(turn)
    if (this.rotateAt <= turn.now) this.rotate(turn)
    if (this.probeAt <= turn.now) this.probeLost(turn)
    if (this.unburdenAt <= turn.now) this.unburden(turn)
    if (this.rebalanceAt <= turn.now) this.rebalance(turn)
  }

  /**
   * The next peer on the ring to which a wire leads is asked sooner than others whether it lives. Who lost all its links at
   * once has lost that one too: it notices in time to find others within 20 s (spec 5.8, rule 1).
   */
  private watchNext(turn: Turn): void {
    const { links, needs } = this.around
    let [next] = links.after()
    let nearest = Number.POSITIVE_INFINITY
    for (const link of links.all()) {
      const gap = clockwise(needs.position, link.position)
      if (gap >= nearest || !this.around.isDirect(link.peer)) continue
      next = link
      nearest = gap
    }
    const contact = next === undefined ? null : needs.contact(next.peer)
    if (contact !== null) needs.suspect(turn, contact, WATCHED_SILENT_MS)
  }

  private rotate(turn: Turn): void {
    const { rng, links } = this.around
    this.rotateAt = turn.now + rng.around(ROTATE_MS, 0.5)
    const near = links.near()
    const link = rng.pick(links.all().filter(item => item.role === 'random' && !near.includes(item)))
    if (link !== undefined && this.seeking.randomCandidate(turn, true) !== null) this.owner.giveUp(turn, link)
  }

  /** Links of former neighbours over circuits cost those that relay them: without need they go, one at a time. */
  private unburden(turn: Turn): void {
    const { around } = this
    const { links } = around
    this.unburdenAt = turn.now + around.rng.around(UNBURDEN_MS)
    if (!around.hasSpareLinks || around.alarm.isOn(turn.now)) return
    const near = links.near()
    const idle = links.all().filter(link => {
      const since = around.needs.contact(link.peer)?.since ?? turn.now
      if (near.includes(link) || turn.now - since < UNBURDEN_MS) return false
      return !around.isDirect(link.peer) && around.hasPath(link.peer) && !link.holdsNear(around.needs.position)
    })
    const link = around.rng.pick(idle)
    if (link !== undefined) this.owner.giveUp(turn, link)
  }

  /** Names one that carries little in place of the rendezvous that carries most: those that came first would serve all. */
  private rebalance(turn: Turn): void {
    const { around } = this
    const { rng, needs } = around
    this.rebalanceAt = turn.now + rng.around(REBALANCE_MS, 0.5)
    const present = needs.self().rendezvous
    if (!around.hidden || present.length < around.publicWanted || around.alarm.isOn(turn.now)) return
    const isNamed = (link: Link): boolean => present.some(entry => entry.peer === link.peer)
    const open = around.publicLinks()
    const named = open.filter(isNamed)
    const others = open.filter(link => !isNamed(link))
    const swap = rangeSwap(named, others) ?? this.loadSwap(named, rng.sample(others, REBALANCE_CHOICES))
    if (swap !== null) this.nameRendezvous(turn, [...named.filter(link => link !== swap.out), swap.in])
  }

  private loadSwap(named: readonly Link[], others: readonly Link[]): RendezvousSwap | null {
    const most = [...named].sort((a, b) => loadOf(b) - loadOf(a))[0]
    if (most === undefined) return null
    const least = leastLoaded(others.filter(link => mayReplace(link, most, named)))
    if (least === undefined || loadOf(most) < loadOf(least) * REBALANCE_RATIO) return null
    return { out: most, in: least }
  }

  /** A peer that was lost may be on the other side of a split: it is looked for now and then (rule 9). */
  private probeLost(turn: Turn): void {
    const { rng, needs, memory } = this.around
    this.probeAt = turn.now + rng.around(LOST_PROBE_MS)
    const lost = memory.refs().filter((_, i) => memory.reason(i) === 'lost' && !memory.isLinked(i))
    const ref = rng.pick(lost)
    if (ref === undefined || this.seeking.purposeOf(ref.peer) !== null) return
    needs.reach(turn, { kind: 'ref', ref }, (later, outcome) => {
      if (!outcome.ok) memory.failed(ref.peer, later.now)
      else this.gossip.search(later, needs.position, ref.peer)
    })
  }

  /** A way in through which many come is left as soon as others serve in its place. */
  leaveWaysIn(turn: Turn): void {
    const { around } = this
    const { links, memory } = around
    const crowded = links.all().filter(link => around.isCrowded(link))
    if (crowded.length === 0) return
    const open = around.publicLinks()
    // With few links the way in is among the nearest; who is known says whether it belongs there.
    const { position } = around.needs
    const known = [...links.all(), ...memory.refs().filter((_, i) => !memory.isLinked(i))]
    const bounds = nearBounds(position, known, NEAR_PER_SIDE)
    for (const link of crowded) {
      if (isWithin(position, bounds, link.position)) continue
      const others = around.hidden ? open.filter(other => other !== link && other.role !== 'way-in') : links.all()
      if (others.length < around.publicWanted) continue
      this.seeking.leave(turn, link.peer)
      // What it tells newcomers of this peer is to lead here without it.
      this.renewRendezvous(turn)
      this.owner.giveUp(turn, link)
    }
  }

  /** A hidden peer names public peers that it is linked to in its ref, and changes them as seldom as it can. */
  renewRendezvous(turn: Turn): void {
    const { around } = this
    const present = around.needs.self().rendezvous
    if (!around.hidden) {
      // Nothing leads outside any more: who is left in this network dials.
      if (present.length > 0) this.nameRendezvous(turn, [])
      return
    }
    const spared = this.owner.spared()
    const all = around.publicLinks()
    const others = all.filter(link => !spared.includes(link.peer))
    const usable = others.length >= around.publicWanted ? others : all
    const kept = usable.filter(link => present.some(entry => entry.peer === link.peer))
    if (kept.length === around.publicWanted) return
    const fresh = usable.filter(link => !kept.includes(link)).sort((a, b) => loadOf(a) - loadOf(b))
    // The way in is the first that every newcomer has: among three others, the least loaded serve.
    const gathering = present.length < around.publicWanted
    if (kept.length > 0 && others.length < around.publicWanted && this.seeking.isNewcomer(turn)) return
    if (gathering) fresh.push(...kept.splice(0).sort((a, b) => loadOf(a) - loadOf(b)))
    const chosen = inSeveralRanges([...kept, ...fresh], around.publicWanted)
    const same =
      chosen.length === present.length && chosen.every(link => present.some(entry => entry.peer === link.peer))
    if (same || (chosen.length < present.length && around.hungry)) return
    this.nameRendezvous(turn, chosen)
  }

  private nameRendezvous(turn: Turn, links: readonly Link[]): void {
    const rendezvous = links.map(link => ({
      peer: link.peer,
      addresses: namedAddresses(link.ref),
    }))
    this.around.needs.onRendezvous(turn, rendezvous)
  }
}
