/**
 * A packet's plaintext while it is put together: small pieces are copied into one shared scratch, large ones are taken
 * as they are, so that a 64 KiB write passes uncopied from its writer to the cipher. One exists for all sessions: a
 * packet is begun, filled and sealed without anything in between.
 */
import { invariant } from '../base/invariant.ts'
import { COPIED_PIECE_BYTES_MAX, PACKET_PLAINTEXT_BYTES_MAX } from '../limits.ts'

class PacketContent {
  private readonly scratch = new Uint8Array(PACKET_PLAINTEXT_BYTES_MAX)
  private parts: Uint8Array[] = []
  private copiedFrom = 0
  private at = 0
  length = 0

  get room(): number {
    return PACKET_PLAINTEXT_BYTES_MAX - this.length
  }

  add(piece: Uint8Array): void {
    this.length += piece.length
    if (piece.length <= COPIED_PIECE_BYTES_MAX) {
      this.scratch.set(piece, this.at)
      this.at += piece.length
      return
    }
    this.endCopied()
    this.parts.push(piece)
  }

  u8(value: number): void {
    this.scratch[this.at++] = value
    this.length += 1
  }

  varint(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.u8((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    this.u8(rest)
  }

  /** The parts, valid until the next packet is begun, which is from now on. */
  take(): Uint8Array[] {
    invariant(this.length <= PACKET_PLAINTEXT_BYTES_MAX, 'a packet is over its bound')
    this.endCopied()
    const parts = this.parts
    this.parts = []
    this.copiedFrom = 0
    this.at = 0
    this.length = 0
    return parts
  }

  private endCopied(): void {
    if (this.at > this.copiedFrom) this.parts.push(this.scratch.subarray(this.copiedFrom, this.at))
    this.copiedFrom = this.at
  }
}

export type { PacketContent }
export const packetContent = new PacketContent()
