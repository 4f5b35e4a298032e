/**
 * The overlay of one peer (spec 5): which links it keeps, how it heals, how it finds its place on the ring. Links are
 * sessions that both sides agreed to keep; near ones make routing end at the right peer, far ones make it short, random
 * ones keep the whole in one piece. Rules and figures: `overlay-prototype` of the design notes, rules 1 to 14.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { Fault, Result } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import { isPublic, type PeerRef, type Rendezvous } from '../crypto/peer-ref.ts'
import type { StoreEntry, Target } from '../input.ts'
import {
  ALARM_LOST_MIN,
  ALARM_LOST_SHARE,
  ALARM_MS,
  ALARM_WINDOW_MS,
  CANDIDATE_BACKOFF_ALARM_MS,
  FAR_SEARCH_MS,
  GOSSIP_MAX_MS,
  GOSSIP_MIN_MS,
  LINKING_ALARM_MAX,
  LINKING_MAX,
  LINKS_RESERVED,
  LOST_PROBE_MS,
  NEAR_PER_SIDE,
  NEIGHBOURS_DELAY_MS,
  PUBLIC_LINKS_MIN,
  REACH_TIMEOUT_MS,
  REFUSED_BACKOFF_MAX_MS,
  REFUSED_BACKOFF_MS,
  ROAM_MAX_MS,
  ROAM_MIN_MS,
  ROTATE_MS,
  SEARCH_MAX_MS,
  SEARCH_MIN_MS,
  SUSPECT_SILENT_MS,
  TEND_HUNGRY_MS,
  TEND_MS,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { drawFarTarget, farMismatch } from './far-link-choice.ts'
import { Link, type LinkRole, LinkTable, linkQuota } from './link-table.ts'
import { nextStep } from './next-hop.ts'
import { type LinkPurpose, type OverlayMessage, type RefEntry, readRefs, writeRefs } from './overlay-messages.ts'
import { RoutedMethod } from './overlay-port.ts'
import { type Remembered, RememberedPeers } from './remembered-peers.ts'
import { belongsNear, closestAfter, closestBefore, closestTo } from './ring-order.ts'
import { RoutedRequests } from './routed-requests.ts'
import { estimatePeers } from './size-estimate.ts'

/** What the overlay needs of the peer around it. */
export interface OverlayNeeds {
  readonly peer: PeerId
  readonly position: Position
  readonly capacity: number
  self(): PeerRef
  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean
  reach(turn: Turn, target: Target, onReached: (turn: Turn, outcome: Result<Contact>) => void): void
  contact(peer: PeerId): Contact | null
  need(turn: Turn, contact: Contact): void
  release(contact: Contact): void
  suspectSilent(turn: Turn, silentMs: number): void
  /** A session that was opened for a link that was refused. */
  closeIfUnneeded(turn: Turn, contact: Contact): void
  /** Reads and verifies a ref; null where it is not to be believed. */
  admit(turn: Turn, bytes: Uint8Array): PeerRef | null
  /** The answer of another part to a routed request that ended here. */
  answer(turn: Turn, key: Position, method: number, payload: Uint8Array): Uint8Array | null
  onNearChanged(turn: Turn): void
  /** The rendezvous of this peer's ref are these now. */
  onRendezvous(turn: Turn, rendezvous: readonly Rendezvous[]): void
}

interface WayIn {
  readonly target: Target
  tryAt: Instant
  failures: number
}

export class Overlay {
  readonly links: LinkTable
  readonly memory: RememberedPeers
  readonly requests: RoutedRequests
  private readonly needs: OverlayNeeds
  private readonly rng: Rng
  /** Peers being linked to, and when that is given up. */
  private readonly linking = new Map<PeerId, { readonly purpose: LinkPurpose; readonly until: Instant }>()
  private readonly refused = new Map<PeerId, { until: Instant; delayMs: number }>()
  private waysIn: WayIn[] = []
  private onJoined: ((turn: Turn, outcome: Result<PeerId>) => void) | null = null
  private lostAt: Instant[] = []
  private alarmUntil: Instant = 0
  private tendAt: Instant = 0
  private gossipAt: Instant = 0
  private gossipDelayMs = GOSSIP_MIN_MS
  private searchAt: Instant = 0
  private searchDelayMs = SEARCH_MIN_MS
  private farSearchAt: Instant = 0
  /** When far and random links may be asked for again: refusals slow that down, for everybody may be full (rule 3). */
  private roamAt: Instant = 0
  private roamDelayMs = ROAM_MIN_MS
  private rotateAt: Instant
  private probeAt: Instant
  private neighboursAt: Instant | null = null
  private nearKey = ''

  constructor(needs: OverlayNeeds, rng: Rng, now: Instant) {
    this.needs = needs
    this.rng = rng
    this.links = new LinkTable(needs.position, needs.capacity)
    this.memory = new RememberedPeers(rng.fork('memory'))
    this.requests = new RoutedRequests({
      send: (turn, to, message) => needs.send(turn, to, message),
      nextHopToKey: (key, method, avoid) => this.nextHopToKey(key, method, avoid),
      answer: (turn, key, method, payload) => this.answer(turn, key, method, payload),
    })
    this.rotateAt = now + rng.around(ROTATE_MS)
    this.probeAt = now + rng.around(LOST_PROBE_MS)
  }

  // ---- what others ask ----

  /** Joins through the first of these that works; they are tried again while this peer has no link. */
  join(turn: Turn, targets: readonly Target[], onJoined: (turn: Turn, outcome: Result<PeerId>) => void): void {
    this.onJoined = onJoined
    for (const target of targets) {
      this.waysIn.push({ target, tryAt: turn.now, failures: 0 })
      if (target.kind === 'ref') this.memory.learn(target.ref, 'random', turn.now)
    }
    this.tryWaysIn(turn)
  }

  /** The remembered peers of an earlier run. */
  restore(turn: Turn, entries: readonly StoreEntry[]): void {
    for (const entry of entries) {
      const ref = this.needs.admit(turn, entry.value)
      if (ref !== null) this.memory.learn(ref, 'random', turn.now - 3_600_000)
    }
    this.tendAt = turn.now
  }

  estimatedPeers(): number {
    return estimatePeers(this.needs.position, this.links.list())
  }

  near(): { readonly before: readonly PeerRef[]; readonly after: readonly PeerRef[] } {
    return { before: this.links.before().map(refOf), after: this.links.after().map(refOf) }
  }

  refOf(peer: PeerId): PeerRef | null {
    return this.links.get(peer)?.ref ?? this.memory.get(peer)?.ref ?? null
  }

  learn(turn: Turn, ref: PeerRef): void {
    this.take(turn, ref, turn.now)
  }

  /** The link towards a peer for a circuit: the peer itself, or the one that leads closest to it. */
  nextHopToPeer(target: PeerId, position: Position, avoid: readonly PeerId[]): PeerId | null {
    if (this.links.has(target) && !avoid.includes(target)) return target
    const { position: self } = this.needs
    const usable = (link: Link): boolean => link.ref.relays && !avoid.includes(link.peer) && this.hasPath(link.peer)
    const overWire = (link: Link): boolean => usable(link) && this.isDirect(link.peer)
    // Over wires alone if that leads on: a circuit over circuits is long.
    const step =
      nextStep(self, position, this.links.all(), overWire, false, true) ??
      nextStep(self, position, this.links.all(), usable, false)
    return step?.peer ?? null
  }

  isAlarmed(now: Instant): boolean {
    return now < this.alarmUntil
  }

  // ---- what happens ----

  /** A session with a peer stands: the first word is this peer's own ref. */
  onContact(turn: Turn, contact: Contact): void {
    this.needs.send(turn, contact.peer, { kind: 'hello', ref: this.needs.self().bytes })
    this.memory.succeeded(contact.peer, turn.now)
  }

  onContactLost(turn: Turn, contact: Contact, fault: Fault): void {
    this.linking.delete(contact.peer)
    this.dropLink(turn, contact.peer, fault)
  }

  /** This peer's own ref changed. */
  onSelfChanged(turn: Turn): void {
    for (const link of this.links.all()) {
      this.needs.send(turn, link.peer, { kind: 'hello', ref: this.needs.self().bytes })
    }
  }

  /** A fault is the sender's: its session is closed. */
  onMessage(turn: Turn, contact: Contact, message: OverlayMessage): Fault | null {
    const from = contact.peer
    switch (message.kind) {
      case 'hello':
        return this.onHello(turn, contact, message.ref)
      case 'link-ask':
        this.onLinkAsk(turn, contact, message.purpose)
        return null
      case 'link-answer':
        this.onLinkAnswer(turn, contact, message.accepted, message.refs)
        return null
      case 'link-drop':
        this.dropLink(turn, from, { code: 'closed', detail: 'the peer gave the link up' }, false)
        return null
      case 'neighbours': {
        const link = this.links.get(from)
        if (link !== undefined) {
          link.neighbours = message.positions
          link.directNeighbours = message.direct
        }
        return null
      }
      case 'gossip':
        this.takeRefs(turn, message.refs)
        if (message.wantsAnswer) {
          this.needs.send(turn, from, { kind: 'gossip', wantsAnswer: false, refs: this.gossipFor(turn, contact) })
        }
        return null
      case 'route':
        this.requests.onRoute(turn, from, message)
        return null
      case 'route-answer':
        this.requests.onRouteAnswer(turn, from, message)
        return null
      default:
        return { code: 'malformed', detail: message.kind }
    }
  }

  nextWake(): Instant | null {
    let wake = earlier(this.tendAt, this.requests.nextWake())
    wake = earlier(wake, this.neighboursAt)
    return wake
  }

  onWake(turn: Turn): void {
    this.requests.onWake(turn)
    if (this.neighboursAt !== null && this.neighboursAt <= turn.now) this.tellNeighbours(turn)
    if (this.tendAt <= turn.now) this.tend(turn)
  }

  // ---- tending: what a peer does about its links now and then ----

  private tend(turn: Turn): void {
    const { now } = turn
    for (const [peer, { until }] of this.linking) if (until <= now) this.linking.delete(peer)
    for (const [peer, { until, delayMs }] of this.refused) if (until + 2 * delayMs <= now) this.refused.delete(peer)
    this.tryWaysIn(turn)
    this.linkWanted(turn)
    this.shed(turn)
    if (this.links.size > 0) {
      if (this.gossipAt <= now) this.gossip(turn)
      if (this.searchAt <= now) this.searchSelf(turn)
      if (this.rotateAt <= now) this.rotate(turn)
      if (this.probeAt <= now) this.probeLost(turn)
    }
    this.renewRendezvous(turn)
    const restless = this.isAlarmed(now) || this.isHungry()
    this.tendAt = now + this.rng.around(restless ? TEND_HUNGRY_MS : TEND_MS)
  }

  /** Fewer links than a peer needs to be safe, while others are known. */
  private isHungry(): boolean {
    const wanted = Math.min((this.links.capacity * 2) / 3, 32, this.memory.size)
    return this.links.size < wanted
  }

  /** Asks for the links that are wanted most, a few at a time: near, then public, then far and random ones. */
  private linkWanted(turn: Turn): void {
    const linkingMax = this.isAlarmed(turn.now) && this.isHungry() ? LINKING_ALARM_MAX : LINKING_MAX
    const room = (): boolean => this.linking.size < linkingMax
    const hidden = !isPublic(this.needs.self())
    const publicMissing = hidden ? PUBLIC_LINKS_MIN - this.links.publicLinks().length : 0
    // A peer that cannot be dialled needs public links before it can be reached at all.
    for (let i = this.countLinking('public'); i < publicMissing && room(); i += 1) {
      if (!this.linkTo(turn, this.randomCandidate(turn, true), 'public')) break
    }
    for (const candidate of this.nearCandidates(turn)) if (room()) this.linkTo(turn, candidate, 'near')
    if (this.roamAt > turn.now || this.links.size >= this.links.capacity - LINKS_RESERVED) return
    const quota = linkQuota(this.links.capacity)
    if (this.links.count('random') + this.countLinking('random') < quota.random && room()) {
      this.linkTo(turn, this.randomCandidate(turn, hidden), 'random')
    }
    if (this.links.count('far') + this.countLinking('far') < quota.far && room()) this.linkFar(turn)
  }

  /** Untried before failed, nearest first: known peers that belong next to this one and are not linked. */
  private nearCandidates(turn: Turn): Remembered[] {
    const { position } = this.needs
    const linked = this.links.list()
    const candidates: Remembered[] = []
    for (const entry of this.memory.all()) {
      if (this.isCandidate(turn, entry) && belongsNear(position, linked, entry.position, NEAR_PER_SIDE)) {
        candidates.push(entry)
      }
    }
    const nearest = new Set([
      ...closestAfter(position, candidates, NEAR_PER_SIDE),
      ...closestBefore(position, candidates, NEAR_PER_SIDE),
    ])
    return [...nearest].sort((a, b) => a.failures - b.failures)
  }

  private randomCandidate(turn: Turn, publicOnly: boolean): Remembered | null {
    const candidates: Remembered[] = []
    for (const entry of this.memory.all()) {
      if (this.isCandidate(turn, entry) && (!publicOnly || isPublic(entry.ref))) candidates.push(entry)
    }
    const untried = candidates.filter(entry => entry.failures === 0)
    return this.rng.pick(untried.length > 0 ? untried : candidates) ?? null
  }

  /** A far link at a harmonically drawn distance: the known peer that fits best, or, if none does, a search for one. */
  private linkFar(turn: Turn): void {
    const { position } = this.needs
    const target = drawFarTarget(position, this.estimatedPeers(), this.rng)
    let best: Remembered | null = null
    let bestMismatch = Number.POSITIVE_INFINITY
    for (const entry of this.memory.all()) {
      if (!this.isCandidate(turn, entry) || !isPublic(entry.ref)) continue
      const mismatch = farMismatch(position, target, entry.position, entry.ref.capacity) + entry.failures
      if (mismatch < bestMismatch) {
        best = entry
        bestMismatch = mismatch
      }
    }
    if (best !== null && bestMismatch < 10) {
      this.linkTo(turn, best, 'far')
    } else if (this.farSearchAt <= turn.now && this.links.size > 0) {
      this.farSearchAt = turn.now + this.rng.around(FAR_SEARCH_MS)
      this.roamLater(turn)
      this.searchKey(turn, target, null)
    }
  }

  private isCandidate(turn: Turn, entry: Remembered): boolean {
    if (entry.restsUntil > turn.now || this.links.has(entry.peer) || this.linking.has(entry.peer)) return false
    const refusal = this.refused.get(entry.peer)
    return refusal === undefined || refusal.until <= turn.now
  }

  private countLinking(purpose: LinkPurpose): number {
    let count = 0
    for (const item of this.linking.values()) if (item.purpose === purpose) count += 1
    return count
  }

  private linkTo(turn: Turn, entry: Remembered | null, purpose: LinkPurpose): boolean {
    if (entry === null) return false
    this.linking.set(entry.peer, { purpose, until: turn.now + REACH_TIMEOUT_MS + 1_000 })
    this.needs.reach(turn, { kind: 'ref', ref: entry.ref }, (later, outcome) => {
      if (outcome.ok) {
        this.askForLink(later, outcome.value, purpose)
        return
      }
      this.linking.delete(entry.peer)
      const nearInAlarm = purpose === 'near' && this.isAlarmed(later.now)
      this.memory.failed(entry.peer, later.now, nearInAlarm ? CANDIDATE_BACKOFF_ALARM_MS : null)
    })
    return true
  }

  private askForLink(turn: Turn, contact: Contact, purpose: LinkPurpose): void {
    if (this.links.has(contact.peer)) {
      this.linking.delete(contact.peer)
      return
    }
    this.linking.set(contact.peer, { purpose, until: turn.now + 5_000 })
    this.needs.send(turn, contact.peer, { kind: 'link-ask', purpose })
  }

  private roamLater(turn: Turn): void {
    this.roamDelayMs = Math.min(this.roamDelayMs * 2, this.isHungry() ? SEARCH_MIN_MS : ROAM_MAX_MS)
    this.roamAt = turn.now + this.rng.around(this.roamDelayMs, 0.3)
  }

  /** Gives up links beyond the capacity. */
  private shed(turn: Turn): void {
    while (this.links.size > this.links.capacity) {
      const link = this.links.leastNeeded(this.rng, !isPublic(this.needs.self()))
      if (link === null) return
      this.giveUp(turn, link)
    }
  }

  private rotate(turn: Turn): void {
    this.rotateAt = turn.now + this.rng.around(ROTATE_MS)
    const near = this.links.near()
    const link = this.rng.pick(this.links.list().filter(item => item.role === 'random' && !near.has(item)))
    if (link !== undefined && this.randomCandidate(turn, true) !== null) this.giveUp(turn, link)
  }

  /** A peer that was lost may be on the other side of a split: it is looked for now and then. */
  private probeLost(turn: Turn): void {
    this.probeAt = turn.now + this.rng.around(LOST_PROBE_MS)
    const lost: Remembered[] = []
    for (const entry of this.memory.all()) if (entry.reason === 'lost' && !this.links.has(entry.peer)) lost.push(entry)
    const entry = this.rng.pick(lost)
    if (entry === undefined || this.linking.has(entry.peer)) return
    this.needs.reach(turn, { kind: 'ref', ref: entry.ref }, (later, outcome) => {
      if (!outcome.ok) this.memory.failed(entry.peer, later.now, null)
      else this.searchKey(later, this.needs.position, entry.peer)
    })
  }

  // ---- links ----

  private onHello(turn: Turn, contact: Contact, bytes: Uint8Array): Fault | null {
    const ref = this.needs.admit(turn, bytes)
    if (ref === null || ref.peer !== contact.peer) return { code: 'ref-forged', detail: 'hello' }
    if (contact.ref !== null && ref.sequence < contact.ref.sequence) return null
    contact.ref = ref
    this.take(turn, ref, turn.now)
    const link = this.links.get(ref.peer)
    if (link !== undefined) link.ref = ref
    return null
  }

  private onLinkAsk(turn: Turn, contact: Contact, purpose: LinkPurpose): void {
    const { ref } = contact
    if (ref === null) return
    const asked = this.linking.get(ref.peer)
    const accepted = this.links.has(ref.peer) || this.hasRoomFor(turn, ref, purpose)
    this.needs.send(turn, ref.peer, { kind: 'link-answer', accepted, refs: this.refsAround(turn, ref) })
    if (!accepted) {
      // The links that stood in the way may be dead: ask them.
      if (purpose === 'near') this.needs.suspectSilent(turn, SUSPECT_SILENT_MS)
      return
    }
    this.addLink(turn, contact, ref, asked === undefined ? 'guest' : asked.purpose)
  }

  /** Both ends judge a near link; any other is taken while there is room. */
  private hasRoomFor(turn: Turn, ref: PeerRef, purpose: LinkPurpose): boolean {
    const free = this.links.capacity - this.links.size
    const near = belongsNear(this.needs.position, this.links.all(), ref.position, NEAR_PER_SIDE)
    if (!near) return purpose === 'way-in' ? free > 0 : free > LINKS_RESERVED
    if (free > 0) return true
    const link = this.links.leastNeeded(this.rng, !isPublic(this.needs.self()))
    if (link === null) return false
    this.giveUp(turn, link)
    return true
  }

  private onLinkAnswer(turn: Turn, contact: Contact, accepted: boolean, refs: readonly RefEntry[]): void {
    const asked = this.linking.get(contact.peer)
    this.linking.delete(contact.peer)
    this.takeRefs(turn, refs)
    const ref = contact.ref ?? this.memory.get(contact.peer)?.ref ?? null
    if (accepted && asked !== undefined && ref !== null) {
      this.refused.delete(contact.peer)
      this.roamDelayMs = ROAM_MIN_MS
      this.addLink(turn, contact, ref, asked.purpose)
    } else if (asked !== undefined) {
      if (asked.purpose === 'far' || asked.purpose === 'random') this.roamLater(turn)
      const delayMs = Math.min(
        (this.refused.get(contact.peer)?.delayMs ?? REFUSED_BACKOFF_MS / 2) * 2,
        REFUSED_BACKOFF_MAX_MS,
      )
      this.refused.set(contact.peer, { until: turn.now + delayMs, delayMs })
      this.needs.closeIfUnneeded(turn, contact)
    }
    this.joinedThrough(turn, contact.peer)
    if (this.tendAt > turn.now + 20) this.tendAt = turn.now + 20
  }

  private addLink(turn: Turn, contact: Contact, ref: PeerRef, role: LinkRole): void {
    const present = this.links.get(ref.peer)
    if (present !== undefined) {
      if (present.role === 'guest') present.role = role
      return
    }
    this.linking.delete(ref.peer)
    this.links.add(new Link(ref, role, turn.now))
    this.memory.succeeded(ref.peer, turn.now)
    this.needs.need(turn, contact)
    turn.emit({ kind: 'link-up', peer: ref.peer, role, path: contact.session.path?.view() ?? { kind: 'none' } })
    this.linksChanged(turn)
    this.joinedThrough(turn, ref.peer)
    if (this.links.size === 1) this.searchKey(turn, this.needs.position, ref.peer)
    // A lone guest is a newcomer: its search for its place ends here, and its neighbours are told at once.
    this.needs.send(turn, ref.peer, this.neighbours())
  }

  private giveUp(turn: Turn, link: Link): void {
    this.needs.send(turn, link.peer, { kind: 'link-drop' })
    this.dropLink(turn, link.peer, { code: 'closed', detail: 'this peer gave the link up' }, false)
  }

  /** A link is down. Where it was `lost`, others may be too. */
  private dropLink(turn: Turn, peer: PeerId, fault: Fault, lost = true): void {
    const link = this.links.remove(peer)
    this.requests.onNeighbourLost(turn, peer)
    if (link === undefined) return
    const contact = this.needs.contact(peer)
    if (contact !== null) this.needs.release(contact)
    turn.emit({ kind: 'link-down', peer, fault })
    this.linksChanged(turn)
    if (!lost) return
    this.memory.learn(link.ref, 'lost', turn.now - 1)
    this.memory.failed(peer, turn.now, SEARCH_MIN_MS)
    this.needs.suspectSilent(turn, SUSPECT_SILENT_MS)
    this.lostAt = this.lostAt.filter(at => turn.now - at < ALARM_WINDOW_MS)
    this.lostAt.push(turn.now)
    const before = this.links.size + this.lostAt.length
    if (this.lostAt.length >= ALARM_LOST_MIN && this.lostAt.length >= before * ALARM_LOST_SHARE) {
      this.alarmUntil = turn.now + ALARM_MS
    }
    if (this.tendAt > turn.now + 20) this.tendAt = turn.now + 20
  }

  private linksChanged(turn: Turn): void {
    this.neighboursAt ??= turn.now + NEIGHBOURS_DELAY_MS
    const key = [...this.links.near()].map(link => link.peer).join()
    if (key === this.nearKey) return
    this.nearKey = key
    this.refused.clear()
    this.gossipDelayMs = GOSSIP_MIN_MS
    this.gossipAt = Math.min(this.gossipAt, turn.now + this.rng.around(GOSSIP_MIN_MS, 0.5))
    this.searchDelayMs = SEARCH_MIN_MS
    this.searchAt = Math.min(this.searchAt, turn.now + this.rng.around(SEARCH_MIN_MS, 0.3))
    this.needs.onNearChanged(turn)
  }

  private neighbours(): OverlayMessage {
    const links = this.links.list()
    const direct = links.filter(link => this.isDirect(link.peer))
    const relayed = links.filter(link => !direct.includes(link))
    const positions = Float64Array.from([...direct, ...relayed], link => link.position)
    return { kind: 'neighbours', direct: direct.length, positions }
  }

  private tellNeighbours(turn: Turn): void {
    this.neighboursAt = null
    const neighbours = this.neighbours()
    for (const link of this.links.all()) this.needs.send(turn, link.peer, neighbours)
  }

  private renewRendezvous(turn: Turn): void {
    if (isPublic(this.needs.self())) return
    const present = this.needs.self().rendezvous
    const usable = this.links.publicLinks()
    const kept = usable.filter(link => present.some(entry => entry.peer === link.peer))
    const fresh = usable.filter(link => !kept.includes(link)).sort((a, b) => a.since - b.since)
    const chosen = [...kept, ...fresh].slice(0, PUBLIC_LINKS_MIN)
    const same = chosen.length === present.length && kept.length === chosen.length
    if (same || (chosen.length < present.length && this.isHungry())) return
    this.needs.onRendezvous(
      turn,
      chosen.map(link => ({ peer: link.peer, addresses: link.ref.addresses.slice(0, 2) })),
    )
  }

  // ---- gossip and search ----

  private gossip(turn: Turn): void {
    this.gossipAt = turn.now + this.rng.around(this.isAlarmed(turn.now) ? GOSSIP_MIN_MS : this.gossipDelayMs)
    this.gossipDelayMs = Math.min(this.gossipDelayMs * 2, GOSSIP_MAX_MS)
    const near = [...this.links.near()]
    const active = this.gossipDelayMs < GOSSIP_MAX_MS || this.rng.unit() < 0.5
    const link = this.rng.pick(active && near.length > 0 ? near : this.links.list())
    const contact = link === undefined ? null : this.needs.contact(link.peer)
    if (contact === null) return
    this.needs.send(turn, contact.peer, { kind: 'gossip', wantsAnswer: true, refs: this.gossipFor(turn, contact) })
  }

  /** Self, the two closest to the partner on each side, a random one, and public ones (rule 6). */
  private gossipFor(turn: Turn, partner: Contact): RefEntry[] {
    const refs = this.refsAround(turn, partner.ref ?? this.needs.self())
    const pool = this.freshRefs(turn).filter(item => item.ref.peer !== partner.peer)
    const hidden = partner.ref !== null && !isPublic(partner.ref)
    const extra = [
      ...this.rng.sample(pool, 1),
      ...this.rng.sample(
        pool.filter(item => isPublic(item.ref)),
        hidden ? 3 : 1,
      ),
    ]
    for (const item of extra)
      if (!refs.some(entry => entry.bytes === item.ref.bytes)) refs.push(entryOf(item, turn.now))
    return refs
  }

  /** This peer, and the refs closest to another on each side of it. */
  private refsAround(turn: Turn, other: PeerRef): RefEntry[] {
    const pool = this.freshRefs(turn).filter(item => item.ref.peer !== other.peer)
    const chosen = new Set([
      ...closestAfter(other.position, pool, NEAR_PER_SIDE + 1),
      ...closestBefore(other.position, pool, NEAR_PER_SIDE + 1),
    ])
    const refs: RefEntry[] = [{ ageSeconds: 0, bytes: this.needs.self().bytes }]
    for (const item of chosen) refs.push(entryOf(item, turn.now))
    return refs
  }

  /** Links and what is remembered of which somebody had contact lately (rule 7). */
  private freshRefs(turn: Turn): FreshRef[] {
    const fresh: FreshRef[] = []
    for (const link of this.links.all()) fresh.push({ position: link.position, ref: link.ref, heardAt: turn.now })
    for (const entry of this.memory.all()) {
      if (!this.links.has(entry.peer) && entry.isFresh(turn.now) && entry.failures === 0) fresh.push(entry)
    }
    return fresh
  }

  /** Looks for those around this peer, starting from a random link: so rings converge, and merge (rule 8). */
  private searchSelf(turn: Turn): void {
    this.searchAt = turn.now + this.rng.around(this.searchDelayMs)
    this.searchDelayMs = Math.min(this.searchDelayMs * 2, SEARCH_MAX_MS)
    const link = this.rng.pick(this.links.list())
    if (link !== undefined) this.searchKey(turn, this.needs.position, link.peer)
  }

  private searchKey(turn: Turn, key: Position, via: PeerId | null): void {
    this.requests.request(
      turn,
      key,
      RoutedMethod.closest,
      new Uint8Array(0),
      (later, answer) => {
        if (!answer.ok) return
        const reader = new ByteReader(answer.value)
        const refs = readRefs(reader)
        if (reader.finished) this.takeRefs(later, refs)
        if (this.tendAt > later.now + 20) this.tendAt = later.now + 20
      },
      via,
    )
  }

  private answer(turn: Turn, key: Position, method: number, payload: Uint8Array): Uint8Array | null {
    if (method !== RoutedMethod.closest) return this.needs.answer(turn, key, method, payload)
    const pool = this.freshRefs(turn).filter(item => item.position !== key)
    const chosen = new Set([
      ...closestAfter(key, pool, NEAR_PER_SIDE + 1),
      ...closestBefore(key, pool, NEAR_PER_SIDE + 1),
      ...closestTo(key, pool, NEAR_PER_SIDE),
      ...this.rng.sample(
        pool.filter(item => isPublic(item.ref)),
        3,
      ),
    ])
    const refs: RefEntry[] = [{ ageSeconds: 0, bytes: this.needs.self().bytes }]
    for (const item of chosen) refs.push(entryOf(item, turn.now))
    return writeRefs(new ByteWriter(1024), refs.slice(0, 16)).finish()
  }

  private nextHopToKey(key: Position, method: number, avoid: readonly PeerId[]): PeerId | null {
    const usable = (link: Link): boolean => !avoid.includes(link.peer) && this.hasPath(link.peer)
    return nextStep(this.needs.position, key, this.links.all(), usable, method === RoutedMethod.closest)?.peer ?? null
  }

  private isDirect(peer: PeerId): boolean {
    return this.needs.contact(peer)?.session.path?.reliable === true
  }

  private hasPath(peer: PeerId): boolean {
    const path = this.needs.contact(peer)?.session.path
    return path !== null && path !== undefined
  }

  private takeRefs(turn: Turn, entries: readonly RefEntry[]): void {
    for (const entry of entries) {
      const ref = this.needs.admit(turn, entry.bytes)
      if (ref !== null) this.take(turn, ref, turn.now - entry.ageSeconds * 1_000)
    }
  }

  private take(turn: Turn, ref: PeerRef, heardAt: Instant): void {
    if (ref.peer === this.needs.peer) return
    const near = belongsNear(this.needs.position, this.links.all(), ref.position, NEAR_PER_SIDE)
    this.memory.learn(ref, near ? 'near' : 'random', heardAt)
    const link = this.links.get(ref.peer)
    if (link !== undefined && ref.sequence > link.ref.sequence) link.ref = ref
    if (near && link === undefined && this.tendAt > turn.now + 20) this.tendAt = turn.now + 20
  }

  // ---- ways in ----

  private tryWaysIn(turn: Turn): void {
    if (this.links.size > 0 && this.onJoined === null) return
    for (const way of this.waysIn) {
      if (way.tryAt > turn.now) continue
      way.tryAt = Number.POSITIVE_INFINITY
      this.needs.reach(turn, way.target, (later, outcome) => {
        if (outcome.ok) {
          way.failures = 0
          way.tryAt = later.now + 5_000
          if (this.links.has(outcome.value.peer)) this.joinedThrough(later, outcome.value.peer)
          else this.askForLink(later, outcome.value, 'way-in')
          return
        }
        way.failures += 1
        way.tryAt = later.now + Math.min(2_000 * 2 ** way.failures, 60_000)
        const allFailed = this.waysIn.every(item => item.failures > 0)
        if (allFailed && this.links.size === 0) this.reportJoin(later, outcome)
      })
    }
  }

  private joinedThrough(turn: Turn, peer: PeerId): void {
    this.reportJoin(turn, { ok: true, value: peer })
  }

  private reportJoin(turn: Turn, outcome: Result<unknown>): void {
    const report = this.onJoined
    this.onJoined = null
    // reason: the value is a peer id wherever the outcome is good.
    report?.(turn, outcome as Result<PeerId>)
  }
}

interface FreshRef {
  readonly position: Position
  readonly ref: PeerRef
  readonly heardAt: Instant
}

function entryOf(item: FreshRef, now: Instant): RefEntry {
  return { ageSeconds: Math.max(0, Math.round((now - item.heardAt) / 1_000)), bytes: item.ref.bytes }
}

function refOf(link: Link): PeerRef {
  return link.ref
}
