/**
 * Whether a peer is new in its place on the ring and was not yet handed what is kept there (spec 6.5): that it finds
 * nothing then means nothing, and it says so instead.
 */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { NEWCOMER_MS, NEWCOMER_QUIET_MS } from '../limits.ts'

export class Newcomer {
  /** When the first neighbours came, and when they changed last. */
  private firstAt: Instant | null = null
  private changedAt: Instant = 0
  /** Neighbours that have not said what they hold, and what was asked of those that did. */
  private readonly awaited = new Set<PeerId>()
  private readonly missing = new Set<string>()

  isSettling(now: Instant): boolean {
    if (this.firstAt === null || now >= this.firstAt + NEWCOMER_MS) return false
    return this.awaited.size > 0 || this.missing.size > 0 || now < this.changedAt + NEWCOMER_QUIET_MS
  }

  /** `fresh`: those that were no neighbours before. */
  onNearChanged(now: Instant, near: ReadonlySet<PeerId>, fresh: Iterable<PeerId>): void {
    if (this.firstAt === null && near.size > 0) this.firstAt = now
    this.changedAt = now
    if (this.firstAt === null || now >= this.firstAt + NEWCOMER_MS) return
    for (const peer of fresh) this.awaited.add(peer)
    for (const peer of this.awaited) if (!near.has(peer)) this.awaited.delete(peer)
  }

  /** A neighbour said what it holds; these slots of it are missing here and were asked for. */
  onDigest(now: Instant, from: PeerId, missing: readonly string[]): void {
    this.awaited.delete(from)
    if (this.firstAt !== null && now < this.firstAt + NEWCOMER_MS) for (const slot of missing) this.missing.add(slot)
    else this.missing.clear()
  }

  onRecord(slot: string): void {
    this.missing.delete(slot)
  }
}
