/**
 * Questions under way whether a carrier leads to the other side of a session: a wire may have been dialled at an address
 * that is somebody else's by now (spec 4.6). Only an answer over the same carrier counts. Over a circuit the question is
 * repeated, since relays may drop it.
 */
import { earlier, type Instant } from '../base/instant.ts'
import { RareMap } from '../base/rare-map.ts'
import { HANDSHAKE_TIMEOUT_MS, PATH_ASK_AGAIN_MS, PATH_ASK_TIMEOUT_MS } from '../limits.ts'
import type { Session } from '../session/session.ts'
import type { Carrier } from '../session/wire.ts'
import type { Turn } from '../turn.ts'

/** A question that nobody has answered in time; `heard`: but something else came over the carrier since. */
export interface Unanswered {
  readonly ask: Ask
  readonly carrier: Carrier
  readonly heard: boolean
}

export interface AskOptions {
  readonly urgent?: boolean
  readonly wanted?: boolean
  readonly patienceMs?: number
}

export interface Ask {
  readonly session: Session
  readonly askedAt: Instant
  readonly token: number
  readonly urgent: boolean
  readonly wanted: boolean
  giveUpAt: Instant
  againAt: Instant
}

export class PathAsks {
  private readonly asks = new RareMap<Carrier, Ask>()
  private nextToken = 1
  private wakeAt: Instant | null = null

  get size(): number {
    return this.asks.size
  }

  has(carrier: Carrier): boolean {
    return this.asks.has(carrier)
  }

  /**
   * `urgent`: the session has no other path that is known to carry. `wanted`: the other side said so of itself, and wants to be
   * met here.
   */
  ask(
    turn: Turn,
    session: Session,
    carrier: Carrier,
    { urgent = false, wanted = false, patienceMs = PATH_ASK_TIMEOUT_MS }: AskOptions = {},
  ): void {
    const { now } = turn
    const token = this.nextToken
    this.nextToken = (this.nextToken % 0xffff_ffff) + 1
    const ask = {
      session,
      askedAt: now,
      token,
      urgent,
      wanted,
      giveUpAt: now + patienceMs,
      againAt: now + PATH_ASK_AGAIN_MS,
    }
    this.asks.set(carrier, ask)
    this.wakeAt = earlier(this.wakeAt, ask.againAt)
    session.askPath(turn, carrier, token, urgent)
  }

  /** A new session is being opened over the carrier, and may not be needed: for as long an answer counts all the same. */
  wait(turn: Turn, { ask, carrier }: Unanswered): void {
    ask.giveUpAt = turn.now + HANDSHAKE_TIMEOUT_MS
    this.asks.set(carrier, ask)
    this.wakeAt = earlier(this.wakeAt, ask.againAt)
  }

  /** The question of which this is the answer; null where nobody waits for it. */
  answered(session: Session, carrier: Carrier, token: number): { readonly wanted: boolean } | null {
    const ask = this.asks.get(carrier)
    if (ask?.session !== session || ask.token !== token) return null
    this.asks.delete(carrier)
    return ask
  }

  forget(carrier: Carrier): void {
    this.asks.delete(carrier)
  }

  nextWake(): Instant | null {
    return this.wakeAt
  }

  onWake(turn: Turn): Unanswered[] {
    if (this.wakeAt === null || this.wakeAt > turn.now) return []
    this.wakeAt = null
    const unanswered: Unanswered[] = []
    for (const [carrier, ask] of this.asks) {
      // Once more as it is given up as well: if a new session is opened now, the other side is to answer for the old one before.
      if (Math.min(ask.againAt, ask.giveUpAt) <= turn.now) {
        ask.againAt = turn.now + PATH_ASK_AGAIN_MS
        if (!carrier.reliable) ask.session.askPath(turn, carrier, ask.token, ask.urgent)
      }
      if (ask.giveUpAt <= turn.now) {
        this.asks.delete(carrier)
        unanswered.push({ ask, carrier, heard: carrier.heardAt > ask.askedAt })
        continue
      }
      this.wakeAt = earlier(this.wakeAt, Math.min(ask.againAt, ask.giveUpAt))
    }
    return unanswered
  }
}
