/**
 * A packet's plaintext while it is put together: small pieces are copied into one shared scratch, large ones are taken
 * as they are, so that a 64 KiB write passes uncopied from its writer to the cipher. One exists for all sessions: a
 * packet is begun, filled and sealed without anything in between.
 */
import { NO_BYTES, writeU32 } from '../base/bytes.ts'
import { invariant } from '../base/invariant.ts'
import { COPIED_PIECE_BYTES_MAX, PACKET_PLAINTEXT_BYTES_MAX } from '../limits.ts'

/** Views of the scratch's beginning up to this length are made once: most packets are one of these. */
const KEPT_VIEW_BYTES_MAX = 1_024

class PacketContent {
  private readonly scratch = new Uint8Array(PACKET_PLAINTEXT_BYTES_MAX)
  private readonly views: (Uint8Array | null)[] = new Array(KEPT_VIEW_BYTES_MAX + 1).fill(null)
  private readonly only: Uint8Array[] = [NO_BYTES]
  /** Null while all is in the scratch. */
  private parts: Uint8Array[] | null = null
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
    this.parts ??= []
    this.endCopied(this.parts)
    this.parts.push(piece)
  }

  u8(value: number): void {
    this.scratch[this.at++] = value
    this.length += 1
  }

  u32(value: number): void {
    writeU32(this.scratch, this.at, value)
    this.at += 4
    this.length += 4
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
    const { parts, at } = this
    if (parts !== null) this.endCopied(parts)
    this.parts = null
    this.copiedFrom = 0
    this.at = 0
    this.length = 0
    if (parts !== null) return parts
    this.only[0] = this.beginning(at)
    return this.only
  }

  private endCopied(parts: Uint8Array[]): void {
    if (this.at > this.copiedFrom) parts.push(this.scratch.subarray(this.copiedFrom, this.at))
    this.copiedFrom = this.at
  }

  private beginning(length: number): Uint8Array {
    let view = this.views[length] ?? null
    if (view === null) {
      view = this.scratch.subarray(0, length)
      if (length <= KEPT_VIEW_BYTES_MAX) this.views[length] = view
    }
    return view
  }
}

export type { PacketContent }
export const packetContent = new PacketContent()
