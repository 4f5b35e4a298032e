import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Address, addressText, parseAddress, readAddress, writeAddress } from './address.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

const HASH = 'q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s'

const GOOD: readonly [string, Address][] = [
  ['tcp://192.0.2.7:4100', { scheme: 'tcp', host: '192.0.2.7', port: 4100, extra: '' }],
  ['tcp://[2001:DB8::1]:1', { scheme: 'tcp', host: '2001:db8::1', port: 1, extra: '' }],
  ['ws://Peer.Example:65535', { scheme: 'ws', host: 'peer.example', port: 65_535, extra: '' }],
  ['ws://peer.example:80/', { scheme: 'ws', host: 'peer.example', port: 80, extra: '' }],
  [
    ' wss://peer.example:443/mesh?a=1&b=%20 ',
    { scheme: 'wss', host: 'peer.example', port: 443, extra: '/mesh?a=1&b=%20' },
  ],
  [`webrtc://192.0.2.7:9/${HASH}`, { scheme: 'webrtc', host: '192.0.2.7', port: 9, extra: HASH }],
  [`webrtc://[2001:db8::1]:9/${HASH}`, { scheme: 'webrtc', host: '2001:db8::1', port: 9, extra: HASH }],
]

const BAD = [
  '',
  'tcp://',
  'http://a:1',
  'tcp://a',
  'tcp://a:0',
  'tcp://a:65536',
  'tcp://a:1/path',
  'tcp://a b:1',
  'ws://user@evil:1',
  'ws://a?b:1',
  'ws://a#b:1',
  'ws://a%2f:1',
  'ws://bücher.example:1',
  'ws://a:1/pa th',
  'ws://a:1/#fragment',
  'ws://a:1/"quoted"',
  'ws://a:1/ü',
  'ws://[evil.example]:1',
  'ws://a\n:1',
  'webrtc://192.0.2.7:1/abc',
  `webrtc://peer.example:1/${HASH}`,
  `webrtc://192.0.2.7:1/${HASH}=`,
  `webrtc://192.0.2.7:1/${HASH.slice(0, -1)}t`,
  `webrtc://192.0.2.7:1/${HASH}/`,
  `webrtc://192.0.2.7:1/${'ab'.repeat(32)}`,
  `webrtc://192.0.2.7:1`,
  `tcp://${'a'.repeat(254)}:1`,
  `ws://a:1/${'a'.repeat(128)}`,
]

describe('an address', () => {
  it.each(GOOD)('%s is read, and its text reads back as the same', (text, address) => {
    expect(parseAddress(text)).toEqual({ ok: true, value: address })
    expect(parseAddress(addressText(address))).toEqual({ ok: true, value: address })
    expect(readAddress(new ByteReader(bytesOf(address)))).toEqual(address)
  })

  it.each(BAD)('%j is none', text => {
    expect(parseAddress(text)).toMatchObject({ ok: false, fault: { code: 'invalid-address' } })
  })

  it.each([
    ['tcp', 'user@evil', 80, ''],
    ['ws', 'a/b', 80, ''],
    ['ws', 'A.example', 80, ''],
    ['ws', '', 80, ''],
    ['ws', 'a', 0, ''],
    ['ws', 'a', 80, 'no-slash'],
    ['ws', 'a', 80, '/'],
    ['ws', 'a', 80, '/\r\nHost: b'],
    ['tcp', 'a', 80, '/path'],
    ['tcp', 'a:b', 80, ''],
    ['tcp', ' a', 80, ''],
    ['webrtc', '192.0.2.7', 80, HASH.slice(4)],
    ['webrtc', 'a', 80, HASH],
  ] as const)('in bytes is passed over where %s %j %i %j has no text', (scheme, host, port, extra) => {
    const address = { scheme, host, port, extra }
    const reader = new ByteReader(bytesOf(address))
    const read = readAddress(reader)
    // What has a colon reads as IPv6 where it could be one: digits and letters a to f.
    expect(read).toEqual(host === 'a:b' ? address : null)
    expect(reader.finished).toBe(true)
  })

  it('in bytes is passed over where its scheme is of a later version, whatever it ends with', () => {
    for (const extra of [Uint8Array.of(), Uint8Array.of(0xff, 0xfe)]) {
      const reader = new ByteReader(new ByteWriter().u8(200).text('a').u16(1).sized(extra).finish())
      expect(readAddress(reader)).toBeNull()
      expect(reader.finished).toBe(true)
    }
  })

  it('in bytes holds the hash of a certificate as it is', () => {
    const bytes = bytesOf({ scheme: 'webrtc', host: '192.0.2.7', port: 1, extra: HASH })
    expect(bytes.subarray(-33)).toEqual(Uint8Array.of(32, ...new Uint8Array(32).fill(0xab)))
  })

  it('made of any bytes never throws, and what is read has a text that reads back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        const address = readAddress(new ByteReader(bytes))
        if (address !== null) expect(parseAddress(addressText(address))).toEqual({ ok: true, value: address })
      }),
      { numRuns: 2_000 },
    )
  })
})

function bytesOf(address: Address): Uint8Array {
  const writer = new ByteWriter()
  writeAddress(writer, address)
  return writer.finish()
}
