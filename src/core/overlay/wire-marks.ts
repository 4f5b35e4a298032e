/**
 * Pings to neighbours among the frames of others over a wire, whose answers tell what of those has arrived (spec 5.6): which
 * ping is of which wire. What follows from it is the wire's to say (`RelayPace`).
 */
import type { Instant } from '../base/instant.ts'
import { RareMap } from '../base/rare-map.ts'
import type { Session } from '../session/session.ts'
import type { Wire } from '../session/wire.ts'

export class WireMarks {
  private readonly table = new RareMap<number, { readonly wire: Wire; readonly session: Session }>()

  get size(): number {
    return this.table.size
  }

  /** `token`: of the ping that was sent to the neighbour over its session. */
  begin(token: number, wire: Wire, session: Session, now: Instant): void {
    this.table.set(token, { wire, session })
    wire.onMarked(now)
  }

  /** The wire of which the answered ping tells; null where it was another kind of ping. */
  onAnswered(token: number, now: Instant): Wire | null {
    const wire = this.table.get(token)?.wire ?? null
    if (wire === null) return null
    this.table.delete(token)
    wire.onMarkAnswered(now)
    return wire
  }

  /** Nobody will answer the pings of a session that ended: their wires. */
  onSessionEnded(session: Session): Wire[] {
    const wires: Wire[] = []
    for (const [token, mark] of this.table) {
      if (mark.session !== session) continue
      this.table.delete(token)
      mark.wire.onMarkAnswered(null)
      wires.push(mark.wire)
    }
    return wires
  }
}
