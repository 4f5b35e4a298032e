/** How a remembered peer lies in the store: under `ref/<peer id>`, its signed bytes. */
import type { PeerId } from '../base/peer-id.ts'

export const SAVED_REF_PREFIX = 'ref/'

export function savedRefKey(peer: PeerId): string {
  return SAVED_REF_PREFIX + peer
}

/** Whose ref lies under a key of that prefix. */
export function peerOfSavedRef(key: string): PeerId {
  // reason: whatever else the store held under this prefix names nobody, and is deleted under the same key.
  return key.slice(SAVED_REF_PREFIX.length) as PeerId
}
