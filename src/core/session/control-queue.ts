/**
 * What goes before any stream's data: messages, and whole encoded frames (pings, resets). A message becomes a frame only
 * within its packet, so that it is copied once. Holds nothing while empty.
 */
import { CONTROL_QUEUE_BYTES_MAX } from '../limits.ts'
import type { PacketContent } from './packet-content.ts'
import { addMessageFrame, messageFrameBytes } from './session-frames.ts'

/** What a short frame costs beside its bytes. */
const OVERHEAD_BYTES = 64

interface QueuedMessage {
  readonly channel: number
  readonly bytes: Uint8Array
}

export class ControlQueue {
  private frames: (Uint8Array | QueuedMessage)[] | null = null
  private at = 0
  bytes = 0

  get empty(): boolean {
    return this.frames === null
  }

  get full(): boolean {
    return this.bytes >= CONTROL_QUEUE_BYTES_MAX
  }

  push(frame: Uint8Array): void {
    this.add(frame, frame.length)
  }

  /** The bytes are the queue's from now on. */
  pushMessage(channel: number, bytes: Uint8Array): void {
    this.add({ channel, bytes }, messageFrameBytes(bytes))
  }

  fill(content: PacketContent): void {
    const { frames } = this
    if (frames === null) return
    while (this.at < frames.length) {
      const item = frames[this.at]!
      const isFrame = item instanceof Uint8Array
      const length = isFrame ? item.length : messageFrameBytes(item.bytes)
      if (length > content.room) break
      if (isFrame) content.add(item)
      else addMessageFrame(content, item.channel, item.bytes)
      this.bytes -= length + OVERHEAD_BYTES
      this.at += 1
    }
    if (this.at === frames.length) this.clear()
  }

  clear(): void {
    this.frames = null
    this.at = 0
    this.bytes = 0
  }

  private add(item: Uint8Array | QueuedMessage, length: number): void {
    this.frames ??= []
    this.frames.push(item)
    this.bytes += length + OVERHEAD_BYTES
  }
}
