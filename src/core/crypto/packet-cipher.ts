/**
 * Protection of one direction of a session's packets (spec 4.1.6). The nonce is the packet's number; the key is exchanged
 * every PACKETS_PER_KEY packets, so that it depends on the number alone and needs no message. Numbers come in unproven:
 * whatever a stranger writes there costs at most one key derivation. Acknowledgement and order are the session's.
 */
import { invariant } from '../base/invariant.ts'
import { PACKETS_PER_KEY } from '../limits.ts'
import { nextKey, nonceOf } from './noise-cipher.ts'
import type { AeadKey, CipherName, CryptoSuite } from './suite.ts'

export class PacketCipher {
  private readonly suite: CryptoSuite
  private readonly cipher: CipherName
  /** Which key is current: the first is 0. */
  private epoch = 0
  /** Until the first packet: a handshake that comes to nothing imports no key. */
  private firstKey: Uint8Array | null
  private current: AeadKey | null = null
  /** For packets that were sealed before the exchange and come late. */
  private previous: AeadKey | null = null
  /** Derived when a packet claims the next epoch, current only when such a packet opens. */
  private next: AeadKey | null = null
  private unusedNumber = 0

  constructor(suite: CryptoSuite, cipher: CipherName, key: Uint8Array) {
    this.suite = suite
    this.cipher = cipher
    this.firstKey = key
  }

  /** Seals once for each number, in rising order: a number used twice would give the key away. */
  seal(number: number, associated: Uint8Array, parts: readonly Uint8Array[]): Uint8Array[] {
    invariant(number >= this.unusedNumber && number < 2 ** 48, 'each packet has a number of its own')
    this.unusedNumber = number + 1
    const epoch = epochOf(number)
    while (this.epoch < epoch) this.advance()
    return this.currentKey().seal(nonceOf(this.cipher, number), associated, parts)
  }

  /** The plaintext in fresh memory, or null where the packet is not authentic or its key is long gone. */
  open(number: number, associated: Uint8Array, sealed: Uint8Array): Uint8Array | null {
    const ahead = epochOf(number) - this.epoch
    const key = ahead === 0 ? this.currentKey() : ahead === 1 ? this.nextKey() : ahead === -1 ? this.previous : null
    const opened = key?.open(nonceOf(this.cipher, number), associated, sealed) ?? null
    if (ahead === 1 && opened !== null) this.advance()
    return opened
  }

  private advance(): void {
    const current = this.nextKey()
    this.previous = this.currentKey()
    this.current = current
    this.next = null
    this.epoch += 1
  }

  private nextKey(): AeadKey {
    this.next ??= this.suite.aeadKey(this.cipher, nextKey(this.currentKey()))
    return this.next
  }

  private currentKey(): AeadKey {
    if (this.current === null) {
      invariant(this.firstKey !== null, 'a cipher has a key or its handle')
      this.current = this.suite.aeadKey(this.cipher, this.firstKey)
      this.firstKey = null
    }
    return this.current
  }
}

function epochOf(number: number): number {
  return Math.floor(number / PACKETS_PER_KEY)
}
