/**
 * The members that one member keeps sessions with for a service (spec 7.2). A link of the view is wanted by one side or
 * both and ends when neither wants it. Tries, failures and pauses are here; who is wanted is decided in view-choice.
 */
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Rng } from '../base/rng.ts'
import { VIEW_PAUSE_MS, VIEW_RETRY_MS, VIEW_TRIES_MAX } from '../limits.ts'

export interface ViewLink {
  /** This side wants it. */
  ours: boolean
  /** The other side wants it. */
  theirs: boolean
}

export type Attempt =
  /** A session is being opened; the port says how that ends. */
  { readonly kind: 'opening' } | { readonly kind: 'joining'; readonly giveUpAt: Instant }

interface Failure {
  readonly count: number
  readonly retryAt: Instant
}

export class View {
  readonly links = new Map<PeerId, ViewLink>()
  readonly attempts = new Map<PeerId, Attempt>()
  private readonly failures = new Map<PeerId, Failure>()
  private readonly rng: Rng

  constructor(rng: Rng) {
    this.rng = rng
  }

  /** Those that this side wants and has. */
  ours(): Set<PeerId> {
    const peers = new Set<PeerId>()
    for (const [peer, link] of this.links) if (link.ours) peers.add(peer)
    return peers
  }

  /** Those that are here only because the other side wants it. */
  guests(): PeerId[] {
    const peers: PeerId[] = []
    for (const [peer, link] of this.links) if (!link.ours) peers.push(peer)
    return peers
  }

  /** Whether the session with a peer serves this view. */
  uses(peer: PeerId): boolean {
    return this.links.has(peer) || this.attempts.has(peer)
  }

  fail(peer: PeerId, now: Instant): void {
    const count = (this.failures.get(peer)?.count ?? 0) + 1
    const pause = count >= VIEW_TRIES_MAX ? VIEW_PAUSE_MS : VIEW_RETRY_MS * 2 ** (count - 1)
    this.failures.set(peer, { count, retryAt: now + this.rng.around(pause) })
  }

  /** Leaves a peer alone for a while that did nothing wrong, but has no place. */
  rest(peer: PeerId, now: Instant, pauseMs: number): void {
    this.failures.set(peer, { count: 0, retryAt: now + this.rng.around(pauseMs) })
  }

  succeeded(peer: PeerId): void {
    this.failures.delete(peer)
  }

  /** How often in a row the peer could not be reached. */
  failuresOf(peer: PeerId): number {
    return this.failures.get(peer)?.count ?? 0
  }

  isResting(peer: PeerId, now: Instant): boolean {
    return (this.failures.get(peer)?.retryAt ?? now) > now
  }

  forget(peer: PeerId): void {
    this.failures.delete(peer)
    this.attempts.delete(peer)
  }

  /** When the first pause after `now` ends. */
  nextRetry(now: Instant): Instant | null {
    let first: Instant | null = null
    for (const { retryAt } of this.failures.values()) if (retryAt > now) first = earlier(first, retryAt)
    return first
  }

  /** When the first open attempt is given up. */
  nextGiveUp(): Instant | null {
    let first: Instant | null = null
    for (const attempt of this.attempts.values())
      if (attempt.kind === 'joining') first = earlier(first, attempt.giveUpAt)
    return first
  }
}
