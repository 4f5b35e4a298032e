/**
 * Counts how often a payload reaches a session's end: where a packet that carries it is opened. Relays open nothing of
 * what they pass on, so their copies do not count.
 */
import type { AeadKey, CryptoSuite } from '../core/crypto/suite.ts'

const MARK_BYTES = 16

export class PayloadCount {
  readonly suite: CryptoSuite
  opened = 0
  private mark: Uint8Array | null = null

  constructor(inner: CryptoSuite) {
    this.suite = { ...inner, aeadKey: (cipher, key) => this.watched(inner.aeadKey(cipher, key)) }
  }

  /** From here on payloads that begin with the same bytes as this one count. */
  watch(payload: Uint8Array): void {
    this.mark = payload.slice(0, MARK_BYTES)
  }

  private watched(key: AeadKey): AeadKey {
    return {
      seal: (nonce, associated, parts) => key.seal(nonce, associated, parts),
      open: (nonce, associated, sealed) => {
        const plaintext = key.open(nonce, associated, sealed)
        if (plaintext !== null) this.opened += this.countIn(plaintext)
        return plaintext
      },
    }
  }

  private countIn(bytes: Uint8Array): number {
    const { mark } = this
    if (mark === null || bytes.length < mark.length) return 0
    let count = 0
    for (let at = bytes.indexOf(mark[0]!); at >= 0; at = bytes.indexOf(mark[0]!, at + 1)) {
      let same = 1
      while (same < mark.length && bytes[at + same] === mark[same]) same += 1
      if (same === mark.length) count += 1
    }
    return count
  }
}
