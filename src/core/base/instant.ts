/** Monotonic milliseconds since the peer started, given by the caller of `step` (never read from a clock here). */
export type Instant = number

/** Wall-clock milliseconds since 1970: only for what is compared between peers (sequence numbers, expiry). */
export type WallTime = number

/** The earlier of two deadlines, where null means none. */
export function earlier(a: Instant | null, b: Instant | null): Instant | null {
  if (a === null) return b
  if (b === null) return a
  return a < b ? a : b
}
