/**
 * The memory that sockets read into. All share one large buffer, since a read is handled before the next one starts. A
 * relay writes what it just read without copying it: memory so lent must not be read into again until it is written, so
 * a socket whose bytes are lent gets buffers of its own from a bounded pool for as long as that goes on. Large frames
 * that reads have cut are put together in memory that is used again too: fresh memory is what garbage collections cost.
 */
import { FRAME_BYTES_MAX } from '../../core/limits.ts'

export const READ_BUFFER_BYTES = 262_144
/** 8 MiB at most; when all are lent, relayed bytes are copied. */
const OWN_BUFFERS_MAX = 32
/** For a frame with its length. */
export const FRAME_BUFFER_BYTES = FRAME_BYTES_MAX + 4
/** 1 MiB kept for later; each wire in the middle of a large frame holds one. */
const FREE_FRAME_BUFFERS_MAX = 16

export interface ReadBuffer {
  readonly bytes: Uint8Array
  /** Writes under way that use its memory. */
  lent: number
  /** Whether a socket will read into it. */
  held: boolean
}

export class ReadBuffers {
  private sharedBuffer: ReadBuffer | null = null
  private readonly free: ReadBuffer[] = []
  private readonly freeFrames: ReadBuffer[] = []
  private ownBuffers = 0
  /** The buffer whose bytes are being handled now. */
  private reading: ReadBuffer | null = null
  private sharedWanted = false

  get shared(): ReadBuffer {
    this.sharedBuffer ??= newBuffer(READ_BUFFER_BYTES)
    return this.sharedBuffer
  }

  /** Before the bytes of one read are handed on. */
  startReading(buffer: ReadBuffer): void {
    this.reading = buffer
    this.sharedWanted = false
  }

  /** After: the buffer for the next read of the same socket. */
  finishReading(buffer: ReadBuffer): ReadBuffer {
    this.reading = null
    if (buffer === this.shared) return this.sharedWanted ? this.takeOwn() : buffer
    if (buffer.lent > 0) {
      buffer.held = false
      return this.takeOwn()
    }
    this.giveBack(buffer)
    return this.shared
  }

  /** A socket will read no more into it, or its frame has been handled. */
  giveBack(buffer: ReadBuffer): void {
    if (buffer === this.sharedBuffer) return
    buffer.held = false
    if (buffer.lent === 0) this.keep(buffer)
  }

  /** For a frame that is put together. */
  takeFrame(): ReadBuffer {
    const buffer = this.freeFrames.pop() ?? newBuffer(FRAME_BUFFER_BYTES)
    buffer.held = true
    return buffer
  }

  /** Hands a frame on, within a read or without one. */
  whileReading(frame: ReadBuffer, handle: () => void): void {
    const { reading } = this
    this.reading = frame
    handle()
    this.reading = reading
    this.giveBack(frame)
  }

  /** The buffer of which `chunk` is a view and which must be kept until `returned`; null for all other memory. */
  lend(chunk: Uint8Array): ReadBuffer | null {
    const { reading } = this
    if (reading === null || chunk.buffer !== reading.bytes.buffer || reading === this.shared) return null
    reading.lent += 1
    return reading
  }

  /** True for a view of memory that will be read into before a write is over: write a copy. */
  mustCopy(chunk: Uint8Array): boolean {
    if (this.reading === null || this.reading !== this.sharedBuffer) return false
    if (chunk.buffer !== this.reading.bytes.buffer) return false
    this.sharedWanted = true
    return true
  }

  returned(buffer: ReadBuffer): void {
    buffer.lent -= 1
    if (buffer.lent === 0 && !buffer.held) this.keep(buffer)
  }

  private keep(buffer: ReadBuffer): void {
    if (buffer.bytes.length === READ_BUFFER_BYTES) this.free.push(buffer)
    else if (this.freeFrames.length < FREE_FRAME_BUFFERS_MAX) this.freeFrames.push(buffer)
  }

  private takeOwn(): ReadBuffer {
    let own = this.free.pop()
    if (own === undefined) {
      if (this.ownBuffers === OWN_BUFFERS_MAX) return this.shared
      this.ownBuffers += 1
      own = newBuffer(READ_BUFFER_BYTES)
    }
    own.held = true
    return own
  }
}

function newBuffer(bytes: number): ReadBuffer {
  return { bytes: freshMemory(bytes), lent: 0, held: true }
}

/** Memory of its own, not zeroed. */
export function freshMemory(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
}

/** The core copies by `slice`, which a Buffer answers with a view: it must never see one. */
export function withoutBuffer(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}
