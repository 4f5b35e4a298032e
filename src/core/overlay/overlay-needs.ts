/** What the overlay needs of the peer around it, and what its own pieces share. */
import type { Result } from '../base/fault.ts'
import { isGlobalHost } from '../base/global-host.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'
import type { PeerRef, Rendezvous } from '../crypto/peer-ref.ts'
import type { Target } from '../input.ts'
import { OUTSIDE_KEPT_MS, OWN_ESTIMATE_MS, PUBLIC_LINKS_MIN, STARVING_SHARE, WAY_IN_KEPT_LINKS } from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { type Link, LinkTable } from './link-table.ts'
import { LossAlarm } from './loss-alarm.ts'
import type { Delays } from './next-hop.ts'
import type { OverlayMessage } from './overlay-messages.ts'
import { RememberedPeers } from './remembered-peers.ts'
import { estimatePeers } from './size-estimate.ts'
import type { ToldViews } from './told-views.ts'

export interface OverlayNeeds {
  readonly peer: PeerId
  readonly position: Position
  readonly capacity: number
  /** How many rendezvous this peer names where nobody can dial it; the usual number where nothing is said. */
  readonly rendezvous?: number | undefined
  /** What links told, where peers of one process share it. */
  readonly views?: ToldViews | undefined
  self(): PeerRef
  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean
  reach(turn: Turn, target: Target, onReached: (turn: Turn, outcome: Result<Contact>) => void): void
  contact(peer: PeerId): Contact | null
  /** A link's session is kept alive. */
  need(turn: Turn, contact: Contact): void
  release(contact: Contact): void
  /** Asks all links that have been silent for so long whether they live. */
  suspectSilent(turn: Turn, silentMs: number): void
  /** The same of one. */
  suspect(turn: Turn, contact: Contact, silentMs: number): void
  /** A session that was opened for a link that was refused. */
  closeIfUnneeded(turn: Turn, contact: Contact): void
  /** Reads and verifies a ref; null where it is not to be believed. */
  admit(turn: Turn, bytes: Uint8Array): PeerRef | null
  /** Whether a ref is not signed by the peer that it names: none that an honest peer passes on is. */
  isForged(turn: Turn, bytes: Uint8Array): boolean
  /** The answer of another part to a routed request that ended here. */
  answer(turn: Turn, key: Position, method: number, payload: Uint8Array): Uint8Array | null
  onNearChanged(turn: Turn): void
  /** Circuits of others that this peer carries. */
  relayed(): number
  /** The rendezvous of this peer's ref are these now. */
  onRendezvous(turn: Turn, rendezvous: readonly Rendezvous[]): void
}

/** The surroundings of a peer as its overlay sees them. */
export class Surrounds {
  readonly needs: OverlayNeeds
  readonly rng: Rng
  readonly links: LinkTable
  readonly memory: RememberedPeers
  readonly alarm = new LossAlarm()
  /** When a wire led outside of this peer's own network last. */
  private outsideAt: Instant = Number.NEGATIVE_INFINITY
  private estimate = 0
  private estimatedAt: Instant = Number.NEGATIVE_INFINITY
  private estimatedFor: readonly Link[] = []

  constructor(needs: OverlayNeeds, rng: Rng) {
    this.needs = needs
    this.rng = rng
    this.links = new LinkTable(needs.position, needs.capacity)
    this.memory = new RememberedPeers(rng.fork('memory'))
  }

  /** This peer cannot be dialled: others reach it through public peers that it is linked to. */
  get hidden(): boolean {
    return !this.isPublic(this.needs.self())
  }

  /** Whether a peer accepts dials: those of anybody where something leads outside, those of its own network where nothing does. */
  isPublic(ref: PeerRef): boolean {
    return this.memory.countsAsPublic(ref)
  }

  /** Whether anything leads out of this peer's own network, or did lately: then only global addresses count (spec 5.2). */
  lookOutside(now: Instant): void {
    for (const { peer } of this.links.all()) if (this.noticeOutside(now, this.needs.contact(peer))) return
    this.memory.setGlobalOnly(now - this.outsideAt < OUTSIDE_KEPT_MS)
  }

  /**
   * Whether a wire leads to a public peer elsewhere. What refs tell alone proves nothing: anybody can tell of any address; nor do
   * wires alone, since two of one machine may meet at an address of its that others can dial as well.
   */
  noticeOutside(now: Instant, contact: Contact | null): boolean {
    const host = contact?.session.path?.remoteHost ?? null
    if (host === null || contact?.ref?.isGlobal !== true || !isGlobalHost(host)) return false
    this.outsideAt = now
    this.memory.setGlobalOnly(true)
    return true
  }

  /** How many public links a hidden peer needs: so many rendezvous it names. */
  get publicWanted(): number {
    return this.needs.rendezvous ?? PUBLIC_LINKS_MIN
  }

  /** Fewer links than a peer needs to be safe, while others are known. */
  get hungry(): boolean {
    return this.links.size < this.linksWanted
  }

  /** Hungry, and in danger: it asks on and on, however many refuse. */
  isStarving(now: Instant): boolean {
    return this.links.size < this.linksWanted * (this.alarm.isOn(now) ? 1 : STARVING_SHARE)
  }

  private get linksWanted(): number {
    return Math.min((this.links.capacity * 2) / 3, 32, this.memory.size)
  }

  /** With one link fewer it would not be hungry. */
  get hasSpareLinks(): boolean {
    return this.links.size - 1 >= this.linksWanted
  }

  /** A way in through which many come: what others can do as well is asked of them. */
  isCrowded(link: Link): boolean {
    return link.role === 'way-in' && link.neighbours.length > WAY_IN_KEPT_LINKS
  }

  /** How many peers there are by what this one sees alone. */
  ownEstimate(now: Instant): number {
    const links = this.links.all()
    if (links !== this.estimatedFor || now - this.estimatedAt >= OWN_ESTIMATE_MS) {
      this.estimate = Math.min(estimatePeers(this.needs.position, links), 0xffff_ffff)
      this.estimatedAt = now
      this.estimatedFor = links
    }
    return this.estimate
  }

  hasPath(peer: PeerId): boolean {
    return (this.needs.contact(peer)?.session.path ?? null) !== null
  }

  /** By which the fastest way is found. */
  delays(): Delays<Link> {
    const { links, needs } = this
    return { roundTripMs: ({ peer }) => needs.contact(peer)?.roundTripMs ?? Number.POSITIVE_INFINITY, gap: links.gap() }
  }

  /** A wire leads to the peer, no circuit. */
  isDirect(peer: PeerId): boolean {
    return this.needs.contact(peer)?.session.path?.reliable === true
  }

  /** Links over which a hidden peer can be reached: public peers, over a wire. */
  publicLinks(): Link[] {
    return this.links.all().filter(link => this.isPublic(link.ref) && this.isDirect(link.peer))
  }
}
