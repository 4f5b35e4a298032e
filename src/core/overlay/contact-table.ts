/** The peers with which there are sessions, and the sessions that gave way to another one with the same peer (spec 5.2). */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap } from '../base/rare-map.ts'
import type { Session } from '../session/session.ts'
import type { Carrier } from '../session/wire.ts'
import { carrierOf } from './carriers.ts'
import type { Contact } from './contact.ts'

export class ContactTable {
  private readonly byPeer = new Map<PeerId, Contact>()
  /** Sessions that gave way, and when to look at them again. */
  readonly retired = new RareMap<Session, Instant>()

  get size(): number {
    return this.byPeer.size
  }

  get sessionCount(): number {
    return this.byPeer.size + this.retired.size
  }

  get(peer: PeerId): Contact | null {
    return this.byPeer.get(peer) ?? null
  }

  /** The contact whose session this is; null where the session gave way to another one, or is over. */
  of(session: Session): Contact | null {
    const contact = this.byPeer.get(session.peer)
    return contact?.session === session ? contact : null
  }

  /** A map may change while it is gone through: what is gone is left out, what comes is looked at too. */
  all(): IterableIterator<Contact> {
    return this.byPeer.values()
  }

  add(contact: Contact): void {
    this.byPeer.set(contact.peer, contact)
  }

  delete(contact: Contact): void {
    this.byPeer.delete(contact.peer)
  }

  /** As they are now: each may end while they are gone through. */
  sessions(): Session[] {
    const sessions: Session[] = [...this.retired.keys()]
    for (const { session } of this.byPeer.values()) sessions.push(session)
    return sessions
  }

  sessionsOver(carrier: Carrier): Session[] {
    const sessions: Session[] = []
    for (const session of this.retired.keys()) if (session.path === carrier) sessions.push(session)
    for (const { session } of this.byPeer.values()) if (session.path === carrier) sessions.push(session)
    return sessions
  }

  /** The peers whose sessions ride on the one with `peer`: no way to reach it. */
  ridersOf(peer: PeerId): PeerId[] {
    const riders: PeerId[] = []
    for (const { peer: rider, session } of this.byPeer.values())
      if (carrierOf(session)?.dependsOn(peer) === true) riders.push(rider)
    return riders
  }

  /** The peers that keep silent though they should not: nothing is begun over them. */
  doubted(): PeerId[] {
    const peers: PeerId[] = []
    for (const contact of this.byPeer.values()) if (contact.inDoubt) peers.push(contact.peer)
    return peers
  }
}
