/**
 * Looks now and then for something better for a session that runs over a circuit (spec 5.2): a wire, dialled or negotiated, or a
 * circuit over a rendezvous that carries less. What works is not touched before the other has proven to.
 */
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import {
  NEGOTIATION_STAGGER_MS,
  REBALANCE_MS,
  REBALANCE_RATIO,
  UPGRADE_AFTER_MS,
  UPGRADE_BACKOFF_MAX_MS,
  UPGRADE_BACKOFF_MS,
  UPGRADE_TURN_MS,
} from '../limits.ts'
import { Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import { CircuitEnd, type Circuits } from './circuits.ts'
import type { Contact } from './contact.ts'
import type { ContactTable } from './contact-table.ts'
import type { OverlayView } from './overlay-view.ts'
import type { PathOffers } from './path-offers.ts'
import type { Reaching } from './reaching.ts'

export class BetterPaths {
  private readonly contacts: ContactTable
  private readonly overlay: OverlayView
  private readonly reaching: Reaching
  private readonly offers: PathOffers
  private readonly circuits: Circuits

  constructor(
    contacts: ContactTable,
    overlay: OverlayView,
    reaching: Reaching,
    offers: PathOffers,
    circuits: Circuits,
  ) {
    this.contacts = contacts
    this.overlay = overlay
    this.reaching = reaching
    this.offers = offers
    this.circuits = circuits
  }

  /** Looks if it is time to; when next, or null where there is no way to a better one. */
  look(turn: Turn, contact: Contact): Instant | null {
    const known = this.overlay.refOf(contact.peer)
    const ref = known !== null && known.sequence > (contact.ref?.sequence ?? -1) ? known : contact.ref
    const rerouteAt = ref === null ? null : this.reroute(turn, contact, ref)
    const canDial = ref !== null && this.reaching.usable(ref.addresses).length > 0
    const dialAt = canDial ? this.dial(turn, contact, ref) : null
    // The side that opened the session first; a dial, by whichever side can, before that.
    const turnMs = contact.session.initiator ? 0 : UPGRADE_TURN_MS
    const dialMs = canDial || this.overlay.isDialable() ? NEGOTIATION_STAGGER_MS : 0
    const betterAt = earlier(rerouteAt, dialAt)
    return earlier(betterAt, this.offers.consider(turn, contact, contact.since + UPGRADE_AFTER_MS + turnMs + dialMs))
  }

  private reroute(turn: Turn, contact: Contact, ref: PeerRef): Instant | null {
    const { path, initiator } = contact.session
    if (!initiator || !(path instanceof CircuitEnd) || ref.rendezvous.length === 0) return null
    if (turn.now < contact.rerouteAt) return contact.rerouteAt
    contact.rerouteAt = turn.now + REBALANCE_MS
    // Circuits that run over the session would end with the move (`leaveRiders`): what is won is not worth that.
    if (this.reaching.isReaching(contact.peer) || this.circuits.runsOver(contact.peer)) return contact.rerouteAt
    const { neighbour, via } = path
    const { contacts, overlay } = this
    const least = ref.rendezvous
      .filter(({ peer }) => peer !== neighbour && contacts.get(peer)?.session.path instanceof Wire)
      .sort((a, b) => overlay.loadOf(a.peer) - overlay.loadOf(b.peer))[0]
    if (least === undefined) return contact.rerouteAt
    const gain = overlay.loadOf(neighbour) / overlay.loadOf(least.peer)
    if (via.length > 1 || gain >= REBALANCE_RATIO) this.reaching.reroute(turn, contact, least)
    return contact.rerouteAt
  }

  private dial(turn: Turn, contact: Contact, ref: PeerRef): Instant {
    const { now } = turn
    if (contact.upgrade?.sequence !== ref.sequence) {
      // Where the other side can dial as well, the one that opened the session does.
      const waits = !contact.session.initiator && this.overlay.isDialable()
      const at = now + (waits ? UPGRADE_TURN_MS : 0)
      contact.upgrade = { at, delayMs: UPGRADE_BACKOFF_MS, sequence: ref.sequence }
    }
    const { upgrade } = contact
    if (now >= upgrade.at) {
      upgrade.at = now + upgrade.delayMs
      upgrade.delayMs = Math.min(2 * upgrade.delayMs, UPGRADE_BACKOFF_MAX_MS)
      if (!this.reaching.isReaching(contact.peer)) this.reaching.upgrade(turn, contact, ref)
    }
    return upgrade.at
  }
}
