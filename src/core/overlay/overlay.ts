/**
 * The overlay of one peer (spec 5): which links it keeps, how it heals, how it finds its place on the ring. Links are
 * sessions that both sides agreed to keep; near ones make routing end at the right peer, far ones make it short, random
 * ones keep the whole in one piece. "Rule n" in this folder counts the rules of spec 5.8.
 */
import type { Address } from '../base/address.ts'
import { ExpiringSet } from '../base/expiring-set.ts'
import type { Fault } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import { PEER_ID_BYTES, type PeerId, peerIdOfBytes } from '../base/peer-id.ts'
import { type Position, ringDistance } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import { areGlobal, type PeerRef } from '../crypto/peer-ref.ts'
import type { StoreEntry, Target } from '../input.ts'
import {
  FORGER_REST_MS,
  FORGERS_MAX,
  FRESH_MS,
  HELPERS_LOOKED_AT,
  HELPERS_MAX,
  LINKS_RESERVED,
  NEAR_PER_SIDE,
  NEIGHBOURS_CALM_MS,
  NEIGHBOURS_DELAY_MS,
  NEIGHBOURS_MANY,
  NEIGHBOURS_PAUSE_MS,
  SEARCH_MIN_MS,
  SUSPECT_SILENT_MS,
  TEND_HUNGRY_MAX_MS,
  TEND_HUNGRY_MS,
  TEND_MS,
  TEND_REST_STEPS,
  TEND_SOON_MS,
  WAY_IN_TOLD_LINKS,
  WAYS_IN_TOLD_MAX,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { Gossip } from './gossip.ts'
import { LinkCare, type LinkCareOwner } from './link-care.ts'
import { LinkSeeking } from './link-seeking.ts'
import { Link, type LinkRole, type LinkTable } from './link-table.ts'
import { allNeighbours, inOrder, type NeighbourView, nearestOf, neighbourNews } from './neighbour-news.ts'
import { nextStep } from './next-hop.ts'
import type { LinkPurpose, OverlayMessage, RefEntry } from './overlay-messages.ts'
import { type OverlayNeeds, Surrounds } from './overlay-needs.ts'
import { RoutedMethod } from './overlay-port.ts'
import { PeerSearch } from './peer-search.ts'
import { readRefName } from './ref-names.ts'
import type { RememberedPeers } from './remembered-peers.ts'
import { loadOf } from './rendezvous-choice.ts'
import { RoutedRequests } from './routed-requests.ts'
import type { SettledState } from './settled-state.ts'
import { middleEstimate } from './size-estimate.ts'
import { type OnJoined, WaysIn } from './ways-in.ts'

export class Overlay implements LinkCareOwner {
  readonly requests: RoutedRequests
  readonly peerSearch: PeerSearch
  private readonly around: Surrounds
  private readonly seeking: LinkSeeking
  private readonly gossip: Gossip
  private readonly care: LinkCare
  private readonly waysIn = new WaysIn()
  /** Who told forged refs lately. */
  private readonly forgers = new ExpiringSet<PeerId>({ sizeMax: FORGERS_MAX, lapseMs: FORGER_REST_MS })
  private tendAt: Instant = 0
  private neighboursAt: Instant | null = null
  private neighboursToldAt: Instant = Number.NEGATIVE_INFINITY
  /** When something was last told of or looked at here. */
  private now: Instant
  /** The near links, to see when they change. */
  private nearest: readonly Link[] = []
  /** It has looked for those around itself since its first link stood. */
  private isSought = false

  constructor(needs: OverlayNeeds, rng: Rng, now: Instant) {
    this.around = new Surrounds(needs, rng)
    this.requests = new RoutedRequests({
      send: (turn, to, message) => needs.send(turn, to, message),
      nextHopToKey: (key, method, avoid) => this.nextHopToKey(key, method, avoid),
      linkCloserThan: (peer, key, method, avoid) => this.linkCloserThan(peer, key, method, avoid),
      isCloser: (neighbour, key, method) => this.isCloser(neighbour, key, method),
      answer: (turn, key, method, payload) => this.answer(turn, key, method, payload),
    })
    this.peerSearch = new PeerSearch(needs, this.requests)
    this.gossip = new Gossip(this.around, this.requests, (turn, ref, heardAt) => this.take(turn, ref, heardAt))
    this.seeking = new LinkSeeking(
      this.around,
      (turn, key) => this.gossip.search(turn, key, null, true),
      turn => this.tendBy(turn.now + TEND_HUNGRY_MS),
      () => this.estimatedPeers(),
    )
    this.now = now
    this.care = new LinkCare(this.around, this.seeking, this.gossip, this, now)
  }

  get links(): LinkTable {
    return this.around.links
  }

  get memory(): RememberedPeers {
    return this.around.memory
  }

  // ---- what others ask ----

  /** Joins through the first of these that works; they are tried again while this peer has no link. */
  join(turn: Turn, targets: readonly Target[], onJoined: OnJoined): void {
    for (const target of targets) if (target.kind === 'ref') this.memory.learn(target.ref, 'random', turn.now)
    this.waysIn.add(turn, targets, onJoined)
    this.tryWaysIn(turn)
  }

  /** The remembered peers of an earlier run: nobody has heard of them lately. */
  restore(turn: Turn, entries: readonly StoreEntry[]): void {
    for (const entry of entries) {
      const ref = this.around.needs.admit(turn, entry.value)
      if (ref !== null) this.memory.learn(ref, 'random', turn.now - FRESH_MS)
    }
    this.tendAt = turn.now
  }

  /** For a peer that begins settled; its sessions stand already. */
  settle({ links, remembered }: SettledState, rng: Rng): void {
    for (const { ref, reason, heardAt } of remembered) this.memory.learn(ref, reason, heardAt)
    for (const settled of links) {
      if (settled.role === null) continue
      const link = new Link(settled.ref, settled.role)
      link.tell(settled.neighbours, settled.directNeighbours, settled.relayed, this.around.needs.views)
      link.estimate = settled.estimate
      link.estimatedAt = settled.estimatedAt
      this.links.add(link)
      this.memory.setLinked(link.peer, true)
    }
    this.around.lookOutside(this.now)
    const told = this.neighbours()
    for (const link of this.links.all()) link.told = told
    this.nearest = this.links.near()
    this.gossip.settle(this.now, rng)
    this.seeking.settle(this.now, rng)
    this.tendAt = this.now + rng.unit() * TEND_MS
    this.care.settle(this.now, rng)
  }

  /** Others come to this peer by its rendezvous. */
  get isHidden(): boolean {
    return this.around.hidden
  }

  /** Whether a peer with these addresses can be dialled by those who are to. */
  wouldBeHidden(addresses: readonly Address[]): boolean {
    return this.memory.countsGlobalOnly ? !areGlobal(addresses) : addresses.length === 0
  }

  estimatedPeers(): number {
    const own = this.around.ownEstimate(this.now)
    if (this.links.size < 4) return own
    const told: number[] = []
    for (const link of this.links.all()) if (link.tellsSize(this.now, own)) told.push(link.estimate)
    return Math.max(middleEstimate(own, told), this.links.size + 1)
  }

  near(): { readonly before: readonly PeerRef[]; readonly after: readonly PeerRef[] } {
    return { before: this.links.before().map(refOf), after: this.links.after().map(refOf) }
  }

  refOf(peer: PeerId): PeerRef | null {
    return this.links.get(peer)?.ref ?? this.memory.refOf(peer) ?? null
  }

  learn(turn: Turn, ref: PeerRef): void {
    this.take(turn, ref, turn.now)
  }

  /** The link towards a peer for a circuit: the peer itself, or the one that leads closest to it. */
  nextHopToPeer(target: PeerId, position: Position, avoid: readonly PeerId[], from: PeerId | null): PeerId | null {
    const { around, links } = this
    if ((links.has(target) || around.isDirect(target)) && !avoid.includes(target)) return target
    const self = around.needs.position
    // Every second hop at least is closer than all before it, as with routed requests: what neighbours say may be old.
    const fromPosition = from === null ? undefined : this.refOf(from)?.position
    const fromDistance = fromPosition === undefined ? Number.POSITIVE_INFINITY : ringDistance(fromPosition, position)
    const isDetour = fromDistance < ringDistance(self, position)
    const usable = (link: Link): boolean => {
      if (isDetour && ringDistance(link.position, position) >= fromDistance) return false
      return link.ref.relays && !avoid.includes(link.peer) && around.hasPath(link.peer)
    }
    const overWire = (link: Link): boolean => usable(link) && around.isDirect(link.peer)
    const delays = around.delays()
    // Over wires alone if that leads on: a circuit over circuits is long.
    const spared = this.spared()
    const overSome = (link: Link): boolean => overWire(link) && !spared.includes(link.peer)
    const overPublic = (link: Link): boolean => overSome(link) && around.isPublic(link.ref)
    const all = links.all()
    const best = nextStep(self, position, all, { usable: overSome, directOnly: true, delays })
    // Who cannot be dialled carries circuits only where no public peer leads as far.
    if (best !== null && !around.isPublic(best.ref)) {
      const open = nextStep(self, position, all, { usable: overPublic, directOnly: true, delays })
      if (open !== null && (!leadsTo(best, position) || leadsTo(open, position))) return open.peer
    }
    if (best !== null) return best.peer
    // Each step looks at every link and all that it told: mostly nobody else leads on either.
    const any = nextStep(self, position, all, { usable, delays })
    if (any === null || spared.length === 0) return any?.peer ?? null
    return (nextStep(self, position, all, { usable: overWire, directOnly: true, delays }) ?? any).peer
  }

  /** Ways in through which many come, and those that this peer has left: others carry its circuits as long as any can. */
  spared(): readonly PeerId[] {
    const { alarm } = this.around
    if (alarm.isOn(this.now)) return []
    const spared = [...this.seeking.leftNow()]
    for (const link of this.links.all()) if (this.around.isCrowded(link)) spared.push(link.peer)
    return spared
  }

  /**
   * Where a few public peers serve STUN, by IPv4 and by IPv6, each on another host: links first, then others that were heard of.
   * Of each family one place of a peer: what many places say is believed because they are of many.
   */
  helpers(): readonly Address[] {
    const { links, memory } = this
    const remembered = memory.refs().filter((_, i) => memory.isPublic(i) && !memory.isLinked(i) && !memory.hasFailed(i))
    const helpers = new Map<string, Address>()
    for (const refs of [this.around.publicLinks().map(refOf), remembered, links.all().map(refOf)]) {
      for (const { addresses } of this.around.rng.sample(refs, HELPERS_LOOKED_AT)) {
        const served = addresses.filter(({ scheme }) => scheme === 'udp')
        for (const isWanted of [isIpv6, (host: string) => !isIpv6(host)]) {
          const helper = served.find(({ host }) => isWanted(host))
          const isEnough = [...helpers.keys()].filter(isWanted).length >= HELPERS_MAX
          if (helper !== undefined && !isEnough && !helpers.has(helper.host)) helpers.set(helper.host, helper)
        }
      }
    }
    return [...helpers.values()]
  }

  /** Other ways into the mesh: those linked here that accept dials. */
  otherWaysIn(): readonly PeerRef[] {
    return this.around.publicLinks().slice(0, WAYS_IN_TOLD_MAX).map(refOf)
  }

  /** How much of what it can carry a link carries, as it told; of others nothing is known. */
  loadOf(peer: PeerId): number {
    const link = this.links.get(peer)
    return link === undefined ? 1 : loadOf(link)
  }

  /** Whether no link that relays stands closer to a position than this peer. */
  standsClosest(position: Position): boolean {
    const own = ringDistance(this.around.needs.position, position)
    return !this.links.all().some(({ ref }) => ref.relays && ringDistance(ref.position, position) < own)
  }

  // ---- what happens ----

  /** A session with a peer stands: the first word is this peer's own ref. */
  onContact(turn: Turn, contact: Contact): void {
    this.sendHello(turn, contact.peer)
    this.around.noticeOutside(turn.now, contact)
    if (!this.forgers.has(contact.peer, turn.now)) this.memory.succeeded(contact.peer, turn.now)
  }

  /** The session with a peer is over, or has no path: it is no link any more. */
  onContactLost(turn: Turn, contact: Contact, fault: Fault): void {
    this.seeking.onContactLost(contact.peer)
    this.dropLink(turn, contact.peer, fault, true, contact)
  }

  /**
   * This machine was away, and all its sessions are over: failures and refusals of before say nothing any more, and the
   * rendezvous in its ref do not know it.
   */
  onReturn(turn: Turn): void {
    for (const link of this.links.all()) this.dropLink(turn, link.peer, { code: 'session-lost' }, true)
    this.memory.forgiveAll()
    this.seeking.onReturn()
    this.waysIn.onReturn(turn)
    if (this.around.needs.self().rendezvous.length > 0) this.around.needs.onRendezvous(turn, [])
    this.tendAt = turn.now
  }

  /** This peer's own ref changed. */
  onSelfChanged(turn: Turn): void {
    for (const link of this.links.all()) this.sendHello(turn, link.peer)
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
        if (this.isForger(turn, from, message.refs)) return { code: 'ref-forged', detail: 'told' }
        this.onLinkAnswer(turn, contact, message.accepted, message.refs)
        return null
      case 'link-drop':
        this.dropLink(turn, from, { code: 'closed', detail: 'the peer gave the link up' }, false)
        return null
      case 'neighbours':
        this.links.get(from)?.tell(message.positions, message.direct, message.relayed, this.around.needs.views)
        this.checkLinked(turn, contact)
        return null
      case 'gossip':
        if (this.isForger(turn, from, message.refs)) return { code: 'ref-forged', detail: 'told' }
        this.hearEstimate(turn, from, message.estimate)
        this.gossip.take(turn, message.refs, from)
        if (!message.wantsAnswer) return null
        this.checkLinked(turn, contact)
        this.gossip.answer(turn, contact)
        return null
      case 'neighbours-changed':
        this.links.get(from)?.tellChanges(message.changes, message.relayed, this.around.needs.views)
        this.checkLinked(turn, contact)
        return null
      case 'ref-ask':
        this.gossip.answerAsk(turn, from, message.positions)
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
    const wake = earlier(this.requests.nextWake(), this.peerSearch.nextWake())
    return earlier(earlier(this.tendAt, this.neighboursAt), wake)
  }

  onWake(turn: Turn): void {
    this.requests.onWake(turn)
    this.peerSearch.onWake(turn)
    if (this.neighboursAt !== null && this.neighboursAt <= turn.now) this.tellNeighbours(turn)
    if (this.tendAt <= turn.now) this.tend(turn)
  }

  /** What a peer does about its links now and then. */
  private tend(turn: Turn): void {
    const { alarm, rng } = this.around
    this.now = turn.now
    this.around.lookOutside(turn.now)
    this.tryWaysIn(turn)
    this.seeking.seek(turn)
    if (this.links.size > 0) {
      this.gossip.tend(turn)
      this.care.tend(turn)
    }
    this.care.leaveWaysIn(turn)
    this.care.renewRendezvous(turn)
    const restless = this.around.hungry || alarm.isOn(turn.now)
    const delayMs = rng.around(restless ? TEND_HUNGRY_MS : TEND_MS)
    this.tendAt = Math.max(
      turn.now + delayMs,
      this.tendsAgainAt(turn, restless ? TEND_HUNGRY_MAX_MS : TEND_REST_STEPS * delayMs),
    )
  }

  /** When there is something to do if nothing happens before: most peers are at rest most of the time. */
  private tendsAgainAt(turn: Turn, restMs: number): Instant {
    if (this.links.size === 0 || this.waysIn.awaited) return turn.now
    const dueAt = Math.min(this.gossip.nextAt(), this.care.nextAt(), this.seeking.nextAt(turn))
    return Math.min(dueAt, turn.now + restMs)
  }

  private tendSoon(turn: Turn): void {
    this.tendBy(turn.now + TEND_SOON_MS)
  }

  private tendBy(at: Instant): void {
    this.tendAt = Math.min(this.tendAt, at)
  }

  private tryWaysIn(turn: Turn): void {
    if (this.links.size > 0 && !this.waysIn.awaited) return
    const { needs } = this.around
    this.waysIn.try(
      turn,
      (now, target, onReached) => needs.reach(now, target, onReached),
      (later, contact) => {
        if (this.links.has(contact.peer)) this.waysIn.report(later, { ok: true, value: contact.peer })
        else this.seeking.ask(later, contact, 'way-in')
      },
    )
  }

  // ---- links ----

  private sendHello(turn: Turn, to: PeerId): void {
    const { needs } = this.around
    needs.send(turn, to, { kind: 'hello', ref: needs.self().bytes })
  }

  /** Honest peers check before they pass on: who tells a forged ref is no link for a while. */
  private isForger(turn: Turn, from: PeerId, refs: readonly RefEntry[]): boolean {
    const { needs } = this.around
    if (!refs.some(({ bytes }) => readRefName(bytes) === null && needs.isForged(turn, bytes))) return false
    this.forgers.add(from, turn.now)
    this.dropLink(turn, from, { code: 'ref-forged' }, false)
    this.memory.failed(from, turn.now, FORGER_REST_MS)
    return true
  }

  private hearEstimate(turn: Turn, from: PeerId, estimate: number): void {
    const link = this.links.get(from)
    if (link === undefined) return
    link.hearEstimate(turn.now, estimate, this.around.ownEstimate(turn.now))
    this.now = turn.now
  }

  private onHello(turn: Turn, contact: Contact, bytes: Uint8Array): Fault | null {
    const ref = this.around.needs.admit(turn, bytes)
    if (ref === null || ref.peer !== contact.peer) return { code: 'ref-forged', detail: 'hello' }
    if (contact.ref !== null && ref.sequence < contact.ref.sequence) return null
    contact.ref = ref
    this.around.noticeOutside(turn.now, contact)
    this.take(turn, ref, turn.now)
    return null
  }

  private onLinkAsk(turn: Turn, contact: Contact, purpose: LinkPurpose): void {
    const { ref } = contact
    // Hello comes first: without it nobody knows who asks.
    if (ref === null) return
    const { needs } = this.around
    if (this.forgers.has(ref.peer, turn.now)) {
      needs.send(turn, ref.peer, { kind: 'link-answer', accepted: false, refs: [] })
      return
    }
    const accepted =
      this.links.has(ref.peer) || this.makeRoom(turn, ref, purpose === 'way-in' ? 0 : LINKS_RESERVED, false)
    const refs = purpose === 'way-in' ? this.gossip.refsForNewcomer(turn, ref) : this.gossip.refsAround(turn, ref)
    needs.send(turn, ref.peer, { kind: 'link-answer', accepted, refs })
    if (accepted && purpose === 'way-in') this.gossip.introduce(turn, ref)
    const tells = purpose === 'way-in' ? WAY_IN_TOLD_LINKS : undefined
    if (accepted) this.addLink(turn, contact, ref, this.seeking.purposeOf(ref.peer) ?? 'guest', 0, tells)
    // The links that stood in the way may be dead: ask them (rule 4).
    else if (purpose === 'near') needs.suspectSilent(turn, SUSPECT_SILENT_MS)
  }

  /**
   * Whether there is a place for a link. Both ends judge a near one, and a link that is needed less makes room for it, or
   * for any that is `pressing`; others are taken while more than `reserved` places are free.
   */
  private makeRoom(turn: Turn, ref: PeerRef, reserved: number, pressing: boolean): boolean {
    const free = this.links.capacity - this.links.size
    const near = this.links.belongsNear(ref.position)
    if (free > (near || pressing ? 0 : reserved)) return true
    if (!near && !pressing) return false
    const link = this.leastNeeded(ref, near)
    if (link === null) return false
    this.giveUp(turn, link)
    return true
  }

  /** The last public links stay, as long as anything else can go. */
  private leastNeeded(comer: PeerRef, near: boolean): Link | null {
    const { around, links } = this
    const open = around.hidden ? around.publicLinks() : []
    const last = open.length <= around.publicWanted ? open : []
    const link = links.leastNeeded(around.rng, last, comer.position)
    return link === null && near ? links.leastNeeded(around.rng, [], comer.position) : link
  }

  private onLinkAnswer(turn: Turn, contact: Contact, accepted: boolean, refs: readonly RefEntry[]): void {
    const { needs } = this.around
    const purpose = this.seeking.purposeOf(contact.peer)
    const asked = this.gossip.take(turn, refs, contact.peer)
    const ref = contact.ref ?? this.refOf(contact.peer)
    if (accepted && !this.links.has(contact.peer)) {
      // Others may have taken the last place since it was asked for, or it is wanted no more.
      const wanted = purpose !== null && ref !== null && this.makeRoom(turn, ref, 0, purpose === 'public')
      if (wanted) this.addLink(turn, contact, ref, purpose, refs.length)
      else this.decline(turn, contact)
    } else if (accepted) {
      this.seeking.onLinked(turn, contact.peer)
    } else if (purpose !== null) {
      this.seeking.onRefused(turn, contact.peer)
      // What was asked for is still to come.
      if (!asked) needs.closeIfUnneeded(turn, contact)
    }
    this.waysIn.report(turn, { ok: true, value: contact.peer })
  }

  /** `heard`: of so many peers with the link; `tells`: of so many of its own links at first. */
  private addLink(
    turn: Turn,
    contact: Contact,
    ref: PeerRef,
    role: LinkRole,
    heard = 0,
    tells = Number.POSITIVE_INFINITY,
  ): void {
    const { needs } = this.around
    this.seeking.onLinked(turn, ref.peer)
    const present = this.links.get(ref.peer)
    if (present !== undefined) {
      if (present.role === 'guest') present.role = role
      // It asked again: it has lost the link in between, and what it was told.
      this.tellAllNeighbours(turn, present, this.neighbours())
      return
    }
    const link = new Link(ref, role)
    this.links.add(link)
    this.memory.setLinked(ref.peer, true)
    this.memory.succeeded(ref.peer, turn.now)
    needs.need(turn, contact)
    turn.emit({ kind: 'link-up', peer: ref.peer, role, path: contact.session.path?.view() ?? { kind: 'none' } })
    this.linksChanged(turn, false)
    this.tellAllNeighbours(turn, link, nearestOf(this.neighbours(), ref.position, tells))
    // Who is told that this peer is in may pass its ref on at once: it must lead here.
    if (needs.self().rendezvous.length === 0) this.care.renewRendezvous(turn)
    this.waysIn.report(turn, { ok: true, value: ref.peer })
    if (this.isSought || (role === 'way-in' && heard > 2 * NEAR_PER_SIDE)) return
    this.isSought = true
    this.gossip.search(turn, needs.position, ref.peer)
  }

  /** The other side takes this peer for a link that it is not. */
  private decline(turn: Turn, contact: Contact): void {
    const { needs } = this.around
    if (this.seeking.purposeOf(contact.peer) !== null) this.seeking.onRefused(turn, contact.peer)
    needs.send(turn, contact.peer, { kind: 'link-drop' })
  }

  /** Only links are told such things: if this peer has lost the link unseen by the other side, both shall know. */
  private checkLinked(turn: Turn, contact: Contact): void {
    const { peer } = contact
    if (this.links.has(peer) || this.seeking.purposeOf(peer) !== null) return
    this.decline(turn, contact)
  }

  giveUp(turn: Turn, link: Link): void {
    this.around.needs.send(turn, link.peer, { kind: 'link-drop' })
    this.dropLink(turn, link.peer, { code: 'closed', detail: 'this peer gave the link up' }, false)
  }

  /** A link is down. Where it was `lost`, others may be too. */
  private dropLink(turn: Turn, peer: PeerId, fault: Fault, lost: boolean, before: Contact | null = null): void {
    const { needs, alarm } = this.around
    const link = this.links.remove(peer)
    this.requests.onNeighbourLost(turn, peer)
    if (link === undefined) return
    this.memory.setLinked(peer, false)
    if (this.links.size === 0) this.isSought = false
    const contact = needs.contact(peer)
    const heardAt = (before ?? contact)?.heardAt ?? turn.now
    this.memory.learn(link.ref, lost ? 'lost' : 'random', heardAt)
    if (contact !== null) {
      needs.release(contact)
      // The session may find another path before the other side has noticed anything: both begin anew then.
      if (lost) needs.send(turn, peer, { kind: 'link-drop' })
    }
    turn.emit({ kind: 'link-down', peer, fault })
    this.linksChanged(turn, lost)
    if (!lost) return
    this.memory.failed(peer, turn.now, SEARCH_MIN_MS)
    needs.suspectSilent(turn, SUSPECT_SILENT_MS)
    if (alarm.onLost(turn.now, this.links.size)) turn.emit({ kind: 'unheard' })
    this.tendSoon(turn)
  }

  /** `lost`: to one of them nothing leads any more. */
  private linksChanged(turn: Turn, lost: boolean): void {
    this.tendBy(turn.now + (this.around.hungry ? TEND_HUNGRY_MS : TEND_MS))
    const before = this.nearest
    this.nearest = this.links.near()
    const nearChanged = !samePeers(before, this.nearest)
    const isUrgent = lost || nearChanged || this.around.hungry || this.around.alarm.isOn(turn.now)
    const calmMs = NEIGHBOURS_CALM_MS * (this.links.size > NEIGHBOURS_MANY ? 3 : 1)
    const pauseMs = isUrgent ? NEIGHBOURS_PAUSE_MS : calmMs
    const tellAt = Math.max(turn.now + NEIGHBOURS_DELAY_MS, this.neighboursToldAt + pauseMs)
    this.neighboursAt = Math.min(this.neighboursAt ?? tellAt, tellAt)
    if (!nearChanged) return
    this.seeking.onNearChanged()
    this.gossip.hurry(turn)
    this.around.needs.onNearChanged(turn)
  }

  private tellNeighbours(turn: Turn): void {
    this.neighboursAt = null
    this.neighboursToldAt = turn.now
    const view = this.neighbours()
    // Most links were told the same last.
    const news = new Map<NeighbourView, OverlayMessage | null>()
    for (const link of this.links.all()) {
      if (link.told === null) {
        this.tellAllNeighbours(turn, link, view)
        continue
      }
      const message = news.get(link.told) ?? neighbourNews(link.told, view, this.around.needs.relayed())
      news.set(link.told, message)
      if (message === null || this.around.needs.send(turn, link.peer, message)) link.told = view
    }
  }

  private tellAllNeighbours(turn: Turn, link: Link, view: NeighbourView): void {
    if (this.around.needs.send(turn, link.peer, allNeighbours(view, this.around.needs.relayed()))) link.told = view
  }

  private neighbours(): NeighbourView {
    const { around, links } = this
    const all = links.all()
    const unordered = new Float64Array(all.length)
    let direct = 0
    let relayed = all.length
    for (const { peer, position } of all) unordered[around.isDirect(peer) ? direct++ : --relayed] = position
    const positions = inOrder(unordered, direct)
    return { positions: around.needs.views?.shared(around.needs.peer, positions) ?? positions, direct }
  }

  // ---- routing ----

  private nextHopToKey(key: Position, method: number, avoid: readonly PeerId[]): PeerId | null {
    const { around, links } = this
    const usable = (link: Link): boolean => !avoid.includes(link.peer) && around.hasPath(link.peer)
    const besides = method === RoutedMethod.closest
    // What the registry answers proves nothing: a liar that is quick and says that it is linked to all would draw it to itself.
    // The others are answered by whoever stands closest: to go straight there takes the fewest hops.
    const delays = method === RoutedMethod.locate ? around.delays() : undefined
    const ownOnly = method === RoutedMethod.witness
    return nextStep(around.needs.position, key, links.all(), { usable, besides, delays, ownOnly })?.peer ?? null
  }

  private linkCloserThan(peer: PeerId | null, key: Position, method: number, avoid: readonly PeerId[]): PeerId | null {
    const { around, links } = this
    const from = peer === null ? around.needs.position : this.refOf(peer)?.position
    let distance = from === undefined ? Number.POSITIVE_INFINITY : ringDistance(from, key)
    let closest: PeerId | null = null
    for (const link of links.all()) {
      const own = ringDistance(link.position, key)
      if (own >= distance || (own === 0 && method === RoutedMethod.closest)) continue
      if (avoid.includes(link.peer) || !around.hasPath(link.peer)) continue
      distance = own
      closest = link.peer
    }
    return closest
  }

  /** A peer that looks for those around itself stands at the key: it has sent the request here for the way on, not for a link. */
  private isCloser(neighbour: PeerId, key: Position, method: number): boolean {
    const position = this.refOf(neighbour)?.position
    if (position === undefined || (method === RoutedMethod.closest && position === key)) return false
    return ringDistance(position, key) < ringDistance(this.around.needs.position, key)
  }

  private answer(turn: Turn, key: Position, method: number, payload: Uint8Array): Uint8Array | null {
    if (method === RoutedMethod.closest) return this.gossip.refsAt(turn, key, payload)
    if (method === RoutedMethod.locate) return this.refBytesOf(payload)
    return this.around.needs.answer(turn, key, method, payload)
  }

  private refBytesOf(publicKey: Uint8Array): Uint8Array | null {
    if (publicKey.length !== PEER_ID_BYTES) return null
    const peer = peerIdOfBytes(publicKey)
    const { needs } = this.around
    return peer === needs.peer ? needs.self().bytes : (this.refOf(peer)?.bytes ?? null)
  }

  // ---- refs ----

  private take(turn: Turn, ref: PeerRef, heardAt: Instant): void {
    const { needs } = this.around
    if (ref.peer === needs.peer || this.forgers.has(ref.peer, turn.now)) return
    const near = this.links.belongsNear(ref.position)
    const link = this.links.get(ref.peer)
    this.memory.learn(ref, near ? 'near' : 'random', heardAt, link !== undefined)
    if (link !== undefined && ref.sequence > link.ref.sequence) link.ref = ref
    if (near && link === undefined) this.tendSoon(turn)
    // A peer without enough public links takes up any that it hears of.
    else if (this.around.hungry && this.around.isPublic(ref)) this.tendSoon(turn)
  }
}

function isIpv6(host: string): boolean {
  return host.includes(':')
}

function samePeers(some: readonly Link[], others: readonly Link[]): boolean {
  return some.length === others.length && some.every((link, i) => link.peer === others[i]?.peer)
}

/** To the peer that stands there, over wires. */
function leadsTo(link: Link, position: Position): boolean {
  return link.position === position || link.neighbours.subarray(0, link.directNeighbours).includes(position)
}

function refOf(link: Link): PeerRef {
  return link.ref
}
