/** Bytes as text: two lower-case hexadecimal digits each. */

const DIGITS = '0123456789abcdef'
/** Codes of digits, by how many bytes they are of. */
const scratch: number[][] = []

/** Of the first `count`. Made of all its digits at once: put together one by one, each text would hold a tree of pieces, a kilobyte, for good. */
export function hexOfBytes(bytes: Uint8Array, count = bytes.length): string {
  scratch[count] ??= new Array<number>(2 * count).fill(0)
  const codes = scratch[count]
  for (let i = 0; i < count; i += 1) {
    codes[2 * i] = DIGITS.charCodeAt(bytes[i]! >> 4)
    codes[2 * i + 1] = DIGITS.charCodeAt(bytes[i]! & 15)
  }
  return String.fromCharCode(...codes)
}

/** What `hexOfBytes` made. */
export function bytesOfHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i += 1) {
    bytes[i] = (digit(text.charCodeAt(2 * i)) << 4) | digit(text.charCodeAt(2 * i + 1))
  }
  return bytes
}

function digit(code: number): number {
  return code < 58 ? code - 48 : code - 87
}
