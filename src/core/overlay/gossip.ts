/**
 * What peers tell each other of others (spec 5.8): only refs of peers that somebody had contact with lately, each with
 * the age of that contact, so that the dead fade. Most are named only: whoever does not hold them asks. And the search for
 * one's own place, by which rings converge and merge.
 */
import { ByteWriter, readWhole } from '../base/bytes.ts'
import { ExpiringSet } from '../base/expiring-set.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import {
  FRESH_MS,
  GOSSIP_ALARM_MAX_MS,
  GOSSIP_MAX_MS,
  GOSSIP_MIN_MS,
  GOSSIP_PUBLIC_REFS,
  GOSSIP_RANDOM_REFS,
  INTRODUCED_PUBLIC,
  NEAR_PER_SIDE,
  REF_ASK_AGAIN_MS,
  REF_ASK_SHARE,
  REFS_ASKED_MAX,
  REFS_PER_MESSAGE_MAX,
  REMEMBERED_MAX,
  ROOM_CHOICES,
  ROUTED_PAYLOAD_BYTES_MAX,
  SEARCH_MAX_MS,
  SEARCH_MIN_MS,
  SEARCH_PUBLIC_REFS,
  WAY_IN_PUBLIC_REFS,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { type RefEntry, readRefs, writeRefs } from './overlay-messages.ts'
import type { Surrounds } from './overlay-needs.ts'
import { RoutedMethod } from './overlay-port.ts'
import {
  decodeClosestRequest,
  encodeClosestRequest,
  isNamedOrNewer,
  markOf,
  nameOfRef,
  readRefName,
} from './ref-names.ts'
import type { Known } from './remembered-peers.ts'
import { closestAround, closestTo } from './ring-order.ts'
import type { RoutedRequests } from './routed-requests.ts'

export class Gossip {
  private readonly around: Surrounds
  private readonly requests: RoutedRequests
  /** Takes in a ref that was told. */
  private readonly onRef: (turn: Turn, ref: PeerRef, heardAt: Instant) => void
  /** Positions of peers whose refs were asked for lately. */
  private readonly asked = new ExpiringSet<Position>({ sizeMax: REFS_ASKED_MAX, lapseMs: REF_ASK_AGAIN_MS })
  private gossipAt: Instant = 0
  private gossipDelayMs = GOSSIP_MIN_MS
  private searchAt: Instant = 0
  private searchDelayMs = SEARCH_MIN_MS

  constructor(
    around: Surrounds,
    requests: RoutedRequests,
    onRef: (turn: Turn, ref: PeerRef, heardAt: Instant) => void,
  ) {
    this.around = around
    this.requests = requests
    this.onRef = onRef
  }

  /** The neighbours changed: who they are is news again. */
  hurry(turn: Turn): void {
    const { rng } = this.around
    this.gossipDelayMs = GOSSIP_MIN_MS
    this.gossipAt = Math.min(this.gossipAt, turn.now + rng.around(GOSSIP_MIN_MS, 0.5))
    this.searchDelayMs = SEARCH_MIN_MS
    this.searchAt = Math.min(this.searchAt, turn.now + rng.around(SEARCH_MIN_MS, 0.3))
  }

  /** For a peer that begins settled: it has slowed down, and is somewhere between one time and the next. */
  settle(now: Instant, rng: Rng): void {
    this.gossipDelayMs = GOSSIP_MAX_MS
    this.gossipAt = now + rng.unit() * GOSSIP_MAX_MS
    this.searchDelayMs = SEARCH_MAX_MS
    this.searchAt = now + rng.unit() * SEARCH_MAX_MS
  }

  nextAt(): Instant {
    return Math.min(this.gossipAt, this.searchAt)
  }

  tend(turn: Turn): void {
    if (this.gossipAt <= turn.now) this.tell(turn)
    if (this.searchAt <= turn.now) this.searchSelf(turn)
  }

  answer(turn: Turn, partner: Contact): void {
    const refs = this.refsFor(turn, partner)
    this.send(turn, partner.peer, refs)
  }

  /**
   * Tells those next to a newcomer of it, in full: should this peer die now, they find each other. One that accepts dials
   * is told to a few more: it may come to be the only one left through whom they can meet.
   */
  introduce(turn: Turn, newcomer: PeerRef): void {
    const { links, rng } = this.around
    const pool = this.fresh(turn, newcomer.position)
    const near = closestAround(newcomer.position, pool, 1)
    const others = links.all().filter(link => link.peer !== newcomer.peer)
    const told = new Set<PeerId>()
    for (const { ref } of near) if (links.has(ref.peer)) told.add(ref.peer)
    if (this.around.isPublic(newcomer)) for (const { peer } of rng.sample(others, INTRODUCED_PUBLIC)) told.add(peer)
    const refs = [{ ageSeconds: 0, bytes: newcomer.bytes }]
    for (const peer of told) this.send(turn, peer, refs)
  }

  /** The refs closest to another on each side of it, by name. */
  refsAround(turn: Turn, other: PeerRef): RefEntry[] {
    return this.entriesAround(turn, other.position, this.fresh(turn, other.position), NEAR_PER_SIDE + 1, false)
  }

  /** In full, since a newcomer holds none: those next to it, and public ones that have room for it. */
  refsForNewcomer(turn: Turn, newcomer: PeerRef): RefEntry[] {
    const { rng, links } = this.around
    const pool = this.fresh(turn, newcomer.position)
    const refs = this.entriesAround(turn, newcomer.position, pool, NEAR_PER_SIDE, true)
    const roomOf = (ref: PeerRef): number => ref.capacity - (links.get(ref.peer)?.neighbours.length ?? 0)
    let open = pool.filter(known => known.isPublic).map(({ ref }) => ref)
    for (let i = 0; i < WAY_IN_PUBLIC_REFS; i += 1) {
      const [first, ...others] = rng.sample(open, ROOM_CHOICES)
      if (first === undefined) break
      let best = first
      for (const ref of others) if (roomOf(ref) > roomOf(best)) best = ref
      open = open.filter(ref => ref !== best)
      refs.push(this.entryOf(turn, best, true))
    }
    return refs
  }

  /**
   * The answer to one who looks for those around a position: this peer, what it knows of them, and some public peers; by
   * name what the asker holds. Null where the request makes no sense.
   */
  refsAt(turn: Turn, key: Position, payload: Uint8Array): Uint8Array | null {
    const request = decodeClosestRequest(payload)
    if (request === null) return null
    const self = this.around.needs.self()
    const fresh = this.fresh(turn, key)
    const open = fresh.filter(known => known.isPublic)
    const pool = request.onlyPublic ? open : fresh
    const perSide = request.onlyPublic ? 1 : NEAR_PER_SIDE + 1
    const chosen = new Set([
      ...closestAround(key, pool, perSide),
      ...closestTo(key, pool, NEAR_PER_SIDE),
      ...this.around.rng.sample(open, request.publics),
    ])
    const told = Array.from(chosen, ({ ref }) => ref)
    if (!request.onlyPublic || this.around.isPublic(self)) told.unshift(self)
    const entries: RefEntry[] = []
    let bytes = 1
    for (const ref of told.slice(0, REFS_PER_MESSAGE_MAX)) {
      const entry = this.entryOf(turn, ref, !request.marks.has(markOf(ref)))
      bytes += entry.bytes.length + 4
      if (bytes > ROUTED_PAYLOAD_BYTES_MAX) break
      entries.push(entry)
    }
    return writeRefs(new ByteWriter(1024), entries).finish()
  }

  /** Refs that were told: those that are only named and not held are asked for. True where some were. */
  take(turn: Turn, entries: readonly RefEntry[], from: PeerId | null): boolean {
    const { needs } = this.around
    const unknown: Position[] = []
    for (const entry of entries) {
      const heardAt = turn.now - entry.ageSeconds * 1_000
      const name = readRefName(entry.bytes)
      if (name === null) {
        const ref = needs.admit(turn, entry.bytes)
        if (ref !== null) this.onRef(turn, ref, heardAt)
        continue
      }
      if (name.position === needs.position) continue
      const held = this.held(name.position)
      if (held !== null && isNamedOrNewer(held, name)) this.onRef(turn, held, heardAt)
      else if (from !== null && this.isWanted(name.position, held)) {
        if (this.asked.add(name.position, turn.now)) unknown.push(name.position)
      }
    }
    if (from === null || unknown.length === 0) return false
    return needs.send(turn, from, { kind: 'ref-ask', positions: unknown })
  }

  /** Tells what was asked for, as far as it is held. */
  answerAsk(turn: Turn, from: PeerId, positions: readonly Position[]): void {
    const refs: RefEntry[] = []
    for (const position of positions) {
      const ref = this.held(position)
      if (ref !== null) refs.push(this.entryOf(turn, ref, true))
    }
    if (refs.length === 0) return
    this.send(turn, from, refs)
  }

  /** Looks for those around a position, or for the public ones of them, starting through a given link where one is named. */
  search(turn: Turn, key: Position, via: PeerId | null, onlyPublic = false): void {
    const { hidden, hungry } = this.around
    const held = this.known(() => true).filter(({ isPublic }) => isPublic || !onlyPublic)
    const marks = new Set<number>()
    for (const { ref } of closestAround(key, held, NEAR_PER_SIDE + 2)) marks.add(markOf(ref))
    const publicMissing = hidden && this.around.publicLinks().length < this.around.publicWanted
    const publics = publicMissing || hungry ? SEARCH_PUBLIC_REFS : onlyPublic ? 0 : 1
    const payload = encodeClosestRequest({ onlyPublic, publics, marks })
    const onAnswer: Parameters<RoutedRequests['request']>[4] = (later, answer) => {
      const refs = answer.ok ? readWhole(answer.value, readRefs) : null
      if (refs !== null) this.take(later, refs, null)
    }
    this.requests.request(turn, key, RoutedMethod.closest, payload, onAnswer, via)
  }

  /** Starting from a random link: what is found from there is what the rest of the network would find (rule 8). */
  private searchSelf(turn: Turn): void {
    const { rng, links, needs } = this.around
    this.searchAt = turn.now + rng.around(this.searchDelayMs)
    this.searchDelayMs = Math.min(this.searchDelayMs * 2, SEARCH_MAX_MS)
    const link = rng.pick(links.all().filter(link => !this.around.isCrowded(link)))
    if (link !== undefined) this.search(turn, needs.position, link.peer)
  }

  private tell(turn: Turn): void {
    const { rng, links, needs, alarm } = this.around
    const delayMax = alarm.isOn(turn.now) ? GOSSIP_ALARM_MAX_MS : GOSSIP_MAX_MS
    this.gossipAt = turn.now + rng.around(Math.min(this.gossipDelayMs, delayMax))
    this.gossipDelayMs = Math.min(this.gossipDelayMs * 2, GOSSIP_MAX_MS)
    const others = links.all().filter(link => !this.around.isCrowded(link))
    const near = others.filter(link => links.near().includes(link))
    const active = this.gossipDelayMs < GOSSIP_MAX_MS || rng.unit() < 0.5
    const link = rng.pick(active && near.length > 0 ? near : others)
    const contact = link === undefined ? null : needs.contact(link.peer)
    if (contact === null) return
    const refs = this.refsFor(turn, contact)
    this.send(turn, contact.peer, refs, true)
  }

  /** Names of those closest to the partner on each side, of random and of public ones (rule 6). */
  private refsFor(turn: Turn, partner: Contact): RefEntry[] {
    const { rng, needs } = this.around
    const pool = this.fresh(turn, partner.ref?.position)
    const refs =
      partner.ref === null
        ? this.refsAround(turn, needs.self())
        : this.entriesAround(turn, partner.ref.position, pool, NEAR_PER_SIDE + 1, false)
    const open = pool.filter(known => known.isPublic)
    const others = new Set([...rng.sample(pool, GOSSIP_RANDOM_REFS), ...rng.sample(open, GOSSIP_PUBLIC_REFS)])
    for (const { ref } of others) refs.push(this.entryOf(turn, ref, false))
    return refs
  }

  private send(turn: Turn, to: PeerId, refs: readonly RefEntry[], wantsAnswer = false): void {
    const estimate = this.around.ownEstimate(turn.now)
    this.around.needs.send(turn, to, { kind: 'gossip', wantsAnswer, estimate, refs })
  }

  private held(position: Position): PeerRef | null {
    const { links, memory } = this.around
    return memory.refAt(position) ?? links.at(position)?.ref ?? null
  }

  /** A named ref is asked for where it matters, or there is room; else now and then, so that the memory stays fresh. */
  private isWanted(position: Position, held: PeerRef | null): boolean {
    const { links, memory, rng } = this.around
    if (held !== null || memory.size < REMEMBERED_MAX) return true
    return links.belongsNear(position) || rng.unit() < REF_ASK_SHARE
  }

  /**
   * Links and what is remembered of which somebody had contact lately (rule 7), in a mass failure since it began: names of
   * those that it took would hide those that are there. But for the one that stands at `except`.
   */
  private fresh(turn: Turn, except: Position | undefined): Known[] {
    const { memory, alarm } = this.around
    const from = Math.max(turn.now - FRESH_MS, alarm.startedAt)
    const fresh = this.known(index => memory.heardAt(index) >= from && !memory.hasFailed(index))
    return fresh.filter(({ position }) => position !== except)
  }

  /** Links, and those of the remembered that count, by number. */
  private known(counts: (index: number) => boolean): Known[] {
    const { links, memory } = this.around
    const known: Known[] = []
    let linked = 0
    for (let i = 0; i < memory.size; i += 1) {
      const isLinked = memory.isLinked(i)
      if (isLinked) linked += 1
      if (isLinked || counts(i)) known.push(memory.known(i))
    }
    if (linked === links.size) return known
    for (const { position, ref } of links.all())
      if (memory.indexAt(position) < 0) known.push({ position, isPublic: this.around.isPublic(ref), ref })
    return known
  }

  private entriesAround(
    turn: Turn,
    position: Position,
    pool: readonly Known[],
    perSide: number,
    full: boolean,
  ): RefEntry[] {
    const chosen = new Set(closestAround(position, pool, perSide))
    return Array.from(chosen, ({ ref }) => this.entryOf(turn, ref, full))
  }

  /** A ref as it is told, with the age of the last contact. */
  private entryOf(turn: Turn, ref: PeerRef, full: boolean): RefEntry {
    const ageMs = turn.now - this.heardAt(turn, ref.peer)
    return { ageSeconds: Math.round(ageMs / 1_000), bytes: full ? ref.bytes : nameOfRef(ref) }
  }

  /** Now for this peer itself. */
  private heardAt(turn: Turn, peer: PeerId): Instant {
    const { links, memory, needs } = this.around
    if (links.has(peer)) return needs.contact(peer)?.heardAt ?? turn.now
    const index = memory.indexOf(peer)
    return index < 0 ? turn.now : memory.heardAt(index)
  }
}
