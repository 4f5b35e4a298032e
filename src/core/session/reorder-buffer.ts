/**
 * Opened packets that came before an earlier one (spec 4.2), and their sequence numbers. What is in here is kept until
 * its turn comes: the acknowledgement says so, and the sender forgets it then.
 */
import { REORDER_BYTES_MAX, REORDER_PACKETS_MAX, REORDER_RANGES_MAX } from '../limits.ts'

/** What a short packet costs beside its bytes. */
const OVERHEAD_BYTES = 256

export class ReorderBuffer {
  private readonly packets = new Map<number, Uint8Array>()
  private bytes = 0
  /** Pairs of first and past-the-last sequence number, ascending, never touching. */
  readonly ranges: number[] = []

  get size(): number {
    return this.packets.size
  }

  /** False where it is held already or a bound would break: the packet is then as good as lost. */
  add(sequence: number, plaintext: Uint8Array): boolean {
    const cost = plaintext.length + OVERHEAD_BYTES
    if (this.packets.has(sequence)) return false
    if (this.packets.size >= REORDER_PACKETS_MAX || this.bytes + cost > REORDER_BYTES_MAX) return false
    if (!this.addToRanges(sequence)) return false
    this.packets.set(sequence, plaintext)
    this.bytes += cost
    return true
  }

  /** The packet with that sequence number, which must be the least held, or undefined. */
  take(sequence: number): Uint8Array | undefined {
    const plaintext = this.packets.get(sequence)
    if (plaintext === undefined) return undefined
    this.packets.delete(sequence)
    this.bytes -= plaintext.length + OVERHEAD_BYTES
    if (this.ranges[1] === sequence + 1) this.ranges.splice(0, 2)
    else this.ranges[0] = sequence + 1
    return plaintext
  }

  private addToRanges(sequence: number): boolean {
    const { ranges } = this
    let at = ranges.length
    while (at > 0 && ranges[at - 2]! > sequence) at -= 2
    // The ranges before `at` start below it; it joins the one before it, the one after it, both or none.
    const joinsBefore = at > 0 && ranges[at - 1] === sequence
    const joinsAfter = at < ranges.length && ranges[at] === sequence + 1
    if (joinsBefore && joinsAfter) ranges.splice(at - 1, 2)
    else if (joinsBefore) ranges[at - 1] = sequence + 1
    else if (joinsAfter) ranges[at] = sequence
    else {
      if (ranges.length >= 2 * REORDER_RANGES_MAX) return false
      ranges.splice(at, 0, sequence, sequence + 1)
    }
    return true
  }
}
