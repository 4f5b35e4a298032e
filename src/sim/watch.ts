/**
 * What peers of a world tell their users: the answers to requests, and messages of services. Events are taken as they
 * come and not kept, so that a long run holds no more than a short one.
 */
import type { Instant } from '../core/base/instant.ts'
import type { PeerEvent } from '../core/effect.ts'
import type { Command, RequestId } from '../core/input.ts'
import type { Node, World } from './world.ts'

/** A request to a peer and what came of it. */
export interface Call {
  readonly from: Node
  /** Whom it is about, if anybody. */
  readonly to: Node | null
  readonly startedAt: Instant
  answer: PeerEvent | null
  endedAt: Instant | null
  /** Whether both were still there when it ended: a call to one that leaves meanwhile says nothing. */
  bothThere: boolean
}

export class Watch {
  /** Messages of services as they reach a user. */
  onMessage: ((node: Node, event: Extract<PeerEvent, { kind: 'message' }>) => void) | null = null
  private readonly world: World
  private readonly open = new Map<RequestId, Call>()

  constructor(world: World) {
    this.world = world
  }

  add(node: Node): void {
    node.onEvent = event => this.take(node, event)
    for (const event of node.events.splice(0)) this.take(node, event)
  }

  ask(from: Node, to: Node | null, make: (request: RequestId) => Command): Call {
    const request = this.world.newRequest()
    const call: Call = { from, to, startedAt: this.world.now, answer: null, endedAt: null, bothThere: true }
    this.open.set(request, call)
    from.command(make(request))
    return call
  }

  join(node: Node, waysIn: readonly Node[]): Call {
    const targets = waysIn.map(way => ({ kind: 'ref' as const, ref: way.ref }))
    return this.ask(node, null, request => ({ kind: 'join-mesh', request, waysIn: targets }))
  }

  /** By peer id alone; the session is let go again once it stands. */
  connect(from: Node, to: Node): Call {
    return this.ask(from, to, request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } }))
  }

  /** Asks the peer itself for its ref, over the overlay. */
  find(from: Node, to: Node): Call {
    return this.ask(from, to, request => ({ kind: 'peer-find', request, peer: to.id }))
  }

  joinService(node: Node, service: string): Call {
    return this.ask(node, null, request => ({ kind: 'service-join', request, service, summary: '' }))
  }

  findService(from: Node, service: string): Call {
    return this.ask(from, null, request => ({ kind: 'service-find', request, service }))
  }

  /** What one that is gone has asked stays without an answer. */
  forget(node: Node): void {
    for (const [request, call] of this.open) if (call.from === node) this.open.delete(request)
  }

  private take(node: Node, event: PeerEvent): void {
    node.events.length = 0
    if (event.kind === 'message') this.onMessage?.(node, event)
    if (!('request' in event)) return
    const call = this.open.get(event.request)
    if (call === undefined) return
    this.open.delete(event.request)
    call.answer = event
    call.endedAt = this.world.now
    call.bothThere = call.to === null || call.to.alive
    // Who leaves in this very step ends what it was asking for, and is gone after it.
    if (event.kind === 'failed') {
      this.world.at(this.world.now, () => {
        if (!node.alive) call.bothThere = false
      })
    }
    if (event.kind !== 'connected') return
    const { session } = event
    // Not from within a step's events: an application would let go a moment later too.
    this.world.at(this.world.now, () => node.command({ kind: 'session-close', session, code: 'closed' }))
  }
}

/** Whether the call brought what was asked for: of a connect, the right peer. */
export function succeeded({ answer, to }: Call): boolean {
  switch (answer?.kind) {
    case undefined:
    case 'failed':
      return false
    case 'connected':
      return answer.peer === to?.id
    case 'peer-found':
      return answer.ref.peer === to?.id
    default:
      return true
  }
}

/** The share that succeeded; 1 of none. */
export function successShare(calls: readonly Call[]): number {
  return calls.length === 0 ? 1 : calls.filter(succeeded).length / calls.length
}

/** Those that tell something of the mesh: no end of them left before there was an answer. */
export function telling(calls: readonly Call[]): Call[] {
  return calls.filter(({ from, to, endedAt, bothThere }) =>
    endedAt === null ? from.alive && (to === null || to.alive) : bothThere,
  )
}

/** One that failed, in words, or null. */
export function firstFailure(calls: readonly Call[], isGood: (call: Call) => boolean = succeeded): string | null {
  const call = calls.find(other => !isGood(other))
  if (call === undefined) return null
  const why =
    call.answer === null ? 'no answer' : call.answer.kind === 'failed' ? call.answer.fault.code : 'wrong answer'
  return `${call.from.index} to ${call.to?.index ?? 'all'}: ${why}`
}
