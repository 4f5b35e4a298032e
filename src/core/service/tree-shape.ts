/**
 * Which links of a view carry the messages of a service (spec 7.4): those of a tree of shortest ways to one member, the
 * root. In rounds the root's word goes out over all links; each member hangs itself on the neighbour that is closest to
 * the root, and says so. Within a round nobody hangs itself on one as far from the root as itself, so there is no circle
 * (as in DSDV, Perkins and Bhagwat 1994). A root that falls silent is followed by another, in a new term.
 */
import type { Fault } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Rng } from '../base/rng.ts'
import {
  LARGE_CAPACITY,
  MIDDLE_CAPACITY,
  TREE_CLAIM_MS,
  TREE_DEPTH_MAX,
  TREE_LATE_MS,
  TREE_RETELL_MS,
  TREE_ROUND_MS,
  TREE_SETTLE_MS,
  TREE_SILENT_MS,
  TREE_TAKEOVER_MS,
  TREE_TERM_MAX,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import { isSameRoot, outranks, type Place } from './tree-place.ts'

export interface ShapeOwner {
  self(): { readonly peer: PeerId; readonly capacity: number }
  /** Tells a neighbour where this member stands, and whether it hangs on that neighbour. False where it cannot leave now. */
  tellPlace(turn: Turn, peer: PeerId, place: Place, isParent: boolean): boolean
  /** A new round has reached this member: what was mended beside the tree is no longer needed. */
  onNewRound(): void
}

interface Branch {
  /** As it told last. */
  place: Place | null
  /** When it told the first of that round: who tells first is the quickest way from the root. */
  toldAt: Instant
  isChild: boolean
  /** Until then it is taken for one further from the root: messages came late through it. */
  lateUntil: Instant
  /** It has not been told what is so now. */
  owed: boolean
}

interface Candidate {
  readonly peer: PeerId
  readonly place: Place
  readonly toldAt: Instant
  readonly isLate: boolean
}

export class TreeShape {
  private readonly owner: ShapeOwner
  private readonly rng: Rng
  private readonly branches = new Map<PeerId, Branch>()
  private place: Place | null = null
  private parent: PeerId | null = null
  /** When the round of `place` came, or began. */
  private roundAt: Instant = 0
  private settleAt: Instant | null = null
  /** When this member makes itself the root, if nothing is heard till then. */
  private claimAt: Instant | null = null
  private retellAt: Instant | null = null

  constructor(owner: ShapeOwner, rng: Rng) {
    this.owner = owner
    this.rng = rng
  }

  /** Hangs on the root, or is it: messages come by the tree. */
  get isWhole(): boolean {
    return this.parent !== null || this.isRoot
  }

  /** From the root; 0 where none is known. */
  get depth(): number {
    return this.place?.depth ?? 0
  }

  /** Whether the tree runs over the link with this neighbour. */
  isBranch(peer: PeerId): boolean {
    return this.parent === peer || this.branches.get(peer)?.isChild === true
  }

  /** A new neighbour, or one that knows nothing of this member any more. */
  add(turn: Turn, peer: PeerId): void {
    const known = this.branches.get(peer)
    const branch = known ?? { place: null, toldAt: 0, isChild: false, lateUntil: 0, owed: false }
    branch.isChild = false
    this.branches.set(peer, branch)
    this.tell(turn, peer, branch)
  }

  /** `isGone`: it left or cannot be reached; else it is only no neighbour any more. */
  remove(turn: Turn, peer: PeerId, isGone: boolean): void {
    this.branches.delete(peer)
    if (this.parent !== peer) return
    this.parent = null
    this.consider(turn)
    const { place } = this
    if (this.isWhole || !isGone || place === null || place.root.peer !== peer) return
    if (this.owner.self().capacity < place.root.capacity) return
    this.claimAt = earlier(this.claimAt, turn.now + this.claimWaitMs())
  }

  onPlace(turn: Turn, from: PeerId, place: Place, isParent: boolean): Fault | null {
    // Only the root is no way off; so nobody can say that of itself falsely.
    if ((place.root.peer === from) !== (place.depth === 0)) return { code: 'malformed', detail: 'place in the tree' }
    const branch = this.branches.get(from)
    if (branch === undefined) return null
    const before = branch.place
    if (before === null || !isSameRoot(before.root, place.root) || before.round !== place.round)
      branch.toldAt = turn.now
    branch.place = place
    branch.isChild = isParent
    this.consider(turn)
    return null
  }

  /** A message passes: only a tree that is used is kept in shape. */
  onUse(turn: Turn): void {
    const { place } = this
    const { now } = turn
    if (this.isRoot) {
      if (now - this.roundAt >= TREE_ROUND_MS) this.beginRound(turn)
    } else if (place === null) {
      this.claimAt ??= now + this.claimWaitMs()
    } else if (now - this.roundAt > TREE_ROUND_MS + TREE_SILENT_MS) {
      this.claimAt ??= now + TREE_SILENT_MS + this.claimWaitMs()
    } else if (this.owner.self().capacity > place.root.capacity) {
      this.claimAt ??= now + this.rng.around(TREE_TAKEOVER_MS, 0.5)
    }
  }

  /** A message did not come by the tree, and `from` has it. True where that neighbour is a part of the tree now. */
  onLate(turn: Turn, from: PeerId): boolean {
    const { parent, place } = this
    if (parent === from) return true
    if (parent === null || place === null) return false
    const late = this.branches.get(parent)
    if (late !== undefined) late.lateUntil = turn.now + TREE_LATE_MS
    const branch = this.branches.get(from)
    if (branch === undefined || branch.place === null || branch.isChild) return false
    if (!isSameRoot(branch.place.root, place.root) || branch.place.round < place.round) return false
    if (branch.place.depth >= place.depth) return false
    this.adopt(turn, from, branch.place)
    return true
  }

  onWake(turn: Turn): void {
    if (this.settleAt !== null && this.settleAt <= turn.now) {
      const best = this.best(turn.now)
      this.settleAt = null
      if (best !== null && this.isNewRound(best.place)) this.adopt(turn, best.peer, best.place)
    }
    if (this.claimAt !== null && this.claimAt <= turn.now) this.claim(turn)
    if (this.retellAt !== null && this.retellAt <= turn.now) {
      this.retellAt = null
      for (const [peer, branch] of this.branches) if (branch.owed) this.tell(turn, peer, branch)
    }
  }

  nextWake(): Instant | null {
    return earlier(earlier(this.settleAt, this.claimAt), this.retellAt)
  }

  private get isRoot(): boolean {
    return this.place !== null && this.place.depth === 0
  }

  /** Whether what the neighbours told leads to a better place than the one held. */
  private consider(turn: Turn): void {
    const best = this.best(turn.now)
    if (best === null) return
    const { place, parent } = this
    if (place === null || outranks(best.place.root, place.root)) this.adopt(turn, best.peer, best.place)
    else if (!isSameRoot(best.place.root, place.root)) return
    else if (this.isNewRound(best.place)) {
      const parentPlace = parent === null ? null : this.branches.get(parent)?.place
      // The first word of a round is not that of the shortest way; but who hangs well has no reason to wait.
      const parentTold = parentPlace === null || (parentPlace !== undefined && this.isNewRound(parentPlace))
      if (parentTold) this.adopt(turn, best.peer, best.place)
      else this.settleAt ??= turn.now + TREE_SETTLE_MS
    } else if (best.place.round === place.round && best.place.depth < place.depth) {
      const isShorter = best.place.depth + 1 < place.depth && !best.isLate
      if (isShorter || (parent === null && !this.isRoot)) this.adopt(turn, best.peer, best.place)
    }
  }

  private isNewRound(place: Place): boolean {
    return this.place !== null && isSameRoot(place.root, this.place.root) && place.round > this.place.round
  }

  /** The neighbour to hang on: of the highest root, in its last round, closest to it. */
  private best(now: Instant): Candidate | null {
    const self = this.owner.self().peer
    let best: Candidate | null = null
    for (const [peer, { place, isChild, lateUntil, toldAt }] of this.branches) {
      if (place === null || isChild || place.root.peer === self || place.depth >= TREE_DEPTH_MAX) continue
      const isLate = lateUntil > now
      const candidate = { peer, place, toldAt, isLate }
      if (best === null || this.isBetter(candidate, best)) best = candidate
    }
    return best
  }

  private isBetter(a: Candidate, b: Candidate): boolean {
    if (!isSameRoot(a.place.root, b.place.root)) return outranks(a.place.root, b.place.root)
    if (a.place.round !== b.place.round) return a.place.round > b.place.round
    const aDepth = a.place.depth + (a.isLate ? 1 : 0)
    const bDepth = b.place.depth + (b.isLate ? 1 : 0)
    if (aDepth !== bDepth) return aDepth < bDepth
    if (a.isLate !== b.isLate) return b.isLate
    if (a.peer === this.parent || b.peer === this.parent) return a.peer === this.parent
    return a.toldAt < b.toldAt
  }

  private adopt(turn: Turn, parent: PeerId, { root, round, depth }: Place): void {
    const before = this.place
    const parentBefore = this.parent
    const isNew = before === null || !isSameRoot(before.root, root) || before.round !== round
    this.place = { root, round, depth: depth + 1 }
    this.parent = parent
    if (isNew) {
      this.roundAt = turn.now
      this.settleAt = null
      this.claimAt = null
      this.owner.onNewRound()
    }
    const isMoved = isNew || before.depth !== depth + 1
    for (const [peer, branch] of this.branches)
      if (isMoved || peer === parent || peer === parentBefore) this.tell(turn, peer, branch)
  }

  /** This member is the root from here on: the one before is silent, or much smaller. */
  private claim(turn: Turn): void {
    this.claimAt = null
    const { peer, capacity } = this.owner.self()
    let term = this.place?.root.term ?? 0
    for (const { place } of this.branches.values()) if (place !== null) term = Math.max(term, place.root.term)
    if (term >= TREE_TERM_MAX) return
    this.place = { root: { term: term + 1, capacity, peer }, round: 0, depth: 0 }
    this.parent = null
    this.settleAt = null
    this.owner.onNewRound()
    this.beginRound(turn)
  }

  private beginRound(turn: Turn): void {
    if (this.place === null) return
    this.place = { ...this.place, round: this.place.round + 1 }
    this.roundAt = turn.now
    for (const [peer, branch] of this.branches) this.tell(turn, peer, branch)
  }

  private tell(turn: Turn, peer: PeerId, branch: Branch): void {
    branch.owed = this.place !== null && !this.owner.tellPlace(turn, peer, this.place, this.parent === peer)
    if (branch.owed) this.retellAt ??= turn.now + TREE_RETELL_MS
  }

  /** The larger are the quicker, so that one of them becomes the root. */
  private claimWaitMs(): number {
    const { capacity } = this.owner.self()
    const part = capacity >= LARGE_CAPACITY ? 1 : capacity >= MIDDLE_CAPACITY ? 3 : 6
    return part * this.rng.around(TREE_CLAIM_MS, 0.5)
  }
}
