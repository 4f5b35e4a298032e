/** One step of a peer: when it happens, and what it has asked of the world so far. */
import type { Instant, WallTime } from './base/instant.ts'
import type { Effect, PeerEvent } from './effect.ts'

export class Turn {
  readonly now: Instant
  readonly wallTime: WallTime
  readonly effects: Effect[] = []
  private spentBuffers: Uint8Array[] | null = null

  constructor(now: Instant, wallTime: WallTime) {
    this.now = now
    this.wallTime = wallTime
  }

  /** Told to the host at the end of the step, after all that is sent. */
  spent(buffer: Uint8Array): void {
    this.spentBuffers ??= []
    this.spentBuffers.push(buffer)
  }

  finish(): readonly Effect[] {
    if (this.spentBuffers !== null) this.effects.push({ kind: 'spent', buffers: this.spentBuffers })
    return this.effects
  }

  emit(event: PeerEvent): void {
    this.effects.push({ kind: 'event', event })
  }
}
