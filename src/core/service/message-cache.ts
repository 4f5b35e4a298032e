/** Broadcasts kept a while for members that missed them, bounded in bytes and age; the oldest go first (spec 7.3). */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { CACHED_MESSAGE_BYTES_MAX, CACHED_MESSAGE_MS } from '../limits.ts'
import type { Broadcast, MessageId } from './broadcast.ts'

/** What an entry takes beside its payload. */
const ENTRY_BYTES = 256

interface Cached {
  readonly broadcast: Broadcast
  readonly from: PeerId | null
  readonly at: Instant
}

export class MessageCache {
  private readonly entries = new Map<MessageId, Cached>()
  private bytes = 0

  get byteLength(): number {
    return this.bytes
  }

  get(id: MessageId): Broadcast | null {
    return this.entries.get(id)?.broadcast ?? null
  }

  /** Which neighbour it came from first; null where it began here, or is not kept any more. */
  bringerOf(id: MessageId): PeerId | null {
    return this.entries.get(id)?.from ?? null
  }

  add(id: MessageId, broadcast: Broadcast, now: Instant, from: PeerId | null): void {
    this.entries.set(id, { broadcast, at: now, from })
    this.bytes += ENTRY_BYTES + broadcast.payload.length
    this.trim(now)
  }

  /** The newest ids at most `ageMs` old, oldest first. */
  since(now: Instant, ageMs: number, countMax: number): MessageId[] {
    this.trim(now)
    const ids: MessageId[] = []
    for (const [id, cached] of this.entries) if (now - cached.at <= ageMs) ids.push(id)
    return ids.slice(-countMax)
  }

  trim(now: Instant): void {
    for (const [id, cached] of this.entries) {
      if (this.bytes <= CACHED_MESSAGE_BYTES_MAX && now - cached.at < CACHED_MESSAGE_MS) return
      this.entries.delete(id)
      this.bytes -= ENTRY_BYTES + cached.broadcast.payload.length
    }
  }
}
