import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../base/bytes.ts'
import { PACKETS_PER_KEY } from '../limits.ts'
import { CipherState } from './noise-cipher.ts'
import { PacketCipher } from './packet-cipher.ts'
import { hexOf, nativeSuite, nobleSuite, SUITES } from './suite.fixtures.ts'
import type { CipherName, CryptoSuite } from './suite.ts'

const KEY = Uint8Array.from({ length: 32 }, (_, i) => i)
const HEADER = Uint8Array.of(0x10, 0, 0, 0, 0, 0, 0)
const CASES = SUITES.flatMap(([name, suite]) =>
  (['aes-256-gcm', 'chacha20-poly1305'] as const).map(cipher => [name, cipher, suite] as const),
)

describe.each(CASES)('packet cipher, %s suite, %s', (_, cipher, suite) => {
  it('numbers packets as Noise does', () => {
    const noise = new CipherState(suite, cipher, KEY)
    const packets = new PacketCipher(suite, cipher, KEY, KEY)
    for (let number = 0; number < 4; number += 1) {
      const expected = noise.encryptWithAd(HEADER, Uint8Array.of(number))
      expect(concatBytes(...packets.seal(number, HEADER, [Uint8Array.of(number)]))).toEqual(expected)
    }
  })

  it('opens across two exchanges of the key, and packets of the one before late', () => {
    const [sender, receiver] = pair(suite, cipher)
    const numbers = [0, PACKETS_PER_KEY - 1, PACKETS_PER_KEY, 2 * PACKETS_PER_KEY - 1, 2 * PACKETS_PER_KEY]
    const sealed = new Map(numbers.map(number => [number, seal(sender, number)]))
    const open = (number: number) => receiver.open(number, HEADER, sealed.get(number)!)
    expect(open(0)).toEqual(plainOf(0))
    expect(open(PACKETS_PER_KEY)).toEqual(plainOf(PACKETS_PER_KEY))
    expect(open(PACKETS_PER_KEY - 1)).toEqual(plainOf(PACKETS_PER_KEY - 1))
    expect(open(2 * PACKETS_PER_KEY)).toEqual(plainOf(2 * PACKETS_PER_KEY))
    expect(open(2 * PACKETS_PER_KEY - 1)).toEqual(plainOf(2 * PACKETS_PER_KEY - 1))
    expect(open(PACKETS_PER_KEY - 1)).toBeNull()
  })

  it('keeps its key when a forged packet claims the next epoch', () => {
    const [sender, receiver] = pair(suite, cipher)
    for (let i = 0; i < 3; i += 1) expect(receiver.open(PACKETS_PER_KEY + i, HEADER, new Uint8Array(40))).toBeNull()
    expect(receiver.open(0, HEADER, seal(sender, 0))).toEqual(plainOf(0))
  })

  it('keeps step with packets that were not sealed, one key at a time', () => {
    const [sender, receiver] = pair(suite, cipher)
    expect(sender.takeNumber()).toBe(0)
    expect([0, PACKETS_PER_KEY, 2 * PACKETS_PER_KEY].map(number => receiver.passNumber(number))).toEqual([
      true,
      true,
      true,
    ])
    expect(receiver.passNumber(4 * PACKETS_PER_KEY)).toBe(false)
    expect(receiver.passNumber(2 ** 48 - 1)).toBe(false)
    const number = 2 * PACKETS_PER_KEY + 1
    expect(receiver.open(number, HEADER, seal(sender, number))).toEqual(plainOf(number))
    expect(() => sender.seal(0, HEADER, [])).toThrow()
  })

  it('refuses any changed byte, number or header', () => {
    const [sender, receiver] = pair(suite, cipher)
    const sealed = seal(sender, 7)
    for (let i = 0; i < sealed.length; i += 1) {
      const changed = sealed.slice()
      changed[i]! ^= 0x80
      expect(receiver.open(7, HEADER, changed)).toBeNull()
    }
    expect(receiver.open(8, HEADER, sealed)).toBeNull()
    expect(receiver.open(7, HEADER.subarray(1), sealed)).toBeNull()
    expect(receiver.open(7, HEADER, sealed)).toEqual(plainOf(7))
  })

  it('takes hostile numbers and bytes without a throw, at the cost of one derived key', () => {
    const counted = countingKeys(suite)
    const receiver = new PacketCipher(counted.suite, cipher, KEY, KEY)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.uint8Array({ maxLength: 60 }), (number, bytes) => {
        expect(receiver.open(number, HEADER, bytes)).toBeNull()
      }),
    )
    for (let i = 0; i < 50; i += 1) receiver.open(PACKETS_PER_KEY + i, HEADER, new Uint8Array(30))
    expect(counted.made()).toBe(2)
  })

  it('never seals one number twice', () => {
    const sender = new PacketCipher(suite, cipher, KEY, KEY)
    seal(sender, 5)
    expect(() => seal(sender, 5)).toThrow('number of its own')
    expect(() => seal(sender, 4)).toThrow('number of its own')
  })

  it('imports no key before it is used', () => {
    const counted = countingKeys(suite)
    const sender = new PacketCipher(counted.suite, cipher, KEY, KEY)
    expect(counted.made()).toBe(0)
    seal(sender, 0)
    expect(counted.made()).toBe(1)
  })
})

describe('packet cipher', () => {
  it.each(['aes-256-gcm', 'chacha20-poly1305'] as const)('gives the same bytes from either suite with %s', cipher => {
    const [native, noble] = [
      new PacketCipher(nativeSuite, cipher, KEY, KEY),
      new PacketCipher(nobleSuite, cipher, KEY, KEY),
    ]
    for (const number of [0, 1, 258, PACKETS_PER_KEY, 3 * PACKETS_PER_KEY + 9]) {
      expect(hexOf(seal(native, number))).toBe(hexOf(seal(noble, number)))
    }
  })
})

function pair(suite: CryptoSuite, cipher: CipherName): [PacketCipher, PacketCipher] {
  return [new PacketCipher(suite, cipher, KEY, KEY), new PacketCipher(suite, cipher, KEY, KEY)]
}

function plainOf(number: number): Uint8Array {
  return Uint8Array.of(number & 0xff, 1, 2, 3)
}

function seal(cipher: PacketCipher, number: number): Uint8Array {
  const plain = plainOf(number)
  return concatBytes(...cipher.seal(number, HEADER, [plain.subarray(0, 2), plain.subarray(2)]))
}

function countingKeys(suite: CryptoSuite): { suite: CryptoSuite; made: () => number } {
  let made = 0
  const counting: CryptoSuite = {
    ...suite,
    aeadKey: (cipher, key) => {
      made += 1
      return suite.aeadKey(cipher, key)
    },
  }
  return { suite: counting, made: () => made }
}
