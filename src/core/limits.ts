/**
 * Every bound and interval of the core, with its reason, by layer. What a stranger can grow has its ceiling here.
 * Relations between them are asserted at the end.
 */
import { invariant } from './base/invariant.ts'

// ---- wire (spec 3) ----

/** A packet's plaintext: above 64 KiB nothing is gained, below it the cost per packet shows. */
export const PACKET_PLAINTEXT_BYTES_MAX = 65_536
/** A frame's body: a full packet, its number and tag, and the headers of nested circuits. */
export const FRAME_BYTES_MAX = PACKET_PLAINTEXT_BYTES_MAX + 512
/** What may wait in the process for one wire's socket before sessions hold back. */
export const WIRE_QUEUE_BYTES_MAX = 1_048_576

// ---- session (spec 4) ----

// ---- overlay (spec 5) ----

// ---- registry (spec 6) ----

// ---- service (spec 7) ----

invariant(FRAME_BYTES_MAX < 2 ** 24, 'the first byte of a frame on a shared port is zero')
