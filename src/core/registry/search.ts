/** Searches the registry on behalf of this peer: members of a service, and services (spec 6.5). */
import { readU32 } from '../base/bytes.ts'
import { type Fault, fail, ok, type Result } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import type { CryptoSuite } from '../crypto/suite.ts'
import type { ServiceEntry } from '../effect.ts'
import { DIRECTORY_SHARDS, FIND_MARKS_MAX, FIND_RETRY_MS, FOUND_REFS_MAX, LIST_PAGES_MAX } from '../limits.ts'
import { type OnAnswer, type OverlayPort, RoutedMethod } from '../overlay/overlay-port.ts'
import type { Turn } from '../turn.ts'
import { keyOfService, keyOfShard } from './record.ts'
import { MARK_BYTES, refMark } from './ref-mark.ts'
import { besideKey } from './region.ts'
import type { OnFound, OnListed, RegistryOptions } from './registry.ts'
import { decodeFindAnswer, decodeListAnswer, encodeRegistryRequest } from './registry-messages.ts'
import { parseServiceName } from './service-name.ts'
import type { VerifiedRefs } from './verified-refs.ts'

interface Retry {
  readonly at: Instant
  readonly key: Position
  readonly request: Uint8Array
  readonly onAnswer: OnAnswer
}

/** A list under way: shards are asked side by side, the pages of one shard one after the other. */
interface Listing {
  readonly entries: Map<string, ServiceEntry>
  readonly done: OnListed
  open: number
  answered: number
}

export class Search {
  private readonly port: OverlayPort
  private readonly suite: CryptoSuite
  private readonly self: PeerId
  private readonly rng: Rng
  private readonly refs: VerifiedRefs
  private retries: Retry[] = []

  constructor(options: RegistryOptions, refs: VerifiedRefs) {
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
    const marks = [...byMark.keys()]
    const request = encodeRegistryRequest({ kind: 'find', service: name.value, count: FOUND_REFS_MAX, marks })
    const onAnswer: OnAnswer = (now, answer) => this.onFound(now, answer, byMark, done)
    this.port.request(turn, key, RoutedMethod.registry, request, (now, answer) => {
      if (answer.ok) onAnswer(now, answer)
      // Once more, and beside the key: the closest peer may be the one that fails.
      else this.retries.push({ at: now.now + this.rng.around(FIND_RETRY_MS), key, request, onAnswer })
    })
  }

  list(turn: Turn, done: OnListed): void {
    const listing: Listing = { entries: new Map(), done, open: DIRECTORY_SHARDS, answered: 0 }
    for (let shard = 0; shard < DIRECTORY_SHARDS; shard += 1) this.askPage(turn, listing, shard, '', 1)
  }

  onWake(turn: Turn): void {
    const due = this.retries.filter(retry => retry.at <= turn.now)
    if (due.length === 0) return
    this.retries = this.retries.filter(retry => retry.at > turn.now)
    for (const { key, request, onAnswer } of due) {
      const aim = besideKey(this.rng, key, this.port.estimatedPeers())
      this.port.request(turn, aim, RoutedMethod.registry, request, onAnswer)
    }
  }

  nextWake(): Instant | null {
    let wake: Instant | null = null
    for (const retry of this.retries) wake = earlier(wake, retry.at)
    return wake
  }

  private onFound(turn: Turn, answer: Result<Uint8Array>, byMark: ReadonlyMap<number, PeerRef>, done: OnFound): void {
    const found = answer.ok ? decodeFindAnswer(answer.value) : null
    if (found === null) {
      done(turn, answer.ok ? fail({ code: 'malformed', detail: 'answer to find' }) : answer, 0)
      return
    }
    const refs = new Map<PeerId, PeerRef>()
    for (const bytes of found.refs) {
      const ref = this.refOf(turn, bytes, byMark)
      if (ref !== undefined && ref.peer !== this.self) refs.set(ref.peer, ref)
    }
    for (const ref of refs.values()) this.port.learn(turn, ref)
    done(turn, ok([...refs.values()]), Math.max(found.members, refs.size))
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
