import { expect, it } from 'vitest'
import { meanHopsMax } from './settled.ts'

it.each([
  [2, 1],
  [10_000, 3.4],
  [31_623, 3.85],
  [100_000, 4.3],
  [1_000_000, 5],
  [4_000_000, 5],
])('the mean hops among %d peers are at most %f', (peers, hops) => {
  expect(meanHopsMax(peers)).toBeCloseTo(hops, 3)
})

it('few peers are given fewer hops than many', () => {
  const bounds = [2, 10, 24, 100, 300, 1_000, 10_000].map(meanHopsMax)
  expect(bounds).toEqual([...bounds].sort((a, b) => a - b))
  expect(meanHopsMax(100)).toBeCloseTo(2.1, 1)
})
