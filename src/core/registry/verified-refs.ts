/** Reads refs that others hand over, and checks a signature only once for the same bytes. */
import { equalBytes } from '../base/bytes.ts'
import { fail, ok, type Result } from '../base/fault.ts'
import type { WallTime } from '../base/instant.ts'
import { PEER_ID_BYTES, type PeerId, peerIdOfBytes } from '../base/peer-id.ts'
import { type PeerRef, readPeerRef } from '../crypto/peer-ref.ts'
import type { CryptoSuite } from '../crypto/suite.ts'
import { VERIFIED_REFS_MAX } from '../limits.ts'

export class VerifiedRefs {
  private readonly suite: CryptoSuite
  /** Least lately read first. */
  private readonly refs = new Map<PeerId, PeerRef>()

  constructor(suite: CryptoSuite) {
    this.suite = suite
  }

  /** Faults: those of `readPeerRef`. */
  read(bytes: Uint8Array, wallTime: WallTime): Result<PeerRef> {
    if (bytes.length < 1 + PEER_ID_BYTES) return fail({ code: 'invalid-ref' })
    const peer = peerIdOfBytes(bytes.subarray(1, 1 + PEER_ID_BYTES))
    const known = this.refs.get(peer)
    this.refs.delete(peer)
    if (known !== undefined && equalBytes(known.bytes, bytes)) {
      if (known.expires <= wallTime) return fail({ code: 'ref-expired' })
      this.refs.set(peer, known)
      return ok(known)
    }
    const read = readPeerRef(this.suite, bytes, wallTime)
    const kept = read.ok ? read.value : known
    if (kept !== undefined) this.refs.set(peer, kept)
    if (this.refs.size > VERIFIED_REFS_MAX) for (const oldest of this.refs.keys()) if (this.refs.delete(oldest)) break
    return read
  }
}
