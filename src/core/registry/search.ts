/** Searches the registry on behalf of this peer: members of a service, and services (spec 6.5). */
import { readU32 } from '../base/bytes.ts'
import { type Fault, fail, ok, type Result } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareSet } from '../base/rare-map.ts'
import type { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import type { CryptoSuite } from '../crypto/suite.ts'
import type { ServiceEntry } from '../effect.ts'
import {
  DIRECTORY_SHARDS,
  FIND_MARKS_MAX,
  FIND_RETRY_MS,
  FIND_WAYS_MIN,
  FIND_WITNESS_REFS,
  FOUND_REFS_MAX,
  LIST_PAGES_MAX,
} from '../limits.ts'
import { type OnAnswer, type OverlayPort, RoutedMethod } from '../overlay/overlay-port.ts'
import type { Turn } from '../turn.ts'
import { MemberSearch } from './member-search.ts'
import { keyOfService, keyOfShard } from './record.ts'
import { MARK_BYTES, refMark } from './ref-mark.ts'
import { besideKey } from './region.ts'
import type { OnFound, OnListed, RegistryOptions } from './registry.ts'
import { decodeFindAnswer, decodeListAnswer, encodeRegistryRequest } from './registry-messages.ts'
import { parseServiceName, type ServiceName } from './service-name.ts'
import type { VerifiedRefs } from './verified-refs.ts'

/** A list under way: shards are asked side by side, the pages of one shard one after the other. */
interface Listing {
  readonly entries: Map<string, ServiceEntry>
  readonly done: OnListed
  open: number
  answered: number
}

/** What a search asks of the registry that it is a part of. */
export interface SearchNeeds {
  /** What this peer would answer itself, out of the records that it holds. */
  readonly held: (turn: Turn, service: ServiceName, count: number) => MembersHeld
  /** All members of a service were found, and this peer was not among them. */
  readonly onUnlisted: (turn: Turn, service: ServiceName) => void
}

export interface MembersHeld {
  readonly members: number
  /** A random sample, as they were signed. */
  readonly refs: readonly Uint8Array[]
}

export class Search {
  private readonly port: OverlayPort
  private readonly suite: CryptoSuite
  private readonly self: PeerId
  private readonly rng: Rng
  private readonly refs: VerifiedRefs
  private readonly finds = new RareSet<MemberSearch>()
  private readonly needs: SearchNeeds

  constructor(options: RegistryOptions, refs: VerifiedRefs, needs: SearchNeeds) {
    this.needs = needs
    this.port = options.port
    this.suite = options.suite
    this.self = options.identity.peer
    this.rng = options.rng
    this.refs = refs
  }

  find(turn: Turn, service: string, done: OnFound, held: readonly PeerRef[]): void {
    const name = parseServiceName(service)
    if (!name.ok) {
      done(turn, name, 0)
      return
    }
    const key = keyOfService(this.suite, name.value)
    const byMark = new Map(this.rng.sample(held, FIND_MARKS_MAX).map(ref => [refMark(ref.bytes), ref]))
    const nextAt = turn.now + this.rng.around(FIND_RETRY_MS)
    const search = new MemberSearch(name.value, key, byMark, nextAt, done)
    this.finds.add(search)
    // Nobody on the way can falsify what this peer holds itself; that it holds nothing says nothing.
    const own = this.needs.held(turn, name.value, FOUND_REFS_MAX)
    if (own.refs.length > 0) search.hear(this.refsOf(turn, own.refs, byMark), own.members)
    for (let i = 0; i < FIND_WAYS_MIN && this.finds.has(search); i += 1) this.ask(turn, search)
  }

  list(turn: Turn, done: OnListed): void {
    const listing: Listing = { entries: new Map(), done, open: DIRECTORY_SHARDS, answered: 0 }
    for (let shard = 0; shard < DIRECTORY_SHARDS; shard += 1) this.askPage(turn, listing, shard, '', 1)
  }

  onWake(turn: Turn): void {
    for (const search of this.finds) {
      if (search.nextAt > turn.now) continue
      search.nextAt = turn.now + this.rng.around(FIND_RETRY_MS)
      if (search.mayAsk) this.ask(turn, search)
    }
  }

  nextWake(): Instant | null {
    // Asked after every step, and mostly there is none: going through no set costs nothing.
    if (this.finds.size === 0) return null
    let wake: Instant | null = null
    for (const search of this.finds) if (search.mayAsk) wake = earlier(wake, search.nextAt)
    return wake
  }

  /**
   * The first way leads to the key, the others to either side of it in turn: other holders answer there. Most go from link
   * to link by where those stand themselves, round whoever says that it is linked to everybody.
   */
  private ask(turn: Turn, search: MemberSearch): void {
    const { key, service, held, ways, asked } = search
    // The next are witnesses: a few members show whether the first has told the truth.
    const count = asked > 0 && asked < FIND_WAYS_MIN ? FIND_WITNESS_REFS : FOUND_REFS_MAX
    const request = encodeRegistryRequest({ kind: 'find', service, count, marks: [...held.keys()] })
    const aim = asked === 0 ? key : besideKey(this.rng, key, this.port.estimatedPeers(), asked)
    const method = asked % FIND_WAYS_MIN === 0 ? RoutedMethod.registry : RoutedMethod.witness
    search.asked += 1
    search.awaited += 1
    const onAnswer: OnAnswer = (now, answer) => this.onAnswer(now, search, answer)
    this.port.request(turn, aim, method, request, onAnswer, ways)
  }

  private onAnswer(turn: Turn, search: MemberSearch, answer: Result<Uint8Array>): void {
    if (!this.finds.has(search)) return
    search.awaited -= 1
    const found = answer.ok ? decodeFindAnswer(answer.value) : null
    if (found !== null) search.hear(this.refsOf(turn, found.refs, search.held), found.members)
    else search.fault = answer.ok ? { code: 'malformed', detail: 'answer to find' } : answer.fault
    const isIdle = search.awaited === 0
    const isOwn = search.found.size === 0 && this.isAlone
    // Answers may come here before all are asked: this peer may be the one that answers.
    if ((search.settled && !isOwn) || (isIdle && !search.mayAsk)) this.conclude(turn, search)
    else if (isIdle && search.asked >= FIND_WAYS_MIN && found !== null && !isOwn) this.ask(turn, search)
  }

  /** Without any link a peer answers itself: that it knows of nobody says little, and it may be linked again in a moment. */
  private get isAlone(): boolean {
    const { before, after } = this.port.near()
    return before.length === 0 && after.length === 0
  }

  private conclude(turn: Turn, search: MemberSearch): void {
    this.finds.delete(search)
    const { found, members, answered, fault, done } = search
    if (!answered) {
      done(turn, fail(fault), 0)
      return
    }
    // This peer's own ref shows that an answer is true; it is none of those that it looks for.
    if (!found.delete(this.self) && members <= FOUND_REFS_MAX) this.needs.onUnlisted(turn, search.service)
    for (const ref of found.values()) this.port.learn(turn, ref)
    done(turn, ok([...found.values()]), members)
  }

  private refsOf(turn: Turn, told: readonly Uint8Array[], byMark: ReadonlyMap<number, PeerRef>): PeerRef[] {
    return told.map(bytes => this.refOf(turn, bytes, byMark)).filter(ref => ref !== undefined)
  }

  /** Of a ref, or of the mark of one that is held. */
  private refOf(turn: Turn, bytes: Uint8Array, byMark: ReadonlyMap<number, PeerRef>): PeerRef | undefined {
    if (bytes.length === MARK_BYTES) return byMark.get(readU32(bytes, 0))
    const read = this.refs.read(bytes, turn.wallTime)
    return read.ok ? read.value : undefined
  }

  private askPage(turn: Turn, listing: Listing, shard: number, after: string, page: number): void {
    const request = encodeRegistryRequest({ kind: 'list', shard, after })
    this.port.request(turn, keyOfShard(this.suite, shard), RoutedMethod.registry, request, (now, answer) => {
      const listed = answer.ok ? decodeListAnswer(answer.value) : null
      for (const entry of listed?.entries ?? []) listing.entries.set(entry.service, entry)
      const last = listed?.entries.at(-1)?.service ?? ''
      if (listed?.more === true && last > after && page < LIST_PAGES_MAX)
        this.askPage(now, listing, shard, last, page + 1)
      else if (!answer.ok) closeShard(now, listing, answer.fault)
      else closeShard(now, listing, listed === null ? { code: 'malformed', detail: 'answer to list' } : null)
    })
  }
}

function closeShard(turn: Turn, listing: Listing, fault: Fault | null): void {
  listing.open -= 1
  if (fault === null) listing.answered += 1
  if (listing.open > 0) return
  // A part is better than nothing: the fault counts where no shard answered.
  if (listing.answered === 0 && fault !== null) listing.done(turn, fail(fault))
  else listing.done(turn, ok([...listing.entries.values()].sort((a, b) => (a.service < b.service ? -1 : 1))))
}
