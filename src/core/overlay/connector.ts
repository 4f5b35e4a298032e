/**
 * Reaches peers and keeps the sessions with them (spec 5.2): dials, circuits, one session a peer, paths that die and are
 * replaced. Which peers to reach is decided above: by the overlay for links, by services, by the user.
 */
import { type Address, type AddressScheme, addressText } from '../base/address.ts'
import { type Fault, type FaultCode, fail, ok } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { PeerRef, Rendezvous } from '../crypto/peer-ref.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import type { RequestId, SessionId } from '../input.ts'
import {
  DIAL_TIMEOUT_MS,
  GLARE_MS,
  LINK_SILENT_MS,
  PATHLESS_MS,
  PING_TIMEOUT_MS,
  REACHING_MAX,
  SESSION_LINGER_MS,
} from '../limits.ts'
import type { Session } from '../session/session.ts'
import { Channel } from '../session/session-owner.ts'
import { type Opening, Switchboard, type SwitchboardOwner } from '../session/switchboard.ts'
import { type Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import { Attempt, type OnReached } from './attempt.ts'
import { type CircuitEnd, Circuits, type CircuitsPort } from './circuits.ts'
import { Contact, type Need } from './contact.ts'
import { encodeOverlayMessage, type OverlayMessage } from './overlay-messages.ts'

/** What the connector needs of the layer above. */
export interface ConnectorPort {
  /** A session with a peer stands, through whoever's doing. */
  onContact(turn: Turn, contact: Contact): void
  /** The session has no path at this moment: links over it are down. */
  onPathLost(turn: Turn, contact: Contact, fault: Fault): void
  /** The session is over. */
  onContactLost(turn: Turn, contact: Contact, fault: Fault): void
  onMessage(turn: Turn, contact: Contact, channel: number, bytes: Uint8Array): void
  /** The best neighbour on the way to a peer. */
  nextHop(target: PeerId, avoid: readonly PeerId[]): PeerId | null
  /** Newest ref of a peer, where one is known. */
  refOf(peer: PeerId): PeerRef | null
}

export class Connector implements SwitchboardOwner, CircuitsPort {
  readonly self: PeerId
  readonly relays: boolean
  readonly board: Switchboard
  readonly circuits: Circuits
  private readonly port: ConnectorPort
  private readonly dialable: readonly AddressScheme[]
  private readonly contacts = new Map<PeerId, Contact>()
  /** All sessions, those that gave way to another one with the same peer included. */
  private readonly sessions = new Map<SessionId, Session>()
  /** Sessions that gave way, and when they may close. */
  private readonly retired = new Map<Session, Instant>()
  /** By peer, or by address where the peer is not known. */
  private readonly attempts = new Map<string, Attempt>()
  private readonly attemptOf = new Map<Wire | CircuitEnd, Attempt>()
  private readonly userPings = new Map<number, RequestId>()
  private nextPing = 1
  private wakeAt: Instant | null = null

  constructor(
    suite: CryptoSuite,
    identity: Identity,
    relays: boolean,
    dialable: readonly AddressScheme[],
    port: ConnectorPort,
  ) {
    this.self = identity.peer
    this.relays = relays
    this.dialable = dialable
    this.port = port
    this.board = new Switchboard(suite, identity, this)
    this.circuits = new Circuits(this.board, this)
  }

  // ---- what the layers above ask ----

  contact(peer: PeerId): Contact | null {
    return this.contacts.get(peer) ?? null
  }

  session(id: SessionId): Session | null {
    return this.sessions.get(id) ?? null
  }

  get sessionCount(): number {
    return this.sessions.size
  }

  isReaching(peer: PeerId): boolean {
    return this.attempts.has(peer)
  }

  /**
   * Opens a session to a peer, or finds the one there is. The outcome may come before this returns. A patient one tries
   * again while there is time: what cannot be reached now may be healing.
   */
  reach(turn: Turn, peer: PeerId, ref: PeerRef | null, patient: boolean, onReached: OnReached): void {
    if (peer === this.self) {
      onReached(turn, fail({ code: 'self-connect' }))
      return
    }
    const contact = this.contacts.get(peer)
    if (contact !== undefined && contact.session.path !== null) {
      onReached(turn, ok(contact))
      return
    }
    const under = this.attempts.get(peer)
    if (under !== undefined) {
      under.addWaiter(patient, onReached)
      return
    }
    const known = ref ?? this.port.refOf(peer)
    const attempt = new Attempt(
      peer,
      peer,
      known,
      contact?.session ?? null,
      this.usable(known?.addresses ?? []),
      turn.now,
    )
    this.begin(turn, attempt, patient, onReached)
  }

  /** Opens a session to whoever answers at an address. */
  reachAddress(turn: Turn, address: Address, onReached: OnReached): void {
    const key = addressText(address)
    const under = this.attempts.get(key)
    if (under !== undefined) {
      under.addWaiter(false, onReached)
      return
    }
    const usable = this.usable([address])
    const attempt = new Attempt(key, null, null, null, usable, turn.now)
    if (usable.length === 0) attempt.lastFault = { code: 'not-supported', detail: key }
    this.begin(turn, attempt, false, onReached)
  }

  /** Looks for a path for a session that has none. */
  revive(turn: Turn, session: Session): void {
    const contact = this.contacts.get(session.peer)
    if (contact?.session === session && session.path === null) {
      this.reach(turn, contact.peer, contact.ref, contact.wanted, () => {})
    }
  }

  need(turn: Turn, contact: Contact, need: (typeof Need)[keyof typeof Need]): void {
    contact.needs |= need
    this.wakeAt = earlier(this.wakeAt, turn.now + LINK_SILENT_MS)
  }

  release(contact: Contact, need: (typeof Need)[keyof typeof Need]): void {
    contact.needs &= ~need
  }

  sendMessage(turn: Turn, peer: PeerId, channel: number, bytes: Uint8Array): boolean {
    const contact = this.contacts.get(peer)
    return contact?.session.sendMessage(turn, channel, bytes) ?? false
  }

  /** Measures a session's round trip for a user; answered by the event `ponged`. */
  ping(turn: Turn, session: Session, request: RequestId): void {
    const token = this.nextPing++
    this.userPings.set(token, request)
    session.ping(turn, token)
  }

  /** Pings every wanted contact that has been silent for so long: one death makes the others suspect. */
  suspectSilent(turn: Turn, silentMs: number): void {
    for (const contact of this.contacts.values()) {
      const path = contact.session.path
      if (path === null || !contact.wanted || contact.pingedAt !== null) continue
      if (turn.now - path.heardAt >= silentMs) this.pingPath(turn, contact)
    }
  }

  closeSession(turn: Turn, session: Session, code: FaultCode): void {
    session.close(turn, code)
    session.flush(turn)
    this.endSession(turn, session, { code })
  }

  closeAll(turn: Turn): void {
    for (const session of [...this.sessions.values()]) this.closeSession(turn, session, 'closed')
  }

  // ---- CircuitsPort ----

  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean {
    return this.sendMessage(turn, to, Channel.overlay, encodeOverlayMessage(message))
  }

  nextHop(target: PeerId, avoid: readonly PeerId[]): PeerId | null {
    return this.port.nextHop(target, avoid)
  }

  carrierTo(neighbour: PeerId): Carrier | null {
    // reason: every path in this program is a carrier; the session needs to know less of it.
    return (this.contacts.get(neighbour)?.session.path as Carrier | null | undefined) ?? null
  }

  onCircuitRoom(turn: Turn, circuit: CircuitEnd): void {
    const attempt = this.attemptOf.get(circuit)
    if (attempt?.session != null) this.adopt(turn, attempt, attempt.session, circuit)
    const contact = circuit.peer === null ? undefined : this.contacts.get(circuit.peer)
    if (contact?.session.path === circuit) this.board.markDirty(contact.session)
  }

  onCircuitLost(turn: Turn, circuit: CircuitEnd, reason: string): void {
    const attempt = this.attemptOf.get(circuit)
    if (attempt !== undefined) {
      this.attemptOf.delete(circuit)
      if (attempt.circuitOpening !== null) this.board.cancelOpening(attempt.circuitOpening)
      attempt.circuitOpening = null
      attempt.circuit = null
      attempt.lastFault = { code: 'peer-unreachable', detail: reason }
      this.advance(turn, attempt)
    }
    this.onCarrierLost(turn, circuit, { code: 'wire-lost', detail: `circuit ${reason}` })
  }

  // ---- SwitchboardOwner ----

  onMessage(turn: Turn, session: Session, channel: number, bytes: Uint8Array): void {
    this.board.prove(turn, session)
    const contact = this.contacts.get(session.peer)
    if (contact !== undefined) this.port.onMessage(turn, contact, channel, bytes)
  }

  onPong(turn: Turn, session: Session, token: number, roundTripMs: number): void {
    const request = this.userPings.get(token)
    if (request === undefined) return
    this.userPings.delete(token)
    turn.emit({ kind: 'ponged', request, roundTripMs, path: session.path?.view() ?? { kind: 'none' } })
  }

  onRemoteClose(turn: Turn, session: Session, code: FaultCode): void {
    this.endSession(turn, session, { code, detail: 'the other side closed the session' })
  }

  onDirty(session: Session): void {
    this.board.markDirty(session)
  }

  onSessionBroken(turn: Turn, session: Session, fault: Fault): void {
    session.close(turn, fault.code)
    session.flush(turn)
    this.endSession(turn, session, fault)
  }

  onPathFollowed(turn: Turn, session: Session, carrier: Carrier, revived: boolean): void {
    turn.emit({ kind: 'path', session: session.id, path: carrier.view() })
    const contact = this.contacts.get(session.peer)
    if (contact?.session !== session) return
    contact.pathlessSince = null
    const attempt = this.attempts.get(session.peer)
    if (attempt?.session === session) {
      this.settle(turn, attempt, null)
      attempt.answer(turn, ok(contact))
    }
    // What rides on a session that moves onto a circuit could come to carry itself (spec 5.6).
    if (!revived && !(carrier instanceof Wire)) this.circuits.onNeighbourLost(turn, session.peer)
  }

  onWireOpen(turn: Turn, wire: Wire): void {
    const attempt = this.attemptOf.get(wire)
    if (attempt?.session == null) return
    this.adopt(turn, attempt, attempt.session, wire)
  }

  onWireRoom(turn: Turn, wire: Wire): void {
    const contact = wire.peer === null ? undefined : this.contacts.get(wire.peer)
    if (contact?.session.path === wire) this.board.markDirty(contact.session)
    for (const session of this.retired.keys()) if (session.path === wire) this.board.markDirty(session)
    this.circuits.onWireRoom(turn, wire)
  }

  onWireLost(turn: Turn, wire: Wire, fault: Fault): void {
    this.circuits.onWireLost(wire)
    const attempt = this.attemptOf.get(wire)
    if (attempt !== undefined) {
      this.attemptOf.delete(wire)
      attempt.dials.delete(wire)
      attempt.lastFault = fault
      this.advance(turn, attempt)
    }
    this.onCarrierLost(turn, wire, fault)
  }

  onOpeningFailed(turn: Turn, opening: Opening, fault: Fault): void {
    const { carrier } = opening
    if (carrier instanceof Wire) {
      const attempt = this.attemptOf.get(carrier)
      if (attempt !== undefined) attempt.lastFault = fault
      this.board.hangUp(turn, carrier, fault.code)
      return
    }
    for (const attempt of this.attempts.values()) {
      if (attempt.circuitOpening !== opening || attempt.circuit === null) continue
      const { circuit } = attempt
      attempt.circuitOpening = null
      attempt.circuit = null
      attempt.lastFault = fault
      this.attemptOf.delete(circuit)
      this.circuits.close(turn, circuit)
      this.advance(turn, attempt)
    }
  }

  onSessionReady(turn: Turn, session: Session, opening: Opening | null): void {
    this.sessions.set(session.id, session)
    const { peer } = session
    const attempt = this.attempts.get(peer) ?? (opening === null ? undefined : this.attemptByOpening(opening))
    const ref = attempt?.ref?.peer === peer ? attempt.ref : this.port.refOf(peer)
    const present = this.contacts.get(peer)
    let contact = present
    if (contact === undefined) {
      contact = new Contact(peer, session, ref, turn.now)
      this.contacts.set(peer, contact)
    } else {
      contact = this.replace(turn, contact, session, ref)
    }
    this.wakeAt = earlier(this.wakeAt, turn.now + PING_TIMEOUT_MS)
    // The other side learns from the first packet that the handshake was no replay.
    if (contact !== present || contact.session === session) this.port.onContact(turn, contact)
    session.ping(turn, 0)
    if (attempt !== undefined) {
      // reason: a session is ready over the carrier that its handshake went over.
      this.settle(turn, attempt, opening === null ? null : (session.path as Carrier))
      attempt.answer(turn, ok(contact))
    }
  }

  // ---- deadlines ----

  nextWake(): Instant | null {
    return earlier(this.wakeAt, earlier(this.board.nextWake(), this.circuits.nextWake()))
  }

  onWake(turn: Turn): void {
    this.board.onWake(turn)
    this.circuits.onWake(turn)
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    for (const attempt of [...this.attempts.values()]) {
      this.advance(turn, attempt)
      if (this.attempts.get(attempt.key) === attempt) this.wakeAt = earlier(this.wakeAt, attempt.nextWake())
    }
    for (const contact of [...this.contacts.values()]) {
      this.wakeAt = earlier(this.wakeAt, this.checkContact(turn, contact))
    }
    for (const [session, closeAt] of this.retired) {
      if (session.openStreams > 0) this.wakeAt = earlier(this.wakeAt, turn.now + GLARE_MS)
      else if (closeAt <= turn.now) this.closeSession(turn, session, 'session-replaced')
      else this.wakeAt = earlier(this.wakeAt, closeAt)
    }
  }

  // ---- attempts ----

  private begin(turn: Turn, attempt: Attempt, patient: boolean, onReached: OnReached): void {
    if (this.attempts.size >= REACHING_MAX) {
      onReached(turn, fail({ code: 'overloaded', detail: 'too many peers are being reached', limit: REACHING_MAX }))
      return
    }
    this.attempts.set(attempt.key, attempt)
    attempt.addWaiter(patient, onReached)
    this.advance(turn, attempt)
  }

  private usable(addresses: readonly Address[]): Address[] {
    return addresses.filter(address => this.dialable.includes(address.scheme))
  }

  /** Does what an attempt may do now, and ends it when nothing is left. */
  private advance(turn: Turn, attempt: Attempt): void {
    if (this.attempts.get(attempt.key) !== attempt) return
    attempt.startOver(turn.now)
    for (const [wire, dial] of attempt.dials) {
      if (wire.about === null && dial.giveUpAt <= turn.now) {
        this.board.hangUp(turn, wire, 'dial-timeout')
        // The loss of the wire came back here and has done the rest.
        return
      }
    }
    for (let address = attempt.takeAddress(turn.now); address !== null; address = attempt.takeAddress(turn.now)) {
      this.dial(turn, attempt, address)
    }
    if (attempt.mayCircle(turn.now)) this.circle(turn, attempt)
    if (attempt.spent) attempt.answerImpatient(turn)
    if (attempt.giveUpAt <= turn.now || (attempt.spent && !attempt.mayRetry(turn.now))) {
      const late = attempt.giveUpAt <= turn.now && !attempt.spent
      this.failAttempt(
        turn,
        attempt,
        late ? { code: 'peer-unreachable', detail: 'no answer in time' } : attempt.lastFault,
      )
    } else {
      this.wakeAt = earlier(this.wakeAt, Math.max(attempt.nextWake(), turn.now + 1))
    }
  }

  private dial(turn: Turn, attempt: Attempt, address: Address): void {
    const wire = this.board.newDialledWire(turn.now)
    turn.effects.push({ kind: 'dial', wire: wire.id, address })
    const opening = attempt.session === null ? this.board.openSession(turn, wire, attempt.peer) : null
    if (attempt.session === null && opening === null) {
      attempt.lastFault = { code: 'invalid-peer-id' }
      this.board.hangUp(turn, wire, 'invalid-peer-id')
      return
    }
    attempt.dials.set(wire, { opening, giveUpAt: turn.now + DIAL_TIMEOUT_MS })
    this.attemptOf.set(wire, attempt)
  }

  /** Begins a circuit through the best first hop, or reaches a rendezvous that can be the first hop. */
  private circle(turn: Turn, attempt: Attempt): void {
    const { peer } = attempt
    if (peer === null) return
    const riders = this.ridersOf(peer)
    const avoid = [...attempt.hopsTried, ...riders]
    const linked = attempt.rendezvous.find(entry => this.hasPath(entry.peer) && !avoid.includes(entry.peer))
    const hop = linked?.peer ?? this.port.nextHop(peer, avoid)
    if (hop !== null) {
      attempt.hopsTried.push(hop)
      const circuit = this.circuits.begin(turn, peer, hop, attempt.session !== null)
      attempt.circuit = circuit
      this.attemptOf.set(circuit, attempt)
      if (attempt.session === null) attempt.circuitOpening = this.board.openSession(turn, circuit, peer)
      return
    }
    // All that are named are asked at once: the first that answers is the next hop to try.
    attempt.circuitsSpent = true
    for (const entry of attempt.rendezvous.splice(0)) {
      if (entry.peer === this.self || avoid.includes(entry.peer) || this.hasPath(entry.peer)) continue
      attempt.rendezvousAwaited += 1
      this.reachRendezvous(turn, entry, (later, outcome) => {
        attempt.rendezvousAwaited -= 1
        if (outcome.ok) {
          attempt.rendezvous.push(entry)
          attempt.circuitsSpent = false
        }
        this.advance(later, attempt)
      })
    }
  }

  /** The neighbours whose sessions ride on the one with `peer`: no way to reach it. */
  private ridersOf(peer: PeerId): PeerId[] {
    const riders: PeerId[] = []
    for (const contact of this.contacts.values()) {
      if (this.carrierTo(contact.peer)?.dependsOn(peer) === true) riders.push(contact.peer)
    }
    return riders
  }

  /** Only by the addresses that the ref gives: a rendezvous that is itself behind another would lead in circles. */
  private reachRendezvous(turn: Turn, rendezvous: Rendezvous, onReached: OnReached): void {
    const under = this.attempts.get(rendezvous.peer)
    if (under !== undefined) {
      under.addWaiter(false, onReached)
      return
    }
    const attempt = new Attempt(
      rendezvous.peer,
      rendezvous.peer,
      null,
      null,
      this.usable(rendezvous.addresses),
      turn.now,
    )
    attempt.circuitsSpent = true
    this.begin(turn, attempt, false, onReached)
  }

  private hasPath(peer: PeerId): boolean {
    return this.carrierTo(peer) !== null
  }

  private attemptByOpening(opening: Opening): Attempt | undefined {
    // reason: openings go over wires and circuit ends, which are the keys.
    return this.attemptOf.get(opening.carrier as Wire | CircuitEnd)
  }

  /** Takes an attempt off the table and ends all that it has under way but the carrier that served. */
  private settle(turn: Turn, attempt: Attempt, served: Carrier | null): void {
    this.attempts.delete(attempt.key)
    if (served !== null) this.attemptOf.delete(served as Wire | CircuitEnd)
    for (const [wire, dial] of attempt.dials) {
      this.attemptOf.delete(wire)
      if (wire === served) continue
      if (dial.opening !== null) this.board.cancelOpening(dial.opening)
      this.board.hangUp(turn, wire, 'closed')
    }
    attempt.dials.clear()
    const { circuit } = attempt
    if (circuit !== null && circuit !== served) {
      this.attemptOf.delete(circuit)
      if (attempt.circuitOpening !== null) this.board.cancelOpening(attempt.circuitOpening)
      this.circuits.close(turn, circuit)
    }
  }

  private failAttempt(turn: Turn, attempt: Attempt, fault: Fault): void {
    this.settle(turn, attempt, null)
    attempt.answer(turn, fail(fault))
  }

  // ---- sessions and their paths ----

  /**
   * Two sessions with one peer: of two that were opened at the same time both ends keep the one whose opener has the
   * smaller id; otherwise the newer, since a peer that opens a new one has lost the old.
   */
  private replace(turn: Turn, contact: Contact, session: Session, ref: PeerRef | null): Contact {
    const present = contact.session
    const together = turn.now - contact.since < GLARE_MS && present.initiator !== session.initiator
    const presentWins =
      together && (present.initiator ? this.self : contact.peer) < (session.initiator ? this.self : contact.peer)
    const loser = presentWins ? session : present
    this.retired.set(loser, turn.now + GLARE_MS)
    this.wakeAt = earlier(this.wakeAt, turn.now + GLARE_MS)
    // The other side has forgotten a session without a path: its streams would wait in vain.
    if (loser.path === null) this.endSession(turn, loser, { code: 'session-replaced' })
    if (presentWins) return contact
    if (together) {
      contact.session = session
      contact.pathlessSince = null
      contact.pingedAt = null
      return contact
    }
    this.contacts.delete(contact.peer)
    this.circuits.onNeighbourLost(turn, contact.peer)
    this.port.onContactLost(turn, contact, { code: 'session-replaced' })
    const fresh = new Contact(contact.peer, session, ref ?? contact.ref, turn.now)
    this.contacts.set(contact.peer, fresh)
    return fresh
  }

  /** A session that lost its path goes on over another carrier. */
  private adopt(turn: Turn, attempt: Attempt, session: Session, carrier: Carrier): void {
    this.settle(turn, attempt, carrier)
    if (carrier.dependsOn(session.peer)) return
    carrier.peer = session.peer
    carrier.heardAt = turn.now
    session.usePath(turn, carrier)
    turn.emit({ kind: 'path', session: session.id, path: carrier.view() })
    const contact = this.contacts.get(session.peer)
    if (contact?.session !== session) return
    contact.adoptedAt = turn.now
    this.pingPath(turn, contact)
    attempt.answer(turn, ok(contact))
  }

  private onCarrierLost(turn: Turn, carrier: Carrier, fault: Fault): void {
    for (const session of this.retired.keys()) {
      if (session.path === carrier) this.endSession(turn, session, fault)
    }
    const contact = carrier.peer === null ? undefined : this.contacts.get(carrier.peer)
    if (contact === undefined || contact.session.path !== carrier) return
    const { session } = contact
    session.usePath(turn, null)
    contact.pathlessSince ??= turn.now
    contact.pingedAt = null
    this.circuits.onNeighbourLost(turn, contact.peer)
    this.port.onPathLost(turn, contact, fault)
    turn.emit({ kind: 'path', session: session.id, path: { kind: 'none' } })
    this.wakeAt = earlier(this.wakeAt, turn.now + PATHLESS_MS)
    // Both sides look for another path, since perhaps only one can dial; whoever needs the session does so longer.
    this.revive(turn, session)
  }

  /** When to look at the contact again. */
  private checkContact(turn: Turn, contact: Contact): Instant {
    const { session } = contact
    const path = session.path
    if (path === null) {
      const since = contact.pathlessSince ?? turn.now
      contact.pathlessSince = since
      if (turn.now - since < PATHLESS_MS) return since + PATHLESS_MS
      this.endSession(turn, session, { code: 'session-lost', detail: 'no path for too long' })
      return turn.now + LINK_SILENT_MS
    }
    if (path.heardAt > contact.adoptedAt) contact.pathlessSince = null
    const silentMs = turn.now - path.heardAt
    if (!contact.wanted) {
      if (silentMs < SESSION_LINGER_MS) return path.heardAt + SESSION_LINGER_MS
      this.closeSession(turn, session, 'closed')
      return turn.now + LINK_SILENT_MS
    }
    if (contact.pingedAt !== null && path.heardAt >= contact.pingedAt) contact.pingedAt = null
    if (contact.pingedAt !== null) {
      const deadAt = contact.pingedAt + PING_TIMEOUT_MS
      if (turn.now < deadAt) return deadAt
      contact.pingedAt = null
      const fault: Fault = { code: 'timeout', detail: 'the peer does not answer' }
      if (contact.pathlessSince !== null && turn.now - contact.pathlessSince >= PATHLESS_MS) {
        this.endSession(turn, session, { code: 'session-lost', detail: 'no path for too long' })
        return turn.now + LINK_SILENT_MS
      }
      // reason: every path is a wire or a circuit's end.
      if (path instanceof Wire) this.board.hangUp(turn, path, 'timeout')
      else {
        this.circuits.close(turn, path as CircuitEnd)
        this.onCarrierLost(turn, path as CircuitEnd, fault)
      }
      return turn.now + PING_TIMEOUT_MS
    }
    if (silentMs < LINK_SILENT_MS) return path.heardAt + LINK_SILENT_MS
    this.pingPath(turn, contact)
    return turn.now + PING_TIMEOUT_MS
  }

  private pingPath(turn: Turn, contact: Contact): void {
    contact.pingedAt = turn.now
    contact.session.ping(turn, 0)
    this.wakeAt = earlier(this.wakeAt, turn.now + PING_TIMEOUT_MS)
  }

  private endSession(turn: Turn, session: Session, fault: Fault): void {
    if (!this.sessions.delete(session.id)) return
    // reason: every path is a carrier.
    const carrier = session.path as Carrier | null
    const contact = this.contacts.get(session.peer)
    const wasRetired = this.retired.delete(session)
    session.abandon(turn, fault)
    this.board.forget(session)
    turn.emit({ kind: 'session-closed', session: session.id, peer: session.peer, fault })
    if (!wasRetired && contact?.session === session) {
      this.contacts.delete(session.peer)
      this.circuits.onNeighbourLost(turn, session.peer)
      this.port.onContactLost(turn, contact, fault)
    }
    if (carrier === null || this.contacts.get(session.peer)?.session.path === carrier) return
    carrier.peer = null
    if (carrier instanceof Wire) this.board.hangUp(turn, carrier, fault.code)
    else this.circuits.close(turn, carrier as CircuitEnd)
  }
}
