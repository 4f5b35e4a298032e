/**
 * Protection of a session's packets, both ways (spec 4.1.6). The nonce is the packet's number; a direction's key is
 * exchanged every PACKETS_PER_KEY packets, so that it depends on the number alone and needs no message. Numbers come in
 * unproven: whatever a stranger writes there costs at most one key derivation. Acknowledgement and order are the session's.
 */
import { invariant } from '../base/invariant.ts'
import { PACKETS_PER_KEY } from '../limits.ts'
import { nextKey, nonceOf } from './noise-cipher.ts'
import type { AeadKey, CipherName, CryptoSuite } from './suite.ts'

/** Which keys are current, the first being 0; made when the first of them is exchanged. */
interface Epochs {
  sending: number
  receiving: number
  /** For packets that were sealed before the exchange and come late. */
  previous: AeadKey | null
  /** Derived when a packet claims the next epoch, current only when such a packet opens. */
  next: AeadKey | null
}

export class PacketCipher {
  private readonly suite: CryptoSuite
  private readonly cipher: CipherName
  /** Bytes until the first packet: a handshake that comes to nothing imports no key. */
  private sendKey: Uint8Array | AeadKey
  private receiveKey: Uint8Array | AeadKey
  private epochs: Epochs | null = null
  /** Of all packets that this side has sealed, one past the highest. */
  unusedNumber = 0

  constructor(suite: CryptoSuite, cipher: CipherName, sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.suite = suite
    this.cipher = cipher
    this.sendKey = sendKey
    this.receiveKey = receiveKey
  }

  /**
   * Seals once for each number, in rising order: a number used twice would give the key away. The first buffer begins with
   * `spareBytes` zeros.
   */
  seal(number: number, associated: Uint8Array, parts: readonly Uint8Array[], spareBytes = 0): Uint8Array[] {
    invariant(number >= this.unusedNumber && number < 2 ** 48, 'each packet has a number of its own')
    this.unusedNumber = number + 1
    const epoch = epochOf(number)
    if (epoch > 0) this.sendIn(epoch)
    return this.sendingKey().seal(nonceOf(this.cipher, number), associated, parts, spareBytes)
  }

  /** The plaintext of `sealed[start, end)` in fresh memory, or null where it is not authentic or its key is long gone. */
  open(number: number, associated: Uint8Array, sealed: Uint8Array, start = 0, end = sealed.length): Uint8Array | null {
    const ahead = epochOf(number) - (this.epochs?.receiving ?? 0)
    const key =
      ahead === 0
        ? this.receivingKey()
        : ahead === 1
          ? this.nextReceivingKey()
          : ahead === -1
            ? (this.epochs?.previous ?? null)
            : null
    const opened = key?.open(nonceOf(this.cipher, number), associated, sealed, start, end) ?? null
    if (ahead === 1 && opened !== null) this.receiveInNext()
    return opened
  }

  /** A number for a packet that is not sealed. */
  takeNumber(): number {
    const number = this.unusedNumber
    this.unusedNumber += 1
    return number
  }

  /** A packet that was not sealed came under this number: what is sealed after it may have the next key. */
  passNumber(number: number): boolean {
    const ahead = epochOf(number) - (this.epochs?.receiving ?? 0)
    if (ahead > 1) return false
    if (ahead === 1) this.receiveInNext()
    return true
  }

  private sendIn(epoch: number): void {
    const epochs = this.madeEpochs()
    while (epochs.sending < epoch) {
      this.sendKey = this.suite.aeadKey(this.cipher, nextKey(this.sendingKey()))
      epochs.sending += 1
    }
  }

  private receiveInNext(): void {
    const epochs = this.madeEpochs()
    const next = this.nextReceivingKey()
    epochs.previous = this.receivingKey()
    epochs.next = null
    epochs.receiving += 1
    this.receiveKey = next
  }

  private nextReceivingKey(): AeadKey {
    const epochs = this.madeEpochs()
    epochs.next ??= this.suite.aeadKey(this.cipher, nextKey(this.receivingKey()))
    return epochs.next
  }

  private sendingKey(): AeadKey {
    if (this.sendKey instanceof Uint8Array) this.sendKey = this.suite.aeadKey(this.cipher, this.sendKey)
    return this.sendKey
  }

  private receivingKey(): AeadKey {
    if (this.receiveKey instanceof Uint8Array) this.receiveKey = this.suite.aeadKey(this.cipher, this.receiveKey)
    return this.receiveKey
  }

  private madeEpochs(): Epochs {
    this.epochs ??= { sending: 0, receiving: 0, previous: null, next: null }
    return this.epochs
  }
}

function epochOf(number: number): number {
  return Math.floor(number / PACKETS_PER_KEY)
}
