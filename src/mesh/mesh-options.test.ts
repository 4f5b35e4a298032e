import { describe, expect, it } from 'vitest'
import { addressText } from '../core/base/address.ts'
import { createNobleSuite } from '../core/crypto/noble-suite.ts'
import { REF_ADDRESSES_MAX, refText, signPeerRef } from '../core/crypto/peer-ref.ts'
import { announcedAddresses } from './announced-addresses.ts'
import { checkOptions, parseListenPoint } from './mesh-options.ts'

const suite = createNobleSuite(length => new Uint8Array(length))
const NOW = 1_800_000_000_000
const identity = suite.identity(new Uint8Array(32).fill(1))
const fields = { sequence: NOW, capacity: 24, relays: true, addresses: [], rendezvous: [] }
const ref = signPeerRef(suite, identity, { ...fields, expires: NOW + 1000 })
const expired = signPeerRef(suite, identity, { ...fields, expires: NOW - 1 })

describe('the options of Mesh.start', () => {
  it('has a default for each', () => {
    expect(checkOptions(suite, NOW, {})).toMatchObject({
      ok: true,
      value: {
        store: undefined,
        listen: [],
        waysIn: [],
        announce: null,
        relays: true,
        portMapping: true,
        signal: undefined,
      },
    })
  })

  it('takes refs as text and as objects, and addresses, as ways in', () => {
    const checked = checkOptions(suite, NOW, { join: [refText(ref), ref, 'tcp://example.org:4100'] })
    expect(checked.ok && checked.value.waysIn.map(way => way.kind)).toEqual(['ref', 'ref', 'address'])
  })

  it('takes a bound of what is relayed, and that nothing is', () => {
    const relaying = (relays: unknown) => {
      const checked = checkOptions(suite, NOW, { relays })
      return checked.ok ? [checked.value.relays, checked.value.relayLimits] : []
    }
    expect(relaying(undefined)).toEqual([true, {}])
    expect(relaying(false)).toEqual([false, {}])
    expect(relaying({ bytesPerSecond: 1_000_000, circuits: 7 })).toEqual([
      true,
      { bytesPerSecond: 1_000_000, circuits: 7 },
    ])
  })

  const refused: [string, unknown, string][] = [
    ['no object', 7, 'invalid-option'],
    ['null', null, 'invalid-option'],
    ['a list', [], 'invalid-option'],
    ['an unknown key', { lisen: [] }, 'invalid-option'],
    ['a store that is no text', { store: 7 }, 'invalid-option'],
    ['an empty store', { store: '' }, 'invalid-option'],
    ['one place to listen instead of a list', { listen: '0.0.0.0:1' }, 'invalid-option'],
    ['a place without a port', { listen: ['0.0.0.0'] }, 'invalid-option'],
    ['too many places', { listen: Array(17).fill('127.0.0.1:0') }, 'invalid-option'],
    ['a port above 65535', { listen: ['0.0.0.0:70000'] }, 'invalid-option'],
    ['a damaged ref', { join: ['webmesh:AAAA'] }, 'invalid-ref'],
    ['a forged ref', { join: [forged(refText(ref))] }, 'ref-forged'],
    ['an expired ref', { join: [refText(expired)] }, 'ref-expired'],
    ['a way in that is none', { join: ['example.org'] }, 'invalid-ref'],
    ['an address without a port', { join: ['tcp://example.org'] }, 'invalid-address'],
    ['a way in that is a number', { join: [4100] }, 'invalid-ref'],
    ['an announced place without a scheme', { announce: ['example.org:4100'] }, 'invalid-address'],
    ['an announced WebRTC address with half a hash', { announce: ['webrtc://1.2.3.4:1/abc'] }, 'invalid-address'],
    ['an announced WebRTC address with a name', { announce: ['webrtc://a.example:1'] }, 'invalid-address'],
    ['a WebRTC port above 65535', { webrtcPort: 70_000 }, 'invalid-option'],
    ['WebRTC by word', { webrtcPort: true }, 'invalid-option'],
    ['a capacity of half a link', { capacity: 4.5 }, 'invalid-option'],
    ['a capacity of none', { capacity: 0 }, 'invalid-option'],
    ['relays by word', { relays: 'yes' }, 'invalid-option'],
    ['a relay of no bytes', { relays: { bytesPerSecond: 0 } }, 'invalid-option'],
    ['a relay of half a circuit', { relays: { circuits: 0.5 } }, 'invalid-option'],
    ['a relay of something else', { relays: { bytes: 7 } }, 'invalid-option'],
    ['no rendezvous', { rendezvous: 0 }, 'invalid-option'],
    ['more rendezvous than a ref holds', { rendezvous: 5 }, 'invalid-option'],
    ['remembered peers by word', { remembered: 'no' }, 'invalid-option'],
    ['a port mapping by word', { portMapping: 'upnp' }, 'invalid-option'],
    ['a signal that is none', { signal: {} }, 'invalid-option'],
  ]
  it.each(refused)('refuses %s', (_, options, code) => {
    expect(checkOptions(suite, NOW, options)).toMatchObject({ ok: false, fault: { code } })
  })

  it("announces a proxy that ends TLS, and WebRTC with the peer's own certificate or another one", () => {
    const hash = 'A'.repeat(43)
    const announce = ['wss://my.example:443/mesh', 'webrtc://203.0.113.5:4100', `webrtc://[2001:db8::1]:4100/${hash}`]
    const checked = checkOptions(suite, NOW, { announce })
    expect(checked.ok && checked.value.announce).toEqual([
      { scheme: 'wss', host: 'my.example', port: 443, extra: '/mesh' },
      { scheme: 'webrtc', host: '203.0.113.5', port: 4100, extra: '' },
      { scheme: 'webrtc', host: '2001:db8::1', port: 4100, extra: hash },
    ])
  })

  it('names the unknown key and the known ones', () => {
    const checked = checkOptions(suite, NOW, { lisen: [] })
    expect(!checked.ok && checked.fault.detail).toMatch(/"lisen".*listen/)
  })
})

describe('a place to listen', () => {
  it.each([
    ['0.0.0.0:4100', '0.0.0.0', 4100],
    ['[::]:0', '::', 0],
    ['[fe80::1%eth0]:5', 'fe80::1%eth0', 5],
    ['localhost:80', 'localhost', 80],
  ])('is read: %s', (text, host, port) => {
    expect(parseListenPoint(text)).toEqual({ ok: true, value: { host, port } })
  })

  it.each(['', ':80', '80', '::1:80', 'tcp://a:1', 'a:b', 'a:1:2', 'a:-1'])('is refused: "%s"', text => {
    expect(parseListenPoint(text).ok).toBe(false)
  })
})

describe('announced addresses', () => {
  const own = (): string[] => ['192.0.2.1', '2001:db8::1']
  const hosts = (host: string, ownHosts = own): string[] => [
    ...new Set(announcedAddresses([{ host, port: 9, webrtc: null }], null, ownHosts).map(address => address.host)),
  ]

  it("are the machine's own where all interfaces listen", () => {
    expect(hosts('0.0.0.0')).toEqual(['192.0.2.1'])
    expect(hosts('::')).toEqual(['192.0.2.1', '2001:db8::1'])
  })

  it('are none for a machine without any, and loopback only where that was asked for', () => {
    expect(hosts('0.0.0.0', () => [])).toEqual([])
    expect(hosts('127.0.0.1', () => [])).toEqual(['127.0.0.1'])
  })

  it('name all schemes that the port takes', () => {
    const webrtc = { port: 10, certificateHash: new Uint8Array(32) }
    const told = (listener: { webrtc: typeof webrtc | null }): string[] =>
      announcedAddresses([{ host: '127.0.0.1', port: 9, ...listener }], null, own).map(addressText)
    expect(told({ webrtc: null })).toEqual(['tcp://127.0.0.1:9', 'ws://127.0.0.1:9'])
    expect(told({ webrtc })).toEqual([
      'tcp://127.0.0.1:9',
      'ws://127.0.0.1:9',
      `webrtc://127.0.0.1:10/${'A'.repeat(43)}`,
    ])
  })

  it('name one place of UDP, and that one even where others must give way', () => {
    const many = Array.from({ length: 9 }, (_, i) => ({ host: '127.0.0.1', port: 10 + i, webrtc: null }))
    const announced = announcedAddresses(many, { host: '0.0.0.0', ipv4: 8, ipv6: null }, own)
    expect(announced.at(-1)).toEqual({ scheme: 'udp', host: '192.0.2.1', port: 8, extra: '' })
    expect(announced.length).toBeLessThanOrEqual(REF_ADDRESSES_MAX)
  })

  it('name one place of UDP for each family that can be asked, IPv4 first, whatever else must give way', () => {
    const webrtc = { port: 9, certificateHash: new Uint8Array(32) }
    const told = (hosts: readonly string[], ipv6: number | null): string[] =>
      announcedAddresses([{ host: '::', port: 9, webrtc }], { host: '::', ipv4: 8, ipv6 }, () => hosts).map(addressText)
    const both = told(['192.0.2.1', 'fd00::1', '2001:db8::1', '2001:db8::2'], 7)
    expect(both).toHaveLength(REF_ADDRESSES_MAX)
    expect(both.slice(-2)).toEqual(['udp://192.0.2.1:8', 'udp://[2001:db8::1]:7'])
    const helpers = (hosts: readonly string[], ipv6: number | null): string[] =>
      told(hosts, ipv6).filter(text => text.startsWith('udp'))
    expect(helpers(['10.0.0.1', '2001:db8::1'], 8)).toEqual(['udp://[2001:db8::1]:8'])
    expect(helpers(['192.0.2.1', '2001:db8::1'], null)).toEqual(['udp://192.0.2.1:8'])
    expect(helpers(['192.0.2.1', 'fd00::1'], 8)).toEqual(['udp://192.0.2.1:8'])
  })

  it('name no private place of UDP: nobody could ask there', () => {
    const udpOf = (...own: string[]): string[] =>
      announcedAddresses([], { host: '0.0.0.0', ipv4: 8, ipv6: null }, () => own).map(addressText)
    expect(udpOf('192.168.1.5')).toEqual([])
    expect(udpOf('172.17.0.1', '192.0.2.1')).toEqual(['udp://192.0.2.1:8'])
  })

  it('begin with what a gateway mapped, and name its place of UDP if there is one', () => {
    const texts = (udpPort: number | null): string[] =>
      announcedAddresses(
        [{ host: '127.0.0.1', port: 9, webrtc: null }],
        { host: '127.0.0.1', ipv4: 10, ipv6: null },
        own,
        {
          host: '5.5.5.5',
          tcpPort: 4100,
          udpPort,
          webrtcPort: null,
        },
      ).map(addressText)
    const tcp = ['tcp://5.5.5.5:4100', 'ws://5.5.5.5:4100', 'tcp://127.0.0.1:9', 'ws://127.0.0.1:9']
    expect(texts(4101)).toEqual([...tcp, 'udp://5.5.5.5:4101'])
    expect(texts(null)).toEqual([...tcp, 'udp://127.0.0.1:10'])
  })

  it('name the port of WebRTC that a gateway mapped, with the certificate behind it, where there is one', () => {
    const hash = 'A'.repeat(43)
    const mapped = { host: '5.5.5.5', tcpPort: 4100, udpPort: null, webrtcPort: 4103 }
    const texts = (webrtc: { port: number; certificateHash: Uint8Array } | null): string[] =>
      announcedAddresses([{ host: '192.168.1.5', port: 9, webrtc }], null, own, mapped).map(addressText)
    expect(texts({ port: 10, certificateHash: new Uint8Array(32) })).toEqual([
      'tcp://5.5.5.5:4100',
      'ws://5.5.5.5:4100',
      `webrtc://5.5.5.5:4103/${hash}`,
      'tcp://192.168.1.5:9',
      'ws://192.168.1.5:9',
      `webrtc://192.168.1.5:10/${hash}`,
    ])
    expect(texts(null).filter(text => text.startsWith('webrtc'))).toEqual([])
  })

  it('begin with those that can be dialled from anywhere, and keep one of each host where not all fit', () => {
    const webrtc = { port: 10, certificateHash: new Uint8Array(32) }
    const hosts = ['192.168.1.5', '2001:db8::1', '10.8.0.1']
    const told = announcedAddresses([{ host: '::', port: 9, webrtc }], { host: '::', ipv4: 8, ipv6: 8 }, () => hosts)
    expect(told.map(({ scheme, host }) => `${scheme} ${host}`)).toEqual([
      'tcp 2001:db8::1',
      'ws 2001:db8::1',
      'webrtc 2001:db8::1',
      'tcp 192.168.1.5',
      'ws 192.168.1.5',
      'webrtc 192.168.1.5',
      'tcp 10.8.0.1',
      'udp 2001:db8::1',
    ])
  })
})

function forged(text: string): string {
  const at = 'webmesh:'.length + 60
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
}
