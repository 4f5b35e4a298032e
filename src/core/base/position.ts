/**
 * The ring: positions 0 … RING − 1, wrapping round. A peer's position is derived from its public key, a key's from its
 * bytes (spec 5.1). Positions hold 52 bits, so that every sum and difference is an exact number in JavaScript; at ten
 * million peers the chance that any two share one is below 2 %, and the order of peer ids settles such a tie.
 */
export type Position = number

export const POSITION_BITS = 52
export const RING = 2 ** POSITION_BITS

/** The first 52 bits of a SHA-256 hash. */
export function positionOfHash(hash: Uint8Array): Position {
  let value = 0
  for (let i = 0; i < 6; i += 1) value = value * 256 + hash[i]!
  return value * 16 + (hash[6]! >> 4)
}

/** How far `to` lies clockwise of `from`: 0 … RING − 1. */
export function clockwise(from: Position, to: Position): number {
  const gap = to - from
  return gap < 0 ? gap + RING : gap
}

/** The shorter way round: 0 … RING / 2. */
export function ringDistance(a: Position, b: Position): number {
  const gap = a < b ? b - a : a - b
  return gap > RING / 2 ? RING - gap : gap
}
