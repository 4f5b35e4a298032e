/**
 * Plumtree (Leitão, Pereira, Rodrigues: Epidemic Broadcast Trees, 2007; spec 7.4): a message is pushed whole along the
 * eager neighbours and only announced to the lazy ones; one that was announced but does not come is fetched, and its
 * bringer is eager from then on. Eager are the branches of the tree (tree-shape.ts), and others where it is not there yet
 * or has a gap; a copy too many prunes those. It knows neighbours by id only: who they are is the view's choice.
 */
import { ExpiringSet } from '../base/expiring-set.ts'
import type { Fault } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Rng } from '../base/rng.ts'
import {
  CACHED_MESSAGE_MS,
  GRAFT_MS,
  IHAVE_DELAY_MS,
  IHAVE_IDS_MAX,
  IHAVE_QUEUE_MAX,
  MISSING_ANNOUNCERS_MAX,
  MISSING_HOP_MS,
  MISSING_MAX,
  MISSING_MS,
  ORIGIN_FLOORS_MAX,
  REPLAY_MARGIN_MS,
  SEEN_LAPSE_MS,
  SEEN_MESSAGES_MAX,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import { type Broadcast, type MessageId, messageIdOf, splitMessageId } from './broadcast.ts'
import { type Gossip, MessageCache } from './message-cache.ts'
import type { ServiceMessage } from './service-messages.ts'
import type { Place } from './tree-place.ts'
import { type ShapeOwner, TreeShape } from './tree-shape.ts'

/** What the tree asks of the service it belongs to. */
export interface TreeOwner {
  self(): { readonly peer: PeerId; readonly capacity: number }
  /** False where the message cannot leave now. */
  sendTo(turn: Turn, peer: PeerId, message: ServiceMessage): boolean
  isAuthentic(broadcast: Broadcast): boolean
  /** Called once for each message of others. */
  onBroadcast(turn: Turn, broadcast: Broadcast): void
}

interface Neighbour {
  /** Messages sent before it became a member are not for it. */
  owedFrom: Instant
  /** Messages go to it whole though the tree does not run over this link. */
  extra: boolean
  /** Announced to it with the next batch. */
  ids: MessageId[]
}

interface Missing {
  /** Who has it, in the order of asking. */
  readonly announcers: PeerId[]
  askAt: Instant
}

export class BroadcastTree implements ShapeOwner {
  private readonly owner: TreeOwner
  private readonly shape: TreeShape
  private readonly neighbours = new Map<PeerId, Neighbour>()
  private readonly cache = new MessageCache()
  private readonly missing = new Map<MessageId, Missing>()
  /** By origin: the highest number among the messages that are no longer remembered one by one. */
  private readonly floors = new Map<string, number>()
  private readonly seen: ExpiringSet<MessageId>
  private flushAt: Instant | null = null
  private missingAt: Instant | null = null
  private trimAt: Instant | null = null

  constructor(owner: TreeOwner, rng: Rng) {
    this.owner = owner
    this.shape = new TreeShape(this, rng)
    this.seen = new ExpiringSet({
      sizeMax: SEEN_MESSAGES_MAX,
      lapseMs: SEEN_LAPSE_MS,
      onLapse: id => this.raiseFloor(id),
    })
  }

  /** A new neighbour, or one that has begun anew: it is told of the messages since it became a member. */
  add(turn: Turn, peer: PeerId, memberForMs: number): void {
    const owedMs = memberForMs + REPLAY_MARGIN_MS
    const owedFrom = turn.now - owedMs
    const known = this.neighbours.get(peer)
    if (known === undefined) {
      const ids = this.cache.since(turn.now, owedMs, IHAVE_IDS_MAX)
      this.neighbours.set(peer, { owedFrom, extra: !this.shape.isWhole, ids })
      if (ids.length > 0) this.flushAt ??= turn.now + IHAVE_DELAY_MS
    } else known.owedFrom = owedFrom
    this.shape.add(turn, peer)
  }

  /** `isGone`: it left or cannot be reached; else it is only no neighbour any more. */
  remove(turn: Turn, peer: PeerId, isGone: boolean): void {
    if (this.neighbours.delete(peer)) this.shape.remove(turn, peer, isGone)
  }

  /** Starts a message of this peer. Returns to how many neighbours it left whole. */
  originate(turn: Turn, broadcast: Broadcast, toAll = false): number {
    const id = messageIdOf(broadcast)
    this.seen.add(id, turn.now)
    this.shape.onUse(turn)
    // Members that start at the same time may prune a member out of the tree: it comes back by asking nobody.
    const outside = ![...this.neighbours].some(([peer, neighbour]) => this.isEager(peer, neighbour))
    if (outside) for (const neighbour of this.neighbours.values()) neighbour.extra = true
    return this.push(turn, this.cache.add(id, broadcast, turn.now, null, 0), null, toAll)
  }

  onGossip(turn: Turn, from: PeerId, broadcast: Broadcast, ageMs: number): Fault | null {
    const id = messageIdOf(broadcast)
    const neighbour = this.neighbours.get(from)
    if (this.isSeen(id, turn.now)) {
      if (neighbour !== undefined) this.onCopy(turn, id, from)
      return null
    }
    if (!this.owner.isAuthentic(broadcast)) return { code: 'malformed', detail: 'broadcast with a wrong signature' }
    this.seen.add(id, turn.now)
    this.missing.delete(id)
    this.shape.onUse(turn)
    if (neighbour !== undefined && !this.shape.isWhole) neighbour.extra = true
    this.push(turn, this.cache.add(id, broadcast, turn.now, from, ageMs), from, false)
    this.owner.onBroadcast(turn, broadcast)
    return null
  }

  onPlace(turn: Turn, from: PeerId, place: Place, isParent: boolean): Fault | null {
    const neighbour = this.neighbours.get(from)
    if (neighbour === undefined) return null
    if (isParent) neighbour.extra = false
    return this.shape.onPlace(turn, from, place, isParent)
  }

  onIhave(turn: Turn, from: PeerId, ids: readonly MessageId[]): void {
    for (const id of ids) {
      if (this.isSeen(id, turn.now)) continue
      const known = this.missing.get(id)
      if (known !== undefined) {
        if (known.announcers.length < MISSING_ANNOUNCERS_MAX && !known.announcers.includes(from))
          known.announcers.push(from)
      } else if (this.missing.size < MISSING_MAX) {
        const askAt = turn.now + MISSING_MS + this.shape.depth * MISSING_HOP_MS
        this.missing.set(id, { announcers: [from], askAt })
        this.missingAt = earlier(this.missingAt, askAt)
      }
    }
  }

  onGraft(turn: Turn, from: PeerId, id: MessageId): void {
    const neighbour = this.neighbours.get(from)
    if (neighbour !== undefined && !this.shape.isBranch(from)) neighbour.extra = true
    const gossip = this.cache.get(id, turn.now)
    if (gossip !== null && !this.owner.sendTo(turn, from, gossip)) this.announceTo(turn, from, id)
  }

  onPrune(from: PeerId): void {
    const neighbour = this.neighbours.get(from)
    if (neighbour !== undefined) neighbour.extra = false
  }

  onWake(turn: Turn): void {
    if (this.flushAt !== null && this.flushAt <= turn.now) this.flush(turn)
    if (this.missingAt !== null && this.missingAt <= turn.now) this.fetchMissing(turn)
    this.shape.onWake(turn)
    if (this.trimAt !== null && this.trimAt <= turn.now) {
      this.cache.trim(turn.now)
      this.seen.lapse(turn.now)
      this.trimAt = this.seen.size > 0 ? turn.now + CACHED_MESSAGE_MS : null
    }
  }

  nextWake(): Instant | null {
    return earlier(earlier(this.flushAt, this.missingAt), earlier(this.trimAt, this.shape.nextWake()))
  }

  // ---- what the tree's shape asks ----

  self(): { readonly peer: PeerId; readonly capacity: number } {
    return this.owner.self()
  }

  tellPlace(turn: Turn, peer: PeerId, place: Place, isParent: boolean): boolean {
    return this.owner.sendTo(turn, peer, { kind: 'place', place, isParent })
  }

  onNewRound(): void {
    for (const neighbour of this.neighbours.values()) neighbour.extra = false
  }

  // ---- messages on their way ----

  private isEager(peer: PeerId, neighbour: Neighbour): boolean {
    return neighbour.extra || this.shape.isBranch(peer)
  }

  /** A second copy: of the two neighbours that brought one, that beside the tree sends no more. */
  private onCopy(turn: Turn, id: MessageId, from: PeerId): void {
    const first = this.cache.bringerOf(id)
    const spare = !this.shape.isBranch(from) ? from : first === null || this.shape.isBranch(first) ? null : first
    const neighbour = spare === null ? undefined : this.neighbours.get(spare)
    if (spare === null || neighbour === undefined) return
    neighbour.extra = false
    this.owner.sendTo(turn, spare, { kind: 'prune' })
  }

  private push(turn: Turn, gossip: Gossip, from: PeerId | null, toAll: boolean): number {
    const id = messageIdOf(gossip.broadcast)
    // Nobody keeps a message for longer: a liar that makes it older hides it from the newest members only.
    const sentAt = turn.now - Math.min(gossip.ageMs, CACHED_MESSAGE_MS)
    this.trimAt ??= turn.now + CACHED_MESSAGE_MS
    let sent = 0
    for (const [peer, neighbour] of this.neighbours) {
      if (peer === from || sentAt < neighbour.owedFrom) continue
      if ((toAll || this.isEager(peer, neighbour)) && this.owner.sendTo(turn, peer, gossip)) sent += 1
      else this.announceTo(turn, peer, id)
    }
    return sent
  }

  private announceTo(turn: Turn, peer: PeerId, id: MessageId): void {
    const neighbour = this.neighbours.get(peer)
    if (neighbour === undefined) return
    if (neighbour.ids.length >= IHAVE_QUEUE_MAX) neighbour.ids.shift()
    neighbour.ids.push(id)
    this.flushAt ??= turn.now + IHAVE_DELAY_MS
  }

  private flush(turn: Turn): void {
    this.flushAt = null
    for (const [peer, neighbour] of this.neighbours) {
      while (neighbour.ids.length > 0) {
        const ids = neighbour.ids.slice(0, IHAVE_IDS_MAX)
        if (!this.owner.sendTo(turn, peer, { kind: 'ihave', ids })) {
          this.flushAt = turn.now + 5 * IHAVE_DELAY_MS
          break
        }
        neighbour.ids.splice(0, ids.length)
      }
    }
  }

  private fetchMissing(turn: Turn): void {
    this.missingAt = null
    for (const [id, missing] of this.missing) {
      if (missing.askAt <= turn.now && !this.askNext(turn, id, missing)) {
        this.missing.delete(id)
        continue
      }
      this.missingAt = earlier(this.missingAt, missing.askAt)
    }
  }

  /** Grafts the next neighbour that announced the message; false where none is left. */
  private askNext(turn: Turn, id: MessageId, missing: Missing): boolean {
    for (let from = missing.announcers.shift(); from !== undefined; from = missing.announcers.shift()) {
      const neighbour = this.neighbours.get(from)
      if (neighbour === undefined || !this.owner.sendTo(turn, from, { kind: 'graft', id })) continue
      if (!this.shape.onLate(turn, from)) neighbour.extra = true
      missing.askAt = turn.now + GRAFT_MS
      return true
    }
    return false
  }

  private isSeen(id: MessageId, now: Instant): boolean {
    if (this.seen.has(id, now)) return true
    const { origin, sequence } = splitMessageId(id)
    return sequence <= (this.floors.get(origin) ?? -1)
  }

  private raiseFloor(id: MessageId): void {
    const { origin, sequence } = splitMessageId(id)
    const floor = Math.max(sequence, this.floors.get(origin) ?? -1)
    this.floors.delete(origin)
    this.floors.set(origin, floor)
    if (this.floors.size > ORIGIN_FLOORS_MAX)
      for (const oldest of this.floors.keys()) if (this.floors.delete(oldest)) break
  }
}
