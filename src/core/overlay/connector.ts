/**
 * Keeps the sessions with other peers (spec 5.2): one a peer, over the best path there is; paths that die are replaced,
 * those that are better taken, those that nothing needs any more let go. Which peers to reach is decided above: by the
 * overlay for links, by services, by the user.
 */
import type { Address, AddressScheme } from '../base/address.ts'
import { NO_BYTES, readU32 } from '../base/bytes.ts'
import { type Fault, type FaultCode, fail, ok } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap } from '../base/rare-map.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import type { RequestId, SessionId, WireId } from '../input.ts'
import {
  CIRCUIT_PING_TIMEOUT_MS,
  CIRCUIT_SILENT_MS,
  GLARE_MS,
  LINK_SILENT_MS,
  PATHLESS_MS,
  PATHLESS_NEEDED_MS,
  PATHLESS_NOTICED_MS,
  PING_TIMEOUT_MS,
  RETRY_PAUSE_MAX_MS,
  SESSION_LINGER_MS,
  SESSIONS_CHECK_MS,
  SILENCE_STEP_MS,
  UPGRADE_AFTER_MS,
} from '../limits.ts'
import type { Negotiable } from '../peer-options.ts'
import type { Session } from '../session/session.ts'
import { Channel } from '../session/session-owner.ts'
import { type Opening, Switchboard, type SwitchboardOwner } from '../session/switchboard.ts'
import { type Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import type { OnReached } from './attempt.ts'
import { BetterPaths } from './better-paths.ts'
import { carrierOf, isBetter } from './carriers.ts'
import { CircuitEnd, type CircuitLoss, Circuits, type CircuitsPort } from './circuits.ts'
import { Contact, Need } from './contact.ts'
import { ContactTable } from './contact-table.ts'
import { Farewells } from './farewells.ts'
import { encodeOverlayMessage, type OverlayMessage } from './overlay-messages.ts'
import type { OverlayView } from './overlay-view.ts'
import { decodePathMessage, encodePathMessage, type PathMessage } from './path-messages.ts'
import { PathOffers, type PathOffersPort } from './path-offers.ts'
import { Reaching, type ReachingPort } from './reaching.ts'
import type { RelayLimits } from './relay-budget.ts'
import { ScarceBudget } from './scarce-budget.ts'
import { SessionPaths, type SessionPathsPort } from './session-paths.ts'
import type { SettledState } from './settled-state.ts'
import { WireMarks } from './wire-marks.ts'

/** What the connector needs of the layer above. */
export interface ConnectorPort extends OverlayView {
  readonly relayLimits?: RelayLimits | undefined
  /** What the host can negotiate, first choice first; nothing where nothing is said. */
  readonly negotiates?: readonly Negotiable[] | undefined
  /** How long a session that is counted on may be without any path; as `PATHLESS_NEEDED_MS` where nothing is said. */
  readonly pathlessMs?: number | undefined
  /** A session with a peer stands, through whoever's doing. */
  onContact(turn: Turn, contact: Contact): void
  /** The session has no path at this moment: links over it are down. */
  onPathLost(turn: Turn, contact: Contact, fault: Fault): void
  /** The session is over. */
  onContactLost(turn: Turn, contact: Contact, fault: Fault): void
  onMessage(turn: Turn, contact: Contact, channel: number, bytes: Uint8Array): void
}

export class Connector implements SwitchboardOwner, CircuitsPort, ReachingPort, PathOffersPort, SessionPathsPort {
  readonly self: PeerId
  /** When within a step silence is looked at: the two ends of a link that are silent since the same packet do not both ask. */
  private readonly stepPhaseMs: number
  readonly relays: boolean
  readonly relayLimits: RelayLimits | undefined
  readonly board: Switchboard
  readonly circuits: Circuits
  readonly paths: SessionPaths
  private readonly port: ConnectorPort
  private readonly reaching: Reaching
  private readonly offers: PathOffers
  private readonly better: BetterPaths
  /** Dialled and negotiated wires of one transport are all the same to the host. */
  private readonly budget = new ScarceBudget()
  private readonly farewells = new Farewells()
  private readonly contacts = new ContactTable()
  private readonly wireMarks = new WireMarks()
  private readonly userPings = new RareMap<number, { readonly request: RequestId; readonly session: Session }>()
  private nextPing = 1
  private wakeAt: Instant | null = null

  constructor(
    suite: CryptoSuite,
    identity: Identity,
    relays: boolean,
    dialable: readonly AddressScheme[],
    port: ConnectorPort,
  ) {
    this.relayLimits = port.relayLimits
    this.stepPhaseMs = readU32(identity.publicKey, 0) % SILENCE_STEP_MS
    this.self = identity.peer
    this.relays = relays
    this.port = port
    this.board = new Switchboard(suite, identity, this)
    this.circuits = new Circuits(this.board, port, this)
    this.reaching = new Reaching(this.board, this.circuits, dialable, this.contacts, port, this)
    this.offers = new PathOffers(this.board, port.negotiates ?? [], this.budget, this.contacts, port, this)
    this.better = new BetterPaths(this.contacts, port, this.reaching, this.offers, this.circuits)
    this.paths = new SessionPaths(this.contacts, this.circuits, this.reaching, this.offers, this.farewells, this)
  }

  // ---- what the layers above ask ----

  contact(peer: PeerId): Contact | null {
    return this.contacts.get(peer)
  }

  session(id: SessionId): Session | null {
    return this.board.session(id)
  }

  get sessionCount(): number {
    return this.contacts.sessionCount
  }

  isReaching(peer: PeerId): boolean {
    return this.reaching.isReaching(peer)
  }

  /** What the tables hold, for tests of leaks. */
  get counts() {
    const { contacts, userPings, farewells, wireMarks, reaching } = this
    return {
      ...this.board.counts,
      ...this.circuits.counts,
      ...this.offers.counts,
      ...this.paths.counts,
      contacts: contacts.size,
      sessions: contacts.sessionCount,
      retired: contacts.retired.size,
      standbys: [...contacts.all()].filter(({ standby }) => standby !== null).length,
      userPings: userPings.size,
      farewells: farewells.size,
      wireMarks: wireMarks.size,
      attempts: reaching.size,
      attemptsEnd: reaching.oldestEnd(),
    }
  }

  /**
   * Opens a session to a peer, or finds the one there is. The outcome may come before this returns. A patient one tries
   * again while there is time: what cannot be reached now may be healing.
   */
  reach(turn: Turn, peer: PeerId, ref: PeerRef | null, patient: boolean, onReached: OnReached): void {
    const contact = this.contacts.get(peer)
    if (peer === this.self) onReached(turn, fail({ code: 'self-connect' }))
    else if (contact?.isReached === true && this.farewells.has(contact.session))
      this.farewells.wait(contact.session, later => this.reach(later, peer, ref, patient, onReached))
    else if (contact?.isReached === true) onReached(turn, ok(contact))
    else this.reaching.reach(turn, peer, ref, patient, onReached)
  }

  /** Opens a session to whoever answers at an address. */
  reachAddress(turn: Turn, address: Address, onReached: OnReached): void {
    this.reaching.reachAddress(turn, address, onReached)
  }

  /** Looks for a path for a session that has none. */
  revive(turn: Turn, session: Session): void {
    const contact = this.contacts.of(session)
    if (contact !== null && session.path === null) this.reaching.revive(turn, contact, contact.wanted)
  }

  /** Sessions are to be looked at then, at the latest. */
  considerAt(at: Instant | null): void {
    this.wakeAt = earlier(this.wakeAt, at)
  }

  /** For a peer that begins settled: sessions that stand, most of them for links, and circuits of others through here. */
  settle({ links, hops }: SettledState): void {
    for (const link of links) {
      const { ref, label, initiator, path, heardAt } = link
      const { peer } = ref
      const carrier =
        path.kind === 'wire'
          ? this.board.settleWire(path.wire, path.about, peer, heardAt)
          : this.circuits.settleEnd(initiator ? peer : null, path, peer, heardAt)
      const { cipher, sendKey, receiveKey, remoteLabel } = link
      const session = this.board.settleSession(
        { peer, initiator, cipher, sendKey, receiveKey, localLabel: label, remoteLabel, handshakeHash: NO_BYTES },
        carrier,
      )
      const contact = new Contact(session, ref, link.since)
      contact.roundTripMs = link.roundTripMs
      if (link.role !== null) contact.needs |= Need.link
      if (carrier instanceof Wire) this.offers.settleWire(session, carrier)
      if (path.kind === 'circuit') {
        this.offers.settle(session, path.betterAt)
        this.considerAt(path.betterAt)
      }
      this.contacts.add(contact)
      this.considerAt(heardAt + LINK_SILENT_MS)
    }
    for (const hop of hops) this.circuits.settleHop(hop)
  }

  need(now: Instant, contact: Contact, need: (typeof Need)[keyof typeof Need]): void {
    // One that stood over a circuit for nobody has no wire as yet, and nothing due: now it wants one.
    const isIdle = !contact.wanted && contact.session.path?.reliable === false
    const lookAt = isIdle ? Math.max(now, contact.since + UPGRADE_AFTER_MS) : now + LINK_SILENT_MS
    contact.needs |= need
    this.considerAt(lookAt)
  }

  release(contact: Contact, need: (typeof Need)[keyof typeof Need]): void {
    contact.needs &= ~need
  }

  sendMessage(turn: Turn, peer: PeerId, channel: number, bytes: Uint8Array): boolean {
    return this.contacts.get(peer)?.session.sendMessage(turn, channel, bytes) ?? false
  }

  /** Measures a session's round trip for a user; answered by the event `ponged`, or `failed`. */
  ping(turn: Turn, session: Session, request: RequestId): void {
    const token = this.sendPing(turn, session)
    if (token !== null) this.userPings.set(token, { request, session })
    else turn.emit({ kind: 'failed', request, fault: { code: 'overloaded', detail: 'pings' } })
  }

  /** Its token; null where too many wait for an answer. */
  private sendPing(turn: Turn, session: Session): number | null {
    const token = this.nextPing
    this.nextPing = (this.nextPing % 0xffff_ffff) + 1
    return session.ping(turn, token) ? token : null
  }

  /** Pings every wanted contact that has been silent for so long: one death makes the others suspect. */
  suspectSilent(turn: Turn, silentMs: number): void {
    for (const contact of this.contacts.all()) this.suspect(turn, contact, silentMs)
  }

  /** Pings a wanted contact if it has been silent for so long. */
  suspect(turn: Turn, contact: Contact, silentMs: number): void {
    const { path } = contact.session
    if (path === null || !contact.wanted || contact.pingedAt !== null) return
    if (turn.now - path.heardAt >= silentMs) this.pingPath(turn, contact)
  }

  /** The user's hold on a session ends; with it the session, if nothing else needs it. */
  closeForUser(turn: Turn, id: SessionId, code: FaultCode): void {
    const session = this.session(id)
    if (session === null) return
    const contact = this.contacts.of(session)
    if (contact === null) {
      this.closeSession(turn, session, code)
      return
    }
    this.release(contact, Need.user)
    // Circuits of others that run over it go on.
    if (contact.needs === 0 && !this.circuits.relaysOver(contact.peer)) this.closeSession(turn, session, code)
  }

  /** The user's hold on a session ends; the session does once neither side needs it. */
  releaseForUser(turn: Turn, id: SessionId): void {
    const session = this.session(id)
    const contact = session === null ? null : this.contacts.of(session)
    if (contact === null) return
    this.release(contact, Need.user)
    this.leave(turn, contact)
  }

  /** Ends a session that nothing here needs, if the other side needs it no more either. */
  leave(turn: Turn, contact: Contact): void {
    const { session } = contact
    if (contact.wanted || this.circuits.relaysOver(contact.peer) || this.farewells.has(session)) return
    if (contact.isReached && this.sendPathMessage(turn, session, { kind: 'session-unneeded' }))
      this.farewells.begin(session, turn.now)
    else this.closeSession(turn, session, 'closed')
  }

  closeSession(turn: Turn, session: Session, code: FaultCode): void {
    session.close(turn, code)
    this.endSession(turn, session, { code })
  }

  /** This machine was away for longer than others keep a session. Only those that a user or a stream needs are asked. */
  onReturn(turn: Turn): void {
    this.reaching.endAll(turn, { code: 'timeout', detail: 'this machine was away' })
    const contacts = [...this.contacts.all()]
    for (const contact of contacts) if (!contact.counted) this.closeSession(turn, contact.session, 'session-lost')
    // The other side has given up its end of the path: another one is looked for at once.
    for (const { session, counted } of contacts) {
      if (!counted || session.ended) continue
      const carrier = carrierOf(session)
      if (carrier === null) this.revive(turn, session)
      else this.closeCarrier(turn, carrier, { code: 'wire-lost', detail: 'this machine was away' })
    }
  }

  /** This machine may be somewhere else in the network now: all paths are asked, and in doubt at once where an address is lost. */
  onNetworkChanged(turn: Turn, lost: boolean): void {
    this.reaching.hasten(turn)
    this.suspectSilent(turn, 0)
    this.paths.silence.askAll(turn, lost)
    this.offers.onNetworkChanged(turn)
    this.considerAt(turn.now + UPGRADE_AFTER_MS)
  }

  closeAll(turn: Turn): void {
    this.reaching.endAll(turn, { code: 'closed' })
    for (const session of this.contacts.sessions()) this.closeSession(turn, session, 'closed')
    // Whoever was told may have asked for more.
    this.reaching.endAll(turn, { code: 'closed' })
  }

  // ---- what the parts below ask ----

  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean {
    return this.sendMessage(turn, to, Channel.overlay, encodeOverlayMessage(message))
  }

  hasLost(peer: PeerId): boolean {
    const contact = this.contacts.get(peer)
    return contact !== null && contact.session.path === null
  }

  carrierTo(neighbour: PeerId): Carrier | null {
    const contact = this.contacts.get(neighbour)
    return contact === null ? null : carrierOf(contact.session)
  }

  isScarce(scheme: AddressScheme): boolean {
    // A scheme of addresses is called as what is negotiated where both come of the same library.
    return this.port.negotiates?.some(({ transport, scarce }) => scarce && transport === scheme) === true
  }

  mayDial({ now }: Turn, scheme: AddressScheme, urgent: boolean): boolean {
    if (!this.isScarce(scheme)) return true
    if (this.budget.from(now, urgent || this.contacts.size === 0) > now) return false
    this.budget.spend(now)
    return true
  }

  tryPath(turn: Turn, session: Session, carrier: Carrier): void {
    this.paths.try(turn, session, carrier)
  }

  /** The neighbour is to carry something at once: if it keeps silent, that is to be known soon. */
  expectLife(turn: Turn, neighbour: PeerId): void {
    this.contacts.get(neighbour)?.session.expectLife(turn)
  }

  closeCarrier(turn: Turn, carrier: Carrier, fault: Fault): void {
    if (!carrier.open) return
    if (carrier instanceof Wire) {
      this.board.hangUp(turn, carrier, fault.code)
    } else if (carrier instanceof CircuitEnd) {
      this.circuits.close(turn, carrier)
      this.paths.onLost(turn, carrier, fault)
    }
  }

  markWire(turn: Turn, wire: Wire): void {
    const session = wire.peer === null ? undefined : this.contacts.get(wire.peer)?.session
    // What travels another way tells nothing of this one.
    const token = session?.path === wire ? this.sendPing(turn, session) : null
    if (session !== undefined && token !== null) this.wireMarks.begin(token, wire, session, turn.now)
    // Where none can be sent nothing will tell of what arrives: the wire is not to wait for it.
    else wire.onMarkAnswered(null)
  }

  /** What had arrived over it is known anew. */
  private onWireHeard(turn: Turn, wire: Wire): void {
    if (!wire.open) return
    if (wire.wantsMark) this.markWire(turn, wire)
    this.circuits.onWireRoom(turn, wire)
  }

  onCarrying(neighbour: PeerId, carries: boolean, now: Instant): void {
    const contact = this.contacts.get(neighbour)
    if (contact === null) return
    if (carries) this.need(now, contact, Need.circuits)
    else this.release(contact, Need.circuits)
  }

  onCircuitOpen(turn: Turn, circuit: CircuitEnd): void {
    this.reaching.onCarrierOpen(turn, circuit)
    this.onCarrierRoom(circuit)
  }

  onCircuitRoom(_turn: Turn, circuit: CircuitEnd): void {
    this.onCarrierRoom(circuit)
  }

  onCircuitHeld(circuit: CircuitEnd): void {
    for (const session of this.contacts.sessionsOver(circuit)) session.onPathHeld()
  }

  onCircuitLost(turn: Turn, circuit: CircuitEnd, reason: CircuitLoss): void {
    this.paths.onLost(turn, circuit, { code: 'wire-lost', detail: `circuit ${reason}` })
    this.reaching.onCircuitLost(turn, circuit, reason)
  }

  pathlessMs(contact: Contact): number {
    return contact.counted ? (this.port.pathlessMs ?? PATHLESS_NEEDED_MS) : PATHLESS_MS
  }

  onPathless(turn: Turn, contact: Contact, fault: Fault): void {
    this.port.onPathLost(turn, contact, fault)
  }

  // ---- SwitchboardOwner ----

  onMessage(turn: Turn, session: Session, channel: number, bytes: Uint8Array): void {
    this.board.prove(turn, session)
    const contact = this.contacts.get(session.peer)
    if (contact === null) return
    if (channel !== Channel.path) {
      this.port.onMessage(turn, contact, channel, bytes)
      return
    }
    const fault = contact.session === session ? this.onPathMessage(turn, contact, bytes) : null
    if (fault !== null) this.onSessionBroken(turn, session, fault)
  }

  private onPathMessage(turn: Turn, contact: Contact, bytes: Uint8Array): Fault | null {
    const read = decodePathMessage(bytes)
    if (!read.ok) return read.fault
    const message = read.value
    if (message.kind === 'session-unneeded') this.onUnneeded(turn, contact)
    else if (message.kind === 'session-needed') this.farewells.decide(turn, contact.session)
    else return this.offers.onMessage(turn, contact, message)
    return null
  }

  private onUnneeded(turn: Turn, { peer, session, wanted }: Contact): void {
    if (wanted || this.circuits.relaysOver(peer)) this.sendPathMessage(turn, session, { kind: 'session-needed' })
    else this.closeSession(turn, session, 'closed')
  }

  private sendPathMessage(turn: Turn, session: Session, message: PathMessage): boolean {
    return session.sendMessage(turn, Channel.path, encodePathMessage(message))
  }

  onPong(turn: Turn, session: Session, token: number, roundTripMs: number): void {
    const marked = this.wireMarks.onAnswered(token, turn.now)
    if (marked !== null) {
      this.onWireHeard(turn, marked)
      return
    }
    this.contacts.of(session)?.learnRoundTrip(roundTripMs)
    const ping = this.userPings.get(token)
    if (ping?.session !== session) return
    this.userPings.delete(token)
    turn.emit({ kind: 'ponged', request: ping.request, roundTripMs, path: session.path?.view() ?? { kind: 'none' } })
  }

  onRemoteClose(turn: Turn, session: Session, code: FaultCode): void {
    this.endSession(turn, session, { code, detail: 'the other side closed the session' })
  }

  onDirty(session: Session): void {
    this.board.markDirty(session)
  }

  onSessionBroken(turn: Turn, session: Session, fault: Fault): void {
    session.close(turn, fault.code)
    this.endSession(turn, session, fault)
  }

  /** The host has what the other side must know to open a negotiated wire. */
  onWireDescribed(turn: Turn, wire: WireId, description: Uint8Array): void {
    this.offers.onDescribed(turn, wire, description)
  }

  onWireOpen(turn: Turn, wire: Wire): void {
    this.offers.onWireOpen(turn, wire)
    this.reaching.onCarrierOpen(turn, wire)
  }

  onWireRoom(turn: Turn, wire: Wire): void {
    this.onCarrierRoom(wire)
    this.circuits.onWireRoom(turn, wire)
  }

  onWireLost(turn: Turn, wire: Wire, fault: Fault): void {
    this.circuits.onWireLost(turn, wire)
    this.paths.onLost(turn, wire, fault)
    this.reaching.onCarrierLost(turn, wire, fault)
    this.offers.onWireLost(turn, wire, fault)
  }

  onOpeningFailed(turn: Turn, opening: Opening, fault: Fault): void {
    this.reaching.onOpeningFailed(turn, opening, fault)
  }

  /** Whoever answered at an address may be one to whom a session stands: that one serves. */
  onAnswered(turn: Turn, opening: Opening, peer: PeerId): boolean {
    const contact = this.contacts.get(peer)
    if (contact?.isReached !== true || this.farewells.has(contact.session)) return true
    this.reaching.satisfy(turn, contact, null, opening)
    return false
  }

  onSessionReady(turn: Turn, session: Session, opening: Opening | null): void {
    const { peer } = session
    const ref = this.port.refOf(peer)
    const present = this.contacts.get(peer)
    const before = present?.session
    const contact = present === null ? this.newContact(turn, session, ref) : this.replace(turn, present, session)
    this.considerAt(turn.now + UPGRADE_AFTER_MS)
    if (contact.session === session) this.port.onContact(turn, contact)
    // The other side learns from the first packet that the handshake was no replay.
    session.ping(turn, 0)
    this.reaching.satisfy(turn, contact, carrierOf(session), opening)
    if (before !== undefined) this.farewells.decide(turn, before)
  }

  // ---- deadlines ----

  nextWake(): Instant | null {
    let wake = earlier(this.wakeAt, earlier(this.reaching.nextWake(), this.paths.nextWake()))
    wake = earlier(wake, earlier(this.offers.nextWake(), this.farewells.nextWake()))
    return earlier(wake, earlier(this.board.nextWake(), this.circuits.nextWake()))
  }

  onWake(turn: Turn): void {
    this.board.onWake(turn)
    this.circuits.onWake(turn)
    this.paths.onWake(turn)
    this.reaching.onWake(turn)
    this.offers.onWake(turn)
    for (const session of this.farewells.onWake(turn.now)) this.endFarewell(turn, session)
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    // A map may change while it is gone through: what is gone is left out, what comes is looked at too.
    let holdsStreams = false
    for (const contact of this.contacts.all()) {
      this.considerAt(this.checkContact(turn, contact))
      holdsStreams ||= contact.hasStreams
    }
    if (holdsStreams) this.considerAt(this.paths.silence.listen(turn))
    for (const [session, lookAt] of this.contacts.retired) {
      if (lookAt <= turn.now) this.checkRetired(turn, session)
      this.considerAt(this.contacts.retired.get(session) ?? null)
    }
    this.considerAt(this.paths.endUnused(turn))
    // With thousands of sessions some deadline is always near: they are looked at together.
    if (this.wakeAt !== null) this.wakeAt = Math.max(this.wakeAt, turn.now + SESSIONS_CHECK_MS)
  }

  /** The other side does not say whether it needs the session: it is needed here by now, or it ends. */
  private endFarewell(turn: Turn, session: Session): void {
    const contact = this.contacts.of(session)
    if (contact === null || contact.wanted) this.farewells.decide(turn, session)
    else this.closeSession(turn, session, 'closed')
  }

  // ---- sessions and their paths ----

  private newContact(turn: Turn, session: Session, ref: PeerRef | null): Contact {
    const contact = new Contact(session, ref, turn.now)
    this.contacts.add(contact)
    return contact
  }

  /**
   * Two sessions with one peer: of two that were opened at the same time both ends keep the one whose opener has the
   * smaller id; otherwise the newer, since a peer that opens a new one has lost the old.
   */
  private replace(turn: Turn, contact: Contact, session: Session): Contact {
    const present = contact.session
    const together = contact.isReached && turn.now - contact.since < GLARE_MS && present.initiator !== session.initiator
    const presentWins =
      together && (present.initiator ? this.self : contact.peer) < (session.initiator ? this.self : contact.peer)
    const [winner, loser] = presentWins ? [present, session] : [session, present]
    this.contacts.retired.set(loser, turn.now + GLARE_MS)
    this.considerAt(turn.now + GLARE_MS)
    if (together) {
      const before = carrierOf(present)
      contact.session = winner
      contact.pathless = null
      contact.pingedAt = null
      // Both paths have proven to lead there: the better one serves.
      const other = carrierOf(loser)
      if (winner.initiator && other !== null && isBetter(other, winner.path)) this.paths.moveTo(turn, winner, other)
      this.paths.leaveRiders(turn, contact, before)
      contact.elders = [...contact.elders, loser]
      this.paths.moveElders(turn, contact)
      return contact
    }
    this.contacts.delete(contact)
    this.circuits.onNeighbourLost(turn, contact.peer)
    this.port.onContactLost(turn, contact, { code: 'session-replaced' })
    const fresh = this.newContact(turn, session, this.port.refOf(contact.peer) ?? contact.ref)
    // The other side has forgotten a session without a path: its streams would wait in vain.
    if (!contact.isReached) this.endSession(turn, loser, { code: 'session-replaced' })
    return fresh
  }

  private onCarrierRoom(carrier: Carrier): void {
    const contact = carrier.peer === null ? null : this.contacts.get(carrier.peer)
    if (contact?.session.path === carrier) this.board.markDirty(contact.session)
    for (const session of this.contacts.retired.keys()) if (session.path === carrier) this.board.markDirty(session)
  }

  /** When to look at the contact again. */
  private checkContact(turn: Turn, contact: Contact): Instant | null {
    const { session } = contact
    const { now } = turn
    if (contact.pathless !== null) {
      const { since, noticedAt } = contact.pathless
      const endAt = Math.max(since + this.pathlessMs(contact), noticedAt + PATHLESS_NOTICED_MS)
      if (endAt <= now) {
        this.endSession(turn, session, { code: 'session-lost', detail: 'no path for too long' })
        return null
      }
      if (contact.wanted && !this.isReaching(contact.peer)) {
        if (session.path === null) this.revive(turn, session)
        else this.reaching.seekBeside(turn, contact)
      }
      // One attempt may end before the session does.
      return Math.min(endAt, now + RETRY_PAUSE_MAX_MS)
    }
    const carrier = carrierOf(session)
    if (carrier === null) return null
    const silentMs = now - carrier.heardAt
    if (!contact.wanted && silentMs >= SESSION_LINGER_MS) {
      this.leave(turn, contact)
      return this.contacts.get(contact.peer) === contact ? now + SESSION_LINGER_MS : null
    }
    const silentMsMax = carrier.reliable ? LINK_SILENT_MS : CIRCUIT_SILENT_MS
    const betterAt = carrier.reliable || silentMs >= silentMsMax ? null : this.better.look(turn, contact)
    const tendAt = earlier(betterAt, this.paths.tend(turn, contact, carrier))
    if (!contact.wanted) return earlier(tendAt, carrier.heardAt + SESSION_LINGER_MS)
    if (contact.pingedAt !== null && carrier.heardAt < contact.pingedAt) {
      const deadAt = contact.pingedAt + (carrier.reliable ? contact.answerMs : CIRCUIT_PING_TIMEOUT_MS)
      if (now < deadAt) return earlier(tendAt, deadAt)
      this.closeCarrier(turn, carrier, { code: 'timeout', detail: 'the peer does not answer' })
      return now + PING_TIMEOUT_MS
    }
    contact.pingedAt = null
    if (silentMs < silentMsMax) {
      // Together with all whose silence ends about then: each look goes over every contact.
      const steps = Math.ceil((carrier.heardAt + silentMsMax - this.stepPhaseMs) / SILENCE_STEP_MS)
      return earlier(tendAt, steps * SILENCE_STEP_MS + this.stepPhaseMs)
    }
    this.pingPath(turn, contact)
    return earlier(tendAt, now + PING_TIMEOUT_MS)
  }

  private pingPath(turn: Turn, contact: Contact): void {
    contact.pingedAt = turn.now
    contact.session.askForLife(turn)
    this.considerAt(turn.now + PING_TIMEOUT_MS)
  }

  /** A session that gave way ends when no stream is open on it, or when nobody is heard over it. */
  private checkRetired(turn: Turn, session: Session): void {
    const carrier = carrierOf(session)
    if (carrier === null && session.openStreams > 0 && this.contacts.get(session.peer)?.session.path === null) {
      this.contacts.retired.set(session, turn.now + GLARE_MS)
      return
    }
    const silentMs = carrier === null ? SESSION_LINGER_MS : turn.now - carrier.heardAt
    if (session.openStreams === 0 || silentMs >= SESSION_LINGER_MS) {
      this.closeSession(turn, session, 'session-replaced')
      return
    }
    if (silentMs >= LINK_SILENT_MS) session.askForLife(turn)
    this.contacts.retired.set(session, turn.now + GLARE_MS)
  }

  endSession(turn: Turn, session: Session, fault: Fault): void {
    if (!this.board.forget(session)) return
    this.contacts.retired.delete(session)
    session.abandon(turn, fault)
    this.offers.onSessionEnded(turn, session)
    turn.emit({ kind: 'session-closed', session: session.id, peer: session.peer, fault })
    for (const [token, ping] of this.userPings) {
      if (ping.session !== session) continue
      this.userPings.delete(token)
      turn.emit({ kind: 'failed', request: ping.request, fault: { code: 'closed', detail: 'session' } })
    }
    for (const wire of this.wireMarks.onSessionEnded(session)) this.onWireHeard(turn, wire)
    const contact = this.contacts.get(session.peer)
    if (contact !== null && contact.session !== session)
      contact.elders = contact.elders.filter(elder => elder !== session)
    if (contact?.session === session) {
      for (const elder of contact.elders) if (elder.path === null) this.endSession(turn, elder, fault)
      this.contacts.delete(contact)
      this.circuits.onNeighbourLost(turn, session.peer)
      this.port.onContactLost(turn, contact, fault)
    }
    const carrier = carrierOf(session)
    if (carrier !== null && !this.paths.isUsed(carrier)) this.closeCarrier(turn, carrier, fault)
    const standby = contact?.session === session ? contact.standby : null
    if (standby !== null) this.closeCarrier(turn, standby, fault)
    this.reaching.onSessionEnded(turn, session, fault)
    this.farewells.decide(turn, session)
  }
}
