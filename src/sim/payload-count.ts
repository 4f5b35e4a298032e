/**
 * Follows payloads from outside: how often one reaches a session's end, and over how many members it came there. A
 * payload is seen where a packet that carries it is sealed and opened. Relays open nothing of what they pass on, so they
 * are no hops, and their copies do not count. A payload is a mark of 16 bytes and a number of two, then anything.
 */
import { hexOfBytes } from '../core/base/hex.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { AeadKey, CryptoSuite } from '../core/crypto/suite.ts'

export const MARK_BYTES = 16

export class PayloadCount {
  opened = 0
  private readonly inner: CryptoSuite
  private mark: Uint8Array | null = null
  /** By the payload's number: how many hops each peer is from where it began. */
  private readonly hops = new Map<number, Map<PeerId, number>>()
  /** Sealed packets by key and nonce: how many hops from its beginning each payload was in there. */
  private readonly underWay = new Map<string, Map<number, number>>()

  constructor(inner: CryptoSuite) {
    this.inner = inner
  }

  /** The suite that this peer is to use. */
  suiteOf(peer: PeerId): CryptoSuite {
    const { inner } = this
    return { ...inner, aeadKey: (cipher, key) => this.watched(inner.aeadKey(cipher, key), peer, hexOfBytes(key)) }
  }

  /** From here on payloads that begin with the same bytes as this one count. */
  watch(payload: Uint8Array): void {
    this.mark = payload.slice(0, MARK_BYTES)
  }

  /** The payload of that number is about to leave from here. */
  begin(number: number, origin: PeerId): void {
    this.hops.set(number, new Map([[origin, 0]]))
  }

  /** How many hops each peer that opened it is from the origin, by the way of the first copy. */
  hopsOf(number: number): ReadonlyMap<PeerId, number> {
    return this.hops.get(number) ?? new Map()
  }

  private watched(key: AeadKey, peer: PeerId, keyName: string): AeadKey {
    return {
      seal: (nonce, associated, parts, spareBytes) => {
        if (this.mark !== null) this.onSealed(peer, keyName + hexOfBytes(nonce), joined(parts))
        return key.seal(nonce, associated, parts, spareBytes)
      },
      open: (nonce, associated, sealed, start, end) => {
        const plaintext = key.open(nonce, associated, sealed, start, end)
        if (plaintext !== null && this.mark !== null) this.onOpened(peer, keyName + hexOfBytes(nonce), plaintext)
        return plaintext
      },
    }
  }

  private onSealed(peer: PeerId, packet: string, plaintext: Uint8Array): void {
    const left = new Map<number, number>()
    for (const number of this.numbersIn(plaintext)) {
      const hops = this.hops.get(number)?.get(peer)
      if (hops !== undefined) left.set(number, hops)
    }
    if (left.size > 0) this.underWay.set(packet, left)
  }

  private onOpened(peer: PeerId, packet: string, plaintext: Uint8Array): void {
    const left = this.underWay.get(packet)
    for (const number of this.numbersIn(plaintext)) {
      this.opened += 1
      const before = left?.get(number)
      const hops = this.hops.get(number)
      if (before !== undefined && hops?.has(peer) === false) hops.set(peer, before + 1)
    }
  }

  private numbersIn(bytes: Uint8Array): number[] {
    const { mark } = this
    const numbers: number[] = []
    if (mark === null || bytes.length < mark.length) return numbers
    for (let at = bytes.indexOf(mark[0]!); at >= 0; at = bytes.indexOf(mark[0]!, at + 1)) {
      let same = 1
      while (same < mark.length && bytes[at + same] === mark[same]) same += 1
      const after = at + mark.length
      if (same === mark.length) numbers.push(((bytes[after] ?? 0) << 8) | (bytes[after + 1] ?? 0))
    }
    return numbers
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
