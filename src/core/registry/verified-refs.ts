/**
 * Reads refs that others hand over, and checks a signature only once for the same bytes. Peers of one process may share
 * one of these (the simulator's do): what a ref says is the same for all.
 */
import { equalBytes, readU32 } from '../base/bytes.ts'
import { fail, ok, type Result } from '../base/fault.ts'
import type { WallTime } from '../base/instant.ts'
import { PEER_ID_BYTES } from '../base/peer-id.ts'
import { type PeerRef, readPeerRef } from '../crypto/peer-ref.ts'
import type { CryptoSuite } from '../crypto/suite.ts'
import { VERIFIED_REFS_MAX } from '../limits.ts'

export class VerifiedRefs {
  private readonly suite: CryptoSuite
  private readonly generationMax: number
  /** By the first bytes of the key: of two peers that share them, the one read last is kept. */
  private newer = new Map<number, PeerRef>()
  /** Dropped as a whole when the newer ones are many: what is still read has moved over by then. */
  private older = new Map<number, PeerRef>()

  /** Holds at most `refsMax` refs. */
  constructor(suite: CryptoSuite, refsMax = VERIFIED_REFS_MAX) {
    this.suite = suite
    this.generationMax = Math.ceil(refsMax / 2)
  }

  /** Faults: those of `readPeerRef`. */
  read(bytes: Uint8Array, wallTime: WallTime): Result<PeerRef> {
    if (bytes.length < 1 + PEER_ID_BYTES) return fail({ code: 'invalid-ref' })
    const key = readU32(bytes, 1)
    const newer = this.newer.get(key)
    const known = newer ?? this.older.get(key)
    if (known !== undefined && equalBytes(known.bytes, bytes)) {
      if (known.expires <= wallTime) return fail({ code: 'ref-expired' })
      if (newer === undefined) this.keep(key, known)
      return ok(known)
    }
    const read = readPeerRef(this.suite, bytes, wallTime)
    if (read.ok) this.keep(key, read.value)
    return read
  }

  /** Takes in a ref that was made here: the same bytes are it. */
  add(ref: PeerRef): void {
    this.keep(readU32(ref.bytes, 1), ref)
  }

  private keep(key: number, ref: PeerRef): void {
    this.newer.set(key, ref)
    if (this.newer.size < this.generationMax) return
    this.older = this.newer
    this.newer = new Map()
  }
}
