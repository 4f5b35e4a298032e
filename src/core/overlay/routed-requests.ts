/**
 * Requests that travel to the peer closest to a key, hop by hop, and whose answer comes back the same way (spec 5.5).
 * A hop that fails condemns that link for this request, not the key: another way is tried from where it failed.
 */
import { type Fault, fail, ok } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import { RareMap } from '../base/rare-map.ts'
import {
  ROUTE_HOPS_MAX,
  ROUTED_HEDGE_MS,
  ROUTED_HOP_STEP_MS,
  ROUTED_HOP_TIMEOUT_MIN_MS,
  ROUTED_HOP_TIMEOUT_MS,
  ROUTED_PAYLOAD_BYTES_MAX,
  ROUTED_PENDING_MAX,
  ROUTED_PER_NEIGHBOUR_MAX,
  ROUTED_TIMEOUT_MS,
  ROUTED_WAYS_TRIED_MAX,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import { LinkDoubts } from './link-doubts.ts'
import type { OverlayMessage } from './overlay-messages.ts'
import type { OnAnswer } from './overlay-port.ts'

export interface RoutedPort {
  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean
  /** The link that leads closest to the key within two hops, none of `avoid`; null where none leads closer than this peer. */
  nextHopToKey(key: Position, method: number, avoid: readonly PeerId[]): PeerId | null
  /** The link that itself stands closest to the key and closer than `peer`, this one or a neighbour; null where none does. */
  linkCloserThan(peer: PeerId | null, key: Position, method: number, avoid: readonly PeerId[]): PeerId | null
  /** Whether a neighbour stands closer to the key than this peer: it sent a request here for what this peer is linked to. */
  isCloser(neighbour: PeerId, key: Position, method: number): boolean
  /** This peer is the closest: its answer, or null where it has none. */
  answer(turn: Turn, key: Position, method: number, payload: Uint8Array): Uint8Array | null
}

type RouteMessage = Extract<OverlayMessage, { kind: 'route' }>
type AnswerMessage = Extract<OverlayMessage, { kind: 'route-answer' }>

interface Pending {
  readonly id: number
  readonly request: RouteMessage
  /** Who waits: a user of this peer, or the neighbour that passed the request on, under its number. */
  readonly waiter: { readonly onAnswer: OnAnswer } | { readonly neighbour: PeerId; readonly id: number }
  readonly tried: PeerId[]
  /** Of them those whose answer is still waited for. */
  readonly awaited: Set<PeerId>
  /** First hops of earlier requests of the same kind, and of this one: where they did not serve, others may. */
  readonly ways: PeerId[] | null
  /** Goes by where links stand, not by whom they say they are linked to: the one cannot be made up. */
  readonly byPlace: boolean
  /** How many of them knew no way on: the further from the origin, the fewer, or each hop would multiply the ways. */
  refusals: number
  giveUpAt: Instant
  /** When a second way is asked beside the first, which may answer still; null where that was done or is not to be. */
  hedgeAt: Instant | null
  /** How often another way may still be tried because no answer came. */
  again: number
}

export class RoutedRequests {
  /** Links that did not answer lately: others are asked before them. */
  readonly doubts = new LinkDoubts()
  private readonly port: RoutedPort
  private readonly pending = new RareMap<number, Pending>()
  /** How many wait here for each neighbour. */
  private readonly pendingOf = new RareMap<PeerId, number>()
  private nextId = 1
  private wakeAt: Instant | null = null

  constructor(port: RoutedPort) {
    this.port = port
  }

  get size(): number {
    return this.pending.size
  }

  /**
   * Asks the peer closest to `key`; with `via`, that neighbour is the first hop whatever the ring says. With `ways`, none
   * of those is the first hop while there are others, and those that are asked are added: requests that share a list take
   * different ways, every second one by where links stand alone.
   */
  request(
    turn: Turn,
    key: Position,
    method: number,
    payload: Uint8Array,
    onAnswer: OnAnswer,
    via: PeerId | null = null,
    ways: PeerId[] | null = null,
  ): void {
    if (payload.length > ROUTED_PAYLOAD_BYTES_MAX) {
      onAnswer(turn, fail({ code: 'message-too-large', got: payload.length, limit: ROUTED_PAYLOAD_BYTES_MAX }))
      return
    }
    if (this.pending.size >= ROUTED_PENDING_MAX) {
      onAnswer(turn, fail({ code: 'overloaded', limit: ROUTED_PENDING_MAX }))
      return
    }
    const id = this.newId()
    const item: Pending = {
      id,
      request: { kind: 'route', id, key, method, ttl: ROUTE_HOPS_MAX, payload },
      waiter: { onAnswer },
      tried: [],
      awaited: new Set(),
      ways,
      byPlace: ways !== null && ways.length % 2 === 1,
      refusals: 0,
      giveUpAt: turn.now + ROUTED_TIMEOUT_MS,
      hedgeAt: turn.now + ROUTED_HEDGE_MS,
      again: 1,
    }
    this.add(turn, item)
    if (via === null || !this.passTo(turn, item, via)) this.goOn(turn, item)
  }

  onRoute(turn: Turn, from: PeerId, message: RouteMessage): void {
    const fromNeighbour = this.pendingOf.get(from) ?? 0
    const overloaded = this.pending.size >= ROUTED_PENDING_MAX || fromNeighbour >= ROUTED_PER_NEIGHBOUR_MAX
    if (message.ttl === 0 || overloaded) {
      this.port.send(turn, from, noWayOn(message.id))
      return
    }
    const id = this.newId()
    // The further on, the sooner: who waits for a dead hop notices before those behind it give up.
    const hops = ROUTE_HOPS_MAX - message.ttl
    const item: Pending = {
      id,
      request: { ...message, id, ttl: message.ttl - 1 },
      waiter: { neighbour: from, id: message.id },
      tried: [],
      awaited: new Set(),
      ways: null,
      byPlace: false,
      refusals: 0,
      giveUpAt: turn.now + Math.max(ROUTED_HOP_TIMEOUT_MIN_MS, ROUTED_HOP_TIMEOUT_MS - hops * ROUTED_HOP_STEP_MS),
      hedgeAt: null,
      again: 1,
    }
    this.add(turn, item)
    this.goOn(turn, item)
  }

  onRouteAnswer(turn: Turn, from: PeerId, message: AnswerMessage): void {
    const item = this.pending.get(message.id)
    if (item === undefined) return
    // An answer is one from whomever it comes late; that there is no way on counts only from one that is still awaited.
    if (message.status !== 'no-way-on') {
      if (!item.tried.includes(from)) return
      this.doubts.answered(from)
      // Whoever was asked before the one that answers had more time than that takes.
      for (const peer of item.tried.slice(0, item.tried.indexOf(from))) {
        if (item.awaited.has(peer)) this.doubts.failed(peer, turn.now)
      }
      this.finish(turn, item, message)
    } else if (item.awaited.delete(from)) {
      item.refusals += 1
      if (item.awaited.size === 0) this.goOn(turn, item)
    }
  }

  onNeighbourLost(turn: Turn, peer: PeerId): void {
    this.doubts.forget(peer)
    for (const item of [...this.pending.values()]) {
      if ('neighbour' in item.waiter && item.waiter.neighbour === peer) this.remove(item)
      else if (item.awaited.delete(peer) && item.awaited.size === 0 && this.pending.has(item.id)) this.goOn(turn, item)
    }
  }

  nextWake(): Instant | null {
    return this.wakeAt
  }

  onWake(turn: Turn): void {
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    for (const item of [...this.pending.values()]) {
      if (!this.pending.has(item.id)) continue
      if (item.giveUpAt > turn.now) {
        if (item.hedgeAt !== null && item.hedgeAt <= turn.now) this.hedge(turn, item)
        this.wakeAt = earlier(this.wakeAt, earlier(item.giveUpAt, item.hedgeAt))
        continue
      }
      for (const peer of item.awaited) this.doubts.failed(peer, turn.now)
      item.awaited.clear()
      if (item.again > 0 && this.mayGoOn(item)) {
        item.again -= 1
        item.giveUpAt = turn.now + ('neighbour' in item.waiter ? ROUTED_HOP_TIMEOUT_MIN_MS : ROUTED_TIMEOUT_MS)
        this.wakeAt = earlier(this.wakeAt, item.giveUpAt)
        this.goOn(turn, item)
      } else {
        this.remove(item)
        if ('onAnswer' in item.waiter) item.waiter.onAnswer(turn, fail({ code: 'timeout', detail: 'routed request' }))
      }
    }
  }

  /**
   * A request of this peer's own ends where none but the silent are left: it is not the closest, and what it would answer
   * itself would be wrong.
   */
  private mayGoOn({ request: { key, method }, tried, waiter }: Pending): boolean {
    if ('neighbour' in waiter || this.port.nextHopToKey(key, method, tried) !== null) return true
    return this.port.nextHopToKey(key, method, []) === null
  }

  /** Asks a second link, where there is one: who swallows must not cost those who ask the whole time. */
  private hedge(turn: Turn, item: Pending): void {
    item.hedgeAt = null
    const { key, method } = item.request
    const next = this.port.nextHopToKey(key, method, this.avoided(turn, item, item.tried))
    if (next !== null && item.tried.length < ROUTED_WAYS_TRIED_MAX) this.passTo(turn, item, next)
  }

  private newId(): number {
    do this.nextId = this.nextId >= 0xffff_ffff ? 1 : this.nextId + 1
    while (this.pending.has(this.nextId))
    return this.nextId
  }

  private add(turn: Turn, item: Pending): void {
    this.pending.set(item.id, item)
    this.wakeAt = earlier(this.wakeAt, Math.max(earlier(item.giveUpAt, item.hedgeAt) ?? 0, turn.now + 1))
    if (!('neighbour' in item.waiter)) return
    const { neighbour } = item.waiter
    this.pendingOf.set(neighbour, (this.pendingOf.get(neighbour) ?? 0) + 1)
  }

  private remove(item: Pending): void {
    if (!this.pending.delete(item.id) || !('neighbour' in item.waiter)) return
    const { neighbour } = item.waiter
    const left = (this.pendingOf.get(neighbour) ?? 1) - 1
    if (left === 0) this.pendingOf.delete(neighbour)
    else this.pendingOf.set(neighbour, left)
  }

  /** Tries the next way, answers here where this peer is the closest, or says that there is no way on. */
  private goOn(turn: Turn, item: Pending): void {
    const { request, waiter } = item
    const { key, method } = request
    const source = 'neighbour' in waiter ? waiter.neighbour : null
    const isDetour = source !== null && this.port.isCloser(source, key, method)
    const refusalsMax = Math.max(1, ROUTED_WAYS_TRIED_MAX - (ROUTE_HOPS_MAX - request.ttl))
    for (;;) {
      const tried = source === null ? item.tried : [source, ...item.tried]
      const avoid = this.avoided(turn, item, tried)
      // Every second hop at least is closer to the key than all before it: what neighbours say may be old, and requests
      // that follow it alone go in circles.
      const next = isDetour
        ? this.port.linkCloserThan(source, key, method, avoid)
        : ((item.byPlace ? this.port.linkCloserThan(null, key, method, avoid) : null) ??
          this.port.nextHopToKey(key, method, avoid))
      // None closer is left: this peer is the closest, or has become it.
      if (next === null) break
      if (item.refusals >= refusalsMax || item.tried.length >= ROUTED_WAYS_TRIED_MAX) {
        if (!isDetour && this.port.linkCloserThan(null, key, method, avoid) === null) break
        this.conclude(turn, item, noWayOn(0))
        return
      }
      if (this.passTo(turn, item, next)) return
    }
    if (isDetour) {
      this.conclude(turn, item, noWayOn(0))
      return
    }
    const answer = this.port.answer(turn, key, method, request.payload)
    // Whoever got a longer one would take this peer for a broken one.
    const payload = answer !== null && answer.length <= ROUTED_PAYLOAD_BYTES_MAX ? answer : null
    const status = payload === null ? 'refused' : 'answered'
    this.conclude(turn, item, { kind: 'route-answer', id: 0, status, hops: 0, payload: payload ?? new Uint8Array(0) })
  }

  /** Beside those tried: the ways of earlier requests and links in doubt, unless they are all there are. */
  private avoided(turn: Turn, { request, ways }: Pending, tried: readonly PeerId[]): readonly PeerId[] {
    const doubted = this.doubts.doubted(turn.now)
    const leads = (avoid: readonly PeerId[]): boolean =>
      this.port.nextHopToKey(request.key, request.method, avoid) !== null
    for (const others of [[...doubted, ...(ways ?? [])], doubted]) {
      if (others.length > 0 && leads([...others, ...tried])) return [...others, ...tried]
    }
    return tried
  }

  private passTo(turn: Turn, item: Pending, next: PeerId): boolean {
    item.tried.push(next)
    item.ways?.push(next)
    if (!this.port.send(turn, next, item.request)) return false
    item.awaited.add(next)
    return true
  }

  private finish(turn: Turn, item: Pending, answer: AnswerMessage): void {
    this.conclude(turn, item, { ...answer, hops: Math.min(255, answer.hops + 1) })
  }

  private conclude(turn: Turn, item: Pending, answer: AnswerMessage): void {
    this.remove(item)
    if ('neighbour' in item.waiter) {
      this.port.send(turn, item.waiter.neighbour, { ...answer, id: item.waiter.id })
      return
    }
    item.waiter.onAnswer(turn, answer.status === 'answered' ? ok(answer.payload) : fail(faultOf(answer)))
  }
}

function noWayOn(id: number): AnswerMessage {
  return { kind: 'route-answer', id, status: 'no-way-on', hops: 0, payload: new Uint8Array(0) }
}

function faultOf(answer: AnswerMessage): Fault {
  return answer.status === 'refused' ? { code: 'refused' } : { code: 'peer-unreachable', detail: 'no way on' }
}
