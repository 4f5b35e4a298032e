/**
 * How peers are reached (spec 5.2): their addresses one after the other, a circuit beside them after a head start, the
 * rendezvous that their ref names; one attempt a peer, and everyone who waits for it hears once. Which peers to reach is
 * decided above, what becomes of the sessions in the connector.
 */
import { type Address, type AddressScheme, addressText } from '../base/address.ts'
import { type Fault, fail, ok, type Result } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap } from '../base/rare-map.ts'
import type { PeerRef, Rendezvous } from '../crypto/peer-ref.ts'
import { DIAL_TIMEOUT_MS, FIRST_HOPS_TRIED_MAX, REACHING_MAX, REDIAL_MS, UNKNOWN_TO_MAX } from '../limits.ts'
import type { Session } from '../session/session.ts'
import type { Opening, Switchboard } from '../session/switchboard.ts'
import { type Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import { Attempt, type Goal, type OnReached } from './attempt.ts'
import type { CircuitEnd, CircuitLoss, Circuits } from './circuits.ts'
import { type Contact, Need } from './contact.ts'
import type { ContactTable } from './contact-table.ts'
import type { OverlayView } from './overlay-view.ts'

export interface ReachingPort {
  readonly self: PeerId
  /** The neighbour is to carry something at once: if it keeps silent, that is to be known soon. */
  expectLife(turn: Turn, neighbour: PeerId): void
  /** Whether the host can make only so many wires to such addresses. */
  isScarce(scheme: AddressScheme): boolean
  /** Whether one more may be dialled now; it counts then. */
  mayDial(turn: Turn, scheme: AddressScheme, urgent: boolean): boolean
  /** A carrier is open for a session that looks for one. */
  tryPath(turn: Turn, session: Session, carrier: Carrier): void
  /** Ends a carrier, and tells whoever used it. */
  closeCarrier(turn: Turn, carrier: Carrier, fault: Fault): void
}

export class Reaching {
  private readonly board: Switchboard
  private readonly circuits: Circuits
  private readonly dialable: readonly AddressScheme[]
  private readonly contacts: ContactTable
  private readonly overlay: OverlayView
  private readonly port: ReachingPort
  private readonly attempts = new RareMap<string, Attempt>()
  private readonly attemptOf = new RareMap<Carrier, Attempt>()
  private wakeAt: Instant | null = null

  constructor(
    board: Switchboard,
    circuits: Circuits,
    dialable: readonly AddressScheme[],
    contacts: ContactTable,
    overlay: OverlayView,
    port: ReachingPort,
  ) {
    this.board = board
    this.circuits = circuits
    this.dialable = dialable
    this.contacts = contacts
    this.overlay = overlay
    this.port = port
  }

  get size(): number {
    return this.attempts.size
  }

  isReaching(peer: PeerId): boolean {
    return this.attempts.has(peer)
  }

  uses(carrier: Carrier): boolean {
    return this.attemptOf.has(carrier)
  }

  /** The earliest time by which an attempt has to be over, for tests. */
  oldestEnd(): Instant | null {
    let end: Instant | null = null
    for (const attempt of this.attempts.values()) end = earlier(end, attempt.giveUpAt)
    return end
  }

  // ---- beginning ----

  /** Opens a session to a peer, or finds a path for the one there is. */
  reach(turn: Turn, peer: PeerId, ref: PeerRef | null, patient: boolean, onReached: OnReached): void {
    this.seek(turn, peer, ref, attempt => attempt.addWaiter(patient, turn.now, onReached))
  }

  private seek(turn: Turn, peer: PeerId, ref: PeerRef | null, join: (attempt: Attempt) => void): void {
    const under = this.attempts.get(peer)
    if (under !== undefined) {
      join(under)
      if (ref !== null) under.learn(this.usable(ref.addresses), ref.rendezvous)
      this.widen(turn, under)
      this.advance(turn, under)
      return
    }
    const known = ref ?? this.overlay.refOf(peer)
    this.begin(turn, this.goal('any', peer, known?.addresses ?? [], known?.rendezvous ?? []), join)
  }

  /** Opens a session to whoever answers at an address. */
  reachAddress(turn: Turn, address: Address, onReached: OnReached): void {
    const key = addressText(address)
    const under = this.attempts.get(key)
    if (under !== undefined) {
      under.addWaiter(false, turn.now, onReached)
      return
    }
    const addresses = this.usable([address])
    this.begin(turn, { kind: 'direct', key, peer: null, session: null, addresses, rendezvous: [] }, attempt => {
      attempt.addWaiter(false, turn.now, onReached)
      if (addresses.length === 0) attempt.lastFault = { code: 'not-supported', detail: key }
    })
  }

  /** Looks for a path for a session that has none. A persistent attempt tries again while there is time. */
  revive(turn: Turn, contact: Contact, persistent: boolean): void {
    const { peer } = contact
    const under = this.attempts.get(peer)
    const ref = newer(contact.ref, this.overlay.refOf(peer))
    if (under !== undefined) {
      under.persistent ||= persistent
      under.hasty ||= isHasty(contact)
      if (ref !== null) under.learn(this.usable(ref.addresses), ref.rendezvous)
      this.widen(turn, under)
      this.advance(turn, under)
      return
    }
    this.begin(turn, this.goal('any', peer, ref?.addresses ?? [], ref?.rendezvous ?? []), attempt => {
      attempt.persistent = persistent
      attempt.hasty = isHasty(contact)
    })
  }

  /** Looks for another path for a session whose own is in doubt, and leaves that alone. */
  seekBeside(turn: Turn, contact: Contact): void {
    if (this.attempts.has(contact.peer)) return
    const ref = newer(contact.ref, this.overlay.refOf(contact.peer))
    this.begin(turn, this.goal('beside', contact.peer, ref?.addresses ?? [], ref?.rendezvous ?? []), attempt => {
      attempt.persistent = true
      attempt.hasty = isHasty(contact)
    })
  }

  /** Circuits that are being opened over this neighbour are given up: another one may lead there. */
  onHopSilent(turn: Turn, neighbour: PeerId): void {
    for (const attempt of [...this.attempts.values()]) {
      const { circuit } = attempt
      if (circuit?.neighbour !== neighbour || attempt.session?.path === circuit || !this.isUnderWay(attempt)) continue
      this.abandon(turn, attempt, circuit, { code: 'timeout', detail: 'relay does not answer' })
    }
  }

  /** The network may lead again where it did not: sessions that look for a path try all anew. */
  hasten(turn: Turn): void {
    for (const attempt of [...this.attempts.values()]) {
      if (attempt.session === null || attempt.upgrade || !this.isUnderWay(attempt)) continue
      attempt.startAnew()
      this.advance(turn, attempt)
    }
  }

  /** Looks for a wire for a session that runs over a circuit. False where no wire can be dialled. */
  upgrade(turn: Turn, contact: Contact, ref: PeerRef): boolean {
    const goal = this.goal('upgrade', contact.peer, ref.addresses, [])
    if (goal.addresses.length === 0) return false
    this.begin(turn, goal, () => {})
    return true
  }

  /** Looks for a circuit over one rendezvous of the peer's for a session that runs over another circuit. */
  reroute(turn: Turn, { peer, session }: Contact, over: Rendezvous): void {
    this.begin(turn, { kind: 'reroute', key: peer, peer, session, addresses: [], rendezvous: [over] }, () => {})
  }

  /** Scarce wires only where there are no others. */
  usable(addresses: readonly Address[]): Address[] {
    const all = addresses.filter(address => this.dialable.includes(address.scheme))
    const plenty = all.filter(address => !this.port.isScarce(address.scheme))
    return plenty.length > 0 ? plenty : all
  }

  // ---- what happens ----

  /** A dialled wire is open, or a circuit was accepted. */
  onCarrierOpen(turn: Turn, carrier: Carrier): void {
    const attempt = this.attemptOf.get(carrier)
    if (attempt === undefined) return
    if (attempt.session === null) {
      // A circuit was greeted as it was begun: its first packet goes with what asks for it.
      if (carrier instanceof Wire) this.greet(turn, attempt, carrier)
      return
    }
    if (carrier.dependsOn(attempt.session.peer)) {
      this.abandon(turn, attempt, carrier, { code: 'peer-unreachable', detail: 'only over itself' })
      return
    }
    this.port.tryPath(turn, attempt.session, carrier)
  }

  onCircuitLost(turn: Turn, circuit: CircuitEnd, reason: CircuitLoss): void {
    const attempt = this.attemptOf.get(circuit)
    const isKnownNowhere = reason === 'unknown' || reason === 'no-route'
    if (attempt !== undefined && reason === 'unknown') attempt.unknownTo += 1
    if (attempt !== undefined && (reason === 'lost' || (isKnownNowhere && attempt.names(circuit.neighbour))))
      attempt.deniedBy += 1
    this.onCarrierLost(turn, circuit, { code: 'peer-unreachable', detail: reason })
  }

  onCarrierLost(turn: Turn, carrier: Carrier, fault: Fault): void {
    const attempt = this.attemptOf.get(carrier)
    if (attempt === undefined) return
    this.forget(attempt, carrier)
    attempt.lastFault = fault
    this.advance(turn, attempt)
  }

  onOpeningFailed(turn: Turn, opening: Opening, fault: Fault): void {
    const { carrier } = opening
    const attempt = this.attemptOf.get(carrier)
    if (attempt === undefined) this.port.closeCarrier(turn, carrier, fault)
    else this.abandon(turn, attempt, carrier, fault)
  }

  /**
   * Nobody knew the session over a carrier that was opened for it. Where it has no other path, the other side may have
   * lost it: a new session is opened over the same carrier. False where none is.
   */
  onUnanswered(turn: Turn, carrier: Carrier): boolean {
    const attempt = this.attemptOf.get(carrier)
    const item = attempt?.tries.get(carrier)
    if (attempt === undefined || item === undefined) return false
    const path = attempt.session?.path ?? null
    if (!attempt.upgrade && attempt.peer !== null && carrier.open && (path === null || path === carrier)) {
      item.opening = this.board.openSession(turn, carrier, attempt.peer)
      if (item.opening !== null) return true
    }
    this.abandon(turn, attempt, carrier, { code: 'timeout', detail: 'path' })
    return false
  }

  /** The peer is reached: over `served`, where one of ours did it. `opening` tells of an attempt by address alone. */
  satisfy(turn: Turn, contact: Contact, served: Carrier | null, opening: Opening | null): void {
    const byAddress = opening === null ? undefined : this.attemptOf.get(opening.carrier)
    const byPeer = this.attempts.get(contact.peer)
    if (byPeer !== undefined) this.finish(turn, byPeer, served, ok(contact))
    if (byAddress !== undefined && byAddress !== byPeer) this.finish(turn, byAddress, served, ok(contact))
  }

  /** A session is over for which a path was looked for: who waits for the peer gets a new one. */
  onSessionEnded(turn: Turn, session: Session, fault: Fault): void {
    const attempt = this.attempts.get(session.peer)
    if (attempt === undefined || attempt.session !== session) return
    const waiters = attempt.takeWaiters()
    // A new session may have come over a carrier that was opened for this one: it keeps it.
    const path = this.contacts.get(session.peer)?.session.path ?? null
    const kept = [...attempt.tries.keys()].find(carrier => carrier === path) ?? null
    this.finish(turn, attempt, kept, fail(fault))
    for (const waiter of waiters) {
      const contact = this.contacts.get(session.peer)
      if (contact?.isReached === true) waiter.onReached(turn, ok(contact))
      else this.seek(turn, session.peer, null, attempt => attempt.takeOver(waiter))
    }
  }

  /** The session got a path that no attempt of this side has found. */
  onPathFound(turn: Turn, contact: Contact, served: Carrier | null): void {
    const attempt = this.attempts.get(contact.peer)
    if (attempt?.session === contact.session) this.finish(turn, attempt, served, ok(contact))
  }

  endAll(turn: Turn, fault: Fault): void {
    for (const attempt of [...this.attempts.values()]) this.finish(turn, attempt, null, fail(fault))
  }

  nextWake(): Instant | null {
    return this.wakeAt
  }

  onWake(turn: Turn): void {
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    // Those that go on set the deadline anew.
    for (const attempt of [...this.attempts.values()]) {
      if (attempt.dueAt <= turn.now) this.advance(turn, attempt)
      else if (this.isUnderWay(attempt)) this.wakeAt = earlier(this.wakeAt, attempt.dueAt)
    }
  }

  // ---- one attempt ----

  private goal(
    kind: Goal['kind'],
    peer: PeerId,
    addresses: readonly Address[],
    rendezvous: readonly Rendezvous[],
  ): Goal {
    const session = this.contacts.get(peer)?.session ?? null
    return { kind, key: peer, peer, session, addresses: this.usable(addresses), rendezvous }
  }

  private begin(turn: Turn, goal: Goal, prepare: (attempt: Attempt) => void): void {
    const attempt = new Attempt(goal, turn.now)
    prepare(attempt)
    if (this.attempts.size >= REACHING_MAX) {
      attempt.answer(turn, fail({ code: 'overloaded', detail: 'peers being reached', limit: REACHING_MAX }))
      return
    }
    this.attempts.set(attempt.key, attempt)
    this.advance(turn, attempt)
  }

  private isUnderWay(attempt: Attempt): boolean {
    return this.attempts.get(attempt.key) === attempt
  }

  /** Someone needs more than the better path that was looked for: what is open for it will do. */
  private widen(turn: Turn, attempt: Attempt): void {
    const { upgrade } = attempt
    attempt.widen(turn.now)
    if (!upgrade || attempt.session === null || attempt.session.path !== null) return
    for (const carrier of attempt.tries.keys()) {
      if (!(carrier instanceof Wire) || carrier.about === null) continue
      this.port.tryPath(turn, attempt.session, carrier)
      return
    }
  }

  /** Does what an attempt may do now, and ends it when nothing is left. */
  private advance(turn: Turn, attempt: Attempt): void {
    const { now } = turn
    if (!this.isUnderWay(attempt)) return
    attempt.startOver(now)
    // A map may change while it is gone through: what is gone is left out.
    for (const [carrier, { openBy }] of attempt.tries) {
      if (openBy > now || !(carrier instanceof Wire) || carrier.about !== null) continue
      attempt.lastFault = { code: 'dial-timeout' }
      this.drop(turn, attempt, carrier, attempt.lastFault)
    }
    for (let address = attempt.takeAddress(now); address !== null; address = attempt.takeAddress(now)) {
      const isUrgent = attempt.peer === null || attempt.isPatient
      if (this.port.isScarce(address.scheme)) attempt.forgetAddress(address)
      if (this.port.mayDial(turn, address.scheme, isUrgent)) this.dial(turn, attempt, address)
      else attempt.lastFault = { code: 'overloaded', detail: `${address.scheme} wires of this page` }
    }
    if (attempt.mayCircle(now)) this.circle(turn, attempt)
    if (this.isUnderWay(attempt)) attempt.answerSome(turn)
    if (!this.isUnderWay(attempt)) return
    this.locate(turn, attempt)
    if (attempt.giveUpAt <= now || (attempt.spent && !attempt.mayRetry(now))) {
      this.finish(turn, attempt, null, fail(attempt.lastFault))
    } else {
      attempt.dueAt = Math.max(attempt.nextWake(), now + 1)
      this.wakeAt = earlier(this.wakeAt, attempt.dueAt)
    }
  }

  /** The handshake is made when the wire is open: many who are dialled are gone, and it costs more than the dial. */
  private dial(turn: Turn, attempt: Attempt, address: Address): void {
    const wire = this.board.newWire(turn.now)
    turn.effects.push({ kind: 'dial', wire: wire.id, address })
    attempt.tries.set(wire, { opening: null, openBy: turn.now + DIAL_TIMEOUT_MS })
    this.attemptOf.set(wire, attempt)
  }

  /** The attempt ends with it where what the peer is called by is no key. */
  private greet(turn: Turn, attempt: Attempt, carrier: Carrier): void {
    const opening = this.board.openSession(turn, carrier, attempt.peer)
    const item = attempt.tries.get(carrier)
    if (opening !== null && item !== undefined) item.opening = opening
    else this.finish(turn, attempt, null, fail({ code: 'invalid-peer-id' }))
  }

  /** Begins a circuit through the best first hop, or reaches the rendezvous that can be one. */
  private circle(turn: Turn, attempt: Attempt): void {
    const { peer } = attempt
    if (peer === null) return
    // Nobody waits for a peer to which those do not lead that should: it is gone, or comes back by itself.
    if (attempt.deniedBy > 0 && !attempt.isPatient) {
      attempt.circuitsSpent = true
      return
    }
    const avoid = [
      peer,
      ...attempt.hopsTried,
      ...this.contacts.ridersOf(peer),
      ...this.contacts.doubted(),
      ...this.spared(attempt),
    ]
    const isOpen = (entry: Rendezvous): boolean => this.contacts.get(entry.peer)?.isReached === true
    // A circuit over a circuit is long: those to which a wire leads come first.
    const isFar = (entry: Rendezvous): number =>
      this.contacts.get(entry.peer)?.session.path?.reliable === true ? 0 : 1
    const linked = attempt.rendezvous
      .filter(entry => isOpen(entry) && !avoid.includes(entry.peer))
      .sort((a, b) => isFar(a) - isFar(b) || this.overlay.loadOf(a.peer) - this.overlay.loadOf(b.peer))[0]
    // A candidate for a link is looked for again another time; what a user is told is made sure of.
    const unknown = attempt.unknownTo >= (attempt.isPatient ? UNKNOWN_TO_MAX : 1)
    const spent = attempt.reroutes || attempt.hopsTried.length >= FIRST_HOPS_TRIED_MAX || unknown
    const hop = linked?.peer ?? (spent ? null : this.overlay.nextHop(peer, avoid, null))
    if (hop !== null) {
      attempt.hopsTried.push(hop)
      const circuit = this.circuits.begin(turn, peer, hop, attempt.session !== null)
      attempt.circuit = circuit
      attempt.circuitFrom = turn.now + REDIAL_MS
      attempt.tries.set(circuit, { opening: null, openBy: turn.now + DIAL_TIMEOUT_MS })
      this.attemptOf.set(circuit, attempt)
      if (attempt.session === null) this.greet(turn, attempt, circuit)
      else this.port.expectLife(turn, hop)
      return
    }
    // All that are named are asked at once: the first that answers is the next hop to try.
    attempt.circuitsSpent = true
    const asked = attempt.rendezvous
      .splice(0)
      .filter(entry => entry.peer !== this.port.self && !avoid.includes(entry.peer) && !isOpen(entry))
      // The dead of a mass failure name each other: for a candidate those that were tried for others are not tried again.
      .filter(entry => attempt.isPatient || !this.overlay.isResting(turn, entry.peer))
    if (asked.length === 0 && this.spared(attempt).length > 0) {
      attempt.startSparingNone()
      this.circle(turn, attempt)
      return
    }
    attempt.rendezvousAwaited += asked.length
    for (const entry of asked) {
      this.reachRendezvous(turn, entry, (later, outcome) => {
        attempt.rendezvousAwaited -= 1
        if (outcome.ok) {
          attempt.rendezvous.push(entry)
          attempt.circuitsSpent = false
        } else {
          // Where too many are being reached, nothing was dialled.
          if (outcome.fault.code !== 'overloaded') this.overlay.onUnreachable(later, entry.peer)
          if (attempt.rendezvousAwaited === 0 && this.spared(attempt).length > 0) attempt.startSparingNone()
        }
        this.advance(later, attempt)
      })
    }
  }

  /** Circuits go from neighbour to neighbour, and may all end before a peer; others know by whom it is reached. */
  private locate(turn: Turn, attempt: Attempt): void {
    if (attempt.peer === null || !attempt.isAwaited || turn.now < attempt.locateAt) return
    attempt.locateAt = Number.POSITIVE_INFINITY
    this.overlay.locate(turn, attempt.peer, (later, found) => {
      if (!found.ok) return
      attempt.learn(this.usable(found.value.addresses), found.value.rendezvous)
      this.advance(later, attempt)
    })
  }

  /** Over whom nothing goes to the peer as long as anybody else leads there. */
  private spared({ peer, spares }: Attempt): readonly PeerId[] {
    const stoodStillOver = peer === null ? null : this.contacts.get(peer)?.standstill?.hops
    return spares ? [...this.overlay.spared(), ...(stoodStillOver ?? [])] : []
  }

  /** Only by the addresses that the ref gives: a rendezvous that is itself behind another would lead in circles. */
  private reachRendezvous(turn: Turn, rendezvous: Rendezvous, onReached: OnReached): void {
    const under = this.attempts.get(rendezvous.peer)
    if (under !== undefined) {
      under.addWaiter(false, turn.now, onReached)
      return
    }
    this.begin(turn, this.goal('direct', rendezvous.peer, rendezvous.addresses, []), attempt => {
      attempt.addWaiter(false, turn.now, onReached)
    })
  }

  private forget(attempt: Attempt, carrier: Carrier): void {
    const opening = attempt.tries.get(carrier)?.opening ?? null
    if (opening !== null) this.board.cancelOpening(opening)
    attempt.tries.delete(carrier)
    this.attemptOf.delete(carrier)
    if (attempt.circuit === carrier) {
      attempt.circuit = null
      attempt.circuitFrom = 0
    }
  }

  /** It leads nowhere; what else there is to try is tried. */
  private abandon(turn: Turn, attempt: Attempt, carrier: Carrier, fault: Fault): void {
    attempt.lastFault = fault
    this.drop(turn, attempt, carrier, fault)
    this.advance(turn, attempt)
  }

  private drop(turn: Turn, attempt: Attempt, carrier: Carrier, fault: Fault): void {
    this.forget(attempt, carrier)
    this.port.closeCarrier(turn, carrier, fault)
  }

  /** Takes an attempt off the table, ends all that it has under way but the carrier that served, and tells who waits. */
  private finish(turn: Turn, attempt: Attempt, served: Carrier | null, outcome: Result<Contact>): void {
    if (!this.isUnderWay(attempt)) return
    this.attempts.delete(attempt.key)
    for (const carrier of [...attempt.tries.keys()]) {
      if (carrier === served) this.forget(attempt, carrier)
      else this.drop(turn, attempt, carrier, outcome.ok ? { code: 'closed' } : outcome.fault)
    }
    attempt.answer(turn, outcome)
  }
}

/** Whether a stream, a user or circuits wait for it. */
function isHasty(contact: Contact): boolean {
  return contact.counted || (contact.needs & Need.circuits) !== 0
}

function newer(a: PeerRef | null, b: PeerRef | null): PeerRef | null {
  if (a === null || b === null) return a ?? b
  return a.sequence >= b.sequence ? a : b
}
