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
  CIRCUIT_GO_BYTES,
  CIRCUIT_HOLD_BYTES,
  CIRCUIT_HOP_TIMEOUT_MIN_MS,
  CIRCUIT_HOP_TIMEOUT_STEP_MS,
  CIRCUIT_HOPS_MAX,
  CIRCUIT_IDLE_MS,
  CIRCUIT_OPEN_TIMEOUT_MS,
  CIRCUIT_QUEUE_BYTES_MAX,
  CIRCUIT_QUEUES_BYTES_MAX,
  CIRCUIT_SOURCE_HOLD_BYTES,
  CIRCUIT_WAYS_TRIED_MAX,
  CIRCUITS_PER_NEIGHBOUR_MAX,
  GREETING_BYTES_MAX,
  WIRE_UNPROVEN_MS,
} from '../limits.ts'
import { FRAME_HEADER_BYTES } from '../session/path.ts'
import type { LabelTarget, Switchboard } from '../session/switchboard.ts'
import { type Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import type { OverlayMessage, RefusalReason } from './overlay-messages.ts'
import type { OverlayView } from './overlay-view.ts'
import { RelayBudget, type RelayLimits } from './relay-budget.ts'
import { RelayTurns } from './relay-turns.ts'
import type { SettledHop, SettledPath } from './settled-state.ts'

/** What circuits need of the peer around them. */
export interface CircuitsPort {
  readonly self: PeerId
  readonly relays: boolean
  readonly relayLimits?: RelayLimits | undefined
  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean
  /** Whether this peer had a way to it and lost it a moment ago. */
  hasLost(peer: PeerId): boolean
  /** What the session with a neighbour travels over now. */
  carrierTo(neighbour: PeerId): Carrier | null
  /** The first circuit of this peer's own runs over the session with a neighbour, or the last one has ended. */
  onCarrying(neighbour: PeerId, carries: boolean, now: Instant): void
  /** A mark is to be sent over the wire, behind what was given to it. */
  markWire(turn: Turn, wire: Wire): void
  /** A circuit of our own was accepted. */
  onCircuitOpen(turn: Turn, circuit: CircuitEnd): void
  /** A full wire below it has room again, or a relay that held it lets it go on. */
  onCircuitRoom(turn: Turn, circuit: CircuitEnd): void
  /** A relay has more of it than it can pass on: nothing may be sent for now, and less at a time later. */
  onCircuitHeld(circuit: CircuitEnd): void
  onCircuitLost(turn: Turn, circuit: CircuitEnd, reason: CircuitLoss): void
}

export type CircuitLoss = RefusalReason | 'closed' | 'timeout'

/** What a queued body costs beside its bytes. */
const QUEUED_OVERHEAD_BYTES = 128

type OpenMessage = Extract<OverlayMessage, { kind: 'circuit-open' }>
type AcceptMessage = Extract<OverlayMessage, { kind: 'circuit-accept' }>

export class Circuits {
  private readonly board: Switchboard
  private readonly overlay: OverlayView
  private readonly port: CircuitsPort
  private readonly ends = new RareSet<CircuitEnd>()
  /** How many of them run over each neighbour. */
  private readonly endsOver = new RareMap<PeerId, number>()
  private readonly hops = new Set<Hop>()
  /** How many of them each neighbour asked for. */
  private readonly hopsFrom = new RareMap<PeerId, number>()
  /** By the label that this peer gave to its next neighbour. */
  private readonly byLabel = new Map<number, CircuitEnd | HopSide>()
  /** Directions whose queues wait for a wire; all together where they wait for a budget of bytes. */
  private readonly waiting = new RareMap<Wire | RelayBudget, RelayTurns<HopSide>>()
  private readonly budget: RelayBudget
  private budgetAt: Instant | null = null
  /** In the queues of all hops, and of those what came from one neighbour. */
  private queuedBytes = 0
  private readonly queuedFrom = new RareMap<PeerId, number>()
  private wakeAt: Instant | null = null

  constructor(board: Switchboard, overlay: OverlayView, port: CircuitsPort) {
    this.board = board
    this.overlay = overlay
    this.port = port
    this.budget = new RelayBudget(port.relayLimits ?? {})
  }

  /** How many circuits of others it carries: a page, or a peer at home, no more than it has links itself. */
  private get hopsMax(): number {
    const ownMax = this.overlay.isHidden() ? this.overlay.capacity() : Number.POSITIVE_INFINITY
    return Math.min(this.budget.circuitsMax, ownMax)
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
      // Where it should be, nobody knows it, or who knew it has lost it: other ways lead there too.
      if (reason === 'unknown' || reason === 'lost') {
        this.refuse(turn, found.hop, reason)
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

  /** A wire that was full has room: those whose frames wait for it take turns. */
  onWireRoom(turn: Turn, wire: Wire): void {
    this.passQueued(turn, this.placeFor(wire))
    for (const end of this.ends) if (end.bottom() === wire) this.port.onCircuitRoom(turn, end)
  }

  onWireLost(turn: Turn, wire: Wire): void {
    const turns = this.waiting.get(wire)
    if (turns === undefined) return
    this.waiting.delete(wire)
    for (const side of turns.all()) {
      this.dropQueue(side)
      this.letGoOn(turn, side)
    }
  }

  /** The neighbour that gave us frames under `label` has more than it can pass on of those we give it, or no longer. */
  onHold(turn: Turn, from: PeerId, label: number, hold: boolean): void {
    const found = this.byLabel.get(label)
    if (found instanceof CircuitEnd) {
      if (found.neighbour !== from || (found.heldSince !== null) === hold) return
      found.heldSince = hold ? turn.now : null
      if (hold) this.port.onCircuitHeld(found)
      else this.onEndRoom(turn, found)
      return
    }
    const side = found?.opposite
    if (side === undefined || side.towards !== from || side.held === hold) return
    side.held = hold
    if (side.queue === null) return
    const wire = this.port.carrierTo(from)?.bottom() ?? null
    if (wire === null) return
    const place = this.placeFor(wire)
    if (hold) this.stopWaiting(place, side)
    else {
      this.wait(place, side)
      this.passQueued(turn, place)
    }
  }

  /** What is sent over it goes on: the sessions of this peer, and the frames of circuits that run over this one. */
  private onEndRoom(turn: Turn, end: CircuitEnd): void {
    this.port.onCircuitRoom(turn, end)
    const wire = end.bottom()
    if (wire !== null) this.passQueued(turn, this.placeFor(wire))
  }

  private placeFor(wire: Wire): Wire | RelayBudget {
    return this.budget.limited ? this.budget : wire
  }

  private passQueued(turn: Turn, place: Wire | RelayBudget): void {
    const turns = this.waiting.get(place)
    if (turns === undefined) return
    while (this.budget.mayPass(turn.now) && (place === this.budget || (place as Wire).relayRoom() > 0)) {
      const side = turns.next(isReady)
      if (side === null) break
      const bytes = this.sendOldest(turn, side)
      turns.took(side, bytes, side.queue !== null && !side.held)
      if (side.queuedBytes <= CIRCUIT_GO_BYTES) this.letGoOn(turn, side)
    }
    if (!this.budget.mayPass(turn.now)) this.budgetAt = this.budget.passesAt(turn.now)
    this.endWaiting(place, turns)
  }

  private wait(place: Wire | RelayBudget, side: HopSide): void {
    let turns = this.waiting.get(place)
    if (turns === undefined) {
      turns = new RelayTurns(sourceOf)
      this.waiting.set(place, turns)
      if (place instanceof Wire) place.setWanted(true)
    }
    turns.add(side)
  }

  private stopWaiting(place: Wire | RelayBudget, side: HopSide): void {
    const turns = this.waiting.get(place)
    if (turns === undefined) return
    turns.delete(side)
    this.endWaiting(place, turns)
  }

  private endWaiting(place: Wire | RelayBudget, turns: RelayTurns<HopSide>): void {
    if (turns.size > 0) return
    this.waiting.delete(place)
    if (place instanceof Wire) place.setWanted(false)
  }

  /** Tells whoever sends what this direction queues to stop for a while. */
  private holdBack(turn: Turn, side: HopSide): void {
    const source = side.source()
    const label = side.opposite.towardsLabel
    if (side.holds || source === null || label === null) return
    side.holds = this.port.send(turn, source, { kind: 'circuit-hold', label, hold: true })
  }

  private letGoOn(turn: Turn, side: HopSide): void {
    const source = side.source()
    const label = side.opposite.towardsLabel
    if (!side.holds || source === null || label === null) return
    side.holds = false
    // Who cannot be told would wait for ever.
    if (!this.port.send(turn, source, { kind: 'circuit-hold', label, hold: false })) this.dropHop(turn, side.hop, null)
  }

  nextWake(): Instant | null {
    return earlier(this.wakeAt, this.budgetAt)
  }

  onWake(turn: Turn): void {
    if (this.budgetAt !== null && this.budgetAt <= turn.now) {
      this.budgetAt = null
      this.passQueued(turn, this.budget)
    }
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
    const source = side.source()
    if (source === null || from.peer !== source) return
    const carrier = side.towards === null ? null : this.port.carrierTo(side.towards)
    if (carrier === null || side.towardsLabel === null) return
    side.hop.heardAt = turn.now
    const wire = carrier.bottom()
    if (wire === null) return
    const place = this.placeFor(wire)
    const isFree = side.queue === null && !side.held && carrier.relayRoom() > 0
    // What waits for the budget goes first; what waits for the wire does so because there is no room.
    if (isFree && this.budget.mayPass(turn.now) && !(this.budget.limited && this.waiting.has(place))) {
      carrier.forward(turn, side.towardsLabel, bytes, start, end, spare)
      this.onPassed(turn, wire, end - start)
      return
    }
    const cost = end - start + QUEUED_OVERHEAD_BYTES
    const left = CIRCUIT_QUEUES_BYTES_MAX - this.queuedBytes
    const fromSource = this.queuedFrom.get(source) ?? 0
    // The frames of none may take more than what is left for those of all others.
    if (cost > Math.min(CIRCUIT_QUEUE_BYTES_MAX - side.queuedBytes, left) || fromSource > left) return
    side.queue ??= []
    side.queue.push(bytes.slice(start, end))
    this.countQueued(side, cost)
    if (!side.held) this.wait(place, side)
    // The wire may be another one than that for which the first in the queue wait.
    if (wire.relayRoom() > 0) this.passQueued(turn, place)
    const isMuch = side.queuedBytes > CIRCUIT_GO_BYTES && fromSource > CIRCUIT_SOURCE_HOLD_BYTES
    if (isMuch || side.queuedBytes > CIRCUIT_HOLD_BYTES) this.holdBack(turn, side)
  }

  private onPassed(turn: Turn, wire: Wire | null, bytes: number): void {
    this.budget.spend(bytes)
    if (wire === null) return
    wire.onRelayed(bytes)
    if (wire.wantsMark) this.port.markWire(turn, wire)
  }

  /** For frames of others; null where nothing leads there: what waits for it is dropped in its turn. */
  roomTowards(peer: PeerId): number | null {
    return this.port.carrierTo(peer)?.relayRoom() ?? null
  }

  private countQueued(side: HopSide, bytes: number): void {
    side.queuedBytes += bytes
    this.queuedBytes += bytes
    const source = side.source()
    if (source === null) return
    const left = (this.queuedFrom.get(source) ?? 0) + bytes
    if (left > 0) this.queuedFrom.set(source, left)
    else this.queuedFrom.delete(source)
  }

  /** How many bytes that were; none where nothing is left in the queue. */
  private sendOldest(turn: Turn, side: HopSide): number {
    const { queue } = side
    const body = queue?.[side.queueAt]
    if (queue === null || body === undefined) return 0
    side.queueAt += 1
    this.countQueued(side, -body.length - QUEUED_OVERHEAD_BYTES)
    const carrier = side.towards === null ? null : this.port.carrierTo(side.towards)
    if (carrier !== null && side.towardsLabel !== null) {
      carrier.send(turn, side.towardsLabel, new Uint8Array(FRAME_HEADER_BYTES), [body])
      this.onPassed(turn, carrier.bottom(), body.length)
    }
    if (side.queueAt === queue.length) {
      this.dropQueue(side)
    } else if (side.queueAt >= 32 && side.queueAt * 2 >= queue.length) {
      side.queue = queue.slice(side.queueAt)
      side.queueAt = 0
    }
    return body.length
  }

  private dropQueue(side: HopSide): void {
    this.countQueued(side, -side.queuedBytes)
    side.queue = null
    side.queueAt = 0
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
    if (!here && this.hops.size >= this.hopsMax) return 'overloaded'
    if (!here && this.port.hasLost(message.target)) return 'lost'
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
      const next = this.overlay.nextHop(pending.target, [hop.from, ...pending.via, ...hop.tried], hop.from)
      if (next === null) break
      hop.tried.push(next)
      // What is sent over a session without a path waits for one: another way is tried at once.
      if (this.port.carrierTo(next) === null) continue
      hop.ahead.towards = next
      const via = [...pending.via, this.port.self]
      if (this.port.send(turn, next, { ...pending, label: hop.back.label, via })) return
    }
    this.refuse(turn, hop, this.overlay.standsClosest(pending.target) ? 'unknown' : 'no-route')
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
      for (const place of [...this.waiting.keys()]) this.stopWaiting(place, side)
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
  /** Since when a relay has more than it can pass on; null while it has not. */
  heldSince: Instant | null = null
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

  get remoteHost(): null {
    return null
  }

  /** Relays see all that goes over it. */
  shields(): boolean {
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
    if (this.remoteLabel === null || !this.open || this.heldSince !== null) return 0
    return this.port.carrierTo(this.neighbour)?.room() ?? 0
  }

  relayRoom(): number {
    if (this.remoteLabel === null || !this.open || this.heldSince !== null) return 0
    return this.port.carrierTo(this.neighbour)?.relayRoom() ?? 0
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

function sourceOf(side: HopSide): PeerId {
  // reason: only what came from somebody waits.
  return side.source() as PeerId
}

function isReady(side: HopSide): boolean {
  return side.ready
}

class HopSide implements LabelTarget {
  readonly hop: Hop
  towards: PeerId | null
  towardsLabel: number | null = null
  /** The label under which frames for this side arrive here. */
  label = 0
  /** The next peer has more than it can pass on. */
  held = false
  /** This peer has, and has told so to whom the frames come from. */
  holds = false
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

  /** The other direction of the same circuit. */
  get opposite(): HopSide {
    return this === this.hop.ahead ? this.hop.back : this.hop.ahead
  }

  /** Whether what it goes on over takes a frame now. */
  get ready(): boolean {
    return !this.held && this.towards !== null && (this.circuits.roomTowards(this.towards) ?? 1) > 0
  }

  onFrame(turn: Turn, bytes: Uint8Array, start: number, end: number, from: Carrier, spare: number): void {
    this.circuits.pass(turn, this, bytes, start, end, from, spare)
  }
}
