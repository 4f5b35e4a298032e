/**
 * What a peer does that hears nobody any more (spec 5.2). When the router of its machine gets another address all its wires are
 * dead, and nobody knows: others cannot reach it, and it hears of nothing before it has sent something in vain.
 */
import type { Instant } from '../base/instant.ts'
import { QUIET_MS, WATCH_LOOK_MS } from '../limits.ts'
import { Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import { carrierOf } from './carriers.ts'
import type { Contact } from './contact.ts'
import type { ContactTable } from './contact-table.ts'
import type { Reaching } from './reaching.ts'

export class Silence {
  private readonly contacts: ContactTable
  private readonly reaching: Reaching
  /** When one was asked, and all, each by when the last had been heard: once in each silence. */
  private askedFor: Instant = -1
  private allAskedFor: Instant = -1
  private askedAt: Instant = -1

  constructor(contacts: ContactTable, reaching: Reaching) {
    this.contacts = contacts
    this.reaching = reaching
  }

  /** For who holds streams: asks one peer, and all where that one keeps silent as well. When to look again. */
  listen(turn: Turn): Instant | null {
    const last = this.lastHeard()
    if (last === null) return null
    const heardAt = last.heardAt ?? turn.now
    const answerMs = WATCH_LOOK_MS + 2 * (last.roundTripMs ?? WATCH_LOOK_MS)
    if (this.askedFor !== heardAt) {
      if (turn.now < heardAt + QUIET_MS) return heardAt + QUIET_MS
      this.askedFor = heardAt
      this.askedAt = turn.now
      last.session.expectLife(turn)
    } else if (turn.now >= this.askedAt + answerMs) {
      this.onDoubt(turn, answerMs)
    }
    return this.askedAt + answerMs
  }

  /** A path should have brought something for so long. Where nobody else is heard either, all are asked, once. */
  onDoubt(turn: Turn, silentMs: number): void {
    const heardAt = this.lastHeard()?.heardAt ?? turn.now
    if (turn.now < heardAt + silentMs || heardAt === this.allAskedFor) return
    this.allAskedFor = heardAt
    turn.emit({ kind: 'unheard' })
    this.askAll(turn, true)
  }

  /** Asks all that are needed whether they are there; where their paths are doubted, others are looked for beside them at once. */
  askAll(turn: Turn, doubts: boolean): void {
    // A map may change while it is gone through: what is gone is left out.
    for (const contact of this.contacts.all()) {
      const { session } = contact
      const carrier = carrierOf(session)
      if (carrier === null || !contact.wanted) continue
      session.expectLife(turn)
      if (!doubts) continue
      contact.doubt = { carrier, heardAt: carrier.heardAt }
      if (carrier instanceof Wire) this.reaching.seekBeside(turn, contact)
    }
  }

  /** Of those to whom a wire leads. */
  private lastHeard(): Contact | null {
    let last: Contact | null = null
    for (const contact of this.contacts.all()) {
      if (contact.session.path?.reliable === true && (contact.heardAt ?? 0) > (last?.heardAt ?? -1)) last = contact
    }
    return last
  }
}
