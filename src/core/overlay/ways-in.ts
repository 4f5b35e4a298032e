/** The ways in that a user gave: tried side by side, and again while this peer has no link (spec 5.2). */
import type { Result } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Target } from '../input.ts'
import { WAY_IN_RETRY_MAX_MS, WAY_IN_RETRY_MS, WAYS_IN_MAX } from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'

export type OnJoined = (turn: Turn, outcome: Result<PeerId>) => void

interface WayIn {
  readonly target: Target
  tryAt: Instant
  failures: number
  /** The first dial was never answered: a packet may have been lost, so it is tried once more before it counts. */
  again: boolean
}

export class WaysIn {
  private ways: WayIn[] = []
  private waiting: OnJoined[] = []

  /** Someone waits to hear that this peer is in. */
  get awaited(): boolean {
    return this.waiting.length > 0
  }

  add(turn: Turn, targets: readonly Target[], onJoined: OnJoined): void {
    this.waiting.push(onJoined)
    for (const target of targets) this.ways.push({ target, tryAt: turn.now, failures: 0, again: false })
    if (this.ways.length > WAYS_IN_MAX) this.ways = this.ways.slice(-WAYS_IN_MAX)
  }

  /** This machine was away: all are worth another try at once. */
  onReturn(turn: Turn): void {
    for (const way of this.ways) {
      way.failures = 0
      way.tryAt = turn.now
    }
  }

  /** Tries those whose time has come. `onReached` asks for the link. */
  try(
    turn: Turn,
    reach: (turn: Turn, target: Target, onReached: (turn: Turn, outcome: Result<Contact>) => void) => void,
    onReached: (turn: Turn, contact: Contact) => void,
  ): void {
    for (const way of this.ways) {
      if (way.tryAt > turn.now) continue
      way.tryAt = Number.POSITIVE_INFINITY
      reach(turn, way.target, (later, outcome) => {
        if (outcome.ok) {
          way.failures = 0
          way.tryAt = later.now + WAY_IN_RETRY_MS
          onReached(later, outcome.value)
          return
        }
        way.again = way.failures === 0 && !way.again && outcome.fault.code === 'dial-timeout'
        if (way.again) {
          way.tryAt = later.now
          return
        }
        way.failures += 1
        way.tryAt = later.now + Math.min(WAY_IN_RETRY_MS * 2 ** (way.failures - 1), WAY_IN_RETRY_MAX_MS)
        if (this.ways.every(item => item.failures > 0)) this.report(later, outcome)
      })
    }
  }

  /** This peer is in through another, or (a fault) none of its ways led anywhere. Told once. */
  report(turn: Turn, outcome: Result<PeerId>): void {
    for (const onJoined of this.waiting.splice(0)) onJoined(turn, outcome)
  }
}
