/** Refs of peers that accept dials, for tests of the overlay's pieces. */
import { type PeerRef, REF_LIFETIME_MS, signPeerRef } from '../crypto/peer-ref.ts'
import { nativeSuite, testIdentity } from '../crypto/suite.fixtures.ts'

export const WALL = 1_800_000_000_000

/** Of the peer whose identity is made of that byte. */
export function publicRef(byte: number, capacity = 24): PeerRef {
  return signPeerRef(nativeSuite, testIdentity(nativeSuite, byte), {
    sequence: 1,
    expires: WALL + REF_LIFETIME_MS,
    relays: true,
    rendezvous: [],
    capacity,
    addresses: [{ scheme: 'tcp', host: `5.5.${byte}.1`, port: 4_100, extra: '' }],
  })
}
