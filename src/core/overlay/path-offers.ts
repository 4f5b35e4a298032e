/**
 * Wires through NATs, negotiated over the session itself (spec 5.9): who offers when, what is answered, what is given up.
 * The hosts at both ends prepare, tell what the other side must know, and open; this passes it on and bounds it. A failed
 * try never touches the path that works. The session moves to the new wire by the rules of every other path (spec 4.6).
 */
import type { Fault, FaultCode } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap } from '../base/rare-map.ts'
import type { NegotiatedTransport, WireId } from '../input.ts'
import {
  NEGOTIATION_TIMEOUT_MS,
  NEGOTIATIONS_MAX,
  OFFER_FAILED_SOON_MS,
  OFFER_SOON_MS,
  OFFERS_REFUSED_MAX,
  OFFERS_SOON_MAX,
  OFFERS_TAKEN_MAX,
  OFFERS_WINDOW_MS,
  PATH_DESCRIPTION_BYTES_MAX,
  UPGRADE_BACKOFF_MAX_MS,
  UPGRADE_BACKOFF_MS,
  UPGRADE_TURN_MS,
  WIRE_STOOD_MS,
} from '../limits.ts'
import type { Negotiable } from '../peer-options.ts'
import type { Session } from '../session/session.ts'
import { Channel } from '../session/session-owner.ts'
import type { Switchboard } from '../session/switchboard.ts'
import type { Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import { type Contact, Need } from './contact.ts'
import type { ContactTable } from './contact-table.ts'
import type { OverlayView } from './overlay-view.ts'
import { encodePathMessage, type OfferMessage, type PathMessage, type PathRefusal } from './path-messages.ts'
import type { ScarceBudget } from './scarce-budget.ts'

/** While as many as may be are under way, it is looked again after this. */
const FULL_PAUSE_MS = 1_000

export interface PathOffersPort {
  readonly self: PeerId
  /** A wire is open for a session: it is asked over, and taken where it leads to the other side. */
  tryPath(turn: Turn, session: Session, carrier: Carrier): void
  /** Sessions are to be looked at then, at the latest. */
  considerAt(at: Instant): void
}

/** One wire that is being negotiated. */
interface Negotiation {
  readonly session: Session
  readonly wire: Wire
  readonly transport: NegotiatedTransport
  readonly role: 'offerer' | 'answerer'
  /** The offer's, as its sender numbers it. */
  readonly id: number
  readonly giveUpAt: Instant
  /** The host prepares; the offer was sent; both hosts know what they need. */
  stage: 'preparing' | 'offered' | 'opening'
}

/** What is kept of a session for which wires were negotiated, or will be. */
interface Account {
  negotiation: Negotiation | null
  /** No offer of this side before. */
  nextAt: Instant
  delayMs: number
  /** Which of the transports is offered: those before cannot be. */
  transport: number
  /** Offers that came since, and what else came that had to be refused. */
  windowSince: Instant
  offers: number
  refusals: number
  /** The wire that was negotiated last, while it stands, and since when. */
  wire: Wire | null
  openSince: Instant
  /** How often one was offered anew soon, since one has stood for long. */
  soon: number
}

export class PathOffers {
  /** Of others' messages: offers that were not taken, answers to no offer. */
  private refused = 0
  private readonly board: Switchboard
  private readonly negotiates: readonly Negotiable[]
  private readonly contacts: ContactTable
  private readonly overlay: OverlayView
  private readonly port: PathOffersPort
  private readonly accounts = new RareMap<Session, Account>()
  private readonly underWay = new RareMap<WireId, Negotiation>()
  private readonly budget: ScarceBudget
  private nextId = 1
  private wakeAt: Instant | null = null

  constructor(
    board: Switchboard,
    negotiates: readonly Negotiable[],
    budget: ScarceBudget,
    contacts: ContactTable,
    overlay: OverlayView,
    port: PathOffersPort,
  ) {
    this.board = board
    this.negotiates = negotiates
    this.budget = budget
    this.contacts = contacts
    this.overlay = overlay
    this.port = port
  }

  get counts(): { readonly negotiations: number; readonly offerAccounts: number; readonly offersRefused: number } {
    return { negotiations: this.underWay.size, offerAccounts: this.accounts.size, offersRefused: this.refused }
  }

  /** For a peer that begins settled: it has offered for long, and offers again then. */
  settle(session: Session, nextAt: Instant): void {
    const account = this.accountOf(session)
    account.nextAt = nextAt
    account.delayMs = UPGRADE_BACKOFF_MAX_MS
  }

  /** For a peer that begins settled: the wire was negotiated over this session. */
  settleWire(session: Session, wire: Wire): void {
    if (this.encrypts(wire)) wire.shield(session.id)
  }

  /** Offers a wire to a session over a circuit, if it is time; when to look again, or null where none will be offered. */
  consider(turn: Turn, contact: Contact, notBefore: Instant): Instant | null {
    if (this.negotiates.length === 0 || !contact.wanted) return null
    const { now } = turn
    const { session } = contact
    const account = this.accountOf(session)
    if (account.negotiation !== null) return account.negotiation.giveUpAt
    const negotiable = this.offerable(contact, account)
    if (negotiable === undefined) return null
    const from = Math.max(account.nextAt, notBefore)
    if (now < from) return from
    const free = this.freeFrom(turn, contact, negotiable)
    if (now < free) return free
    this.backOff(turn, session, account)
    return this.begin(turn, session, negotiable, 'offerer', this.newId(), null).giveUpAt
  }

  /** The host has what the other side must know. */
  onDescribed(turn: Turn, wire: WireId, description: Uint8Array): void {
    const negotiation = this.underWay.get(wire)
    if (negotiation?.stage !== 'preparing') return
    if (description.length > PATH_DESCRIPTION_BYTES_MAX) {
      this.fail(turn, negotiation, 'message-too-large')
      return
    }
    const { session, transport, role, id } = negotiation
    const isOffer = role === 'offerer'
    negotiation.stage = isOffer ? 'offered' : 'opening'
    const message: PathMessage = isOffer
      ? { kind: 'path-offer', id, transport, description }
      : { kind: 'path-answer', id, description }
    if (!this.send(turn, session, message)) this.fail(turn, negotiation, 'overloaded')
  }

  onWireOpen(turn: Turn, wire: Wire): void {
    const negotiation = this.underWay.get(wire.id)
    if (negotiation === undefined) return
    this.forget(negotiation)
    const { session, role } = negotiation
    if (this.encrypts(wire)) wire.shield(session.id)
    const account = this.accountOf(session)
    account.wire = wire
    account.openSince = turn.now
    const serves = this.contacts.get(session.peer)?.session === session && session.path?.reliable !== true
    if (!serves) this.board.hangUp(turn, wire, 'closed')
    // One side asks; the other answers, and asks in turn where it is the one that picks the path.
    else if (role === 'offerer' || session.path === null) this.port.tryPath(turn, session, wire)
  }

  /** The host could not open it; `not-supported`: it knows that it never can. */
  onWireLost(turn: Turn, wire: Wire, fault: Fault): void {
    const negotiation = this.underWay.get(wire.id)
    if (negotiation === undefined) {
      for (const [session, account] of this.accounts) if (account.wire === wire) this.onWireLeft(turn, session)
      return
    }
    const { session, role, id } = negotiation
    if (fault.code !== 'not-supported' || negotiation.stage !== 'preparing') {
      this.fail(turn, negotiation, fault.code)
      this.offerSoonAfter(turn, negotiation)
      return
    }
    this.drop(turn, negotiation, fault.code)
    if (role === 'offerer') {
      this.offerNext(turn, negotiation)
      return
    }
    this.send(turn, session, { kind: 'path-refuse', id, reason: 'transport' })
    // The other side tries all that both have: nothing is left for this one to offer.
    this.accountOf(session).nextAt = turn.now + UPGRADE_BACKOFF_MAX_MS
  }

  /** The session goes on without the wire that was negotiated for it: that is gone, or keeps silent. */
  onWireLeft(turn: Turn, session: Session): void {
    const account = this.accounts.get(session)
    if (account === undefined || account.wire === null) return
    account.wire = null
    if (turn.now - account.openSince >= WIRE_STOOD_MS) {
      account.soon = 0
      account.delayMs = UPGRADE_BACKOFF_MS
    }
    this.offerSoon(turn, session, account)
  }

  /** The NATs may be others now. */
  onNetworkChanged(turn: Turn): void {
    for (const [session, account] of this.accounts) {
      account.soon = 0
      account.delayMs = UPGRADE_BACKOFF_MS
      account.transport = 0
      this.offerSoon(turn, session, account)
    }
  }

  /**
   * What failed at once, or after a wire was lost, may have failed for a reason that is over: a network that was not whole yet. It is
   * not left until the next regular try, unless no wire was ever open to this peer.
   */
  private offerSoonAfter(turn: Turn, { session, role, giveUpAt }: Negotiation): void {
    const account = this.accounts.get(session)
    if (account === undefined || role === 'answerer') return
    const tookMs = turn.now - (giveUpAt - NEGOTIATION_TIMEOUT_MS)
    if (tookMs < OFFER_FAILED_SOON_MS || (account.soon > 0 && account.openSince > 0))
      this.offerSoon(turn, session, account)
  }

  private offerSoon(turn: Turn, session: Session, account: Account): void {
    if (account.soon >= OFFERS_SOON_MAX) return
    const at = turn.now + OFFER_SOON_MS * 2 ** account.soon + (session.initiator ? 0 : UPGRADE_TURN_MS)
    account.soon += 1
    account.nextAt = Math.min(account.nextAt, at)
    this.port.considerAt(account.nextAt)
  }

  /** A fault ends the session. */
  onMessage(turn: Turn, contact: Contact, message: OfferMessage): Fault | null {
    switch (message.kind) {
      case 'path-offer':
        return this.onOffer(turn, contact, message)
      case 'path-answer':
        return this.onAnswer(turn, contact.session, message)
      case 'path-refuse':
        this.onRefuse(turn, contact.session, message.id, message.reason)
        return null
      case 'path-withdraw': {
        const negotiation = this.find(contact.session, 'answerer', message.id)
        if (negotiation !== null) this.drop(turn, negotiation, 'closed')
        return null
      }
    }
  }

  onSessionEnded(turn: Turn, session: Session): void {
    const negotiation = this.accounts.get(session)?.negotiation ?? null
    if (negotiation !== null) this.drop(turn, negotiation, 'closed')
    this.accounts.delete(session)
  }

  nextWake(): Instant | null {
    return this.wakeAt
  }

  onWake(turn: Turn): void {
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    for (const negotiation of [...this.underWay.values()]) {
      // Without a word: the other side's time is over as well.
      if (negotiation.giveUpAt <= turn.now) {
        this.drop(turn, negotiation, 'timeout')
        this.offerSoonAfter(turn, negotiation)
      } else this.wakeAt = earlier(this.wakeAt, negotiation.giveUpAt)
    }
  }

  // ---- what the other side sends ----

  private onOffer(turn: Turn, contact: Contact, offer: Extract<PathMessage, { kind: 'path-offer' }>): Fault | null {
    const { session } = contact
    const account = this.accountOf(session)
    const present = account.negotiation
    // Both have offered: that of the smaller id stands, and the other side knows it as well.
    if (present?.stage === 'offered' && this.port.self < contact.peer) return null
    this.lookAtWindow(turn, account)
    account.offers += 1
    if (account.offers > OFFERS_TAKEN_MAX) return this.refuse(turn, session, account, offer.id, 'busy')
    const negotiable = this.negotiates.find(({ transport }) => transport === offer.transport)
    if (negotiable === undefined) return this.refuse(turn, session, account, offer.id, 'transport')
    if (session.path?.reliable === true) return this.refuse(turn, session, account, offer.id, 'needless')
    // Whoever offers again has given up what was before.
    if (present !== null) this.drop(turn, present, 'closed')
    if (this.freeFrom(turn, contact, negotiable) > turn.now)
      return this.refuse(turn, session, account, offer.id, 'busy')
    this.backOff(turn, session, account)
    this.begin(turn, session, negotiable, 'answerer', offer.id, offer.description)
    return null
  }

  private onAnswer(turn: Turn, session: Session, answer: Extract<PathMessage, { kind: 'path-answer' }>): Fault | null {
    const negotiation = this.find(session, 'offerer', answer.id)
    if (negotiation?.stage !== 'offered') {
      // Too late, or out of nothing: the other side's host need not go on.
      this.send(turn, session, { kind: 'path-withdraw', id: answer.id })
      return this.countRefusal(turn, this.accountOf(session))
    }
    negotiation.stage = 'opening'
    turn.effects.push({ kind: 'negotiated', wire: negotiation.wire.id, remote: answer.description })
    return null
  }

  private onRefuse(turn: Turn, session: Session, id: number, reason: PathRefusal): void {
    const negotiation = this.find(session, 'offerer', id)
    if (negotiation === null) return
    this.drop(turn, negotiation, 'refused')
    if (reason === 'transport') this.offerNext(turn, negotiation)
    else if (reason === 'failed') this.offerSoonAfter(turn, negotiation)
  }

  /** By this transport there is no way to the other side. Where none is left, it begins anew much later: peers move. */
  private offerNext(turn: Turn, { session, transport }: Negotiation): void {
    const account = this.accountOf(session)
    const contact = this.contacts.get(session.peer)
    if (contact?.session !== session) return
    account.transport = 1 + this.negotiates.findIndex(item => item.transport === transport)
    const next = this.offerable(contact, account)
    if (next === undefined) {
      account.transport = 0
      account.nextAt = turn.now + UPGRADE_BACKOFF_MAX_MS
    } else if (this.freeFrom(turn, contact, next) <= turn.now) {
      this.begin(turn, session, next, 'offerer', this.newId(), null)
    }
  }

  /** The first transport that is left and by which the other side negotiates too, as far as its ref tells. */
  private offerable({ ref }: Contact, { transport }: Account): Negotiable | undefined {
    const told = ref?.negotiates ?? []
    return this.negotiates.find((item, i) => i >= transport && (told.length === 0 || told.includes(item.transport)))
  }

  private refuse(turn: Turn, session: Session, account: Account, id: number, reason: PathRefusal): Fault | null {
    this.send(turn, session, { kind: 'path-refuse', id, reason })
    return this.countRefusal(turn, account)
  }

  private countRefusal(turn: Turn, account: Account): Fault | null {
    this.lookAtWindow(turn, account)
    this.refused += 1
    account.refusals += 1
    if (account.refusals <= OFFERS_REFUSED_MAX) return null
    return { code: 'overloaded', detail: 'path offers', got: account.refusals, limit: OFFERS_REFUSED_MAX }
  }

  private lookAtWindow(turn: Turn, account: Account): void {
    if (turn.now - account.windowSince < OFFERS_WINDOW_MS) return
    account.windowSince = turn.now
    account.offers = 0
    account.refusals = 0
  }

  // ---- one negotiation ----

  private begin(
    turn: Turn,
    session: Session,
    negotiable: Negotiable,
    role: Negotiation['role'],
    id: number,
    remote: Uint8Array | null,
  ): Negotiation {
    const { now } = turn
    const wire = this.board.newWire(now)
    const giveUpAt = now + NEGOTIATION_TIMEOUT_MS
    const { transport } = negotiable
    const negotiation: Negotiation = { session, wire, transport, role, id, giveUpAt, stage: 'preparing' }
    this.accountOf(session).negotiation = negotiation
    this.underWay.set(wire.id, negotiation)
    this.wakeAt = earlier(this.wakeAt, giveUpAt)
    if (negotiable.scarce) this.budget.spend(now)
    turn.effects.push({ kind: 'negotiate', wire: wire.id, transport, role, remote, helpers: this.overlay.helpers() })
    return negotiation
  }

  /** From when on one more may be begun. */
  private freeFrom(turn: Turn, contact: Contact, negotiable: Negotiable): Instant {
    const { now } = turn
    if (this.underWay.size >= NEGOTIATIONS_MAX) return now + FULL_PAUSE_MS
    const urgent = (contact.needs & (Need.service | Need.user)) !== 0 || contact.session.openStreams > 0
    return negotiable.scarce ? this.budget.from(now, urgent) : now
  }

  /** Counted from the beginning, whatever comes of it: a path that keeps breaking is not opened without end. */
  private backOff(turn: Turn, session: Session, account: Account): void {
    account.nextAt = turn.now + account.delayMs + (session.initiator ? 0 : UPGRADE_TURN_MS)
    account.delayMs = Math.min(2 * account.delayMs, UPGRADE_BACKOFF_MAX_MS)
  }

  /** Gives it up and says so, if the other side may be at it. */
  private fail(turn: Turn, negotiation: Negotiation, code: FaultCode): void {
    const { session, role, id, stage } = negotiation
    this.drop(turn, negotiation, code)
    if (role === 'answerer') this.send(turn, session, { kind: 'path-refuse', id, reason: 'failed' })
    else if (stage !== 'preparing') this.send(turn, session, { kind: 'path-withdraw', id })
  }

  private drop(turn: Turn, negotiation: Negotiation, code: FaultCode): void {
    this.forget(negotiation)
    // What never met another machine serves the host again; who answers meets the other one at once.
    const { role, stage, transport } = negotiation
    if (role === 'offerer' && stage !== 'opening' && this.isScarce(transport)) this.budget.giveBack()
    this.board.hangUp(turn, negotiation.wire, code)
  }

  private forget(negotiation: Negotiation): void {
    this.underWay.delete(negotiation.wire.id)
    const account = this.accounts.get(negotiation.session)
    if (account?.negotiation === negotiation) account.negotiation = null
  }

  private find(session: Session, role: Negotiation['role'], id: number): Negotiation | null {
    const negotiation = this.accounts.get(session)?.negotiation ?? null
    return negotiation?.role === role && negotiation.id === id ? negotiation : null
  }

  private send(turn: Turn, session: Session, message: PathMessage): boolean {
    return session.sendMessage(turn, Channel.path, encodePathMessage(message))
  }

  private isScarce(transport: NegotiatedTransport): boolean {
    return this.negotiates.some(item => item.transport === transport && item.scarce)
  }

  private encrypts({ about }: Wire): boolean {
    return this.negotiates.some(({ transport, encrypts }) => encrypts && transport === about?.transport)
  }

  private newId(): number {
    const id = this.nextId
    this.nextId = (this.nextId % 0xffff_ffff) + 1
    return id
  }

  private accountOf(session: Session): Account {
    let account = this.accounts.get(session)
    if (account === undefined) {
      account = {
        negotiation: null,
        nextAt: 0,
        delayMs: UPGRADE_BACKOFF_MS,
        transport: 0,
        windowSince: 0,
        offers: 0,
        refusals: 0,
        wire: null,
        openSince: 0,
        soon: 0,
      }
      this.accounts.set(session, account)
    }
    return account
  }
}
