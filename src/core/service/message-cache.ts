/** Broadcasts kept a while for members that missed them, bounded in bytes and age; the oldest go first (spec 7.3). */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { CACHED_MESSAGE_BYTES_MAX, CACHED_MESSAGE_MS } from '../limits.ts'
import type { Broadcast, MessageId } from './broadcast.ts'
import type { ServiceMessage } from './service-messages.ts'

/** A broadcast on its way from member to member. */
export type Gossip = ServiceMessage & { readonly kind: 'gossip' }

/** What an entry takes beside its payload. */
const ENTRY_BYTES = 256

interface Cached {
  readonly broadcast: Broadcast
  /** When it left its origin, as far as is known. */
  readonly sentAt: Instant
  readonly from: PeerId | null
  readonly at: Instant
}

export class MessageCache {
  private readonly entries = new Map<MessageId, Cached>()
  private bytes = 0

  get byteLength(): number {
    return this.bytes
  }

  /** As a message to a neighbour. */
  get(id: MessageId, now: Instant): Gossip | null {
    const cached = this.entries.get(id)
    return cached === undefined ? null : { kind: 'gossip', broadcast: cached.broadcast, ageMs: now - cached.sentAt }
  }

  /** Which neighbour it came from first; null where it began here, or is not kept any more. */
  bringerOf(id: MessageId): PeerId | null {
    return this.entries.get(id)?.from ?? null
  }

  /** `ageMs`: for how long it was under way. */
  add(id: MessageId, broadcast: Broadcast, now: Instant, from: PeerId | null, ageMs: number): Gossip {
    this.entries.set(id, { broadcast, sentAt: now - ageMs, at: now, from })
    this.bytes += ENTRY_BYTES + broadcast.payload.length
    this.trim(now)
    return { kind: 'gossip', broadcast, ageMs }
  }

  /** Of those that left their origin at most `ageMs` ago, the ids of the newest, oldest first. */
  since(now: Instant, ageMs: number, countMax: number): MessageId[] {
    this.trim(now)
    const ids: MessageId[] = []
    for (const [id, { sentAt }] of this.entries) if (now - sentAt <= ageMs) ids.push(id)
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
