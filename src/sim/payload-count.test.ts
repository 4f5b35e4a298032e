import { beforeEach, expect, it } from 'vitest'
import type { PeerId } from '../core/base/peer-id.ts'
import { Rng } from '../core/base/rng.ts'
import { nativeSuite } from '../core/crypto/suite.fixtures.ts'
import { createFakeSuite } from './fake-suite.ts'
import { MARK_BYTES, PayloadCount } from './payload-count.ts'

const CIPHER = 'chacha20-poly1305'
const NONE = new Uint8Array(0)
const MARK = Uint8Array.from({ length: MARK_BYTES }, (_, i) => 100 + i)
const [A, B, C] = [1, 2, 3].map(byte => nativeSuite.identity(new Uint8Array(32).fill(byte)).peer) as [
  // reason: three went in.
  PeerId,
  PeerId,
  PeerId,
]

let count = new PayloadCount(createFakeSuite(new Rng(1)))
let sentPackets = 0
beforeEach(() => {
  count = new PayloadCount(createFakeSuite(new Rng(1)))
  sentPackets = 0
})

function payload(number: number): Uint8Array {
  return Uint8Array.from([...MARK, number >> 8, number & 255, 9, 9])
}

/** A packet from one peer to another, with a key that both know. */
function carry(from: PeerId, to: PeerId, parts: readonly Uint8Array[]): () => void {
  const key = new Uint8Array(32).fill(7)
  const nonce = new Uint8Array(12).fill(sentPackets++)
  const sealed = count.suiteOf(from).aeadKey(CIPHER, key).seal(nonce, NONE, parts)
  return () => count.suiteOf(to).aeadKey(CIPHER, key).open(nonce, NONE, sealed[0]!)
}

it('a payload counts where it is opened, once for each time, and nothing else does', () => {
  carry(A, B, [payload(1)])()
  expect(count.opened).toBe(0)
  count.watch(MARK)
  carry(A, B, [payload(1)])
  expect(count.opened).toBe(0)
  carry(A, B, [new Uint8Array(30)])()
  expect(count.opened).toBe(0)
  carry(A, B, [new Uint8Array(3), payload(1), new Uint8Array(9)])()
  carry(A, B, [payload(1), payload(1)])()
  expect(count.opened).toBe(3)
})

it('hops are counted from the origin, over those who passed the first copy on', () => {
  count.watch(MARK)
  count.begin(258, A)
  const lateCopy = carry(A, C, [new Uint8Array(5), payload(258)])
  carry(A, B, [payload(258)])()
  // Cut in the middle of the mark: what is sealed is one packet all the same.
  carry(B, C, [payload(258).subarray(0, 7), payload(258).subarray(7)])()
  lateCopy()
  expect([...count.hopsOf(258)]).toEqual([
    [A, 0],
    [B, 1],
    [C, 2],
  ])
  expect(count.opened).toBe(3)
})

it('whoever passes on what never reached it is not believed', () => {
  count.watch(MARK)
  count.begin(1, A)
  carry(B, C, [payload(1)])()
  expect([...count.hopsOf(1).keys()]).toEqual([A])
  expect(count.hopsOf(2).size).toBe(0)
})
