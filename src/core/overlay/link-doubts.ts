/**
 * Which links have lately failed to route what was sent through them (spec 5.5). Whoever swallows is known to the hop
 * before it alone, which waits the shortest: that one takes other links while there are any, for longer each time.
 */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap } from '../base/rare-map.ts'
import { DOUBT_MAX_MS, DOUBT_MS } from '../limits.ts'

/** What one answer makes good of one silence: who answers every other time goes on being doubted. */
const AMENDS = 1 / 4

interface Doubt {
  failures: number
  until: Instant
}

export class LinkDoubts {
  private readonly doubts = new RareMap<PeerId, Doubt>()

  failed(peer: PeerId, now: Instant): void {
    const doubt = this.doubts.get(peer) ?? { failures: 0, until: now }
    doubt.failures += 1
    doubt.until = now + Math.min(DOUBT_MAX_MS, DOUBT_MS * 2 ** (doubt.failures - 1))
    this.doubts.set(peer, doubt)
  }

  answered(peer: PeerId): void {
    const doubt = this.doubts.get(peer)
    if (doubt === undefined) return
    doubt.failures -= AMENDS
    if (doubt.failures <= 0) this.doubts.delete(peer)
  }

  /** It is no link any more. */
  forget(peer: PeerId): void {
    this.doubts.delete(peer)
  }

  doubted(now: Instant): PeerId[] {
    const peers: PeerId[] = []
    for (const [peer, { failures, until }] of this.doubts) if (failures >= 1 && until > now) peers.push(peer)
    return peers
  }
}
