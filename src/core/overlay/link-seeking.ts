/**
 * Which links a peer asks for (spec 5.2): near ones always, then, where it cannot be dialled, public ones, then far and
 * random ones, a few at a time and more slowly the more it is refused.
 */
import type { Fault } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { type Position, ringDistance } from '../base/position.ts'
import { RareMap } from '../base/rare-map.ts'
import type { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import {
  CANDIDATE_BACKOFF_ALARM_MS,
  CANDIDATE_BACKOFF_GONE_MS,
  CANDIDATE_BACKOFF_MS,
  FAR_SEARCH_MS,
  HUB_AGAIN_MS,
  HUB_FROM_PEERS,
  HUB_TRIES,
  LINK_ASK_TIMEOUT_MS,
  LINK_HOPED_MS,
  LINKING_ALARM_MAX,
  LINKING_ALARM_SLOT_MS,
  LINKING_MAX,
  LINKS_RESERVED,
  NEAR_PER_SIDE,
  NEWCOMER_MS,
  NEWCOMER_PUBLICS,
  REACH_TIMEOUT_MS,
  REFUSED_BACKOFF_MAX_MS,
  REFUSED_BACKOFF_MS,
  ROAM_HUNGRY_MAX_MS,
  ROAM_MAX_MS,
  ROAM_MIN_MS,
  ROAM_STARVING_MAX_MS,
  TEND_MS,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { drawFarTarget, farMismatch, mayBeHub } from './far-link-choice.ts'
import { linkQuota } from './link-table.ts'
import type { LinkPurpose } from './overlay-messages.ts'
import type { Surrounds } from './overlay-needs.ts'
import { closestAfter, closestBefore, isWithin, type NearBounds, nearBounds, type Placed } from './ring-order.ts'

/** Further off its place than this no known peer is taken for a far link: one is searched for. */
export const FAR_MISMATCH_MAX = 10
/** Beyond those that are tried at once, for the nearest on each side. */
const NEAREST_EXTRA = 2
const NOBODY: readonly number[] = []

interface Linking {
  readonly purpose: LinkPurpose
  /** When it was last gone on with: reached for, or asked. */
  readonly since: Instant
  readonly until: Instant
  /** The session stands, and the answer is awaited. */
  readonly asked: boolean
  /** Until when it counts among those that are tried at once. */
  readonly slotUntil: Instant
}

export class LinkSeeking {
  private readonly around: Surrounds
  private readonly search: (turn: Turn, key: Position) => void
  /** One that was asked has refused or could not be reached: there is room for another. */
  private readonly onFailed: (turn: Turn) => void
  private readonly estimatedPeers: () => number
  /** Peers being linked to, and when that is given up. */
  private readonly linking = new RareMap<PeerId, Linking>()
  private readonly refused = new RareMap<PeerId, { until: Instant; delayMs: number }>()
  /** Ways in that this peer has left, and until when it asks them for nothing. */
  private readonly left = new RareMap<PeerId, Instant>()
  private searchAt: Instant = 0
  /** When the first link stood. */
  private firstLinkAt: Instant = 0
  /** When far and random links may be asked for again: refusals slow that down, for everybody may be full (rule 3). */
  private roamAt: Instant = 0
  private roamDelayMs = ROAM_MIN_MS
  /** When a hub may be asked for, and how many were since that was due last. */
  private hubAt: Instant = 0
  private hubTries = 0
  /** Their numbers in the memory of this version. */
  private nearKnown: readonly number[] = NOBODY
  private nearWithin: NearBounds | null = null
  private nearVersion = -1

  constructor(
    around: Surrounds,
    search: (turn: Turn, key: Position) => void,
    onFailed: (turn: Turn) => void,
    estimatedPeers: () => number,
  ) {
    this.around = around
    this.search = search
    this.onFailed = onFailed
    this.estimatedPeers = estimatedPeers
  }

  /** For which purpose this peer is being asked now. */
  purposeOf(peer: PeerId): LinkPurpose | null {
    return this.linking.get(peer)?.purpose ?? null
  }

  seek(turn: Turn): void {
    for (const [peer, { until }] of this.linking) if (until <= turn.now) this.linking.delete(peer)
    for (const [peer, { until, delayMs }] of this.refused) {
      if (until + 2 * delayMs <= turn.now) this.refused.delete(peer)
    }
    for (const [peer, until] of this.left) if (until <= turn.now) this.left.delete(peer)
    const { hidden, links } = this.around
    const linkingMax = this.linkingMax(turn)
    const room = (reserved = 0): boolean => this.countLinking(turn, null) + reserved < linkingMax
    // A peer that cannot be dialled needs public links before it can be reached at all.
    const publicMissing = hidden ? this.around.publicWanted - this.around.publicLinks().length : 0
    // Who has no link at all takes any of them for its way in: places are kept for those.
    const purpose = links.size === 0 ? 'way-in' : 'public'
    for (let i = this.countLinking(turn, purpose); i < publicMissing && room(); i += 1) {
      if (!this.linkTo(turn, this.publicCandidate(turn), purpose)) break
    }
    // Near ones that cannot be reached must not take their places.
    const reserved = Math.max(0, publicMissing - this.countLinking(turn, purpose))
    // Those that take long to reach do not hold up the nearest on either side: without that one the ring is open.
    if (room(reserved - NEAREST_EXTRA)) {
      for (const [i, candidate] of this.nearCandidates(turn).entries())
        if (room(i < 2 ? reserved - NEAREST_EXTRA : reserved)) this.linkTo(turn, candidate, 'near')
    }
    if (this.isNewcomer(turn) || this.roamAt > turn.now) return
    const lacksRandom = this.lacks(turn, 'random')
    const lacksFar = this.lacks(turn, 'far')
    if (!lacksRandom && !lacksFar) return
    let roams = lacksRandom && room() && this.linkTo(turn, this.randomCandidate(turn, hidden), 'random')
    if (lacksFar && room()) roams = this.linkFar(turn) || roams
    // Whom to ask nobody knows as yet.
    if (!roams && room()) this.roamLater(turn)
  }

  private linkingMax(turn: Turn): number {
    const { alarm, hungry } = this.around
    return alarm.isOn(turn.now) && hungry ? LINKING_ALARM_MAX : LINKING_MAX
  }

  /** Whether this peer has fewer links of the kind than it wants, those being asked for included, and place for one more. */
  private lacks(turn: Turn, kind: 'random' | 'far'): boolean {
    const { links } = this.around
    if (links.size + this.linking.size >= links.capacity - LINKS_RESERVED) return false
    return links.count(kind) + this.countLinking(turn, kind) < linkQuota(links.capacity)[kind]
  }

  /** When to seek again if nothing happens before. */
  nextAt(turn: Turn): Instant {
    const { hidden, memory } = this.around
    let at = Number.POSITIVE_INFINITY
    for (const { slotUntil, until } of this.linking.values())
      at = Math.min(at, slotUntil > turn.now ? slotUntil : until)
    if (this.countLinking(turn, null) >= this.linkingMax(turn)) return at
    if (this.lacks(turn, 'random') || this.lacks(turn, 'far')) at = Math.min(at, this.roamAt)
    for (const index of this.knownNear()) at = Math.min(at, this.candidateAt(index))
    const publicMissing = hidden ? this.around.publicWanted - this.around.publicLinks().length : 0
    if (publicMissing > this.countLinking(turn, 'public') + this.countLinking(turn, 'way-in')) {
      for (let i = 0; i < memory.size; i += 1) if (memory.isPublic(i)) at = Math.min(at, this.candidateAt(i))
      // One that others tell of meanwhile is not left to wait.
      at = Math.min(at, turn.now + TEND_MS)
    }
    return at
  }

  /** From when on one that is remembered can be tried; never while it is linked or being tried. */
  private candidateAt(index: number): Instant {
    const { memory } = this.around
    if (memory.isLinked(index)) return Number.POSITIVE_INFINITY
    const { peer } = memory.refs()[index]!
    if (this.linking.has(peer)) return Number.POSITIVE_INFINITY
    return Math.max(memory.restsUntil(index), this.refused.get(peer)?.until ?? 0, this.left.get(peer) ?? 0)
  }

  /** For a peer that begins settled: what it has not found by now it seeks slowly. */
  settle(now: Instant, rng: Rng): void {
    const { links } = this.around
    const quota = linkQuota(links.capacity)
    this.searchAt = now + rng.unit() * FAR_SEARCH_MS
    this.hubAt = now + rng.unit() * HUB_AGAIN_MS
    if (links.count('far') >= quota.far && links.count('random') >= quota.random) return
    this.roamDelayMs = ROAM_MAX_MS
    this.roamAt = now + rng.unit() * ROAM_MAX_MS
  }

  /** Asks a peer with whom a session is open. */
  ask(turn: Turn, contact: Contact, purpose: LinkPurpose): void {
    if (this.around.links.has(contact.peer)) {
      this.linking.delete(contact.peer)
      return
    }
    // A way in is sought as a public peer too.
    if (this.linking.get(contact.peer)?.asked === true) return
    const until = turn.now + LINK_ASK_TIMEOUT_MS
    this.linking.set(contact.peer, { purpose, since: turn.now, until, asked: true, slotUntil: until })
    this.around.needs.send(turn, contact.peer, { kind: 'link-ask', purpose })
  }

  onLinked(turn: Turn, peer: PeerId): void {
    if (this.around.links.size === 0) this.firstLinkAt = turn.now
    if (this.linking.delete(peer)) this.roamDelayMs = ROAM_MIN_MS
    this.refused.delete(peer)
  }

  /** By either side: it may be this one that has no place left. */
  onRefused(turn: Turn, peer: PeerId): void {
    const purpose = this.purposeOf(peer)
    this.linking.delete(peer)
    if (purpose === 'far' || purpose === 'random') this.roamLater(turn)
    const delayMs = Math.min((this.refused.get(peer)?.delayMs ?? REFUSED_BACKOFF_MS / 2) * 2, REFUSED_BACKOFF_MAX_MS)
    this.refused.set(peer, { until: turn.now + delayMs, delayMs })
    this.onFailed(turn)
  }

  /** What this peer gave up is not asked for again soon. */
  leave(turn: Turn, peer: PeerId): void {
    this.left.set(peer, turn.now + REFUSED_BACKOFF_MAX_MS)
  }

  /** Whom it has left lately. */
  leftNow(): Iterable<PeerId> {
    return this.left.keys()
  }

  onContactLost(peer: PeerId): void {
    this.linking.delete(peer)
  }

  /** What was asked before this machine slept, and how it was answered, counts no more. */
  onReturn(): void {
    this.linking.clear()
    this.refused.clear()
    this.left.clear()
    this.roamAt = 0
    this.roamDelayMs = ROAM_MIN_MS
  }

  /** Who refused this peer as a neighbour may see it otherwise now. */
  onNearChanged(): void {
    this.refused.clear()
  }

  /** A known peer with which a random link would be as good as with any other; `publicFirst`: any other only if there is none. */
  randomCandidate(turn: Turn, publicFirst: boolean): PeerRef | null {
    if (!publicFirst) return this.anyOf(turn, () => true)
    // In a large private network few lead outside, and the others can be dialled from within.
    return this.publicCandidate(turn) ?? this.anyOf(turn, (_, ref) => ref.addresses.length > 0)
  }

  private publicCandidate(turn: Turn): PeerRef | null {
    return this.anyOf(turn, index => this.around.memory.isPublic(index))
  }

  /** By chance one of those that promise most. */
  private anyOf(turn: Turn, mayBe: (index: number, ref: PeerRef) => boolean): PeerRef | null {
    const { memory, rng } = this.around
    const refs = memory.refs()
    const candidates: number[] = []
    for (let i = 0; i < refs.length; i += 1) {
      if (mayBe(i, refs[i]!) && this.isCandidate(turn, i)) candidates.push(i)
    }
    const best = this.byPromise(candidates)[0] ?? NOBODY
    // While nothing leads outside, those first that may: they tell whether anything does.
    const outside = memory.countsGlobalOnly ? NOBODY : best.filter(index => refs[index]!.isGlobal)
    const index = rng.pick(outside.length > 0 ? outside : best)
    return index === undefined ? null : refs[index]!
  }

  /** Those remembered that belong next to this peer: found anew only when links or memory have changed. */
  private knownNear(): readonly number[] {
    const { links, memory } = this.around
    const bounds = links.nearBounds()
    if (bounds !== this.nearWithin || memory.version !== this.nearVersion) {
      this.nearWithin = bounds
      this.nearVersion = memory.version
      const near: number[] = []
      for (let i = 0; i < memory.size; i += 1) if (links.belongsNear(memory.positionOf(i))) near.push(i)
      this.nearKnown = near
    }
    return this.nearKnown
  }

  /**
   * Known peers that belong next to this one and are not linked: the nearest of those that promise most, one side and the
   * other in turns, then those of the others. After a mass failure the dead are the nearest for long: they must not hide who is there.
   */
  private nearCandidates(turn: Turn): readonly PeerRef[] {
    const { needs, memory } = this.around
    const { position } = needs
    const early = this.isNewcomer(turn)
    const nearest: PeerRef[] = []
    const bounds = this.hopedBounds(turn)
    const candidates = this.knownNear().filter(
      index =>
        isWithin(position, bounds, memory.positionOf(index)) &&
        this.isCandidate(turn, index) &&
        !((early || this.cameLately(turn, index)) && this.needsRelay(turn, index)),
    )
    if (candidates.length === 0) return nearest
    const refs = memory.refs()
    for (const indices of this.byPromise(candidates)) {
      const alike = indices.map(index => refs[index]!)
      const after = closestAfter(position, alike, NEAR_PER_SIDE)
      const before = closestBefore(position, alike, NEAR_PER_SIDE)
      const inTurns = Array.from({ length: NEAR_PER_SIDE }, (_, i) => [after[i], before[i]]).flat()
      nearest.push(...new Set(inTurns.filter(ref => ref !== undefined)))
    }
    return nearest
  }

  /**
   * How near a peer must stand to be asked for a near link now. Who is being asked most likely will be one: others behind it
   * would only have to refuse. In an alarm most who are tried are dead.
   */
  private hopedBounds(turn: Turn): NearBounds {
    const { links, memory, alarm, needs } = this.around
    if (alarm.isOn(turn.now)) return links.nearBounds()
    const hoped: Placed[] = [...links.all()]
    for (const [peer, { since }] of this.linking) {
      const ref = turn.now - since < LINK_HOPED_MS ? memory.refOf(peer) : undefined
      if (ref !== undefined) hoped.push(ref)
    }
    return nearBounds(needs.position, hoped, NEAR_PER_SIDE)
  }

  /** A far link at a harmonically drawn distance: the known peer that fits best, or, if none does, a search for one: false. */
  private linkFar(turn: Turn): boolean {
    const { rng, memory, needs, links } = this.around
    const wantsHub = this.hubAt <= turn.now && this.estimatedPeers() >= HUB_FROM_PEERS
    const hub = wantsHub ? this.hubCandidate(turn) : null
    if (hub !== null) {
      // The nearest may be full, and the next one too: who asks on and on keeps them busy.
      this.hubTries = (this.hubTries + 1) % HUB_TRIES
      if (this.hubTries === 0) this.hubAt = turn.now + rng.around(HUB_AGAIN_MS)
      return this.linkTo(turn, hub, 'far')
    }
    const target = drawFarTarget(needs.position, this.estimatedPeers(), rng)
    const best =
      this.fittest(turn, target, index => memory.isPublic(index)) ??
      this.fittest(turn, target, (_, ref) => ref.addresses.length > 0)
    if (best !== null) return this.linkTo(turn, best, 'far')
    if (this.searchAt <= turn.now && links.size > 0) {
      this.searchAt = turn.now + rng.around(FAR_SEARCH_MS)
      this.search(turn, target)
    }
    return false
  }

  /** Of the known peers that may be taken for a far link the one that fits the drawn distance best. */
  private fittest(turn: Turn, target: Position, mayBe: (index: number, ref: PeerRef) => boolean): PeerRef | null {
    const { memory, needs } = this.around
    let best: PeerRef | null = null
    let bestMismatch = FAR_MISMATCH_MAX
    const refs = memory.refs()
    for (let i = 0; i < refs.length; i += 1) {
      const ref = refs[i]!
      if (!mayBe(i, ref) || !this.isCandidate(turn, i)) continue
      const mismatch = farMismatch(needs.position, target, ref.position, ref.capacity) + memory.failures(i)
      if (mismatch < bestMismatch) {
        best = ref
        bestMismatch = mismatch
      }
    }
    return best
  }

  /**
   * The nearest large public peer that is known, unless one that is linked stands nearer. Whoever searches for this peer
   * from afar goes by such peers, and so comes upon it without the last steps from neighbour to neighbour.
   */
  hubCandidate(turn: Turn): PeerRef | null {
    const { memory, needs, links } = this.around
    let nearest = Number.POSITIVE_INFINITY
    for (const { ref, position } of links.all()) {
      if (this.around.isPublic(ref) && mayBeHub(ref.capacity))
        nearest = Math.min(nearest, ringDistance(position, needs.position))
    }
    let hub: PeerRef | null = null
    for (const [i, ref] of memory.refs().entries()) {
      if (!memory.isPublic(i) || !mayBeHub(ref.capacity)) continue
      const distance = ringDistance(memory.positionOf(i), needs.position)
      if (distance >= nearest || !this.isCandidate(turn, i)) continue
      hub = ref
      nearest = distance
    }
    return hub
  }

  private linkTo(turn: Turn, ref: PeerRef | null, purpose: LinkPurpose): boolean {
    if (ref === null) return false
    const { needs, memory, alarm } = this.around
    const until = turn.now + REACH_TIMEOUT_MS + LINK_ASK_TIMEOUT_MS
    const slotUntil = alarm.isOn(turn.now) ? turn.now + LINKING_ALARM_SLOT_MS : until
    this.linking.set(ref.peer, { purpose, since: turn.now, until, asked: false, slotUntil })
    needs.reach(turn, { kind: 'ref', ref }, (later, outcome) => {
      if (outcome.ok) {
        this.ask(later, outcome.value, purpose)
        return
      }
      this.linking.delete(ref.peer)
      memory.failed(ref.peer, later.now, this.restAfter(later, ref.peer, purpose, outcome.fault))
      this.onFailed(later)
    })
    return true
  }

  /**
   * How long one that could not be reached rests. In an alarm a near one that somebody has heard of since then lives, and the
   * way to it heals; one of which nobody has, and whom those do not know who should, is most likely gone: word of it would
   * come by gossip.
   */
  private restAfter(turn: Turn, peer: PeerId, purpose: LinkPurpose, fault: Fault): number {
    const { alarm, memory } = this.around
    const index = memory.indexOf(peer)
    if (!alarm.isOn(turn.now) || index < 0) return CANDIDATE_BACKOFF_MS
    if (memory.heardAt(index) >= alarm.startedAt)
      return purpose === 'near' ? CANDIDATE_BACKOFF_ALARM_MS : CANDIDATE_BACKOFF_MS
    return fault.detail === 'unknown' ? CANDIDATE_BACKOFF_GONE_MS : CANDIDATE_BACKOFF_MS
  }

  /** This peer has only its way in as yet. */
  isNewcomer(turn: Turn): boolean {
    return (
      turn.now - this.firstLinkAt < NEWCOMER_MS &&
      this.around.publicLinks().filter(link => link.role !== 'way-in').length < NEWCOMER_PUBLICS
    )
  }

  /** Neither can dial the other. In an alarm nobody waits. */
  private needsRelay(turn: Turn, index: number): boolean {
    const { hidden, alarm, memory } = this.around
    return hidden && !memory.isPublic(index) && !alarm.isOn(turn.now)
  }

  /** Another that has only its way in as yet: it will ask by itself. */
  private cameLately(turn: Turn, index: number): boolean {
    const { memory } = this.around
    return memory.refs()[index]!.rendezvous.length < 2 && turn.now - memory.heardAt(index) < NEWCOMER_MS
  }

  private roamLater(turn: Turn): void {
    const { rng, hungry } = this.around
    const hungryMs = this.around.isStarving(turn.now) ? ROAM_STARVING_MAX_MS : ROAM_HUNGRY_MAX_MS
    this.roamDelayMs = Math.min(this.roamDelayMs * 2, hungry ? hungryMs : ROAM_MAX_MS)
    this.roamAt = turn.now + rng.around(this.roamDelayMs, 0.3)
  }

  private isCandidate(turn: Turn, index: number): boolean {
    const { memory } = this.around
    if (memory.isLinked(index) || memory.isResting(index, turn.now)) return false
    const { peer } = memory.refs()[index]!
    if (this.linking.has(peer)) return false
    if (this.left.has(peer) && !this.around.alarm.isOn(turn.now)) return false
    const refusal = this.refused.get(peer)
    return refusal === undefined || refusal.until <= turn.now
  }

  /** Whom it makes most sense to try first: who was heard of since the alarm began, who was not tried, the others. */
  private byPromise(candidates: readonly number[]): number[][] {
    const { alarm, memory } = this.around
    const heard: number[] = []
    const untried: number[] = []
    const failed: number[] = []
    for (const index of candidates) {
      if (memory.hasFailed(index)) failed.push(index)
      else if (memory.heardAt(index) >= alarm.startedAt) heard.push(index)
      else untried.push(index)
    }
    return [heard, untried, failed].filter(indices => indices.length > 0)
  }

  /** For one purpose, or for all. */
  private countLinking(turn: Turn, purpose: LinkPurpose | null): number {
    let count = 0
    for (const item of this.linking.values()) {
      if (item.slotUntil > turn.now && (purpose === null || item.purpose === purpose)) count += 1
    }
    return count
  }
}
