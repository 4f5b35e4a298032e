/**
 * Frees the memory of sealed packets as soon as they are acknowledged, where the runtime can (Node 22 and later): waiting
 * for the garbage collector costs a quarter of a bulk transfer. A socket that still writes such memory holds it: the
 * other side may acknowledge what it never got.
 */

/** What is smaller lies in memory that it shares with others, or is not worth it. */
const HELD_BYTES_MIN = 16_384

// reason: the types know Node 20, which lacks it.
type Transferable = ArrayBufferLike & { transfer?: (length: number) => ArrayBuffer }

export class SpentMemory {
  private readonly writes = new Map<ArrayBufferLike, number>()
  private readonly spent = new Set<ArrayBufferLike>()

  /** A write begins. False where there is nothing to hold, and `letGo` is not called for it. */
  hold(bytes: Uint8Array): boolean {
    if (!isWhole(bytes)) return false
    this.writes.set(bytes.buffer, (this.writes.get(bytes.buffer) ?? 0) + 1)
    return true
  }

  /** The write is over. */
  letGo(bytes: Uint8Array): void {
    const { buffer } = bytes
    const left = (this.writes.get(buffer) ?? 1) - 1
    if (left > 0) {
      this.writes.set(buffer, left)
      return
    }
    this.writes.delete(buffer)
    if (this.spent.delete(buffer)) free(buffer)
  }

  /** Nobody will use it but the writes under way. */
  free(buffers: readonly Uint8Array[]): void {
    for (const bytes of buffers) {
      if (!isWhole(bytes)) continue
      if (this.writes.has(bytes.buffer)) this.spent.add(bytes.buffer)
      else free(bytes.buffer)
    }
  }

  /** What is held or waits, for tests of leaks. */
  get counts(): { readonly writes: number; readonly spent: number } {
    return { writes: this.writes.size, spent: this.spent.size }
  }
}

export const canFree = 'transfer' in ArrayBuffer.prototype

/** One for all sockets of the process: a packet may be on its way over two of them. */
export const spentMemory = new SpentMemory()

function isWhole(bytes: Uint8Array): boolean {
  return canFree && bytes.length >= HELD_BYTES_MIN && bytes.length === bytes.buffer.byteLength
}

function free(buffer: ArrayBufferLike): void {
  // reason: only of memory that `isWhole` has seen.
  ;(buffer as Transferable).transfer?.(0)
}
