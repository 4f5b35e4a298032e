/**
 * What peers tell each other of others (spec 5.8): only refs of peers that somebody had contact with lately, each with
 * the age of that contact, so that the dead fade. And the search for one's own place, by which rings converge and merge.
 */
import { ByteReader, ByteWriter, NO_BYTES } from '../base/bytes.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import { isPublic, type PeerRef } from '../crypto/peer-ref.ts'
import {
  GOSSIP_MAX_MS,
  GOSSIP_MIN_MS,
  NEAR_PER_SIDE,
  REFS_PER_MESSAGE_MAX,
  SEARCH_MAX_MS,
  SEARCH_MIN_MS,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { type RefEntry, readRefs, writeRefs } from './overlay-messages.ts'
import type { Surrounds } from './overlay-needs.ts'
import { RoutedMethod } from './overlay-port.ts'
import { closestAfter, closestBefore, closestTo } from './ring-order.ts'
import type { RoutedRequests } from './routed-requests.ts'

export class Gossip {
  private readonly around: Surrounds
  private readonly requests: RoutedRequests
  /** Takes in refs that were told. */
  private readonly onRefs: (turn: Turn, refs: readonly RefEntry[]) => void
  private gossipAt: Instant = 0
  private gossipDelayMs = GOSSIP_MIN_MS
  private searchAt: Instant = 0
  private searchDelayMs = SEARCH_MIN_MS

  constructor(around: Surrounds, requests: RoutedRequests, onRefs: (turn: Turn, refs: readonly RefEntry[]) => void) {
    this.around = around
    this.requests = requests
    this.onRefs = onRefs
  }

  /** The neighbours changed: who they are is news again. */
  hurry(turn: Turn): void {
    const { rng } = this.around
    this.gossipDelayMs = GOSSIP_MIN_MS
    this.gossipAt = Math.min(this.gossipAt, turn.now + rng.around(GOSSIP_MIN_MS, 0.5))
    this.searchDelayMs = SEARCH_MIN_MS
    this.searchAt = Math.min(this.searchAt, turn.now + rng.around(SEARCH_MIN_MS, 0.3))
  }

  tend(turn: Turn): void {
    if (this.gossipAt <= turn.now) this.tell(turn)
    if (this.searchAt <= turn.now) this.searchSelf(turn)
  }

  answer(turn: Turn, partner: Contact): void {
    const refs = this.refsFor(turn, partner)
    this.around.needs.send(turn, partner.peer, { kind: 'gossip', wantsAnswer: false, refs })
  }

  /** This peer, and the refs closest to another on each side of it. */
  refsAround(turn: Turn, other: PeerRef): RefEntry[] {
    const pool = this.freshRefs(turn).filter(item => item.ref.peer !== other.peer)
    const chosen = new Set([
      ...closestAfter(other.position, pool, NEAR_PER_SIDE + 1),
      ...closestBefore(other.position, pool, NEAR_PER_SIDE + 1),
    ])
    return this.entries(turn, chosen)
  }

  /** The answer to one who looks for those around a position: what this peer knows of them, and some public peers. */
  refsAt(turn: Turn, key: Position): Uint8Array {
    const pool = this.freshRefs(turn).filter(item => item.position !== key)
    const open = pool.filter(item => isPublic(item.ref))
    const chosen = new Set([
      ...closestAfter(key, pool, NEAR_PER_SIDE + 1),
      ...closestBefore(key, pool, NEAR_PER_SIDE + 1),
      ...closestTo(key, pool, NEAR_PER_SIDE),
      ...this.around.rng.sample(open, 3),
    ])
    return writeRefs(new ByteWriter(1024), this.entries(turn, chosen)).finish()
  }

  /** Looks for those around a position, starting through a given link where one is named. */
  search(turn: Turn, key: Position, via: PeerId | null): void {
    const onAnswer: Parameters<RoutedRequests['request']>[4] = (later, answer) => {
      if (!answer.ok) return
      const reader = new ByteReader(answer.value)
      const refs = readRefs(reader)
      if (reader.finished) this.onRefs(later, refs)
    }
    this.requests.request(turn, key, RoutedMethod.closest, NO_BYTES, onAnswer, via)
  }

  /** Starting from a random link: what is found from there is what the rest of the network would find (rule 8). */
  private searchSelf(turn: Turn): void {
    const { rng, links, needs } = this.around
    this.searchAt = turn.now + rng.around(this.searchDelayMs)
    this.searchDelayMs = Math.min(this.searchDelayMs * 2, SEARCH_MAX_MS)
    const link = rng.pick(links.list())
    if (link !== undefined) this.search(turn, needs.position, link.peer)
  }

  private tell(turn: Turn): void {
    const { rng, links, needs, alarm } = this.around
    this.gossipAt = turn.now + rng.around(alarm.isOn(turn.now) ? GOSSIP_MIN_MS : this.gossipDelayMs)
    this.gossipDelayMs = Math.min(this.gossipDelayMs * 2, GOSSIP_MAX_MS)
    const near = [...links.near()]
    const active = this.gossipDelayMs < GOSSIP_MAX_MS || rng.unit() < 0.5
    const link = rng.pick(active && near.length > 0 ? near : links.list())
    const contact = link === undefined ? null : needs.contact(link.peer)
    if (contact === null) return
    needs.send(turn, contact.peer, { kind: 'gossip', wantsAnswer: true, refs: this.refsFor(turn, contact) })
  }

  /** The two closest to the partner on each side, a random one, and public ones, more for a hidden partner (rule 6). */
  private refsFor(turn: Turn, partner: Contact): RefEntry[] {
    const { rng, needs } = this.around
    const refs = this.refsAround(turn, partner.ref ?? needs.self())
    const pool = this.freshRefs(turn).filter(item => item.ref.peer !== partner.peer)
    const open = pool.filter(item => isPublic(item.ref))
    const partnerHidden = partner.ref !== null && !isPublic(partner.ref)
    for (const item of [...rng.sample(pool, 1), ...rng.sample(open, partnerHidden ? 3 : 1)]) {
      if (!refs.some(entry => entry.bytes === item.ref.bytes)) refs.push(entryOf(item, turn.now))
    }
    return refs
  }

  private entries(turn: Turn, chosen: Iterable<FreshRef>): RefEntry[] {
    const refs: RefEntry[] = [{ ageSeconds: 0, bytes: this.around.needs.self().bytes }]
    for (const item of chosen) if (refs.length < REFS_PER_MESSAGE_MAX) refs.push(entryOf(item, turn.now))
    return refs
  }

  /** Links and what is remembered of which somebody had contact lately (rule 7). */
  private freshRefs(turn: Turn): FreshRef[] {
    const { links, memory } = this.around
    const fresh: FreshRef[] = []
    for (const link of links.all()) fresh.push({ position: link.position, ref: link.ref, heardAt: turn.now })
    for (const entry of memory.all()) {
      if (!links.has(entry.peer) && entry.isFresh(turn.now) && entry.failures === 0) fresh.push(entry)
    }
    return fresh
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
