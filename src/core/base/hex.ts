/** Bytes as text: two lower-case hexadecimal digits each. */

const DIGITS = '0123456789abcdef'
/** Codes of digits, by how many bytes they are of. */
const scratch: number[][] = []

/** Of the first `count`. Made of all its digits at once: put together one by one, each text would hold a tree of pieces, a kilobyte, for good. */
export function hexOfBytes(bytes: Uint8Array, count = bytes.length): string {
  scratch[count] ??= []
  const codes = scratch[count]
  for (let i = 0; i < count; i += 1) {
    codes[2 * i] = DIGITS.charCodeAt(bytes[i]! >> 4)
    codes[2 * i + 1] = DIGITS.charCodeAt(bytes[i]! & 15)
  }
  return String.fromCharCode(...codes)
}

/** What `hexOfBytes` made of so many. */
export function bytesOfHex(text: string, count: number): Uint8Array {
  const bytes = new Uint8Array(count)
  for (let i = 0; i < count; i += 1) {
    bytes[i] = (digit(text.charCodeAt(2 * i)) << 4) | digit(text.charCodeAt(2 * i + 1))
  }
  return bytes
}

/** The codes of `0` to `9` end in 0 to 9, those of `a` to `f`, 64 above, in 1 to 6. */
function digit(code: number): number {
  return (code & 15) + 9 * (code >> 6)
}
