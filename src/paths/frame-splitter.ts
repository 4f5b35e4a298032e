/**
 * Cuts a byte stream at frame borders (spec 3.1). Whole frames go on as slices of the chunk they came in, many in one;
 * only a frame that spans chunks is put together, in memory of its own. A wrong length is noticed as soon as it is read.
 *
 *   length u32 (of all that follows) | label u32 | body
 */
import { readU32, writeU32 } from '../core/base/bytes.ts'
import type { Fault } from '../core/base/fault.ts'
import { FRAME_BYTES_MAX } from '../core/limits.ts'

const LENGTH_BYTES = 4
const LABEL_BYTES = 4

export interface FrameReceiver {
  onFrames(bytes: Uint8Array): void
}

export class FrameSplitter {
  private readonly allocate: (length: number) => Uint8Array
  /** The frame that is being put together, once its length is known. */
  private frame: Uint8Array | null = null
  private filled = 0
  /** The bytes of a length that was cut, as a number, and how many there are. */
  private lengthPart = 0
  private lengthPartBytes = 0

  /** `allocate` may give memory that is not zeroed. */
  constructor(allocate: (length: number) => Uint8Array = length => new Uint8Array(length)) {
    this.allocate = allocate
  }

  /** True in the middle of a frame: a wire that ends now was cut short. */
  get partial(): boolean {
    return this.frame !== null || this.lengthPartBytes > 0
  }

  /** Hands on all whole frames. The fault, if any, is of what follows them; the wire is done with then. */
  push(chunk: Uint8Array, receiver: FrameReceiver): Fault | null {
    let start = 0
    if (this.lengthPartBytes > 0) {
      while (this.lengthPartBytes < LENGTH_BYTES && start < chunk.length) this.takeLengthByte(chunk[start++]!)
      if (this.lengthPartBytes < LENGTH_BYTES) return null
      const length = this.lengthPart
      const fault = faultOfLength(length)
      if (fault !== null) return fault
      this.begin(length)
    }
    if (this.frame !== null) {
      start = this.fill(chunk, start)
      if (this.filled < this.frame.length) return null
      const { frame } = this
      this.frame = null
      receiver.onFrames(frame)
    }

    let end = start
    let fault: Fault | null = null
    let missing = 0
    while (chunk.length - end >= LENGTH_BYTES) {
      const length = readU32(chunk, end)
      fault = faultOfLength(length)
      if (fault !== null) break
      if (chunk.length - end - LENGTH_BYTES < length) {
        missing = length
        break
      }
      end += LENGTH_BYTES + length
    }
    // The tail is kept before the frames go on: their receiver may hand the chunk's memory back.
    if (fault === null) this.keep(chunk, end, missing)
    if (end > start) receiver.onFrames(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end))
    return fault
  }

  private keep(chunk: Uint8Array, start: number, length: number): void {
    if (length > 0) {
      this.begin(length)
      this.fill(chunk, start + LENGTH_BYTES)
    } else {
      for (let at = start; at < chunk.length; at += 1) this.takeLengthByte(chunk[at]!)
    }
  }

  private takeLengthByte(byte: number): void {
    this.lengthPart = this.lengthPart * 256 + byte
    this.lengthPartBytes += 1
  }

  private begin(length: number): void {
    this.frame = this.allocate(LENGTH_BYTES + length)
    writeU32(this.frame, 0, length)
    this.filled = LENGTH_BYTES
    this.lengthPart = 0
    this.lengthPartBytes = 0
  }

  private fill(chunk: Uint8Array, start: number): number {
    const { frame } = this
    if (frame === null) return start
    const end = Math.min(chunk.length, start + frame.length - this.filled)
    frame.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.filled)
    this.filled += end - start
    return end
  }
}

function faultOfLength(length: number): Fault | null {
  if (length > FRAME_BYTES_MAX) return { code: 'frame-too-large', got: length, limit: FRAME_BYTES_MAX }
  if (length < LABEL_BYTES)
    return { code: 'malformed', detail: 'a frame shorter than its label', got: length, limit: 4 }
  return null
}
