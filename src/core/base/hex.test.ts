import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bytesOfHex, hexOfBytes } from './hex.ts'

it('two lower-case digits a byte, there and back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      expect(hexOfBytes(bytes)).toBe(Buffer.from(bytes).toString('hex'))
      expect(bytesOfHex(hexOfBytes(bytes), bytes.length)).toEqual(bytes)
      expect(hexOfBytes(bytes, bytes.length >> 1)).toBe(
        Buffer.from(bytes.subarray(0, bytes.length >> 1)).toString('hex'),
      )
    }),
  )
})
