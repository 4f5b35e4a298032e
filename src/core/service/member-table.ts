/**
 * Who is known to be a member of a service (spec 7.1). Three kinds of word are believed differently: the member's own
 * (`direct`), the registry's, and that of other members (`hearsay`), who may not have heard yet that it left.
 */
import { ExpiringSet } from '../base/expiring-set.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { DEPARTED_LAPSE_MS, DEPARTED_LISTED_MS, MEMBERS_MAX } from '../limits.ts'

export type Evidence = 'direct' | 'registry' | 'hearsay'

export interface Member {
  ref: PeerRef
  /** When it was met or listed last. */
  heardAt: Instant
}

export class MemberTable {
  private readonly members = new Map<PeerId, Member>()
  private readonly departed = new ExpiringSet<PeerId>({ sizeMax: MEMBERS_MAX, lapseMs: DEPARTED_LAPSE_MS })
  private readonly departedLately = new ExpiringSet<PeerId>({ sizeMax: MEMBERS_MAX, lapseMs: DEPARTED_LISTED_MS })

  get size(): number {
    return this.members.size
  }

  get isFull(): boolean {
    return this.members.size >= MEMBERS_MAX
  }

  has(peer: PeerId): boolean {
    return this.members.has(peer)
  }

  get(peer: PeerId): Member | undefined {
    return this.members.get(peer)
  }

  entries(): IterableIterator<[PeerId, Member]> {
    return this.members.entries()
  }

  peers(): PeerId[] {
    return [...this.members.keys()]
  }

  /** Whether the word is to be believed: not that of others about one that left. */
  believes(peer: PeerId, evidence: Evidence, now: Instant): boolean {
    if (evidence === 'direct') return true
    return !(evidence === 'registry' ? this.departedLately : this.departed).has(peer, now)
  }

  /** True where the member is new. The caller has asked `believes` and has made room. */
  put(ref: PeerRef, evidence: Evidence, now: Instant): boolean {
    const known = this.members.get(ref.peer)
    if (known !== undefined) {
      if (ref.sequence > known.ref.sequence) known.ref = ref
      if (evidence !== 'hearsay') known.heardAt = now
      return false
    }
    this.departed.delete(ref.peer)
    this.departedLately.delete(ref.peer)
    this.members.set(ref.peer, { ref, heardAt: now })
    return true
  }

  /** True where it was a member. */
  depart(peer: PeerId, now: Instant): boolean {
    this.departed.add(peer, now)
    this.departedLately.add(peer, now)
    return this.members.delete(peer)
  }

  /** Drops a member without a word about its being gone; hearsay may bring it back. */
  delete(peer: PeerId): boolean {
    return this.members.delete(peer)
  }
}
