/**
 * How long peers stay: heavy-tailed about the median, as measured of peer-to-peer networks (Stutzbach and Rejaie 2006).
 * Quantiles of a lognormal distribution with σ = 1.5, interpolated: exp differs in its last bits between machines.
 */
import type { Rng } from '../core/base/rng.ts'

/** The share of sessions that are over by then, and the length in medians. */
const QUANTILES: readonly (readonly [share: number, medians: number])[] = [
  [0, 0.01],
  [0.025, 0.0529],
  [0.05, 0.0848],
  [0.1, 0.146],
  [0.15, 0.211],
  [0.2, 0.283],
  [0.25, 0.364],
  [0.3, 0.455],
  [0.35, 0.561],
  [0.4, 0.684],
  [0.45, 0.828],
  [0.5, 1],
  [0.55, 1.21],
  [0.6, 1.46],
  [0.65, 1.78],
  [0.7, 2.2],
  [0.75, 2.75],
  [0.8, 3.53],
  [0.85, 4.73],
  [0.9, 6.84],
  [0.95, 11.8],
  [0.975, 18.9],
  [0.99, 32.8],
  [1, 60],
]

/** In the unit of the median. */
export function drawSessionLength(rng: Rng, median: number): number {
  const unit = rng.unit()
  let below = QUANTILES[0]!
  for (const above of QUANTILES) {
    if (unit < above[0]) return median * interpolate(below, above, unit)
    below = above
  }
  return median * below[1]
}

function interpolate(below: readonly [number, number], above: readonly [number, number], unit: number): number {
  return below[1] + ((above[1] - below[1]) * (unit - below[0])) / (above[0] - below[0])
}
