import { expect, it } from 'vitest'
import { decimalLogarithm } from './decimal-logarithm.ts'

it.each([1, 2, 3.5, 9.999, 10, 24, 1_000, 123_456, 1_000_000])('of %d is what the engine says to 11 digits', number => {
  expect(decimalLogarithm(number)).toBeCloseTo(Math.log10(number), 11)
})
