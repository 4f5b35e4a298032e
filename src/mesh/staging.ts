/**
 * Where small writes of all streams wait for the end of the turn: one slab for the whole peer, so that an idle stream
 * holds no buffer. Writes of one stream that follow each other form one run, and go to the core as one chunk.
 */

/** Large enough for a full packet of small writes, small enough that a held-back stream does not keep much alive. */
const SLAB_BYTES = 65_536

export class Staging {
  slab = new Uint8Array(SLAB_BYTES)
  used = 0

  /** Room for `length` bytes (at most a slab): where they start in `slab`. */
  reserve(length: number): number {
    if (this.used + length > this.slab.length) {
      // The core keeps views of the old slab until their bytes are sealed.
      this.slab = new Uint8Array(SLAB_BYTES)
      this.used = 0
    }
    const start = this.used
    this.used += length
    return start
  }
}
