/**
 * What a peer spends on circuits of others in all (spec 5.6): how many, and bytes in a second. A bucket that fills with time
 * and may be overdrawn by one frame.
 */
import type { Instant } from '../base/instant.ts'
import { CIRCUITS_RELAYED_MAX, FRAME_BYTES_MAX, RELAY_BURST_MS } from '../limits.ts'

export interface RelayLimits {
  /** Of frames passed on, both directions together; as many as the wires carry where nothing is said. */
  readonly bytesPerSecond?: number | undefined
  readonly circuits?: number | undefined
}

export class RelayBudget {
  readonly circuitsMax: number
  /** Null where only the wires bound it. */
  private readonly bytesPerMs: number | null
  private readonly burstBytes: number
  private leftBytes: number
  private filledAt: Instant = 0

  constructor({ bytesPerSecond, circuits }: RelayLimits) {
    this.circuitsMax = Math.min(circuits ?? CIRCUITS_RELAYED_MAX, CIRCUITS_RELAYED_MAX)
    this.bytesPerMs = bytesPerSecond === undefined ? null : bytesPerSecond / 1_000
    this.burstBytes = Math.max(FRAME_BYTES_MAX, (this.bytesPerMs ?? 0) * RELAY_BURST_MS)
    this.leftBytes = this.burstBytes
  }

  /** Whether there is a rate to keep to. */
  get limited(): boolean {
    return this.bytesPerMs !== null
  }

  mayPass(now: Instant): boolean {
    const { bytesPerMs } = this
    if (bytesPerMs === null) return true
    this.leftBytes = Math.min(this.leftBytes + Math.max(0, now - this.filledAt) * bytesPerMs, this.burstBytes)
    this.filledAt = Math.max(now, this.filledAt)
    return this.leftBytes > 0
  }

  spend(bytes: number): void {
    if (this.bytesPerMs !== null) this.leftBytes -= bytes
  }

  /** When a frame may pass again. */
  passesAt(now: Instant): Instant {
    return this.bytesPerMs === null || this.leftBytes > 0 ? now : this.filledAt + (1 - this.leftBytes) / this.bytesPerMs
  }
}
