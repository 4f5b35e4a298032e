/** One stream's state: what waits to be sent, how far both directions are, and how far they may go (spec 4.5). */
import type { StreamId } from '../input.ts'
import { STREAM_WINDOW_BYTES } from '../limits.ts'
import type { PacketContent } from './packet-content.ts'
import { FRAME_STREAM_DATA } from './session-frames.ts'

export class Stream {
  readonly id: StreamId
  /** The frame that opens it, until sent. */
  opening: Uint8Array | null
  private chunks: Uint8Array[] = []
  private at = 0
  queuedBytes = 0
  /** The queue passed its high mark: the writer waits to hear that it drained. */
  writerWaits = false
  ending = false
  sendEnded = false
  receiveEnded = false
  sentBytes = 0
  sentBytesMax = STREAM_WINDOW_BYTES
  receivedBytes = 0
  receivedBytesMax = STREAM_WINDOW_BYTES
  consumedBytes = 0
  creditDue = false
  /** Stands in the round of streams that have something to send. */
  inRound = false
  nextInRound: Stream | null = null

  constructor(id: StreamId, opening: Uint8Array | null) {
    this.id = id
    this.opening = opening
  }

  get hasWork(): boolean {
    if (this.opening !== null) return true
    if (this.queuedBytes > 0) return this.sentBytes < this.sentBytesMax
    return this.ending && !this.sendEnded
  }

  /** Both directions are over and everything was read. */
  get finished(): boolean {
    return this.sendEnded && this.receiveEnded && this.consumedBytes === this.receivedBytes
  }

  push(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      if (chunk.length === 0) continue
      this.chunks.push(chunk)
      this.queuedBytes += chunk.length
    }
  }

  /** Puts the first `length` queued bytes into the packet as one frame. */
  cut(length: number, content: PacketContent): void {
    content.u8(FRAME_STREAM_DATA)
    content.varint(this.id)
    content.varint(length)
    let left = length
    while (left > 0) {
      const chunk = this.chunks[this.at]!
      if (chunk.length <= left) {
        content.add(chunk)
        left -= chunk.length
        this.at += 1
      } else {
        content.add(chunk.subarray(0, left))
        this.chunks[this.at] = chunk.subarray(left)
        left = 0
      }
    }
    this.queuedBytes -= length
    this.sentBytes += length
    if (this.at === this.chunks.length) {
      this.chunks = []
      this.at = 0
    } else if (this.at >= 1024 && this.at * 2 > this.chunks.length) {
      this.chunks.splice(0, this.at)
      this.at = 0
    }
  }
}
