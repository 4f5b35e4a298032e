import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesOfHex, hexOf } from '../crypto/suite.fixtures.ts'
import { PATH_DESCRIPTION_BYTES_MAX } from '../limits.ts'
import { decodePathMessage, encodePathMessage, type PathMessage } from './path-messages.ts'

interface Vectors {
  readonly vectors: readonly { readonly name: string; readonly message: object; readonly bytes: string }[]
  readonly malformed: readonly { readonly name: string; readonly bytes: string }[]
}

// reason: the file is ours, written from the same tables.
const { vectors, malformed } = JSON.parse(
  readFileSync(new URL('../../../spec/vectors/path.json', import.meta.url), 'utf8'),
) as Vectors

/** Bytes as hexadecimal text, as the vectors hold them. */
function plain(message: PathMessage): unknown {
  return JSON.parse(
    JSON.stringify(message, (_key, value: unknown) => (value instanceof Uint8Array ? hexOf(value) : value)),
  )
}

function read(bytes: Uint8Array): PathMessage {
  const result = decodePathMessage(bytes)
  if (!result.ok) throw new Error(JSON.stringify(result.fault))
  return result.value
}

const id = fc.nat(0xffff_ffff)
const description = fc.uint8Array({ maxLength: PATH_DESCRIPTION_BYTES_MAX })
const anyMessage: fc.Arbitrary<PathMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('path-offer' as const),
    id,
    transport: fc.constantFrom('udp' as const, 'webrtc' as const, null),
    description,
  }),
  fc.record({ kind: fc.constant('path-answer' as const), id, description }),
  fc.record({
    kind: fc.constant('path-refuse' as const),
    id,
    reason: fc.constantFrom('transport' as const, 'busy' as const, 'failed' as const, 'needless' as const),
  }),
  fc.record({ kind: fc.constant('path-withdraw' as const), id }),
  fc.record({ kind: fc.constantFrom('session-unneeded' as const, 'session-needed' as const) }),
)

describe('a message about a path', () => {
  it.each(vectors)('reads and writes the vector $name', ({ message, bytes }) => {
    const decoded = read(bytesOfHex(bytes))
    expect(plain(decoded)).toEqual(message)
    expect(hexOf(encodePathMessage(decoded))).toBe(bytes)
  })

  it.each(malformed)('is none: $name', ({ bytes }) => {
    expect(decodePathMessage(bytesOfHex(bytes))).toMatchObject({ ok: false, fault: { code: 'malformed' } })
  })

  it('comes back as it was written, and no part of it, nor more, is one', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), (message, cut) => {
        const bytes = encodePathMessage(message)
        expect(plain(read(bytes))).toEqual(plain(message))
        expect(decodePathMessage(bytes.subarray(0, cut % bytes.length)).ok).toBe(false)
        expect(decodePathMessage(Uint8Array.of(...bytes, 0)).ok).toBe(false)
      }),
      { numRuns: 100 },
    )
  })

  it('with a reason of a later version is a refusal all the same', () => {
    expect(read(Uint8Array.of(3, 0, 0, 0, 9, 77))).toEqual({ kind: 'path-refuse', id: 9, reason: 'failed' })
  })

  it('of random bytes never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), bytes => void decodePathMessage(bytes)))
  })
})
