import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import {
  decodeClosestRequest,
  encodeClosestRequest,
  isNamedOrNewer,
  markOf,
  nameOfRef,
  REF_NAME_BYTES,
  readRefName,
} from './ref-names.ts'

function refOf(position: number, sequence: number): PeerRef {
  return {
    // reason: any text serves as an id.
    peer: `peer ${position}` as PeerId,
    position,
    sequence,
    expires: 0,
    capacity: 24,
    relays: true,
    negotiates: [],
    addresses: [],
    isGlobal: false,
    rendezvous: [],
    bytes: new Uint8Array(120),
  }
}

describe('the name of a ref', () => {
  it('says of whom and how new it is', () => {
    const ref = refOf(2 ** 51 + 7, 1_800_000_000_123)
    const name = readRefName(nameOfRef(ref))
    expect(name).toEqual({ position: ref.position, sequence: 1_800_000_000_123 % 2 ** 32 })
    expect(nameOfRef(ref).length).toBe(REF_NAME_BYTES)
    expect(readRefName(ref.bytes)).toBeNull()
  })

  it.each([
    { held: 1_000, named: 1_000, upToDate: true },
    { held: 1_001, named: 1_000, upToDate: true },
    { held: 999, named: 1_000, upToDate: false },
    { held: 2 ** 32 + 1, named: 2 ** 32 - 1, upToDate: true },
    { held: 2 ** 32 - 1, named: 2 ** 32 + 1, upToDate: false },
  ])('of sequence $named is satisfied by one of $held: $upToDate', ({ held, named, upToDate }) => {
    const name = readRefName(nameOfRef(refOf(5, named)))
    expect(name !== null && isNamedOrNewer(refOf(5, held), name)).toBe(upToDate)
  })
})

describe('a search for those around a position', () => {
  it('tells which refs are held, in four bytes each', () => {
    const marks = new Set([refOf(1, 10), refOf(2 ** 51, 1_800_000_000_123)].map(markOf))
    const request = { onlyPublic: true, publics: 1, marks }
    const bytes = encodeClosestRequest(request)
    expect(bytes.length).toBe(3 + 2 * 4)
    expect(decodeClosestRequest(bytes)).toEqual(request)
  })

  it('that says nothing knows nobody; one that breaks a bound is none', () => {
    expect(decodeClosestRequest(new Uint8Array(0))).toEqual({ onlyPublic: false, publics: 3, marks: new Set() })
    expect(decodeClosestRequest(Uint8Array.from([0, 3, 17, ...new Uint8Array(68)]))).toBeNull()
    expect(decodeClosestRequest(Uint8Array.from([0, 3, 1, 0, 0]))).toBeNull()
    expect(decodeClosestRequest(Uint8Array.from([0, 3, 0, 0]))).toBeNull()
    expect(decodeClosestRequest(Uint8Array.from([0, 200, 0]))?.publics).toBe(3)
  })
})
