/**
 * How many wires of a scarce transport a host may still make. A browser gives a page 500 RTCPeerConnections in its life
 * (Chrome), whatever became of them: so they are spent at a bounded rate, the last ones not for links. One whose offer was
 * refused is as good as new.
 */
import type { Instant } from '../base/instant.ts'
import { SCARCE_WIRES_BURST, SCARCE_WIRES_INTERVAL_MS, SCARCE_WIRES_RESERVE } from '../limits.ts'

export class ScarceBudget {
  private left = SCARCE_WIRES_BURST
  private filledAt: Instant = 0

  /** From when on one may be made; `urgent` ones may take the last. */
  from(now: Instant, urgent: boolean): Instant {
    this.fill(now)
    const lacking = 1 + (urgent ? 0 : SCARCE_WIRES_RESERVE) - this.left
    return lacking <= 0 ? now : this.filledAt + lacking * SCARCE_WIRES_INTERVAL_MS
  }

  spend(now: Instant): void {
    this.fill(now)
    this.left -= 1
  }

  /** It met no other machine: the next one is made of it. */
  giveBack(): void {
    this.left += 1
  }

  private fill(now: Instant): void {
    const due = Math.floor((now - this.filledAt) / SCARCE_WIRES_INTERVAL_MS)
    this.left = Math.min(SCARCE_WIRES_BURST, this.left + due)
    this.filledAt += due * SCARCE_WIRES_INTERVAL_MS
  }
}
