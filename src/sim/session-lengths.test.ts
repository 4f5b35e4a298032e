import { expect, it } from 'vitest'
import { Rng } from '../core/base/rng.ts'
import { drawSessionLength } from './session-lengths.ts'

it('half of all sessions are shorter than the median, a few very much longer', () => {
  const rng = new Rng(1)
  const lengths = Array.from({ length: 20_000 }, () => drawSessionLength(rng, 10)).sort((a, b) => a - b)
  expect(lengths[10_000]).toBeGreaterThan(9.5)
  expect(lengths[10_000]).toBeLessThan(10.5)
  expect(lengths[19_000]).toBeGreaterThan(100)
  expect(lengths[0]).toBeGreaterThan(0)
  expect(lengths.at(-1)).toBeLessThanOrEqual(600)
})
