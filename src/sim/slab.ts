/**
 * Memory for many short-lived byte arrays: cut from larger pieces, since each array with a buffer of its own costs the
 * engine a call of malloc and a record for its collector. A piece goes when the last of its arrays has gone.
 */
const SLAB_BYTES = 16_384
/** What is larger has a buffer of its own. */
const CUT_BYTES_MAX = 2_048

export class Slab {
  private buffer = new ArrayBuffer(SLAB_BYTES)
  private used = 0

  /** Zeros. */
  take(length: number): Uint8Array {
    if (length > CUT_BYTES_MAX) return new Uint8Array(length)
    if (this.used + length > SLAB_BYTES) {
      this.buffer = new ArrayBuffer(SLAB_BYTES)
      this.used = 0
    }
    const bytes = new Uint8Array(this.buffer, this.used, length)
    this.used += length
    return bytes
  }
}
