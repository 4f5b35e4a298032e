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
  CARRIER_GRACE_MS,
  CIRCUIT_PING_TIMEOUT_MS,
  CIRCUIT_SILENT_MS,
  DOUBT_AFTER_MS,
  GLARE_MS,
  HELD_DOUBT_AFTER_MS,
  LINK_SILENT_MS,
  PATHLESS_MS,
  PATHLESS_NEEDED_MS,
  PING_TIMEOUT_MS,
  RETRY_PAUSE_MAX_MS,
  SESSION_LINGER_MS,
  SESSIONS_CHECK_MS,
  SILENCE_STEP_MS,
  STANDBY_ASK_MS,
  UPGRADE_AFTER_MS,
} from '../limits.ts'
import type { Negotiable } from '../peer-options.ts'
import type { Path } from '../session/path.ts'
import type { Session } from '../session/session.ts'
import { Channel } from '../session/session-owner.ts'
import { type Opening, Switchboard, type SwitchboardOwner } from '../session/switchboard.ts'
import { type Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import type { OnReached } from './attempt.ts'
import { BetterPaths, type BetterPathsPort } from './better-paths.ts'
import { CircuitEnd, type CircuitLoss, Circuits, type CircuitsPort } from './circuits.ts'
import { Contact, Need } from './contact.ts'
import { Farewells } from './farewells.ts'
import { encodeOverlayMessage, type OverlayMessage } from './overlay-messages.ts'
import { PathAsks } from './path-asks.ts'
import { decodePathMessage, encodePathMessage, type PathMessage } from './path-messages.ts'
import { PathOffers, type PathOffersPort } from './path-offers.ts'
import { Reaching, type ReachingPort } from './reaching.ts'
import type { RelayLimits } from './relay-budget.ts'
import { ScarceBudget } from './scarce-budget.ts'
import type { SettledState } from './settled-state.ts'
import { WireMarks } from './wire-marks.ts'

/** What the connector needs of the layer above. */
export interface ConnectorPort {
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
  /** The best neighbour on the way to a peer. */
  nextHop(target: PeerId, avoid: readonly PeerId[], from: PeerId | null): PeerId | null
  /** Neighbours that are to carry no circuit of this peer while any other can. */
  spared(): readonly PeerId[]
  /** How much of what it can carry a neighbour carries, as it told. */
  loadOf(peer: PeerId): number
  /** Whether a remembered peer could not be reached so lately that it is not to be tried now. */
  isResting(turn: Turn, peer: PeerId): boolean
  /** A dial to it has failed. */
  onUnreachable(turn: Turn, peer: PeerId): void
  /** Whether no neighbour that relays stands closer to a peer's place than this one. */
  standsClosest(target: PeerId): boolean
  /** Newest ref of a peer, where one is known. */
  refOf(peer: PeerId): PeerRef | null
  /** Where public peers serve STUN. */
  helpers(): readonly Address[]
  /** How many links this peer carries. */
  capacity(): number
  /** Whether others may dial this peer: it has announced addresses. */
  isDialable(): boolean
  /** Whether others come to this peer by its rendezvous. */
  isHidden(): boolean
}

export class Connector implements SwitchboardOwner, CircuitsPort, ReachingPort, PathOffersPort, BetterPathsPort {
  readonly self: PeerId
  /** When within a step silence is looked at: the two ends of a link that are silent since the same packet do not both ask. */
  private readonly stepPhaseMs: number
  readonly relays: boolean
  readonly relayLimits: RelayLimits | undefined
  readonly board: Switchboard
  readonly circuits: Circuits
  private readonly port: ConnectorPort
  private readonly reaching: Reaching
  private readonly offers: PathOffers
  private readonly better: BetterPaths
  /** Dialled and negotiated wires of one transport are all the same to the host. */
  private readonly budget = new ScarceBudget()
  private readonly asks = new PathAsks()
  private readonly farewells = new Farewells()
  private readonly contacts = new Map<PeerId, Contact>()
  /** Sessions that gave way to another one with the same peer, and when to look at them again. */
  private readonly retired = new RareMap<Session, Instant>()
  /** Carriers that no session travels over, and when they are let go. */
  private readonly unused = new RareMap<Carrier, Instant>()
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
    this.circuits = new Circuits(this.board, this)
    this.reaching = new Reaching(this.board, this.circuits, dialable, this)
    this.offers = new PathOffers(this.board, port.negotiates ?? [], this.budget, this)
    this.better = new BetterPaths(this.reaching, this.offers, this.circuits, this)
  }

  // ---- what the layers above ask ----

  contact(peer: PeerId): Contact | null {
    return this.contacts.get(peer) ?? null
  }

  session(id: SessionId): Session | null {
    return this.board.session(id)
  }

  get sessionCount(): number {
    return this.contacts.size + this.retired.size
  }

  isReaching(peer: PeerId): boolean {
    return this.reaching.isReaching(peer)
  }

  /** What the tables hold, for tests of leaks. */
  get counts() {
    const { retired, unused, userPings, asks, farewells, wireMarks, reaching } = this
    return {
      ...this.board.counts,
      ...this.circuits.counts,
      ...this.offers.counts,
      contacts: this.contacts.size,
      sessions: this.sessionCount,
      retired: retired.size,
      unused: unused.size,
      standbys: [...this.contacts.values()].filter(({ standby }) => standby !== null).length,
      userPings: userPings.size,
      asks: asks.size,
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
    const contact = this.contacts.get(session.peer)
    if (contact?.session === session && session.path === null) this.reaching.revive(turn, contact, contact.wanted)
  }

  /** A session may have a wire again sooner than was thought. */
  considerAt(at: Instant): void {
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
        this.wakeAt = earlier(this.wakeAt, path.betterAt)
      }
      this.contacts.set(peer, contact)
      this.wakeAt = earlier(this.wakeAt, heardAt + LINK_SILENT_MS)
    }
    for (const hop of hops) this.circuits.settleHop(hop)
  }

  need(now: Instant, contact: Contact, need: (typeof Need)[keyof typeof Need]): void {
    // One that stood over a circuit for nobody has no wire as yet, and nothing due: now it wants one.
    const isIdle = !contact.wanted && contact.session.path?.reliable === false
    const lookAt = isIdle ? Math.max(now, contact.since + UPGRADE_AFTER_MS) : now + LINK_SILENT_MS
    contact.needs |= need
    this.wakeAt = earlier(this.wakeAt, lookAt)
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
    for (const contact of this.contacts.values()) this.suspect(turn, contact, silentMs)
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
    const contact = this.contacts.get(session.peer)
    if (contact?.session !== session) {
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
    const contact = session === null ? undefined : this.contacts.get(session.peer)
    if (contact?.session !== session || contact === undefined) return
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
    const contacts = [...this.contacts.values()]
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
    for (const contact of [...this.contacts.values()]) {
      const { session } = contact
      const carrier = carrierOf(session)
      if (carrier === null || !contact.wanted || this.contacts.get(contact.peer) !== contact) continue
      contact.pingedAt ??= turn.now
      this.wakeAt = earlier(this.wakeAt, turn.now + PING_TIMEOUT_MS)
      session.expectLife(turn)
      if (!lost) continue
      contact.doubt = { carrier, heardAt: carrier.heardAt }
      if (carrier instanceof Wire) this.reaching.seekBeside(turn, contact)
    }
    this.reaching.hasten(turn)
    this.offers.onNetworkChanged(turn)
    this.wakeAt = earlier(this.wakeAt, turn.now + UPGRADE_AFTER_MS)
  }

  closeAll(turn: Turn): void {
    this.reaching.endAll(turn, { code: 'closed' })
    for (const session of this.allSessions()) this.closeSession(turn, session, 'closed')
    // Whoever was told may have asked for more.
    this.reaching.endAll(turn, { code: 'closed' })
  }

  // ---- CircuitsPort and ReachingPort ----

  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean {
    return this.sendMessage(turn, to, Channel.overlay, encodeOverlayMessage(message))
  }

  nextHop(target: PeerId, avoid: readonly PeerId[], from: PeerId | null): PeerId | null {
    return this.port.nextHop(target, avoid, from)
  }

  spared(): readonly PeerId[] {
    return this.port.spared()
  }

  loadOf(peer: PeerId): number {
    return this.port.loadOf(peer)
  }

  isResting(turn: Turn, peer: PeerId): boolean {
    return this.port.isResting(turn, peer)
  }

  onUnreachable(turn: Turn, peer: PeerId): void {
    this.port.onUnreachable(turn, peer)
  }

  helpers(): readonly Address[] {
    return this.port.helpers()
  }

  standsClosest(target: PeerId): boolean {
    return this.port.standsClosest(target)
  }

  hasLost(peer: PeerId): boolean {
    const contact = this.contacts.get(peer)
    return contact !== undefined && contact.session.path === null
  }

  refOf(peer: PeerId): PeerRef | null {
    return this.port.refOf(peer)
  }

  isDialable(): boolean {
    return this.port.isDialable()
  }

  /** A page, or a peer at home, carries no more of others than it has links itself. */
  circuitsMax(): number {
    return this.port.isHidden() ? this.port.capacity() : Number.POSITIVE_INFINITY
  }

  carrierTo(neighbour: PeerId): Carrier | null {
    return carrierOf(this.contacts.get(neighbour)?.session)
  }

  ridersOf(peer: PeerId): PeerId[] {
    const riders: PeerId[] = []
    for (const contact of this.contacts.values()) {
      if (this.carrierTo(contact.peer)?.dependsOn(peer) === true) riders.push(contact.peer)
    }
    return riders
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

  /** A session without a path takes the carrier at once; whether it leads anywhere is asked in any case. */
  tryPath(turn: Turn, session: Session, carrier: Carrier): void {
    if (session.path === null) this.moveTo(turn, session, carrier)
    this.asks.ask(turn, session, carrier, { urgent: !this.isReached(session) || this.isInDoubt(session) })
  }

  /** The neighbour is to carry something at once: if it keeps silent, that is to be known soon. */
  expectLife(turn: Turn, neighbour: PeerId): void {
    this.contacts.get(neighbour)?.session.expectLife(turn)
  }

  /** The neighbours that keep silent though they should not. */
  doubted(): readonly PeerId[] {
    const peers: PeerId[] = []
    for (const contact of this.contacts.values()) if (contact.inDoubt) peers.push(contact.peer)
    return peers
  }

  closeCarrier(turn: Turn, carrier: Carrier, fault: Fault): void {
    if (!carrier.open) return
    if (carrier instanceof Wire) {
      this.board.hangUp(turn, carrier, fault.code)
    } else if (carrier instanceof CircuitEnd) {
      this.circuits.close(turn, carrier)
      this.onCarrierLost(turn, carrier, fault)
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
    if (contact === undefined) return
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
    for (const session of this.sessionsOver(circuit)) session.onPathHeld()
  }

  onCircuitLost(turn: Turn, circuit: CircuitEnd, reason: CircuitLoss): void {
    this.onCarrierLost(turn, circuit, { code: 'wire-lost', detail: `circuit ${reason}` })
    this.reaching.onCircuitLost(turn, circuit, reason)
  }

  // ---- SwitchboardOwner ----

  onMessage(turn: Turn, session: Session, channel: number, bytes: Uint8Array): void {
    this.board.prove(turn, session)
    const contact = this.contacts.get(session.peer)
    if (contact === undefined) return
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
    const contact = this.contacts.get(session.peer)
    if (contact?.session === session) contact.learnRoundTrip(roundTripMs)
    const ping = this.userPings.get(token)
    if (ping?.session !== session) return
    this.userPings.delete(token)
    turn.emit({ kind: 'ponged', request: ping.request, roundTripMs, path: session.path?.view() ?? { kind: 'none' } })
  }

  /**
   * The path should have brought something and did not (spec 4.6). Others are tried beside it; it stays until one of them has
   * proven to carry, or it is heard again.
   */
  onSilent(turn: Turn, session: Session, silentMs: number): void {
    const contact = this.contacts.get(session.peer)
    if (contact?.elders.includes(session) === true) {
      contact.session.expectLife(turn)
      return
    }
    const carrier = carrierOf(session)
    // A relay that said hold is there, and has much to pass on.
    const patienceMs = carrier instanceof CircuitEnd && carrier.held ? HELD_DOUBT_AFTER_MS : DOUBT_AFTER_MS
    if (contact?.session !== session || carrier === null || silentMs < patienceMs + (contact.roundTripMs ?? 0)) return
    if (this.farewells.has(session) && !contact.wanted) return
    if (!contact.inDoubt) this.beginDoubt(turn, contact, carrier)
    if (contact.counted && turn.now - carrier.heardAt >= this.pathlessMs(contact)) {
      this.endSession(turn, session, { code: 'session-lost', detail: 'no path for too long' })
      return
    }
    if (!carrier.reliable && !this.asks.has(carrier)) this.asks.ask(turn, session, carrier, { urgent: true })
    const { standby } = contact
    if (standby !== null && !this.asks.has(standby)) this.asks.ask(turn, session, standby, { urgent: true })
    if (!this.isReaching(contact.peer)) this.reaching.seekBeside(turn, contact)
  }

  onHeardAgain(turn: Turn, session: Session): void {
    const contact = this.contacts.get(session.peer)
    if (contact?.session === session && contact.doubt !== null) this.endDoubt(turn, contact, carrierOf(session))
  }

  private beginDoubt(turn: Turn, contact: Contact, carrier: Carrier): void {
    contact.doubt = { carrier, heardAt: carrier.heardAt }
    // What runs over it looks for another way as well; and it may be that only the first hop's wire is dead.
    this.reaching.onHopSilent(turn, contact.peer)
    if (carrier instanceof CircuitEnd) this.expectLife(turn, carrier.neighbour)
  }

  /** The path, this one or another, was heard. */
  private endDoubt(turn: Turn, contact: Contact, carrier: Carrier | null): void {
    contact.doubt = null
    contact.pingedAt = null
    if (carrier !== null) this.onHeard(turn, contact.session, carrier)
    this.reaching.hasten(turn)
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

  onPathFollowed(turn: Turn, session: Session, before: Carrier | null, carrier: Carrier): void {
    turn.emit({ kind: 'path', session: session.id, path: carrier.view() })
    this.afterMove(turn, session, before, carrier)
    this.asks.forget(carrier)
    this.onHeard(turn, session, carrier)
  }

  /** The side that opened the session picks its path: it moves to what is better, once that has proven to carry. */
  onPathAsked(turn: Turn, session: Session, path: Path, urgent: boolean): void {
    const carrier = asCarrier(path)
    if (!session.initiator || carrier === session.path || this.contacts.get(session.peer)?.session !== session) return
    if (this.asks.has(carrier) || !(urgent || isBetter(carrier, session.path))) return
    this.asks.ask(turn, session, carrier, { wanted: urgent })
  }

  onPathAnswered(turn: Turn, session: Session, path: Path, token: number): void {
    const carrier = asCarrier(path)
    const ask = this.asks.answered(session, carrier, token)
    if (ask === null || !carrier.open) return
    if (session.path !== carrier) {
      if (this.mayTake(session, ask.wanted)) this.moveTo(turn, session, carrier)
      else if (this.contacts.get(session.peer)?.standby === carrier) return
      else this.onCarrierUnused(turn, carrier)
    }
    this.onHeard(turn, session, carrier)
  }

  /** Whether a session moves to a carrier that has proven to lead to the other side. */
  private mayTake(session: Session, wanted: boolean): boolean {
    if (!this.isReached(session)) return true
    if (!session.initiator) return false
    return wanted || session.path?.reliable !== true || this.isInDoubt(session)
  }

  private onUnanswered(turn: Turn, session: Session, carrier: Carrier): void {
    const contact = this.contacts.get(session.peer)
    if (contact?.standby === carrier) contact.standby = null
    if (!this.unused.has(carrier)) this.onCarrierUnused(turn, carrier)
  }

  /** A wire over which no one is served ends after a while. */
  onCarrierUnused(turn: Turn, carrier: Carrier): void {
    if (!carrier.open) return
    this.unused.set(carrier, turn.now + CARRIER_GRACE_MS)
    this.wakeAt = earlier(this.wakeAt, turn.now + CARRIER_GRACE_MS)
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
    this.onCarrierLost(turn, wire, fault)
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
    const contact = present === undefined ? this.newContact(turn, session, ref) : this.replace(turn, present, session)
    this.wakeAt = earlier(this.wakeAt, turn.now + UPGRADE_AFTER_MS)
    if (contact.session === session) this.port.onContact(turn, contact)
    // The other side learns from the first packet that the handshake was no replay.
    session.ping(turn, 0)
    this.reaching.satisfy(turn, contact, carrierOf(session), opening)
    if (before !== undefined) this.farewells.decide(turn, before)
  }

  // ---- deadlines ----

  nextWake(): Instant | null {
    let wake = earlier(this.wakeAt, earlier(this.reaching.nextWake(), this.asks.nextWake()))
    wake = earlier(wake, earlier(this.offers.nextWake(), this.farewells.nextWake()))
    return earlier(wake, earlier(this.board.nextWake(), this.circuits.nextWake()))
  }

  onWake(turn: Turn): void {
    this.board.onWake(turn)
    this.circuits.onWake(turn)
    for (const { session, carrier, heard } of this.asks.onWake(turn)) {
      if (heard && session.path === carrier) this.onHeard(turn, session, carrier)
      else if (this.reaching.onUnanswered(turn, carrier) || session.path === carrier) continue
      else this.onUnanswered(turn, session, carrier)
    }
    this.reaching.onWake(turn)
    this.offers.onWake(turn)
    for (const session of this.farewells.onWake(turn.now)) this.endFarewell(turn, session)
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    // A map may change while it is gone through: what is gone is left out, what comes is looked at too.
    for (const contact of this.contacts.values()) {
      this.wakeAt = earlier(this.wakeAt, this.checkContact(turn, contact))
    }
    for (const [session, lookAt] of this.retired) {
      if (lookAt <= turn.now) this.checkRetired(turn, session)
      this.wakeAt = earlier(this.wakeAt, this.retired.get(session) ?? null)
    }
    for (const [carrier, endAt] of this.unused) {
      if (endAt > turn.now) {
        this.wakeAt = earlier(this.wakeAt, endAt)
        continue
      }
      this.unused.delete(carrier)
      if (!this.isUsed(carrier)) this.closeCarrier(turn, carrier, { code: 'closed' })
    }
    // With thousands of sessions some deadline is always near: they are looked at together.
    if (this.wakeAt !== null) this.wakeAt = Math.max(this.wakeAt, turn.now + SESSIONS_CHECK_MS)
  }

  /** The other side does not say whether it needs the session: it is needed here by now, or it ends. */
  private endFarewell(turn: Turn, session: Session): void {
    const contact = this.contacts.get(session.peer)
    if (contact?.session !== session || contact.wanted) this.farewells.decide(turn, session)
    else this.closeSession(turn, session, 'closed')
  }

  // ---- sessions and their paths ----

  private newContact(turn: Turn, session: Session, ref: PeerRef | null): Contact {
    const contact = new Contact(session, ref, turn.now)
    this.contacts.set(contact.peer, contact)
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
    this.retired.set(loser, turn.now + GLARE_MS)
    this.wakeAt = earlier(this.wakeAt, turn.now + GLARE_MS)
    if (together) {
      const before = carrierOf(present)
      contact.session = winner
      contact.pathlessSince = null
      contact.pingedAt = null
      // Both paths have proven to lead there: the better one serves.
      const other = carrierOf(loser)
      if (winner.initiator && other !== null && isBetter(other, winner.path)) this.moveTo(turn, winner, other)
      this.leaveRiders(turn, contact, before)
      contact.elders = [...contact.elders, loser]
      this.moveElders(turn, contact)
      return contact
    }
    this.contacts.delete(contact.peer)
    this.circuits.onNeighbourLost(turn, contact.peer)
    this.port.onContactLost(turn, contact, { code: 'session-replaced' })
    const fresh = this.newContact(turn, session, this.port.refOf(contact.peer) ?? contact.ref)
    // The other side has forgotten a session without a path: its streams would wait in vain.
    if (!contact.isReached) this.endSession(turn, loser, { code: 'session-replaced' })
    return fresh
  }

  /** Sends over another carrier from now on. */
  private moveTo(turn: Turn, session: Session, carrier: Carrier): void {
    const before = carrierOf(session)
    session.usePath(turn, carrier)
    turn.emit({ kind: 'path', session: session.id, path: carrier.view() })
    this.afterMove(turn, session, before, carrier)
  }

  private afterMove(turn: Turn, session: Session, before: Carrier | null, carrier: Carrier): void {
    this.unused.delete(carrier)
    const contact = this.contacts.get(session.peer)
    if (contact?.session !== session) {
      if (before !== null) this.onCarrierUnused(turn, before)
      return
    }
    const doubted = contact.doubt !== null
    contact.doubt = null
    contact.pingedAt = null
    if (contact.standby === carrier) contact.standby = null
    if (before instanceof CircuitEnd && before.open && carrier.reliable && contact.hasStreams && !doubted) {
      this.keepStandby(turn, contact, before)
    } else if (before !== null) {
      this.onCarrierUnused(turn, before)
      // It may only have been held up: if it carries again before it is let go, the session returns to it.
      if (doubted && before.open && before.reliable && !carrier.reliable)
        this.asks.ask(turn, session, before, { patienceMs: CARRIER_GRACE_MS })
    }
    if (!carrier.reliable) {
      if (before instanceof Wire) this.onWireLeft(turn, contact)
      this.wakeAt = earlier(this.wakeAt, turn.now + UPGRADE_AFTER_MS)
    }
    this.leaveRiders(turn, contact, before)
    this.moveElders(turn, contact)
    if (doubted) this.reaching.hasten(turn)
  }

  /** What gave way to a session goes where that goes: the side that opened it picks its path, as ever. */
  private moveElders(turn: Turn, contact: Contact): void {
    const carrier = carrierOf(contact.session)
    if (carrier === null || !carrier.open) return
    for (const elder of contact.elders) {
      if (elder.path === carrier || elder.ended || !(elder.initiator || elder.path === null)) continue
      this.moveTo(turn, elder, carrier)
    }
  }

  /** The next best way stays open while a stream may need it. */
  private keepStandby(turn: Turn, contact: Contact, circuit: CircuitEnd): void {
    const { standby } = contact
    contact.standby = circuit
    if (standby !== null) this.onCarrierUnused(turn, standby)
    this.wakeAt = earlier(this.wakeAt, turn.now + STANDBY_ASK_MS)
  }

  /** When to look at the circuit beside the wire again; it is let go with the last stream. */
  private tendStandby(turn: Turn, contact: Contact): Instant | null {
    const { standby, session } = contact
    if (standby === null) return null
    if (!contact.hasStreams) {
      contact.standby = null
      this.onCarrierUnused(turn, standby)
      return null
    }
    if (turn.now - standby.heardAt < STANDBY_ASK_MS) return standby.heardAt + STANDBY_ASK_MS
    if (!this.asks.has(standby)) this.asks.ask(turn, session, standby)
    return turn.now + STANDBY_ASK_MS
  }

  /** A session had a wire and has none: a dial is made, and a wire negotiated, sooner than after tries that failed. */
  private onWireLeft(turn: Turn, contact: Contact): void {
    contact.upgrade = null
    this.offers.onWireLeft(turn, contact.session)
  }

  /** What rides on a session that moves from a wire onto a circuit could come to carry itself (spec 5.6). */
  private leaveRiders(turn: Turn, contact: Contact, before: Carrier | null): void {
    if (before !== null && contact.session.path instanceof CircuitEnd) this.circuits.onNeighbourLost(turn, contact.peer)
  }

  /** The other side was heard over the session's path, or over one that it may move to. */
  private onHeard(turn: Turn, session: Session, carrier: Carrier): void {
    const contact = this.contacts.get(session.peer)
    if (contact?.session !== session) return
    if (session.path === carrier) contact.pathlessSince = null
    this.reaching.onPathFound(turn, contact, carrier)
  }

  private onCarrierRoom(carrier: Carrier): void {
    const contact = carrier.peer === null ? undefined : this.contacts.get(carrier.peer)
    if (contact?.session.path === carrier) this.board.markDirty(contact.session)
    for (const session of this.retired.keys()) if (session.path === carrier) this.board.markDirty(session)
  }

  private onCarrierLost(turn: Turn, carrier: Carrier, fault: Fault): void {
    this.asks.forget(carrier)
    this.unused.delete(carrier)
    const contact = carrier.peer === null ? undefined : this.contacts.get(carrier.peer)
    if (contact?.standby === carrier) contact.standby = null
    for (const session of this.sessionsOver(carrier)) {
      if (session.path === carrier) this.onPathLost(turn, session, fault)
    }
  }

  private onPathLost(turn: Turn, session: Session, fault: Fault): void {
    const contact = this.contacts.get(session.peer)
    if (contact?.elders.includes(session) === true) {
      session.usePath(turn, null)
      turn.emit({ kind: 'path', session: session.id, path: { kind: 'none' } })
      this.moveElders(turn, contact)
      return
    }
    if (contact?.session !== session) {
      this.endSession(turn, session, fault)
      return
    }
    const wasReached = contact.isReached
    const before = carrierOf(session)
    session.usePath(turn, null)
    // One that kept silent was none before that was noticed.
    contact.pathlessSince ??= fault.code === 'timeout' && before !== null ? before.heardAt : turn.now
    contact.pingedAt = null
    contact.doubt = null
    turn.emit({ kind: 'path', session: session.id, path: { kind: 'none' } })
    this.wakeAt = earlier(this.wakeAt, turn.now + SESSIONS_CHECK_MS)
    this.circuits.onNeighbourLost(turn, contact.peer)
    if (before instanceof Wire) this.onWireLeft(turn, contact)
    const { standby } = contact
    if (standby?.open === true) {
      contact.standby = null
      this.tryPath(turn, session, standby)
      this.reaching.seekBeside(turn, contact)
    }
    // A path that had not proven anything yet was one of an attempt that goes on.
    if (!wasReached) return
    if (this.farewells.has(session) && !contact.wanted) {
      this.endSession(turn, session, fault)
      return
    }
    // Who did not answer is most likely gone: for a link alone it is not looked for.
    const mayLive = contact.wanted && fault.code !== 'timeout'
    this.port.onPathLost(turn, contact, fault)
    // Both sides look for another path where both need the session, since perhaps only one can dial.
    if (contact.wanted || mayLive) this.revive(turn, session)
  }

  /** When to look at the contact again. */
  private checkContact(turn: Turn, contact: Contact): Instant | null {
    const { session } = contact
    const { now } = turn
    if (contact.pathlessSince !== null) {
      const endAt = contact.pathlessSince + this.pathlessMs(contact)
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
    const upgradeAt = carrier.reliable
      ? this.tendStandby(turn, contact)
      : silentMs >= silentMsMax
        ? null
        : this.better.look(turn, contact)
    if (!contact.wanted) return earlier(upgradeAt, carrier.heardAt + SESSION_LINGER_MS)
    if (contact.pingedAt !== null && carrier.heardAt < contact.pingedAt) {
      const deadAt = contact.pingedAt + (carrier.reliable ? contact.answerMs : CIRCUIT_PING_TIMEOUT_MS)
      if (now < deadAt) return earlier(upgradeAt, deadAt)
      this.closeCarrier(turn, carrier, { code: 'timeout', detail: 'the peer does not answer' })
      return now + PING_TIMEOUT_MS
    }
    contact.pingedAt = null
    if (silentMs < silentMsMax) {
      // Together with all whose silence ends about then: each look goes over every contact.
      const steps = Math.ceil((carrier.heardAt + silentMsMax - this.stepPhaseMs) / SILENCE_STEP_MS)
      return earlier(upgradeAt, steps * SILENCE_STEP_MS + this.stepPhaseMs)
    }
    this.pingPath(turn, contact)
    return earlier(upgradeAt, now + PING_TIMEOUT_MS)
  }

  private pingPath(turn: Turn, contact: Contact): void {
    contact.pingedAt = turn.now
    contact.session.askForLife(turn)
    this.wakeAt = earlier(this.wakeAt, turn.now + PING_TIMEOUT_MS)
  }

  /** A session that gave way ends when no stream is open on it, or when nobody is heard over it. */
  private checkRetired(turn: Turn, session: Session): void {
    const carrier = carrierOf(session)
    if (carrier === null && session.openStreams > 0 && this.contacts.get(session.peer)?.session.path === null) {
      this.retired.set(session, turn.now + GLARE_MS)
      return
    }
    const silentMs = carrier === null ? SESSION_LINGER_MS : turn.now - carrier.heardAt
    if (session.openStreams === 0 || silentMs >= SESSION_LINGER_MS) {
      this.closeSession(turn, session, 'session-replaced')
      return
    }
    if (silentMs >= LINK_SILENT_MS) session.askForLife(turn)
    this.retired.set(session, turn.now + GLARE_MS)
  }

  private pathlessMs(contact: Contact): number {
    return contact.counted ? (this.port.pathlessMs ?? PATHLESS_NEEDED_MS) : PATHLESS_MS
  }

  private isInDoubt(session: Session): boolean {
    const contact = this.contacts.get(session.peer)
    return contact?.session === session && contact.inDoubt
  }

  private isReached(session: Session): boolean {
    const contact = this.contacts.get(session.peer)
    return contact?.session === session && contact.isReached
  }

  private isUsed(carrier: Carrier): boolean {
    if (this.reaching.uses(carrier) || this.asks.has(carrier)) return true
    if (carrier.peer !== null && this.contacts.get(carrier.peer)?.standby === carrier) return true
    return this.sessionsOver(carrier).length > 0
  }

  private sessionsOver(carrier: Carrier): Session[] {
    const sessions: Session[] = []
    for (const session of this.retired.keys()) if (session.path === carrier) sessions.push(session)
    for (const { session } of this.contacts.values()) if (session.path === carrier) sessions.push(session)
    return sessions
  }

  /** As they are now: each may end while they are gone through. */
  private allSessions(): Session[] {
    const sessions: Session[] = [...this.retired.keys()]
    for (const { session } of this.contacts.values()) sessions.push(session)
    return sessions
  }

  private endSession(turn: Turn, session: Session, fault: Fault): void {
    if (!this.board.forget(session)) return
    this.retired.delete(session)
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
    if (contact !== undefined && contact.session !== session)
      contact.elders = contact.elders.filter(elder => elder !== session)
    if (contact?.session === session) {
      for (const elder of contact.elders) if (elder.path === null) this.endSession(turn, elder, fault)
      this.contacts.delete(session.peer)
      this.circuits.onNeighbourLost(turn, session.peer)
      this.port.onContactLost(turn, contact, fault)
    }
    const carrier = carrierOf(session)
    if (carrier !== null && !this.isUsed(carrier)) this.closeCarrier(turn, carrier, fault)
    const standby = contact?.session === session ? contact.standby : null
    if (standby !== null) this.closeCarrier(turn, standby, fault)
    this.reaching.onSessionEnded(turn, session, fault)
    this.farewells.decide(turn, session)
  }
}

// reason: every path in this program is a carrier; the session needs to know less of it.
function asCarrier(path: Path): Carrier {
  return path as Carrier
}

function carrierOf(session: Session | undefined): Carrier | null {
  const path = session?.path ?? null
  return path === null ? null : asCarrier(path)
}

/** A wire is better than a circuit. */
function isBetter(carrier: Carrier, than: Path | null): boolean {
  return than === null || (carrier.reliable && !than.reliable)
}
