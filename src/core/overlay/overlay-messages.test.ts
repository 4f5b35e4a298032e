import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { peerIdOfBytes } from '../base/peer-id.ts'
import { RING } from '../base/position.ts'
import { bytesOfHex, hexOf } from '../crypto/suite.fixtures.ts'
import { decodeOverlayMessage, encodeOverlayMessage, type OverlayMessage } from './overlay-messages.ts'

interface Vectors {
  readonly vectors: readonly { readonly name: string; readonly message: object; readonly bytes: string }[]
  readonly malformed: readonly { readonly name: string; readonly bytes: string }[]
}

// reason: the file is ours, written from the same tables.
const { vectors, malformed } = JSON.parse(
  readFileSync(new URL('../../../spec/vectors/overlay.json', import.meta.url), 'utf8'),
) as Vectors

/** Bytes as hexadecimal text, as the vectors hold them. */
function plain(message: OverlayMessage | null): unknown {
  return JSON.parse(
    JSON.stringify(message, (_key, value: unknown) => {
      if (value instanceof Uint8Array) return hexOf(value)
      return value instanceof Float64Array ? [...value] : value
    }),
  )
}

const label = fc.integer({ min: 1, max: 0xffff_ffff })
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength })
const peer = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(peerIdOfBytes)
const position = fc.integer({ min: 0, max: RING - 1 })
const refs = fc.array(fc.record({ ageSeconds: fc.nat(0xffff), bytes: bytes(400) }), { maxLength: 16 })
const via = fc.array(peer, { maxLength: 16 })

const anyMessage: fc.Arbitrary<OverlayMessage> = fc.oneof(
  fc.record({ kind: fc.constant('hello' as const), ref: bytes(1_024) }),
  fc.record({
    kind: fc.constant('link-ask' as const),
    purpose: fc.constantFrom('near' as const, 'far' as const, 'random' as const, 'public' as const, 'way-in' as const),
  }),
  fc.record({ kind: fc.constant('link-answer' as const), accepted: fc.boolean(), refs }),
  fc.record({ kind: fc.constant('link-drop' as const) }),
  fc.array(position, { maxLength: 256 }).chain(positions =>
    fc.record({
      kind: fc.constant('neighbours' as const),
      relayed: fc.nat(0xffff),
      direct: fc.nat(positions.length),
      positions: fc.constant(Float64Array.from(positions)),
    }),
  ),
  fc.record({ kind: fc.constant('gossip' as const), wantsAnswer: fc.boolean(), estimate: fc.nat(0xffff_ffff), refs }),
  fc.record({
    kind: fc.constant('route' as const),
    id: fc.nat(0xffff_ffff),
    key: position,
    method: fc.nat(255),
    ttl: fc.nat(255),
    payload: bytes(2_000),
  }),
  fc.record({
    kind: fc.constant('route-answer' as const),
    id: fc.nat(0xffff_ffff),
    status: fc.constantFrom('answered' as const, 'no-way-on' as const, 'refused' as const),
    hops: fc.nat(255),
    payload: bytes(2_000),
  }),
  fc.record({ kind: fc.constant('circuit-open' as const), label, target: peer, via, frame: bytes(1_024) }),
  fc.record({ kind: fc.constant('circuit-accept' as const), forLabel: label, label, via }),
  fc.record({
    kind: fc.constant('circuit-refuse' as const),
    forLabel: label,
    reason: fc.constantFrom('no-route' as const, 'loop' as const, 'declined' as const, 'overloaded' as const),
  }),
  fc.record({ kind: fc.constant('circuit-close' as const), label }),
  fc.record({ kind: fc.constant('circuit-hold' as const), label, hold: fc.boolean() }),
  fc.record({ kind: fc.constant('ref-ask' as const), positions: fc.array(position, { maxLength: 16 }) }),
  fc.record({
    kind: fc.constant('neighbours-changed' as const),
    relayed: fc.nat(0xffff),
    changes: fc.array(
      fc.record({
        position,
        state: fc.constantFrom('gone' as const, 'direct' as const, 'relayed' as const),
      }),
      { maxLength: 256 },
    ),
  }),
)

describe('an overlay message', () => {
  it.each(vectors)('of the vectors is read and written: $name', vector => {
    const message = decodeOverlayMessage(bytesOfHex(vector.bytes))
    expect(plain(message)).toEqual(vector.message)
    expect(message === null ? '' : hexOf(encodeOverlayMessage(message))).toBe(vector.bytes)
  })

  it.each(malformed)('that is none of these is refused: $name', vector => {
    expect(decodeOverlayMessage(bytesOfHex(vector.bytes))).toBeNull()
  })

  it('comes back as it was written, and no part of it, nor more, is one', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), (message, cut) => {
        const written = encodeOverlayMessage(message)
        expect(decodeOverlayMessage(written)).toEqual(message)
        expect(decodeOverlayMessage(written.subarray(0, cut % written.length))).toBeNull()
        expect(decodeOverlayMessage(Uint8Array.from([...written, 0]))).toBeNull()
      }),
      { numRuns: 500 },
    )
  })

  it('made of any bytes never throws', () => {
    fc.assert(
      fc.property(fc.nat(16), fc.uint8Array({ maxLength: 300 }), (kind, rest) => {
        const message = decodeOverlayMessage(Uint8Array.from([kind, ...rest]))
        if (message !== null) expect(decodeOverlayMessage(encodeOverlayMessage(message))).toEqual(message)
      }),
      { numRuns: 3_000 },
    )
  })
})
