/**
 * Which publishers of a service are listed where there are more than fit (spec 6.4): those whose hash with the holder's
 * own secret is lowest. That is a uniform sample which nobody can aim at, and its highest hash tells how many there are
 * in all (k minimum values, Bar-Yossef et al. 2002).
 */
import { bytesOfPeerId, type PeerId } from '../base/peer-id.ts'
import { positionOfHash, RING } from '../base/position.ts'
import type { CryptoSuite } from '../crypto/suite.ts'

/** In [0, 1): lower stays. */
export function sampleRank(suite: CryptoSuite, secret: Uint8Array, peer: PeerId): number {
  return positionOfHash(suite.sha256(secret, bytesOfPeerId(peer))) / RING
}

/** How many publishers there are, given how many are listed and the highest rank among them. */
export function estimatedPublishers(listed: number, listedMax: number, highestRank: number): number {
  if (listed < listedMax || highestRank <= 0) return listed
  return Math.max(listed, Math.floor((listed - 1) / highestRank))
}
