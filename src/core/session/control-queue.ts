/** Whole encoded frames that go before any stream's data: messages, pings, resets. Holds nothing while empty. */
import { CONTROL_QUEUE_BYTES_MAX } from '../limits.ts'
import type { PacketContent } from './packet-content.ts'

/** What a short frame costs beside its bytes. */
const OVERHEAD_BYTES = 64

export class ControlQueue {
  private frames: Uint8Array[] | null = null
  private at = 0
  bytes = 0

  get empty(): boolean {
    return this.frames === null
  }

  get full(): boolean {
    return this.bytes >= CONTROL_QUEUE_BYTES_MAX
  }

  push(frame: Uint8Array): void {
    this.frames ??= []
    this.frames.push(frame)
    this.bytes += frame.length + OVERHEAD_BYTES
  }

  fill(content: PacketContent): void {
    const { frames } = this
    if (frames === null) return
    while (this.at < frames.length) {
      const frame = frames[this.at]!
      if (frame.length > content.room) break
      content.add(frame)
      this.bytes -= frame.length + OVERHEAD_BYTES
      this.at += 1
    }
    if (this.at === frames.length) this.clear()
  }

  clear(): void {
    this.frames = null
    this.at = 0
    this.bytes = 0
  }
}
