import { expect, test } from 'vitest'
import { Slab } from './slab.ts'

test('arrays cut from one piece are zeros of the length asked for, and none overlaps another', () => {
  const slab = new Slab()
  const lengths = [1, 0, 200, 2_048, 2_049, 100_000, 7, ...Array.from({ length: 60 }, (_, i) => 31 * i)]
  const arrays = lengths.map((length, index) => {
    const bytes = slab.take(length)
    expect(bytes.every(byte => byte === 0)).toBe(true)
    return bytes.fill(index + 1)
  })
  for (const [index, bytes] of arrays.entries()) {
    expect(bytes.length).toBe(lengths[index])
    expect(bytes.every(byte => byte === index + 1)).toBe(true)
  }
  expect(new Set(arrays.map(bytes => bytes.buffer)).size).toBeLessThan(arrays.length / 4)
})
