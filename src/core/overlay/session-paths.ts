/**
 * What each session travels over (spec 4.6 and 5.2): the side that opened it picks, a carrier serves once it has proven to
 * lead to the other side, one that keeps silent is doubted and left for one that does not, and the next best stays open
 * while a stream may need it. Where carriers come from is decided elsewhere: by `Reaching`, `BetterPaths`, `PathOffers`.
 */
import type { Fault } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap } from '../base/rare-map.ts'
import {
  CARRIER_GRACE_MS,
  DOUBT_AFTER_MS,
  HELD_DOUBT_AFTER_MS,
  QUIET_MS,
  SESSIONS_CHECK_MS,
  STANDBY_ASK_MS,
  STANDSTILL_MS,
  UPGRADE_AFTER_MS,
} from '../limits.ts'
import type { Path } from '../session/path.ts'
import type { Session } from '../session/session.ts'
import type { CarrierOwner } from '../session/switchboard.ts'
import { type Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import { asCarrier, carrierOf, isBetter } from './carriers.ts'
import { CircuitEnd, type Circuits } from './circuits.ts'
import type { Contact } from './contact.ts'
import type { ContactTable } from './contact-table.ts'
import type { Farewells } from './farewells.ts'
import { PathAsks } from './path-asks.ts'
import type { PathOffers } from './path-offers.ts'
import type { Reaching } from './reaching.ts'
import { Silence } from './silence.ts'

export interface SessionPathsPort {
  /** How long a session with it may be without any path. */
  pathlessMs(contact: Contact): number
  /** Sessions are to be looked at then, at the latest. */
  considerAt(at: Instant): void
  /** The neighbour is to carry something at once: if it keeps silent, that is to be known soon. */
  expectLife(turn: Turn, neighbour: PeerId): void
  /** Looks for a path for a session that has none. */
  revive(turn: Turn, session: Session): void
  /** The session has no path at this moment. */
  onPathless(turn: Turn, contact: Contact, fault: Fault): void
  endSession(turn: Turn, session: Session, fault: Fault): void
  /** Ends a carrier, and tells whoever used it. */
  closeCarrier(turn: Turn, carrier: Carrier, fault: Fault): void
}

export class SessionPaths implements CarrierOwner {
  readonly silence: Silence
  private readonly contacts: ContactTable
  private readonly circuits: Circuits
  private readonly reaching: Reaching
  private readonly offers: PathOffers
  private readonly farewells: Farewells
  private readonly port: SessionPathsPort
  private readonly asks = new PathAsks()
  /** Carriers that no session travels over, and when they are let go. */
  private readonly unused = new RareMap<Carrier, Instant>()

  constructor(
    contacts: ContactTable,
    circuits: Circuits,
    reaching: Reaching,
    offers: PathOffers,
    farewells: Farewells,
    port: SessionPathsPort,
  ) {
    this.silence = new Silence(contacts, reaching)
    this.contacts = contacts
    this.circuits = circuits
    this.reaching = reaching
    this.offers = offers
    this.farewells = farewells
    this.port = port
  }

  get counts() {
    return { asks: this.asks.size, unused: this.unused.size }
  }

  // ---- a carrier is proven, and taken ----

  /** A session without a path takes the carrier at once; whether it leads anywhere is asked in any case. */
  try(turn: Turn, session: Session, carrier: Carrier): void {
    if (session.path === null) this.moveTo(turn, session, carrier)
    const contact = this.contacts.of(session)
    this.asks.ask(turn, session, carrier, { urgent: contact?.isReached !== true || contact.inDoubt })
  }

  /** The side that opened the session picks its path: it moves to what is better, once that has proven to carry. */
  onAsked(turn: Turn, session: Session, path: Path, urgent: boolean): void {
    const carrier = asCarrier(path)
    if (!session.initiator || carrier === session.path || this.contacts.of(session) === null) return
    if (this.asks.has(carrier) || !(urgent || isBetter(carrier, session.path))) return
    this.asks.ask(turn, session, carrier, { wanted: urgent })
  }

  onAnswered(turn: Turn, session: Session, path: Path, token: number): void {
    const carrier = asCarrier(path)
    const ask = this.asks.answered(session, carrier, token)
    if (ask === null || !carrier.open) return
    if (session.path !== carrier) {
      if (this.mayTake(session, ask.wanted)) this.moveTo(turn, session, carrier)
      else if (this.contacts.get(session.peer)?.standby === carrier) return
      else this.letGo(turn, carrier)
    }
    this.onHeard(turn, session, carrier)
  }

  /** The other side has moved the session to another path. */
  onFollowed(turn: Turn, session: Session, before: Carrier | null, carrier: Carrier): void {
    turn.emit({ kind: 'path', session: session.id, path: carrier.view() })
    this.afterMove(turn, session, before, carrier)
    this.asks.forget(carrier)
    this.onHeard(turn, session, carrier)
  }

  /** Whether a session moves to a carrier that has proven to lead to the other side. */
  private mayTake(session: Session, wanted: boolean): boolean {
    const contact = this.contacts.of(session)
    if (contact?.isReached !== true) return true
    return session.initiator && (wanted || session.path?.reliable !== true || contact.inDoubt)
  }

  /** The other side was heard over the session's path, or over one that it may move to. */
  private onHeard(turn: Turn, session: Session, carrier: Carrier): void {
    const contact = this.contacts.of(session)
    if (contact === null) return
    if (session.path === carrier) {
      if (contact.inDoubt) return
      contact.pathless = null
    }
    this.reaching.onPathFound(turn, contact, carrier)
  }

  /** Sends over another carrier from now on. */
  moveTo(turn: Turn, session: Session, carrier: Carrier): void {
    const before = carrierOf(session)
    session.usePath(turn, carrier)
    turn.emit({ kind: 'path', session: session.id, path: carrier.view() })
    this.afterMove(turn, session, before, carrier)
  }

  private afterMove(turn: Turn, session: Session, before: Carrier | null, carrier: Carrier): void {
    this.unused.delete(carrier)
    const contact = this.contacts.of(session)
    if (contact === null) {
      if (before !== null) this.letGo(turn, before)
      return
    }
    const doubted = contact.doubt !== null
    contact.doubt = null
    contact.pingedAt = null
    if (carrier.reliable) contact.standstill = null
    else if (contact.standstill !== null) contact.standstill.at = turn.now
    if (contact.standby === carrier) contact.standby = null
    if (before instanceof CircuitEnd && before.open && carrier.reliable && contact.hasStreams && !doubted) {
      this.keepStandby(turn, contact, before)
    } else if (before !== null) {
      this.letGo(turn, before)
      // It may only have been held up: if it carries again before it is let go, the session returns to it.
      if (doubted && before.open && before.reliable && !carrier.reliable)
        this.asks.ask(turn, session, before, { patienceMs: CARRIER_GRACE_MS })
    }
    if (!carrier.reliable) {
      if (before instanceof Wire) this.onWireLeft(turn, contact)
      this.port.considerAt(turn.now + UPGRADE_AFTER_MS)
    }
    this.leaveRiders(turn, contact, before)
    this.moveElders(turn, contact)
    if (doubted) this.reaching.hasten(turn)
  }

  /** What gave way to a session goes where that goes: the side that opened it picks its path, as ever. */
  moveElders(turn: Turn, contact: Contact): void {
    const carrier = carrierOf(contact.session)
    if (carrier === null || !carrier.open) return
    for (const elder of contact.elders) {
      if (elder.path === carrier || elder.ended || !(elder.initiator || elder.path === null)) continue
      this.moveTo(turn, elder, carrier)
    }
  }

  /** A session had a wire and has none: a dial is made, and a wire negotiated, sooner than after tries that failed. */
  private onWireLeft(turn: Turn, contact: Contact): void {
    contact.upgrade = null
    this.offers.onWireLeft(turn, contact.session)
  }

  /** What rides on a session that moves from a wire onto a circuit could come to carry itself (spec 5.6). */
  leaveRiders(turn: Turn, contact: Contact, before: Carrier | null): void {
    if (before !== null && contact.session.path instanceof CircuitEnd) this.circuits.onNeighbourLost(turn, contact.peer)
  }

  // ---- the next best ----

  /** The next best way stays open while a stream may need it. */
  private keepStandby(turn: Turn, contact: Contact, circuit: CircuitEnd): void {
    const { standby } = contact
    contact.standby = circuit
    if (standby !== null) this.letGo(turn, standby)
    this.port.considerAt(turn.now + STANDBY_ASK_MS)
  }

  /** When to look at the path again, or at what stands beside it. */
  tend(turn: Turn, contact: Contact, carrier: Carrier): Instant | null {
    return carrier instanceof CircuitEnd ? this.tendStandstill(turn, contact, carrier) : this.tendStandby(turn, contact)
  }

  /** When to look at the circuit beside the wire again; it is let go with the last stream. */
  private tendStandby(turn: Turn, contact: Contact): Instant | null {
    const { standby, session } = contact
    if (standby === null) return null
    if (!contact.hasStreams) {
      contact.standby = null
      this.letGo(turn, standby)
      return null
    }
    if (turn.now - standby.heardAt < STANDBY_ASK_MS) return standby.heardAt + STANDBY_ASK_MS
    if (!this.asks.has(standby)) this.asks.ask(turn, session, standby)
    return turn.now + STANDBY_ASK_MS
  }

  // ---- doubt ----

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
    const patienceMs =
      carrier instanceof CircuitEnd && carrier.heldSince !== null ? HELD_DOUBT_AFTER_MS : DOUBT_AFTER_MS
    if (contact?.session !== session || carrier === null || silentMs < patienceMs + (contact.roundTripMs ?? 0)) return
    if (this.farewells.has(session) && !contact.wanted) return
    if (!contact.inDoubt) this.beginDoubt(turn, contact, carrier)
    if (contact.counted) this.silence.onDoubt(turn, silentMs)
    if (contact.counted && turn.now - carrier.heardAt >= this.port.pathlessMs(contact)) {
      this.port.endSession(turn, session, { code: 'session-lost', detail: 'no path for too long' })
      return
    }
    if (!carrier.reliable && !this.asks.has(carrier)) this.asks.ask(turn, session, carrier, { urgent: true })
    const { standby } = contact
    if (standby !== null && !this.asks.has(standby)) this.asks.ask(turn, session, standby, { urgent: true })
    if (!this.reaching.isReaching(contact.peer)) this.reaching.seekBeside(turn, contact)
  }

  /** The path that kept silent was heard. */
  onHeardAgain(turn: Turn, session: Session): void {
    // A stream comes to rest: from here on `silence` listens.
    this.port.considerAt(turn.now + QUIET_MS)
    const contact = this.contacts.of(session)
    if (contact === null || contact.doubt === null || contact.inDoubt) return
    contact.pingedAt = null
    this.endDoubt(turn, contact)
    this.reaching.hasten(turn)
  }

  private endDoubt(turn: Turn, contact: Contact): void {
    contact.doubt = null
    const carrier = carrierOf(contact.session)
    if (carrier !== null) this.onHeard(turn, contact.session, carrier)
  }

  /**
   * Streams wait, and nothing of theirs arrives though the path answers: a relay holds it for good, or passes on only what is
   * small. Others are tried beside it, over other neighbours. When to look again; null where nothing waits.
   */
  private tendStandstill(turn: Turn, contact: Contact, circuit: CircuitEnd): Instant | null {
    const since = contact.hasStreams ? contact.session.standsSince(circuit.heldSince) : null
    if ((since ?? turn.now) > (contact.standstill?.at ?? turn.now)) {
      contact.standstill = null
      this.endDoubt(turn, contact)
    }
    if (since === null) return null
    const { at, patienceMs, hops } = contact.standstill ?? { at: since, patienceMs: STANDSTILL_MS, hops: [] }
    if (turn.now < at + patienceMs) return at + patienceMs
    contact.standstill = { at: turn.now, patienceMs: 2 * patienceMs, hops: [...hops, circuit.neighbour] }
    // Whatever is heard over it tells nothing.
    contact.doubt = { carrier: circuit, heardAt: Number.POSITIVE_INFINITY }
    this.reaching.seekBeside(turn, contact)
    return turn.now + patienceMs
  }

  private beginDoubt(turn: Turn, contact: Contact, carrier: Carrier): void {
    contact.doubt = { carrier, heardAt: carrier.heardAt }
    // What runs over it looks for another way as well; and it may be that only the first hop's wire is dead.
    this.reaching.onHopSilent(turn, contact.peer)
    if (carrier instanceof CircuitEnd) this.port.expectLife(turn, carrier.neighbour)
  }

  // ---- carriers that nobody uses, or that are lost ----

  /** A wire over which no one is served ends after a while. */
  letGo(turn: Turn, carrier: Carrier): void {
    if (!carrier.open) return
    this.unused.set(carrier, turn.now + CARRIER_GRACE_MS)
    this.port.considerAt(turn.now + CARRIER_GRACE_MS)
  }

  isUsed(carrier: Carrier): boolean {
    if (this.reaching.uses(carrier) || this.asks.has(carrier)) return true
    if (carrier.peer !== null && this.contacts.get(carrier.peer)?.standby === carrier) return true
    return this.contacts.sessionsOver(carrier).length > 0
  }

  onLost(turn: Turn, carrier: Carrier, fault: Fault): void {
    this.asks.forget(carrier)
    this.unused.delete(carrier)
    const contact = carrier.peer === null ? null : this.contacts.get(carrier.peer)
    if (contact?.standby === carrier) contact.standby = null
    for (const session of this.contacts.sessionsOver(carrier)) {
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
      this.port.endSession(turn, session, fault)
      return
    }
    const wasReached = contact.isReached
    const before = carrierOf(session)
    session.usePath(turn, null)
    // One that kept silent was none before that was noticed.
    const since = fault.code === 'timeout' && before !== null ? before.heardAt : turn.now
    contact.pathless ??= { since, noticedAt: turn.now }
    contact.pingedAt = null
    contact.doubt = null
    // Without any path whoever leads there will do.
    contact.standstill = null
    turn.emit({ kind: 'path', session: session.id, path: { kind: 'none' } })
    this.port.considerAt(turn.now + SESSIONS_CHECK_MS)
    this.circuits.onNeighbourLost(turn, contact.peer)
    if (before instanceof Wire) this.onWireLeft(turn, contact)
    const { standby } = contact
    if (standby?.open === true) {
      contact.standby = null
      this.try(turn, session, standby)
      this.reaching.seekBeside(turn, contact)
    }
    // A path that had not proven anything yet was one of an attempt that goes on.
    if (!wasReached) return
    if (this.farewells.has(session) && !contact.wanted) {
      this.port.endSession(turn, session, fault)
      return
    }
    // Who did not answer is most likely gone: for a link alone it is not looked for.
    const mayLive = contact.wanted && fault.code !== 'timeout'
    this.port.onPathless(turn, contact, fault)
    // Both sides look for another path where both need the session, since perhaps only one can dial.
    if (contact.wanted || mayLive) this.port.revive(turn, session)
  }

  // ---- deadlines ----

  nextWake(): Instant | null {
    return this.asks.nextWake()
  }

  onWake(turn: Turn): void {
    for (const unanswered of this.asks.onWake(turn)) {
      const { carrier, heard } = unanswered
      const { session } = unanswered.ask
      if (heard && session.path === carrier) this.onHeard(turn, session, carrier)
      // A process that stood still answers in order: for the session that it holds before the one that it is offered.
      else if (this.reaching.onUnanswered(turn, carrier)) this.asks.wait(turn, unanswered)
      else if (session.path !== carrier) this.onUnanswered(turn, session, carrier)
    }
  }

  private onUnanswered(turn: Turn, session: Session, carrier: Carrier): void {
    const contact = this.contacts.get(session.peer)
    if (contact?.standby === carrier) contact.standby = null
    if (!this.unused.has(carrier)) this.letGo(turn, carrier)
  }

  /** Ends what was let go for long enough and serves nobody; when to look again. */
  endUnused(turn: Turn): Instant | null {
    let lookAt: Instant | null = null
    for (const [carrier, endAt] of this.unused) {
      if (endAt > turn.now) {
        lookAt = earlier(lookAt, endAt)
        continue
      }
      this.unused.delete(carrier)
      if (!this.isUsed(carrier)) this.port.closeCarrier(turn, carrier, { code: 'closed' })
    }
    return lookAt
  }
}
