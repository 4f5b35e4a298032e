import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Address, parseAddress } from '../base/address.ts'
import type { Result } from '../base/fault.ts'
import { positionOfHash } from '../base/position.ts'
import type { NegotiatedTransport } from '../input.ts'
import {
  type PeerRef,
  type PeerRefFields,
  parseRefText,
  REF_ADDRESSES_MAX,
  REF_BYTES_MAX,
  REF_RENDEZVOUS_MAX,
  readPeerRef,
  refText,
  signPeerRef,
} from './peer-ref.ts'
import { bytesOfHex, hexOf, nativeSuite, SUITES, testIdentity } from './suite.fixtures.ts'

const NOW = 1_800_000_000_000
const identity = testIdentity(nativeSuite, 1)
const FIELDS: PeerRefFields = {
  sequence: NOW,
  expires: NOW + 1000,
  capacity: 24,
  relays: true,
  addresses: [address('tcp://192.0.2.7:4100'), address('wss://peer.example:443/mesh')],
  rendezvous: [
    { peer: testIdentity(nativeSuite, 2).peer, addresses: [address('tcp://[2001:db8::1]:4100')] },
    { peer: testIdentity(nativeSuite, 3).peer, addresses: [] },
  ],
}

describe('peer ref', () => {
  it('comes back from its bytes and from its text as it was signed', () => {
    const ref = signPeerRef(nativeSuite, identity, FIELDS)
    expect(ref).toMatchObject({ ...FIELDS, peer: identity.peer })
    expect(readPeerRef(nativeSuite, ref.bytes, NOW)).toEqual({ ok: true, value: ref })
    expect(parseRefText(nativeSuite, ` ${refText(ref)}\n`, NOW)).toEqual({ ok: true, value: ref })
    expect(ref.position).toBe(positionOfHash(nativeSuite.sha256(identity.publicKey)))
  })

  it('comes back whatever it holds, and is never larger than others read', () => {
    const addresses = fc.array(addressArbitrary(), { maxLength: 10 })
    const rendezvous = fc.array(
      fc.record({
        peer: fc.integer({ min: 0, max: 255 }).map(byte => testIdentity(nativeSuite, byte).peer),
        addresses,
      }),
      { maxLength: 6 },
    )
    fc.assert(
      fc.property(
        fc.record({
          sequence: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
          expires: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
          capacity: fc.integer({ min: 0, max: 65535 }),
          relays: fc.boolean(),
          negotiates: fc.subarray<NegotiatedTransport>(['udp', 'webrtc']),
          addresses,
          rendezvous,
        }),
        fields => {
          const ref = signPeerRef(nativeSuite, identity, fields)
          expect(ref.bytes.length).toBeLessThanOrEqual(REF_BYTES_MAX)
          expect(readPeerRef(nativeSuite, ref.bytes, null)).toEqual({ ok: true, value: ref })
          expect(ref.addresses).toEqual(fields.addresses.slice(0, ref.addresses.length))
        },
      ),
      { numRuns: 100 },
    )
  })

  it('leaves out what does not fit, addresses last', () => {
    const long = address(`tcp://${'a'.repeat(60)}.example:4100`)
    const many = Array.from({ length: 12 }, () => long)
    const peers = Array.from({ length: 6 }, (_, i) => ({ peer: testIdentity(nativeSuite, i).peer, addresses: many }))
    const ref = signPeerRef(nativeSuite, identity, { ...FIELDS, addresses: many, rendezvous: peers })
    expect(ref.addresses).toHaveLength(REF_ADDRESSES_MAX)
    expect(ref.rendezvous.length).toBeLessThan(REF_RENDEZVOUS_MAX)
    expect(readPeerRef(nativeSuite, ref.bytes, null).ok).toBe(true)
  })

  it('is refused once it expired, unless nobody asks', () => {
    const { bytes } = signPeerRef(nativeSuite, identity, FIELDS)
    expect(codeOf(readPeerRef(nativeSuite, bytes, FIELDS.expires - 1))).toBe('no fault')
    expect(codeOf(readPeerRef(nativeSuite, bytes, FIELDS.expires))).toBe('ref-expired')
    expect(codeOf(readPeerRef(nativeSuite, bytes, null))).toBe('no fault')
  })

  it('is refused when any byte changed, one is missing, or one more follows', () => {
    const { bytes } = signPeerRef(nativeSuite, identity, FIELDS)
    for (let i = 0; i < bytes.length; i += 1) {
      const changed = bytes.slice()
      changed[i]! ^= 0x04
      expect(readPeerRef(nativeSuite, changed, null).ok).toBe(false)
      expect(readPeerRef(nativeSuite, bytes.subarray(0, i), null).ok).toBe(false)
    }
    expect(readPeerRef(nativeSuite, new Uint8Array([...bytes, 0]), null).ok).toBe(false)
    expect(codeOf(readPeerRef(nativeSuite, flipped(bytes, bytes.length - 1), null))).toBe('ref-forged')
    expect(codeOf(readPeerRef(nativeSuite, flipped(bytes, 0), null))).toBe('version-mismatch')
  })

  it('cannot be a signature over the same bytes made for another purpose', () => {
    const { bytes } = signPeerRef(nativeSuite, identity, FIELDS)
    const body = bytes.subarray(0, bytes.length - 64)
    const bare = new Uint8Array([...body, ...identity.sign(body)])
    expect(codeOf(readPeerRef(nativeSuite, bare, null))).toBe('ref-forged')
  })

  it('keeps its bytes when the buffer that it came in is used again', () => {
    const { bytes } = signPeerRef(nativeSuite, identity, FIELDS)
    const borrowed = bytes.slice()
    const read = readPeerRef(nativeSuite, borrowed, null)
    borrowed.fill(0)
    expect(read.ok && read.value.bytes).toEqual(bytes)
  })

  it('passes over addresses of a kind that it does not know', () => {
    const { bytes } = signPeerRef(nativeSuite, identity, { ...FIELDS, addresses: FIELDS.addresses.slice(0, 1) })
    const body = bytes.slice(0, bytes.length - 64)
    const schemeAt = 1 + 32 + 6 + 6 + 2 + 1 + 1
    expect(body[schemeAt]).toBe(0)
    body[schemeAt] = 200
    const context = new TextEncoder().encode('webmesh-ref1')
    const signature = identity.sign(new Uint8Array([...context, ...body]))
    const read = readPeerRef(nativeSuite, new Uint8Array([...body, ...signature]), null)
    expect(read.ok && read.value.addresses).toEqual([])
    expect(read.ok && read.value.rendezvous).toHaveLength(2)
  })

  it('refuses hostile bytes and texts without a throw', () => {
    const { bytes } = signPeerRef(nativeSuite, identity, FIELDS)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1200 }), fc.nat(bytes.length), (hostile, at) => {
        expect(readPeerRef(nativeSuite, hostile, null).ok).toBe(false)
        // A good beginning, so that the later fields are reached as well.
        const grafted = new Uint8Array([...bytes.subarray(0, at), ...hostile])
        const read = readPeerRef(nativeSuite, grafted, null)
        expect(read.ok && at < bytes.length).toBe(false)
      }),
    )
    fc.assert(
      fc.property(fc.string(), text => {
        expect(parseRefText(nativeSuite, text, null).ok).toBe(false)
        expect(parseRefText(nativeSuite, `webmesh:${text}`, null).ok).toBe(false)
      }),
    )
    expect(parseRefText(nativeSuite, `webmesh:${'A'.repeat(5_000_000)}`, null)).toMatchObject({
      fault: { code: 'invalid-ref', limit: 8 + Math.ceil((REF_BYTES_MAX * 4) / 3) },
    })
  })
})

describe('peer ref vectors (our own: spec/vectors/peer-ref.json)', () => {
  const file: { vectors: readonly RefVector[] } = JSON.parse(
    readFileSync(new URL('../../../spec/vectors/peer-ref.json', import.meta.url), 'utf8'),
  )
  const cases = file.vectors.flatMap(vector =>
    SUITES.map(([name, suite]) => [vector.name, name, vector, suite] as const),
  )

  it.each(cases)('%s comes out with the %s suite', (_, __, vector, suite) => {
    const ref = signPeerRef(suite, suite.identity(bytesOfHex(vector.seed)), fieldsOf(vector))
    expect({ ...vector, ...outcomeOf(ref) }).toEqual(vector)
    expect(parseRefText(suite, vector.text, null)).toEqual({ ok: true, value: ref })
  })
})

interface RefVector {
  readonly name: string
  readonly seed: string
  readonly sequence: number
  readonly expires: number
  readonly capacity: number
  readonly relays: boolean
  readonly negotiates?: readonly NegotiatedTransport[]
  readonly addresses: readonly string[]
  readonly rendezvous: readonly { readonly peer: PeerRef['peer']; readonly addresses: readonly string[] }[]
  readonly peer: string
  readonly position: number
  readonly bytes: string
  readonly text: string
}

function fieldsOf(vector: RefVector): PeerRefFields {
  const { sequence, expires, capacity, relays, negotiates } = vector
  const rendezvous = vector.rendezvous.map(entry => ({ peer: entry.peer, addresses: entry.addresses.map(address) }))
  return { sequence, expires, capacity, relays, negotiates, addresses: vector.addresses.map(address), rendezvous }
}

function outcomeOf(ref: PeerRef): Pick<RefVector, 'peer' | 'position' | 'bytes' | 'text'> {
  return { peer: ref.peer, position: ref.position, bytes: hexOf(ref.bytes), text: refText(ref) }
}

function address(text: string): Address {
  const parsed = parseAddress(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}

function addressArbitrary(): fc.Arbitrary<Address> {
  return fc
    .record({
      scheme: fc.constantFrom<Address['scheme']>('tcp', 'ws', 'wss', 'webrtc', 'udp'),
      host: fc.constantFrom('192.0.2.1', 'peer.example', '2001:db8::5', `${'x'.repeat(60)}.example`),
      port: fc.integer({ min: 1, max: 65535 }),
      extra: fc.constantFrom('', '/mesh', '0f'.repeat(32)),
    })
    .map(parts => ({ ...parts, host: hostOf(parts.scheme, parts.host), extra: extraOf(parts.scheme, parts.extra) }))
}

/** WebRTC has no names. */
function hostOf(scheme: Address['scheme'], host: string): string {
  return scheme === 'webrtc' && host.endsWith('example') ? '192.0.2.2' : host
}

/** What the scheme allows behind its port. */
function extraOf(scheme: Address['scheme'], extra: string): string {
  if (scheme === 'tcp' || scheme === 'udp') return ''
  if (scheme === 'webrtc') return 'Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8'
  return extra.startsWith('/') ? extra : ''
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice()
  changed[at]! ^= 0x02
  return changed
}

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'no fault' : result.fault.code
}
