/**
 * Sessions that this side needs no more and has told the other side so (spec 5.10): that one ends them, or says that it
 * needs them still. To end them at once would take along the streams that the other side is just opening.
 */
import { earlier, type Instant } from '../base/instant.ts'
import { RareMap } from '../base/rare-map.ts'
import { FAREWELL_MS } from '../limits.ts'
import type { Session } from '../session/session.ts'
import type { Turn } from '../turn.ts'

/** Whoever needs the peer again meanwhile waits for what becomes of the session. */
export type OnDecided = (turn: Turn) => void

interface Farewell {
  readonly endAt: Instant
  readonly waiters: OnDecided[]
}

export class Farewells {
  private readonly table = new RareMap<Session, Farewell>()
  private wakeAt: Instant | null = null

  get size(): number {
    return this.table.size
  }

  has(session: Session): boolean {
    return this.table.has(session)
  }

  begin(session: Session, now: Instant): void {
    const endAt = now + FAREWELL_MS
    this.table.set(session, { endAt, waiters: [] })
    this.wakeAt = earlier(this.wakeAt, endAt)
  }

  wait(session: Session, onDecided: OnDecided): void {
    this.table.get(session)?.waiters.push(onDecided)
  }

  /** It stays, or is over. */
  decide(turn: Turn, session: Session): void {
    const farewell = this.table.get(session)
    if (farewell === undefined) return
    this.table.delete(session)
    for (const onDecided of farewell.waiters) onDecided(turn)
  }

  nextWake(): Instant | null {
    return this.wakeAt
  }

  /** Those of which the other side has said nothing for too long. */
  onWake(now: Instant): Session[] {
    if (this.wakeAt === null || this.wakeAt > now) return []
    this.wakeAt = null
    const unanswered: Session[] = []
    for (const [session, { endAt }] of this.table) {
      if (endAt <= now) unanswered.push(session)
      else this.wakeAt = earlier(this.wakeAt, endAt)
    }
    return unanswered
  }
}
