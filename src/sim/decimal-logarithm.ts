/** A logarithm of plain arithmetic: Math.log10 differs in its last bits between machines, and runs must not. */

const DIGITS = 40

/** To the base 10, of a number from 1 on; right to 12 digits. */
export function decimalLogarithm(number: number): number {
  let whole = 0
  let rest = number
  while (rest >= 10) {
    rest /= 10
    whole += 1
  }
  let fraction = 0
  let digit = 0.5
  // Squaring doubles the logarithm: whether it passes 1 is the next binary digit.
  for (let i = 0; i < DIGITS; i += 1) {
    rest *= rest
    if (rest >= 10) {
      rest /= 10
      fraction += digit
    }
    digit /= 2
  }
  return whole + fraction
}
