/**
 * Circuits: label-switched chains of peers that forward opaque packets (spec 5.6). At its two ends a circuit is a
 * carrier like a wire: a pipe of frames, here without their length. In between, a hop rewrites the label and passes the
 * body on. Hops see ciphertext only, may drop, and never store more than a bound.
 */
import { NO_BYTES, partOf, writeU32 } from '../base/bytes.ts'
import type { Instant } from '../base/instant.ts'
import { earlier } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap, RareSet } from '../base/rare-map.ts'
import type { PathView } from '../effect.ts'
import {
  CIRCUIT_FLIGHT_BYTES_MAX,
  CIRCUIT_HOP_TIMEOUT_MIN_MS,
  CIRCUIT_HOP_TIMEOUT_STEP_MS,
  CIRCUIT_HOPS_MAX,
  CIRCUIT_IDLE_MS,
  CIRCUIT_OPEN_TIMEOUT_MS,
  CIRCUIT_QUEUE_BYTES_MAX,
  CIRCUIT_QUEUES_BYTES_MAX,
  CIRCUIT_WAYS_TRIED_MAX,
  CIRCUITS_PER_NEIGHBOUR_MAX,
  CIRCUITS_RELAYED_MAX,
  GREETING_BYTES_MAX,
  WIRE_UNPROVEN_MS,
} from '../limits.ts'
import { FRAME_HEADER_BYTES } from '../session/path.ts'
import type { LabelTarget, Switchboard } from '../session/switchboard.ts'
import type { Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import type { OverlayMessage, RefusalReason } from './overlay-messages.ts'
import type { SettledHop, SettledPath } from './settled-state.ts'

/** What circuits need of the peer around them. */
export interface CircuitsPort {
  readonly self: PeerId
  readonly relays: boolean
  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean
  /** The neighbour to go on through towards a peer, none of `avoid`; `from` sent the request here. Null where there is none. */
  nextHop(target: PeerId, avoid: readonly PeerId[], from: PeerId | null): PeerId | null
  /** Whether no neighbour that relays stands closer to a peer's place than this one. */
  standsClosest(target: PeerId): boolean
  /** What the session with a neighbour travels over now. */
  carrierTo(neighbour: PeerId): Carrier | null
  /** The first circuit of this peer's own runs over the session with a neighbour, or the last one has ended. */
  onCarrying(neighbour: PeerId, carries: boolean, now: Instant): void
  /** A circuit of our own was accepted. */
  onCircuitOpen(turn: Turn, circuit: CircuitEnd): void
  /** A full wire below it has room again. */
  onCircuitRoom(turn: Turn, circuit: CircuitEnd): void
  onCircuitLost(turn: Turn, circuit: CircuitEnd, reason: CircuitLoss): void
}

export type CircuitLoss = RefusalReason | 'closed' | 'timeout'

/** What a queued body costs beside its bytes. */
const QUEUED_OVERHEAD_BYTES = 128

type OpenMessage = Extract<OverlayMessage, { kind: 'circuit-open' }>
type AcceptMessage = Extract<OverlayMessage, { kind: 'circuit-accept' }>

export class Circuits {
  private readonly board: Switchboard
  private readonly port: CircuitsPort
  private readonly ends = new RareSet<CircuitEnd>()
  /** How many of them run over each neighbour. */
  private readonly endsOver = new RareMap<PeerId, number>()
  private readonly hops = new Set<Hop>()
  /** How many of them each neighbour asked for. */
  private readonly hopsFrom = new RareMap<PeerId, number>()
  /** By the label that this peer gave to its next neighbour. */
  private readonly byLabel = new Map<number, CircuitEnd | HopSide>()
  private readonly waiting = new RareMap<Wire, Set<HopSide>>()
  /** In the queues of all hops. */
  private queuedBytes = 0
  private wakeAt: Instant | null = null

  constructor(board: Switchboard, port: CircuitsPort) {
    this.board = board
    this.port = port
  }

  get relayedCount(): number {
    return this.hops.size
  }

  /** Whether circuits of others run over this neighbour: what it has for a session here serves them. */
  relaysOver(peer: PeerId): boolean {
    for (const hop of this.hops) if (hop.from === peer || hop.ahead.towards === peer) return true
    return false
  }

  /** Whether any circuit, of this peer's own or of others, runs over the session with this neighbour. */
  runsOver(peer: PeerId): boolean {
    return (this.endsOver.get(peer) ?? 0) > 0 || this.relaysOver(peer)
  }

  /** What the tables hold, for tests of leaks. */
  get counts(): {
    readonly circuitEnds: number
    readonly hops: number
    readonly circuitLabels: number
    readonly queuedBytes: number
  } {
    const { ends, hops, byLabel, queuedBytes } = this
    return { circuitEnds: ends.size, hops: hops.size, circuitLabels: byLabel.size, queuedBytes }
  }

  /**
   * Begins a circuit to `target` through a neighbour. The first frame sent over it travels in the request itself; with
   * `bare`, the request leaves at once and carries none.
   */
  begin(turn: Turn, target: PeerId, neighbour: PeerId, bare: boolean): CircuitEnd {
    const end = new CircuitEnd(this.board, this.port, neighbour, target, turn.now)
    this.addEnd(end, turn.now, CIRCUIT_OPEN_TIMEOUT_MS)
    if (bare) end.request(turn, NO_BYTES)
    return end
  }

  /** Ends a circuit of this peer's own and tells the chain. */
  close(turn: Turn, end: CircuitEnd): void {
    if (!this.dropEnd(end, turn.now)) return
    if (end.remoteLabel !== null) this.port.send(turn, end.neighbour, { kind: 'circuit-close', label: end.remoteLabel })
  }

  /** For a peer that begins settled: an end that stands. The opener's has a target. */
  settleEnd(
    target: PeerId | null,
    path: SettledPath & { kind: 'circuit' },
    peer: PeerId,
    heardAt: Instant,
  ): CircuitEnd {
    const end = new CircuitEnd(this.board, this.port, path.neighbour, target, heardAt, path.label)
    end.remoteLabel = path.remoteLabel
    end.via = path.via
    end.peer = peer
    this.keepEnd(end, heardAt)
    return end
  }

  /** The same: a hop that stands. */
  settleHop(settled: SettledHop): void {
    const { from, towards, labelOfFrom, heardAt } = settled
    const message = { kind: 'circuit-open', label: labelOfFrom, target: towards, via: [from], frame: NO_BYTES } as const
    const hop = new Hop(this, from, message, heardAt)
    hop.pending = null
    hop.back.towardsLabel = labelOfFrom
    hop.back.label = settled.backLabel
    hop.ahead.towards = towards
    hop.ahead.towardsLabel = settled.labelOfTowards
    hop.ahead.label = settled.aheadLabel
    for (const side of [hop.back, hop.ahead]) {
      this.board.settleLabel(side.label, side)
      this.byLabel.set(side.label, side)
    }
    this.addHop(hop)
    this.wakeAt = earlier(this.wakeAt, heardAt + CIRCUIT_IDLE_MS)
  }

  onOpen(turn: Turn, from: PeerId, message: OpenMessage): void {
    const refusal = this.refusal(from, message)
    if (refusal !== null) {
      this.port.send(turn, from, { kind: 'circuit-refuse', forLabel: message.label, reason: refusal })
      return
    }
    if (message.target === this.port.self) {
      this.acceptHere(turn, from, message)
      return
    }
    const hop = new Hop(this, from, message, turn.now)
    for (const side of [hop.back, hop.ahead]) {
      side.label = this.board.addLabel(side)
      this.byLabel.set(side.label, side)
    }
    hop.back.towardsLabel = message.label
    this.addHop(hop)
    this.wakeAt = earlier(this.wakeAt, hop.answerBy)
    this.tryNext(turn, hop)
  }

  onAccept(turn: Turn, from: PeerId, message: AcceptMessage): void {
    const found = this.byLabel.get(message.forLabel)
    if (found instanceof CircuitEnd && found.neighbour === from && found.remoteLabel === null) {
      found.remoteLabel = message.label
      found.deadline = null
      found.via = message.via
      this.port.onCircuitOpen(turn, found)
      return
    }
    if (found instanceof HopSide && found === found.hop.back && this.isAwaited(found.hop, from)) {
      const { hop } = found
      hop.ahead.towardsLabel = message.label
      hop.pending = null
      hop.heardAt = turn.now
      // An accept that waits for a path comes too late.
      if (this.port.carrierTo(hop.from) === null) {
        this.dropHop(turn, hop, null)
        return
      }
      this.port.send(turn, hop.from, {
        kind: 'circuit-accept',
        forLabel: hop.backLabelOfFrom,
        label: hop.ahead.label,
        via: [this.port.self, ...message.via].slice(0, CIRCUIT_HOPS_MAX),
      })
      return
    }
    // Given up here in the meantime: those further on must not wait for their time-out.
    this.port.send(turn, from, { kind: 'circuit-close', label: message.label })
  }

  onRefuse(turn: Turn, from: PeerId, forLabel: number, reason: RefusalReason): void {
    const found = this.byLabel.get(forLabel)
    if (found instanceof CircuitEnd) {
      if (found.neighbour !== from || found.remoteLabel !== null || !this.dropEnd(found, turn.now)) return
      this.port.onCircuitLost(turn, found, reason)
    } else if (found !== undefined && found === found.hop.back && this.isAwaited(found.hop, from)) {
      // Where it should be, nobody knows it: other ways lead there too.
      if (reason === 'unknown') {
        this.refuse(turn, found.hop, 'unknown')
        return
      }
      found.hop.refusals += 1
      this.tryNext(turn, found.hop)
    }
  }

  /** The neighbour that gave us frames under `label` will give no more. */
  onClose(turn: Turn, from: PeerId, label: number): void {
    const found = this.byLabel.get(label)
    if (found instanceof CircuitEnd) {
      if (found.neighbour === from && this.dropEnd(found, turn.now)) this.port.onCircuitLost(turn, found, 'closed')
    } else if (found !== undefined) {
      const expected = found === found.hop.ahead ? found.hop.from : found.hop.ahead.towards
      if (expected === from) this.dropHop(turn, found.hop, from)
    }
  }

  /** A session with a neighbour ended, or has no path any more: so have the circuits through it. */
  onNeighbourLost(turn: Turn, peer: PeerId): void {
    // Copies: those who are told may begin other circuits.
    for (const end of [...this.ends]) {
      if (end.neighbour === peer && this.dropEnd(end, turn.now)) this.port.onCircuitLost(turn, end, 'closed')
    }
    for (const hop of [...this.hops]) {
      if (!this.hops.has(hop)) continue
      if (hop.from === peer) this.dropHop(turn, hop, peer)
      else if (hop.ahead.towards === peer) {
        if (hop.pending !== null) this.tryNext(turn, hop)
        else this.dropHop(turn, hop, peer)
      }
    }
  }

  /** A wire that was full has room: hops that wait for it take turns, a packet each. */
  onWireRoom(turn: Turn, wire: Wire): void {
    const sides = this.waiting.get(wire)
    if (sides !== undefined) {
      while (sides.size > 0 && wire.room() > 0) {
        for (const side of sides) {
          if (wire.room() <= 0) break
          sides.delete(side)
          if (this.sendOldest(turn, side)) sides.add(side)
        }
      }
      if (sides.size === 0) this.waiting.delete(wire)
    }
    for (const end of this.ends) if (end.bottom() === wire) this.port.onCircuitRoom(turn, end)
  }

  onWireLost(wire: Wire): void {
    for (const side of this.waiting.get(wire) ?? []) this.dropQueue(side)
    this.waiting.delete(wire)
  }

  nextWake(): Instant | null {
    return this.wakeAt
  }

  onWake(turn: Turn): void {
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    for (const end of [...this.ends]) {
      // An end that the other side opened and over which someone has proven who it is stays.
      if (end.target === null && end.peer !== null) end.deadline = null
      if (end.deadline === null) continue
      if (end.deadline > turn.now) this.wakeAt = earlier(this.wakeAt, end.deadline)
      else {
        this.close(turn, end)
        this.port.onCircuitLost(turn, end, 'timeout')
      }
    }
    for (const hop of [...this.hops]) {
      const ends = hop.pending === null ? hop.heardAt + CIRCUIT_IDLE_MS : hop.answerBy
      if (ends > turn.now) this.wakeAt = earlier(this.wakeAt, ends)
      else if (hop.pending === null || hop.waited) this.dropHop(turn, hop, null)
      else this.goRound(turn, hop)
    }
  }

  /** The next hop keeps silent: another one has a little time left to answer. */
  private goRound(turn: Turn, hop: Hop): void {
    hop.waited = true
    hop.refusals += 1
    hop.answerBy = turn.now + CIRCUIT_HOP_TIMEOUT_MIN_MS
    this.wakeAt = earlier(this.wakeAt, hop.answerBy)
    this.tryNext(turn, hop)
  }

  /** A frame at a hop: out under the next label, or into the hop's bounded queue while the wire is full. */
  pass(turn: Turn, side: HopSide, bytes: Uint8Array, start: number, end: number, from: Carrier, spare: number): void {
    if (from.peer !== side.source()) return
    const carrier = side.towards === null ? null : this.port.carrierTo(side.towards)
    if (carrier === null || side.towardsLabel === null) return
    side.hop.heardAt = turn.now
    if (side.queue === null && carrier.room() > 0) {
      carrier.forward(turn, side.towardsLabel, bytes, start, end, spare)
      return
    }
    const wire = carrier.bottom()
    const cost = end - start + QUEUED_OVERHEAD_BYTES
    // No queue may take more than what is left for all the others: the longer ones lose first.
    const room = Math.min(CIRCUIT_QUEUE_BYTES_MAX - side.queuedBytes, CIRCUIT_QUEUES_BYTES_MAX - this.queuedBytes)
    if (wire === null || cost > room || side.queuedBytes > CIRCUIT_QUEUES_BYTES_MAX - this.queuedBytes) return
    side.queue ??= []
    side.queue.push(bytes.slice(start, end))
    side.queuedBytes += cost
    this.queuedBytes += cost
    const sides = this.waiting.get(wire)
    if (sides === undefined) this.waiting.set(wire, new Set([side]))
    else sides.add(side)
  }

  /** False when nothing is left in the queue. */
  private sendOldest(turn: Turn, side: HopSide): boolean {
    const { queue } = side
    const body = queue?.[side.queueAt]
    if (queue === null || body === undefined) return false
    side.queueAt += 1
    side.queuedBytes -= body.length + QUEUED_OVERHEAD_BYTES
    this.queuedBytes -= body.length + QUEUED_OVERHEAD_BYTES
    const carrier = side.towards === null ? null : this.port.carrierTo(side.towards)
    if (carrier !== null && side.towardsLabel !== null) {
      carrier.send(turn, side.towardsLabel, new Uint8Array(FRAME_HEADER_BYTES), [body])
    }
    if (side.queueAt === queue.length) {
      this.dropQueue(side)
      return false
    }
    if (side.queueAt >= 32 && side.queueAt * 2 >= queue.length) {
      side.queue = queue.slice(side.queueAt)
      side.queueAt = 0
    }
    return true
  }

  private dropQueue(side: HopSide): void {
    this.queuedBytes -= side.queuedBytes
    side.queue = null
    side.queueAt = 0
    side.queuedBytes = 0
  }

  private acceptHere(turn: Turn, from: PeerId, message: OpenMessage): void {
    const end = new CircuitEnd(this.board, this.port, from, null, turn.now)
    // Whoever opened it has as long to prove who it is as on a wire.
    this.addEnd(end, turn.now, WIRE_UNPROVEN_MS)
    end.remoteLabel = message.label
    end.via = message.via.slice(1).reverse()
    this.port.send(turn, from, { kind: 'circuit-accept', forLabel: message.label, label: end.localLabel, via: [] })
    if (message.frame.length > 0) this.board.deliver(turn, message.frame, 0, message.frame.length, end, 0)
  }

  private refusal(from: PeerId, message: OpenMessage): RefusalReason | null {
    const here = message.target === this.port.self
    if (!here && !this.port.relays) return 'declined'
    if (message.via.includes(this.port.self)) return 'loop'
    // The last that it went through is the one that sent it.
    if (message.via.at(-1) !== from || (!here && message.via.length >= CIRCUIT_HOPS_MAX)) return 'no-route'
    if (!here && this.hops.size >= CIRCUITS_RELAYED_MAX) return 'overloaded'
    let fromNeighbour = here ? 0 : (this.hopsFrom.get(from) ?? 0)
    if (here) for (const end of this.ends) fromNeighbour += end.neighbour === from && end.target === null ? 1 : 0
    return fromNeighbour >= CIRCUITS_PER_NEIGHBOUR_MAX ? 'overloaded' : null
  }

  /** Whether this neighbour was asked last and has not answered yet. */
  private isAwaited(hop: Hop, neighbour: PeerId): boolean {
    return hop.pending !== null && hop.ahead.towards === neighbour
  }

  /** Asks the next neighbour that has not been asked; refuses backwards when none is left. */
  private tryNext(turn: Turn, hop: Hop): void {
    const { pending } = hop
    if (pending === null) return
    // Fewer the further on: all ways of all hops would be thousands for a peer that nobody can reach.
    const refusalsMax = Math.max(1, CIRCUIT_WAYS_TRIED_MAX + 1 - pending.via.length)
    while (hop.refusals < refusalsMax && hop.tried.length < 2 * CIRCUIT_WAYS_TRIED_MAX) {
      const next = this.port.nextHop(pending.target, [hop.from, ...pending.via, ...hop.tried], hop.from)
      if (next === null) break
      hop.tried.push(next)
      // What is sent over a session without a path waits for one: another way is tried at once.
      if (this.port.carrierTo(next) === null) continue
      hop.ahead.towards = next
      const via = [...pending.via, this.port.self]
      if (this.port.send(turn, next, { ...pending, label: hop.back.label, via })) return
    }
    this.refuse(turn, hop, this.port.standsClosest(pending.target) ? 'unknown' : 'no-route')
  }

  private refuse(turn: Turn, hop: Hop, reason: RefusalReason): void {
    this.removeHop(hop)
    this.port.send(turn, hop.from, { kind: 'circuit-refuse', forLabel: hop.backLabelOfFrom, reason })
  }

  private addEnd(end: CircuitEnd, now: Instant, timeoutMs: number): void {
    end.deadline = now + timeoutMs
    this.keepEnd(end, now)
    this.wakeAt = earlier(this.wakeAt, end.deadline)
  }

  private keepEnd(end: CircuitEnd, now: Instant): void {
    this.ends.add(end)
    this.byLabel.set(end.localLabel, end)
    const { neighbour } = end
    const others = this.endsOver.get(neighbour) ?? 0
    this.endsOver.set(neighbour, others + 1)
    if (others === 0) this.port.onCarrying(neighbour, true, now)
  }

  private dropEnd(end: CircuitEnd, now: Instant): boolean {
    if (!this.ends.delete(end)) return false
    end.open = false
    const { neighbour } = end
    const others = (this.endsOver.get(neighbour) ?? 1) - 1
    if (others > 0) this.endsOver.set(neighbour, others)
    else if (this.endsOver.delete(neighbour)) this.port.onCarrying(neighbour, false, now)
    this.byLabel.delete(end.localLabel)
    this.board.removeLabel(end.localLabel)
    return true
  }

  /** Ends a hop and tells both sides, except the one that is gone already. */
  private dropHop(turn: Turn, hop: Hop, gone: PeerId | null): void {
    this.removeHop(hop)
    const { towards, towardsLabel } = hop.ahead
    if (towards !== null && towards !== gone && towardsLabel !== null) {
      this.port.send(turn, towards, { kind: 'circuit-close', label: towardsLabel })
    }
    if (hop.from !== gone) {
      if (hop.pending === null) this.port.send(turn, hop.from, { kind: 'circuit-close', label: hop.backLabelOfFrom })
      else this.port.send(turn, hop.from, { kind: 'circuit-refuse', forLabel: hop.backLabelOfFrom, reason: 'no-route' })
    }
  }

  private addHop(hop: Hop): void {
    this.hops.add(hop)
    this.hopsFrom.set(hop.from, (this.hopsFrom.get(hop.from) ?? 0) + 1)
  }

  private removeHop(hop: Hop): void {
    if (this.hops.delete(hop)) {
      const others = (this.hopsFrom.get(hop.from) ?? 1) - 1
      if (others > 0) this.hopsFrom.set(hop.from, others)
      else this.hopsFrom.delete(hop.from)
    }
    for (const side of [hop.ahead, hop.back]) {
      this.byLabel.delete(side.label)
      this.board.removeLabel(side.label)
      this.dropQueue(side)
      for (const sides of this.waiting.values()) sides.delete(side)
    }
  }
}

/** This peer's end of a circuit: a carrier for sessions. */
export class CircuitEnd implements Carrier, LabelTarget {
  readonly neighbour: PeerId
  /** Whom the circuit is meant to reach; null at the end that accepted it. */
  readonly target: PeerId | null
  readonly localLabel: number
  /** The label that the neighbour gave; null while the circuit is being opened. */
  remoteLabel: number | null = null
  /** When the circuit is given up unless it stands by then, or someone has proven who it is; null once that is so. */
  deadline: Instant | null = null
  /** The peers in between, nearest first. */
  via: readonly PeerId[] = []
  peer: PeerId | null = null
  heardAt: Instant
  open = true
  private readonly board: Switchboard
  private readonly port: CircuitsPort
  private requested = false

  /** `label`: one that was given already. */
  constructor(
    board: Switchboard,
    port: CircuitsPort,
    neighbour: PeerId,
    target: PeerId | null,
    now: Instant,
    label: number | null = null,
  ) {
    this.board = board
    this.port = port
    this.neighbour = neighbour
    this.target = target
    this.heardAt = now
    this.localLabel = label ?? board.addLabel(this)
    if (label !== null) board.settleLabel(label, this)
  }

  get binding(): undefined {
    return undefined
  }

  get reliable(): boolean {
    return false
  }

  get flightBytesMax(): number {
    return CIRCUIT_FLIGHT_BYTES_MAX
  }

  /** Asks the neighbour for the circuit, with the first frame in the request. */
  request(turn: Turn, frame: Uint8Array): void {
    this.requested = true
    if (this.target === null) return
    this.port.send(turn, this.neighbour, {
      kind: 'circuit-open',
      label: this.localLabel,
      target: this.target,
      via: [this.port.self],
      frame,
    })
  }

  onFrame(turn: Turn, bytes: Uint8Array, start: number, end: number, from: Carrier, spare: number): void {
    if (from.peer === this.neighbour) this.board.deliver(turn, bytes, start, end, this, spare)
  }

  room(): number {
    if (this.remoteLabel === null || !this.open) return 0
    return this.port.carrierTo(this.neighbour)?.room() ?? 0
  }

  send(turn: Turn, label: number, header: Uint8Array, rest: readonly Uint8Array[]): void {
    if (!this.open) return
    if (this.remoteLabel === null) {
      if (this.requested || rest.length > 0 || header.length > GREETING_BYTES_MAX) return
      writeU32(header, 4, label)
      this.request(turn, header.subarray(4))
      return
    }
    const outer = new Uint8Array(FRAME_HEADER_BYTES + 4)
    writeU32(outer, FRAME_HEADER_BYTES, label)
    const inner = partOf(header, FRAME_HEADER_BYTES)
    this.port.carrierTo(this.neighbour)?.send(turn, this.remoteLabel, outer, [inner, ...rest])
  }

  forward(turn: Turn, label: number, bytes: Uint8Array, start: number, end: number, spare: number): void {
    if (this.remoteLabel === null || !this.open) return
    const carrier = this.port.carrierTo(this.neighbour)
    if (carrier === null) return
    if (spare < 4) {
      this.send(turn, label, new Uint8Array(FRAME_HEADER_BYTES), [bytes.subarray(start, end)])
      return
    }
    writeU32(bytes, start - 4, label)
    carrier.forward(turn, this.remoteLabel, bytes, start - 4, end, spare - 4)
  }

  dependsOn(peer: PeerId): boolean {
    return this.neighbour === peer || (this.port.carrierTo(this.neighbour)?.dependsOn(peer) ?? false)
  }

  bottom(): Wire | null {
    return this.open ? (this.port.carrierTo(this.neighbour)?.bottom() ?? null) : null
  }

  view(): PathView {
    return { kind: 'circuit', via: this.via.length > 0 ? this.via : [this.neighbour] }
  }
}

/** One peer's part in the middle of a circuit. */
class Hop {
  readonly from: PeerId
  /** The label under which `from` expects frames. */
  readonly backLabelOfFrom: number
  /** The request, kept until the circuit stands, so that another way can be tried. */
  pending: OpenMessage | null
  readonly tried: PeerId[] = []
  /** How many of them refused. */
  refusals = 0
  /** When the one asked now has kept silent for too long: the sooner the further on, so that the hop before it notices. */
  answerBy: Instant
  /** One has. */
  waited = false
  heardAt: Instant
  /** Frames from `from`, onwards. */
  readonly ahead: HopSide
  /** Frames from the next peer, back to `from`. */
  readonly back: HopSide

  constructor(circuits: Circuits, from: PeerId, message: OpenMessage, now: Instant) {
    this.from = from
    this.backLabelOfFrom = message.label
    this.pending = message
    const waitMs = CIRCUIT_OPEN_TIMEOUT_MS - message.via.length * CIRCUIT_HOP_TIMEOUT_STEP_MS
    this.answerBy = now + Math.max(CIRCUIT_HOP_TIMEOUT_MIN_MS, waitMs)
    this.heardAt = now
    this.ahead = new HopSide(circuits, this, null)
    this.back = new HopSide(circuits, this, from)
  }
}

class HopSide implements LabelTarget {
  readonly hop: Hop
  towards: PeerId | null
  towardsLabel: number | null = null
  /** The label under which frames for this side arrive here. */
  label = 0
  /** Bodies that wait for room, from `queueAt` on. */
  queue: Uint8Array[] | null = null
  queueAt = 0
  queuedBytes = 0
  private readonly circuits: Circuits

  constructor(circuits: Circuits, hop: Hop, towards: PeerId | null) {
    this.circuits = circuits
    this.hop = hop
    this.towards = towards
  }

  source(): PeerId | null {
    return this === this.hop.ahead ? this.hop.from : this.hop.ahead.towards
  }

  onFrame(turn: Turn, bytes: Uint8Array, start: number, end: number, from: Carrier, spare: number): void {
    this.circuits.pass(turn, this, bytes, start, end, from, spare)
  }
}
