/**
 * What goes before any stream's data: messages, and whole encoded frames (pings, resets). A message becomes a frame only
 * within its packet, so that it is copied once. A list by links, since most hold one item for the length of a step.
 */
import { CONTROL_QUEUE_BYTES_MAX } from '../limits.ts'
import type { PacketContent } from './packet-content.ts'
import { addMessageFrame, messageFrameBytes } from './session-frames.ts'

/** What a short frame costs beside its bytes. */
const OVERHEAD_BYTES = 64
/** In place of a message's channel: the bytes are a whole frame. */
const FRAME = -1

interface Queued {
  readonly channel: number
  readonly bytes: Uint8Array
  next: Queued | null
}

export class ControlQueue {
  private first: Queued | null = null
  private last: Queued | null = null
  bytes = 0

  get empty(): boolean {
    return this.first === null
  }

  get full(): boolean {
    return this.bytes >= CONTROL_QUEUE_BYTES_MAX
  }

  push(frame: Uint8Array): void {
    this.add(FRAME, frame)
  }

  /** The bytes are the queue's from now on. */
  pushMessage(channel: number, bytes: Uint8Array): void {
    this.add(channel, bytes)
  }

  fill(content: PacketContent): void {
    let item = this.first
    while (item !== null) {
      const length = lengthOf(item)
      if (length > content.room) break
      if (item.channel === FRAME) content.add(item.bytes)
      else addMessageFrame(content, item.channel, item.bytes)
      this.bytes -= length + OVERHEAD_BYTES
      item = item.next
    }
    this.first = item
    if (item === null) this.last = null
  }

  clear(): void {
    this.first = null
    this.last = null
    this.bytes = 0
  }

  private add(channel: number, bytes: Uint8Array): void {
    const item: Queued = { channel, bytes, next: null }
    if (this.last === null) this.first = item
    else this.last.next = item
    this.last = item
    this.bytes += lengthOf(item) + OVERHEAD_BYTES
  }
}

function lengthOf(item: Queued): number {
  return item.channel === FRAME ? item.bytes.length : messageFrameBytes(item.bytes)
}
