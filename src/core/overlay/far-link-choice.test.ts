import { describe, expect, it } from 'vitest'
import { clockwise, RING } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { drawFarTarget, farMismatch } from './far-link-choice.ts'

describe('the choice of far links', () => {
  it('aims at each octave of distance alike, none closer than the neighbours are', () => {
    const rng = new Rng(1)
    const self = RING - 1_000
    const peers = 1_000
    const counts = new Map<number, number>()
    for (let i = 0; i < 10_000; i += 1) {
      const target = drawFarTarget(self, peers, rng)
      expect(target).toBeGreaterThanOrEqual(0)
      expect(target).toBeLessThan(RING)
      expect(Number.isSafeInteger(target)).toBe(true)
      const distance = clockwise(self, target)
      expect(distance).toBeGreaterThanOrEqual(RING / 2_048)
      const octave = 51 - Math.floor(Math.log2(distance))
      counts.set(octave, (counts.get(octave) ?? 0) + 1)
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  })

  it.each([
    ['the place itself, a server', 1_000, 256, 0],
    ['twice as far, a server', 2_000, 256, 1],
    ['half as far, a server', 500, 128, 1],
    ['eight times as far, a server', 8_000, 128, 3],
    ['the place itself, a desktop', 1_000, 24, 5],
    ['the place itself, a tab', 1_000, 12, 9],
    ['this very peer, a server', 0, 256, 9 + 1_000 / 512 - 1],
  ])('finds fault with %s', (_what, candidate, capacity, mismatch) => {
    expect(farMismatch(0, 1_000, candidate, capacity)).toBeCloseTo(mismatch, 10)
  })

  it('likes one less the further it is off', () => {
    let last = -1
    for (let candidate = 1_000; candidate < 100_000; candidate += 37) {
      const mismatch = farMismatch(0, 1_000, candidate, 256)
      expect(mismatch).toBeGreaterThan(last)
      last = mismatch
    }
  })
})
