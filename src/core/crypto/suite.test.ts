import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../base/bytes.ts'
import { bytesOfHex, hexOf, nativeSuite, nobleSuite, SUITES, testIdentity } from './suite.fixtures.ts'
import type { CipherName } from './suite.ts'

const CIPHERS: readonly CipherName[] = ['aes-256-gcm', 'chacha20-poly1305']
const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const nonce12 = fc.uint8Array({ minLength: 12, maxLength: 12 })

describe.each(SUITES)('suite %s', (_, suite) => {
  it('signs and verifies as RFC 8032 test 1', () => {
    const identity = suite.identity(bytesOfHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'))
    expect(identity.peer).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
    expect(hexOf(identity.publicKey)).toBe(identity.peer)
    const signature = identity.sign(new Uint8Array(0))
    expect(hexOf(signature)).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    )
    expect(suite.verify(identity.publicKey, new Uint8Array(0), signature)).toBe(true)
    expect(suite.verify(identity.publicKey, new Uint8Array(1), signature)).toBe(false)
  })

  it('hashes the parts as their concatenation', () => {
    const abc = bytesOfHex('616263')
    const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(hexOf(suite.sha256(abc))).toBe(digest)
    expect(hexOf(suite.sha256(abc.subarray(0, 1), abc.subarray(1, 1), abc.subarray(1)))).toBe(digest)
    expect(hexOf(suite.sha256())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  })

  it('finds the X25519 key of an identity from its Ed25519 key alone', () => {
    for (const byte of [1, 2, 3, 255]) {
      const identity = testIdentity(suite, byte)
      expect(suite.dhPublicKeyOf(identity.publicKey)).toEqual(identity.dhKey.publicKey)
      expect(suite.dhPublicKeyOf(identity.publicKey)).toEqual(identity.dhKey.publicKey)
    }
  })

  it('tells whether an X25519 key is the one of an identity', () => {
    const keys = [1, 2, 3, 255].map(byte => testIdentity(suite, byte))
    for (const a of keys)
      for (const b of keys) expect(suite.isDhPublicKeyOf(a.dhKey.publicKey, b.publicKey)).toBe(a === b)
    const { publicKey, dhKey } = keys[0]!
    for (let bit = 0; bit < 255; bit += 1) {
      const changed = publicKey.slice()
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(suite.isDhPublicKeyOf(dhKey.publicKey, changed)).toBe(false)
    }
  })

  it('knows no second way to write a key', () => {
    // The identity element has y = 1, whose u is infinite; y = p + 1 and u = p are other forms of 1 and 0.
    const one = bytesOfHex(`01${'00'.repeat(31)}`)
    const primePlusOne = bytesOfHex(`ee${'ff'.repeat(30)}7f`)
    const prime = bytesOfHex(`ed${'ff'.repeat(30)}7f`)
    const minusOne = bytesOfHex(`ec${'ff'.repeat(30)}7f`)
    for (const u of [new Uint8Array(32), one, prime, new Uint8Array(32).fill(255), new Uint8Array(31)])
      for (const y of [one, primePlusOne, prime, new Uint8Array(31)]) expect(suite.isDhPublicKeyOf(u, y)).toBe(false)
    expect(suite.isDhPublicKeyOf(new Uint8Array(32), minusOne)).toBe(true)
    expect(suite.isDhPublicKeyOf(prime, minusOne)).toBe(false)
  })

  it('has no X25519 key for bytes that are no point', () => {
    expect(suite.dhPublicKeyOf(new Uint8Array(32).fill(2))).toBeNull()
    expect(suite.dhPublicKeyOf(new Uint8Array(32).fill(255))).toBeNull()
    expect(suite.dhPublicKeyOf(new Uint8Array(31))).toBeNull()
  })

  it('agrees on a secret, and on none with a key of low order', () => {
    const [a, b] = [suite.dhKey(), suite.dhKey()]
    expect(a.agree(b.publicKey)).toEqual(b.agree(a.publicKey))
    expect(a.agree(new Uint8Array(32))).toBeNull()
    expect(a.agree(bytesOfHex(`01${'00'.repeat(31)}`))).toBeNull()
    expect(a.agree(bytesOfHex('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'))).toBeNull()
    expect(a.agree(new Uint8Array(31))).toBeNull()
  })

  it('gives plain Uint8Arrays, whose slice copies', () => {
    const key = suite.aeadKey('aes-256-gcm', new Uint8Array(32))
    const sealed = key.seal(new Uint8Array(12), new Uint8Array(0), [new Uint8Array(5), new Uint8Array(2000)])
    const opened = key.open(new Uint8Array(12), new Uint8Array(0), concatBytes(...sealed))
    const all = [...sealed, opened, suite.sha256(), suite.randomBytes(3), suite.dhKey().publicKey]
    for (const bytes of all) expect(bytes?.constructor).toBe(Uint8Array)
  })

  it('never makes the same key pair twice', async () => {
    const seen = new Set<string>()
    for (let i = 0; i < 12; i += 1) {
      seen.add(hexOf(suite.dhKey().publicKey))
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(seen.size).toBe(12)
  })

  it.each(CIPHERS)('refuses a %s packet in which any byte changed', cipher => {
    const key = suite.aeadKey(cipher, new Uint8Array(32).fill(9))
    const nonce = new Uint8Array(12)
    const associated = bytesOfHex('10000000000001')
    const sealed = concatBytes(...key.seal(nonce, associated, [bytesOfHex('0102030405')]))
    expect(hexOf(key.open(nonce, associated, sealed) ?? new Uint8Array(0))).toBe('0102030405')
    for (let i = 0; i < sealed.length; i += 1) {
      const changed = sealed.slice()
      changed[i]! ^= 1
      expect(key.open(nonce, associated, changed)).toBeNull()
      expect(key.open(nonce, associated, sealed.subarray(0, i))).toBeNull()
    }
    expect(key.open(nonce, associated.subarray(1), sealed)).toBeNull()
  })

  it('takes hostile keys and signatures without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 70 }), (publicKey, signature) => {
        suite.dhPublicKeyOf(publicKey)
        expect(suite.verify(publicKey, signature, signature)).toBe(false)
      }),
      { numRuns: 60 },
    )
  })
})

describe('native and noble', () => {
  it('make the same bytes from the same keys', () => {
    fc.assert(
      fc.property(key32, key32, fc.uint8Array({ maxLength: 200 }), (seed, other, message) => {
        const [a, b] = [nativeSuite.identity(seed), nobleSuite.identity(seed)]
        expect(a.peer).toBe(b.peer)
        expect(a.dhKey.publicKey).toEqual(b.dhKey.publicKey)
        expect(a.sign(message)).toEqual(b.sign(message))
        expect(nobleSuite.verify(a.publicKey, message, a.sign(message))).toBe(true)
        expect(nativeSuite.dhKey(seed).publicKey).toEqual(nobleSuite.dhKey(seed).publicKey)
        expect(a.dhKey.agree(other)).toEqual(b.dhKey.agree(other))
        expect(nativeSuite.sha256(seed, message)).toEqual(nobleSuite.sha256(seed, message))
      }),
      { numRuns: 20 },
    )
  })

  it.each(CIPHERS)('seal the same with %s, whatever the parts, and open each other', cipher => {
    fc.assert(
      fc.property(
        key32,
        nonce12,
        fc.uint8Array({ maxLength: 40 }),
        fc.array(fc.uint8Array({ maxLength: 900 }), { maxLength: 4 }),
        (key, nonce, associated, parts) => {
          const [native, noble] = [nativeSuite.aeadKey(cipher, key), nobleSuite.aeadKey(cipher, key)]
          const sealed = concatBytes(...native.seal(nonce, associated, parts))
          expect(concatBytes(...noble.seal(nonce, associated, parts))).toEqual(sealed)
          expect(native.open(nonce, associated, sealed)).toEqual(concatBytes(...parts))
          expect(noble.open(nonce, associated, sealed)).toEqual(concatBytes(...parts))
          for (const key of [native, noble]) {
            const spared = concatBytes(...key.seal(nonce, associated, parts, 15))
            expect(spared).toEqual(concatBytes(new Uint8Array(15), sealed))
            expect(key.open(nonce, associated, concatBytes(spared, sealed), 15, spared.length)).toEqual(
              concatBytes(...parts),
            )
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
