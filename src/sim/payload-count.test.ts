import { expect, it } from 'vitest'
import { Rng } from '../core/base/rng.ts'
import { createFakeSuite } from './fake-suite.ts'
import { PayloadCount } from './payload-count.ts'

it('a payload counts where it is opened, once for each time, and nothing else does', () => {
  const count = new PayloadCount(createFakeSuite(new Rng(1)))
  const key = count.suite.aeadKey('chacha20-poly1305', new Uint8Array(32))
  const nonce = new Uint8Array(12)
  const none = new Uint8Array(0)
  const payload = Uint8Array.from({ length: 40 }, (_, i) => 7 + (i % 5))
  const carry = (...parts: Uint8Array[]): void => {
    const [sealed] = key.seal(nonce, none, parts)
    if (sealed !== undefined) key.open(nonce, none, sealed)
  }
  carry(payload)
  expect(count.opened).toBe(0)
  count.watch(payload.subarray(0, 16))
  key.seal(nonce, none, [payload])
  expect(count.opened).toBe(0)
  carry(new Uint8Array(30))
  expect(count.opened).toBe(0)
  const other = Uint8Array.from({ length: 16 }, (_, i) => 100 + i)
  count.watch(other)
  carry(new Uint8Array(3), other, new Uint8Array(9))
  carry(other, other)
  expect(count.opened).toBe(3)
})
