/**
 * One service that this peer is a member of (spec 7): finds the other members, keeps sessions with a few of them, and
 * sends and passes on broadcasts. Registry and sessions are below it; streams between members are not its business.
 */
import type { Fault, Result } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import { unreachable } from '../base/invariant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import {
  BROADCAST_BYTES_MAX,
  DISCOVER_ALONE_MS_MAX,
  DISCOVER_FIRST_MS,
  DISCOVER_MS,
  DISCOVER_MS_MAX,
  LARGE_CAPACITY,
  MEMBER_SILENT_MS,
  MEMBER_UNSAMPLED_MS,
  PROBES_MAX,
  PUBLICATION_GAP_MS,
  TELL_MEMBERS_MAX,
  VIEW_FULL_PAUSE_MS,
  VIEW_JOIN_TIMEOUT_MS,
  VIEW_PAUSE_MS,
  VIEW_REFS_MAX,
  VIEW_SETTLE_MS,
  VIEW_TRIES_MAX,
} from '../limits.ts'
import type { OverlayPort } from '../overlay/overlay-port.ts'
import { hashOfService } from '../registry/record.ts'
import type { OnFound, Registry } from '../registry/registry.ts'
import type { ServiceName } from '../registry/service-name.ts'
import { Channel } from '../session/session-owner.ts'
import type { Turn } from '../turn.ts'
import { type Broadcast, type BroadcastContent, broadcastIsAuthentic, signBroadcast } from './broadcast.ts'
import { BroadcastTree, type TreeOwner } from './broadcast-tree.ts'
import { type Evidence, type Member, MemberTable } from './member-table.ts'
import { encodeServiceMessage, type LeaveReason, type ServiceMessage } from './service-messages.ts'
import { type ServiceTag, tagOfService } from './service-tag.ts'
import { View } from './view.ts'
import {
  type Candidate,
  chooseToTell,
  chooseView,
  guestsMax,
  ringNeighbours,
  type SizedCandidate,
  viewWish,
} from './view-choice.ts'

export interface ServiceContext {
  readonly port: OverlayPort
  readonly suite: CryptoSuite
  readonly identity: Identity
  readonly rng: Rng
  readonly registry: Pick<Registry, 'find' | 'refs'>
  /** The session with a peer serves this service no more; another may still need it. */
  readonly release: (turn: Turn, peer: PeerId) => void
}

export class Service implements TreeOwner {
  readonly name: ServiceName
  readonly tag: ServiceTag
  private readonly context: ServiceContext
  private readonly hash: Uint8Array
  private readonly position: Position
  private readonly table = new MemberTable()
  private readonly view: View
  private readonly tree: BroadcastTree
  private readonly joinedAt: Instant
  private lastSequence = 0
  private findAt: Instant | null
  private findIntervalMs = DISCOVER_FIRST_MS
  /** How many there are in all, as the registry counts; null until it was asked. */
  private membersCounted: number | null = null
  private chooseAt: Instant | null = null
  /** When to tell all members of this one, where they are few. */
  private tellAt: Instant | null
  private left = false

  constructor(turn: Turn, context: ServiceContext, name: ServiceName) {
    this.name = name
    this.context = context
    this.tag = tagOfService(context.suite, name)
    this.hash = hashOfService(context.suite, name)
    this.position = context.port.self().position
    this.view = new View(context.rng)
    this.tree = new BroadcastTree(this, context.rng.fork('tree'))
    this.joinedAt = turn.now
    this.findAt = turn.now
    this.tellAt = turn.now
  }

  // ---- on behalf of this peer ----

  members(): PeerId[] {
    return this.table.peers()
  }

  /** How many members it keeps sessions with. */
  get neighbours(): number {
    return this.view.links.size
  }

  /** To how many members it left, or `message-too-large`. */
  broadcast(turn: Turn, bytes: Uint8Array): Fault | number {
    if (bytes.length > BROADCAST_BYTES_MAX)
      return { code: 'message-too-large', got: bytes.length, limit: BROADCAST_BYTES_MAX }
    return this.tree.originate(turn, this.sign(turn, 'payload', bytes.slice()))
  }

  leave(turn: Turn): void {
    this.left = true
    // To the lazy neighbours too: nobody can fetch it from here any more.
    this.tree.originate(turn, this.sign(turn, 'member-left', new Uint8Array(0)), true)
    const used = [...this.view.links.keys(), ...this.view.attempts.keys()]
    for (const peer of this.view.links.keys()) this.sendTo(turn, peer, { kind: 'view-leave', reason: 'left' })
    this.view.links.clear()
    this.view.attempts.clear()
    for (const peer of used) this.context.release(turn, peer)
  }

  onSelfChanged(turn: Turn): void {
    this.tellAt ??= turn.now + this.context.rng.around(PUBLICATION_GAP_MS)
  }

  // ---- what happens ----

  uses(peer: PeerId): boolean {
    return this.view.uses(peer)
  }

  onMessage(turn: Turn, from: PeerId, message: ServiceMessage): Fault | null {
    const member = this.table.get(from)
    if (member !== undefined) member.heardAt = turn.now
    switch (message.kind) {
      case 'view-join':
        return this.onViewJoin(turn, from, message.memberForMs, message.ref)
      case 'view-accept':
        this.hear(turn, message.refs)
        this.onViewAccept(turn, from, message.memberForMs)
        return null
      case 'view-refuse':
        this.hear(turn, message.refs)
        if (message.reason === 'not-a-member') this.depart(turn, from)
        else this.onFull(turn, from)
        return null
      case 'view-leave':
        this.onViewLeave(turn, from, message.reason)
        return null
      case 'gossip':
        this.correct(turn, from)
        return this.tree.onGossip(turn, from, message.broadcast, message.ageMs)
      case 'ihave':
        this.correct(turn, from)
        if (this.view.links.has(from)) this.tree.onIhave(turn, from, message.ids)
        return null
      case 'graft':
        this.correct(turn, from)
        this.tree.onGraft(turn, from, message.id)
        return null
      case 'prune':
        this.tree.onPrune(from)
        return null
      case 'place':
        this.correct(turn, from)
        return this.tree.onPlace(turn, from, message.place, message.isParent)
    }
  }

  onSessionClosed(turn: Turn, peer: PeerId): void {
    const link = this.view.links.get(peer)
    const attempt = this.view.attempts.get(peer)
    if (link === undefined && attempt?.kind !== 'joining') return
    this.view.links.delete(peer)
    this.view.attempts.delete(peer)
    this.tree.remove(turn, peer, true)
    if (this.table.has(peer)) this.view.fail(peer, turn.now)
    this.context.release(turn, peer)
    this.chooseSoon(turn)
  }

  onWake(turn: Turn): void {
    if (this.findAt !== null && this.findAt <= turn.now) this.find(turn)
    for (const [peer, attempt] of this.view.attempts)
      if (attempt.kind === 'joining' && attempt.giveUpAt <= turn.now) this.endAttempt(turn, peer)
    if (this.chooseAt !== null && this.chooseAt <= turn.now) this.choose(turn)
    this.tellDue(turn)
    this.tree.onWake(turn)
  }

  nextWake(): Instant | null {
    const telling = this.mayTell ? this.tellAt : null
    const own = earlier(earlier(this.findAt, this.chooseAt), earlier(this.view.nextGiveUp(), telling))
    return earlier(own, this.tree.nextWake())
  }

  // ---- what the tree asks ----

  self(): { readonly peer: PeerId; readonly capacity: number } {
    return this.context.port.self()
  }

  sendTo(turn: Turn, peer: PeerId, message: ServiceMessage): boolean {
    return this.context.port.send(turn, Channel.service, peer, encodeServiceMessage(this.tag, message))
  }

  isAuthentic(broadcast: Broadcast): boolean {
    return broadcastIsAuthentic(this.context.suite, this.hash, broadcast)
  }

  onBroadcast(turn: Turn, broadcast: Broadcast): void {
    const { content, origin, payload } = broadcast
    switch (content) {
      case 'payload':
        turn.emit({ kind: 'message', service: this.name, from: origin, bytes: payload })
        return
      case 'member-here': {
        const ref = this.context.registry.refs.read(payload, turn.wallTime)
        if (ref.ok && ref.value.peer === origin) this.meet(turn, ref.value, 'direct')
        return
      }
      case 'member-left':
        this.depart(turn, origin)
        return
      default:
        unreachable(content)
    }
  }

  // ---- members ----

  private find(turn: Turn): void {
    this.findAt = null
    const held = Array.from(this.table.entries(), ([, { ref }]) => ref)
    const onFound: OnFound = (now, found, members) => {
      if (!this.left) this.onFound(now, found, members)
    }
    this.context.registry.find(turn, this.name, onFound, held)
  }

  private onFound(turn: Turn, found: Result<PeerRef[]>, members: number): void {
    const refs = found.ok ? found.value : []
    this.membersCounted = found.ok ? members : (this.membersCounted ?? 0)
    let news = 0
    for (const ref of refs) if (this.meet(turn, ref, 'registry')) news += 1
    // A sample says nothing about those who are not in it. This peer is counted too once it has announced itself.
    if (found.ok) this.doubtUnlisted(turn, new Set(refs.map(ref => ref.peer)), refs.length + 1 >= members)
    const max = this.table.size === 0 ? DISCOVER_ALONE_MS_MAX : DISCOVER_MS_MAX
    this.findIntervalMs = news > 0 ? DISCOVER_MS : Math.min(max, this.findIntervalMs * 1.5)
    this.findAt = turn.now + this.context.rng.around(this.findIntervalMs)
  }

  /** Members that are neither met nor listed any more are tried, and gone once that has failed. */
  private doubtUnlisted(turn: Turn, listed: ReadonlySet<PeerId>, complete: boolean): void {
    const silentMs = complete ? MEMBER_SILENT_MS : MEMBER_UNSAMPLED_MS
    for (const [peer, member] of [...this.table.entries()]) {
      if (listed.has(peer) || this.view.links.has(peer) || turn.now - member.heardAt < silentMs) continue
      if (this.view.failuresOf(peer) >= VIEW_TRIES_MAX) this.depart(turn, peer)
      else if (this.view.attempts.size < PROBES_MAX && !this.view.isResting(peer, turn.now)) this.attempt(turn, member)
    }
  }

  /** True where the member is new. */
  private meet(turn: Turn, ref: PeerRef, evidence: Evidence): boolean {
    const { table } = this
    if (ref.peer === this.context.identity.peer || !table.believes(ref.peer, evidence, turn.now)) return false
    if (table.get(ref.peer) === undefined && table.isFull && !this.makeRoom(turn, ref)) return false
    if (!table.put(ref, evidence, turn.now)) return false
    this.context.port.learn(turn, ref)
    turn.emit({ kind: 'member', service: this.name, peer: ref.peer, ref, present: true })
    this.chooseSoon(turn)
    return true
  }

  /** In a full table only a ring neighbour finds room: the ring must close. */
  private makeRoom(turn: Turn, ref: PeerRef): boolean {
    if (!this.isRingNeighbour(ref)) return false
    let oldest: { peer: PeerId; heardAt: Instant } | null = null
    for (const [peer, { heardAt }] of this.table.entries())
      if (!this.view.uses(peer) && (oldest === null || heardAt < oldest.heardAt)) oldest = { peer, heardAt }
    if (oldest === null) return false
    this.table.delete(oldest.peer)
    this.view.forget(oldest.peer)
    turn.emit({ kind: 'member', service: this.name, peer: oldest.peer, ref: null, present: false })
    return true
  }

  private depart(turn: Turn, peer: PeerId): void {
    this.tree.remove(turn, peer, true)
    this.dropLink(turn, peer)
    this.view.forget(peer)
    this.context.release(turn, peer)
    if (!this.table.depart(peer, turn.now)) return
    turn.emit({ kind: 'member', service: this.name, peer, ref: null, present: false })
    this.chooseSoon(turn)
  }

  /** Refs of other members that a member told of. */
  private hear(turn: Turn, refs: readonly Uint8Array[]): void {
    for (const bytes of refs) {
      const ref = this.context.registry.refs.read(bytes, turn.wallTime)
      if (ref.ok) this.meet(turn, ref.value, 'hearsay')
    }
  }

  /** Refs for another member: those next to it on the ring, so that the ring closes, and some at random. */
  private refsToTell(to: PeerId): Uint8Array[] {
    const candidates: SizedCandidate[] = []
    for (const [peer, { ref }] of this.table.entries())
      if (peer !== to && this.view.failuresOf(peer) === 0)
        candidates.push({ peer, position: ref.position, capacity: ref.capacity })
    const position = this.table.get(to)?.ref.position ?? this.position
    const refs: Uint8Array[] = []
    for (const peer of chooseToTell(this.context.rng, position, candidates, VIEW_REFS_MAX)) {
      const member = this.table.get(peer)
      if (member !== undefined) refs.push(member.ref.bytes)
    }
    return refs
  }

  /** To somebody, and knowing whether they are few. */
  private get mayTell(): boolean {
    return this.view.links.size > 0 && this.membersCounted !== null
  }

  private tellDue(turn: Turn): void {
    if (this.tellAt === null || this.tellAt > turn.now || !this.mayTell) return
    this.tellAt = null
    if (Math.max(this.table.size, this.membersCounted ?? 0) > TELL_MEMBERS_MAX) return
    this.tree.originate(turn, this.sign(turn, 'member-here', this.context.port.self().bytes))
  }

  // ---- the view ----

  private chooseSoon(turn: Turn): void {
    this.chooseAt = earlier(this.chooseAt, turn.now + VIEW_SETTLE_MS)
  }

  private choose(turn: Turn): void {
    const { view } = this
    const now = turn.now
    const candidates: SizedCandidate[] = []
    for (const [peer, { ref }] of this.table.entries()) {
      if (!view.links.has(peer) && view.isResting(peer, now)) continue
      candidates.push({ peer, position: ref.position, capacity: ref.capacity })
    }
    const linked = new Set([...view.links.keys(), ...view.attempts.keys()])
    const held = view.ours()
    const wanted = chooseView(this.context.rng, this.position, candidates, held, linked, viewWish(this.self().capacity))
    let waiting = false
    for (const peer of wanted) {
      const member = this.table.get(peer)
      if (held.has(peer) || member === undefined) continue
      waiting = true
      if (!view.attempts.has(peer)) this.attempt(turn, member)
    }
    // Those no longer wanted stay until those in their place are here.
    if (!waiting) for (const peer of held) if (!wanted.has(peer)) this.trim(turn, peer)
    this.chooseAt = view.nextRetry(now)
  }

  private attempt(turn: Turn, { ref }: Member): void {
    const { peer } = ref
    this.view.attempts.set(peer, { kind: 'opening' })
    this.context.port.keep(turn, ref, (now, outcome) => {
      if (this.left || this.view.attempts.get(peer)?.kind !== 'opening') return
      this.view.attempts.set(peer, { kind: 'joining', giveUpAt: now.now + VIEW_JOIN_TIMEOUT_MS })
      if (!outcome.ok || !this.sendTo(now, peer, this.joinMessage(now))) this.endAttempt(now, peer)
    })
  }

  private joinMessage(turn: Turn): ServiceMessage {
    return { kind: 'view-join', memberForMs: turn.now - this.joinedAt, ref: this.context.port.self().bytes }
  }

  private endAttempt(turn: Turn, peer: PeerId): void {
    this.view.attempts.delete(peer)
    if (this.table.has(peer)) this.view.fail(peer, turn.now)
    this.context.release(turn, peer)
    this.chooseSoon(turn)
  }

  private onViewJoin(turn: Turn, from: PeerId, memberForMs: number, refBytes: Uint8Array): Fault | null {
    const ref = this.context.registry.refs.read(refBytes, turn.wallTime)
    // Its clock or ours is wrong: no reason to close the session.
    if (!ref.ok && ref.fault.code === 'ref-expired') return null
    if (!ref.ok) return ref.fault
    if (ref.value.peer !== from) return { code: 'malformed', detail: "view-join with another peer's ref" }
    this.meet(turn, ref.value, 'direct')
    const refs = this.refsToTell(from)
    if (!this.hasRoomFor(turn, ref.value)) {
      this.sendTo(turn, from, { kind: 'view-refuse', reason: 'full', refs })
      return null
    }
    this.context.port.keep(turn, ref.value, ignoreOutcome)
    this.setLink(turn, from, { theirs: true })
    this.sendTo(turn, from, { kind: 'view-accept', memberForMs: turn.now - this.joinedAt, refs })
    this.tree.add(turn, from, memberForMs)
    return null
  }

  /** A guest too many gives way to a ring neighbour. */
  private hasRoomFor(turn: Turn, ref: PeerRef): boolean {
    if (this.view.uses(ref.peer)) return true
    const guests = this.view.guests()
    if (guests.length < guestsMax(this.self().capacity)) return true
    if (!this.isRingNeighbour(ref)) return false
    const evicted = this.context.rng.pick(guests)
    if (evicted === undefined) return false
    this.sendTo(turn, evicted, { kind: 'view-refuse', reason: 'full', refs: this.refsToTell(evicted) })
    this.dropLink(turn, evicted)
    this.context.release(turn, evicted)
    return true
  }

  private onViewAccept(turn: Turn, from: PeerId, memberForMs: number): void {
    if (!this.view.attempts.delete(from)) {
      // Too late: it was given up.
      if (this.view.links.get(from)?.ours !== true) this.sendTo(turn, from, { kind: 'view-leave', reason: 'trimmed' })
      return
    }
    this.view.succeeded(from)
    this.setLink(turn, from, { ours: true })
    this.tree.add(turn, from, memberForMs)
    this.chooseSoon(turn)
  }

  private onViewLeave(turn: Turn, from: PeerId, reason: LeaveReason): void {
    switch (reason) {
      case 'trimmed':
        this.setLink(turn, from, { theirs: false })
        return
      case 'not-linked':
        this.setLink(turn, from, { ours: false, theirs: false })
        return
      case 'left':
        this.depart(turn, from)
        return
      default:
        unreachable(reason)
    }
  }

  private onFull(turn: Turn, from: PeerId): void {
    this.view.attempts.delete(from)
    const member = this.table.get(from)
    // A large one is full of guests and stays so.
    const isLarge = member !== undefined && member.ref.capacity >= LARGE_CAPACITY
    if (member !== undefined) this.view.rest(from, turn.now, isLarge ? VIEW_FULL_PAUSE_MS : VIEW_PAUSE_MS)
    // What the other side wants of it is not touched: its own wish may have crossed this refusal.
    this.setLink(turn, from, { ours: false })
    this.chooseSoon(turn)
  }

  private trim(turn: Turn, peer: PeerId): void {
    this.sendTo(turn, peer, { kind: 'view-leave', reason: 'trimmed' })
    this.setLink(turn, peer, { ours: false })
  }

  /** Notes what one side wants now; the link ends when neither wants it. */
  private setLink(turn: Turn, peer: PeerId, change: { ours?: boolean; theirs?: boolean }): void {
    const known = this.view.links.get(peer)
    const link = { ours: known?.ours ?? false, theirs: known?.theirs ?? false, ...change }
    if (link.ours || link.theirs) {
      this.view.links.set(peer, link)
      return
    }
    this.dropLink(turn, peer)
    this.context.release(turn, peer)
  }

  private dropLink(turn: Turn, peer: PeerId): void {
    if (!this.view.links.delete(peer)) return
    this.tree.remove(turn, peer, false)
    this.chooseSoon(turn)
  }

  /** Tells a peer that takes this one for a neighbour, and is mistaken. */
  private correct(turn: Turn, from: PeerId): void {
    if (!this.view.links.has(from)) this.sendTo(turn, from, { kind: 'view-leave', reason: 'not-linked' })
  }

  private isRingNeighbour(ref: PeerRef): boolean {
    const candidates: Candidate[] = [{ peer: ref.peer, position: ref.position }]
    for (const peer of this.view.links.keys()) {
      const member = this.table.get(peer)
      if (member !== undefined) candidates.push({ peer, position: member.ref.position })
    }
    const { before, after } = ringNeighbours(this.position, candidates)
    return before === ref.peer || after === ref.peer
  }

  private sign(turn: Turn, content: BroadcastContent, payload: Uint8Array): Broadcast {
    this.lastSequence = Math.max(this.lastSequence + 1, turn.wallTime)
    return signBroadcast(this.context.identity, this.hash, content, this.lastSequence, payload)
  }
}

/** The session is open already: keeping it only puts this part's tag on it. */
function ignoreOutcome(): void {}
