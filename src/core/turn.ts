/** One step of a peer: when it happens, and what it has asked of the world so far. */
import type { Instant, WallTime } from './base/instant.ts'
import type { Effect, PeerEvent } from './effect.ts'

export class Turn {
  readonly now: Instant
  readonly wallTime: WallTime
  readonly effects: Effect[] = []

  constructor(now: Instant, wallTime: WallTime) {
    this.now = now
    this.wallTime = wallTime
  }

  emit(event: PeerEvent): void {
    this.effects.push({ kind: 'event', event })
  }
}
