/**
 * Where far links lead (spec 5.2): ring distances from the harmonic distribution, which makes greedy routing take the
 * fewest steps (Kleinberg 2000; Symphony, Manku et al. 2003). Drawn as a random octave and a place in it: no logarithm,
 * whose last bits differ between engines.
 */
import { clockwise, POSITION_BITS, type Position, RING } from '../base/position.ts'
import type { Rng } from '../base/rng.ts'

/** A position at a harmonically distributed distance from `self`, in a network of about `peers`. */
export function drawFarTarget(self: Position, peers: number, rng: Rng): Position {
  let octaves = 1
  while (2 ** octaves < peers && octaves < POSITION_BITS) octaves += 1
  const octave = POSITION_BITS - 1 - rng.below(octaves)
  const distance = Math.floor(2 ** octave * (1 + rng.unit()))
  return (self + distance) % RING
}

/** Servers: what leads to them leads on. */
const HUB_CAPACITY_MIN = 128

/** Whether a public peer of this capacity may be somebody's hub: the nearest of those, over which it is found from afar. */
export function mayBeHub(capacity: number): boolean {
  return capacity >= HUB_CAPACITY_MIN
}

/**
 * How unlike two distances are: 0 for equal ones, more for each octave between them. A peer of larger capacity may lie
 * further off its place: servers first, desktops five octaves behind, tabs nine (prototype, rule 11).
 */
export function farMismatch(self: Position, target: Position, candidate: Position, capacity: number): number {
  const wanted = Math.max(1, clockwise(self, target))
  const got = Math.max(1, clockwise(self, candidate))
  const ratio = wanted > got ? wanted / got : got / wanted
  let octaves = 0
  let rest = ratio
  while (rest >= 2) {
    rest /= 2
    octaves += 1
  }
  const handicap = mayBeHub(capacity) ? 0 : capacity >= 24 ? 5 : 9
  return octaves + (rest - 1) + handicap
}
