import { describe, expect, it } from 'vitest'
import { type MappingTrust, needlessFor, trustIn } from './port-mapping.ts'

describe('an address that a gateway names', () => {
  const seen = (...hosts: string[]) => ({
    answered: hosts.length,
    seen: [...new Set(hosts)].map(host => ({ host, peers: hosts.filter(other => other === host).length })),
  })
  const cases: [string, string, ReturnType<typeof seen>, MappingTrust][] = [
    ['nobody was asked', '5.5.5.5', seen(), 'unconfirmed'],
    ['the one peer that answered agrees', '5.5.5.5', seen('5.5.5.5'), 'confirmed'],
    ['the one peer that answered says another', '5.5.5.5', seen('6.6.6.6'), 'contradicted'],
    ['one of two agrees', '5.5.5.5', seen('5.5.5.5', '6.6.6.6'), 'contradicted'],
    ['two of three agree', '5.5.5.5', seen('5.5.5.5', '5.5.5.5', '6.6.6.6'), 'confirmed'],
    ['one of three agrees', '5.5.5.5', seen('5.5.5.5', '6.6.6.6', '6.6.6.6'), 'contradicted'],
    ['it is private, whatever peers say', '10.0.0.1', seen('10.0.0.1', '10.0.0.1'), 'private'],
    ['it is of a provider’s NAT', '100.64.0.9', seen('5.5.5.5'), 'private'],
  ]
  it.each(cases)('%s', (_, host, survey, trust) => {
    expect(trustIn(host, survey)).toBe(trust)
  })
})

describe('a mapping', () => {
  const home = ['192.168.1.5', 'fd00::5']
  const cases: [string, string[], string[], ReturnType<typeof needlessFor>][] = [
    ['is needed behind a NAT', ['0.0.0.0'], home, null],
    ['is needed behind a NAT, by both families', ['::'], home, null],
    ['is needed at the private address itself', ['192.168.1.5'], home, null],
    ['is needed where loopback is one of several places', ['127.0.0.1', '0.0.0.0'], home, null],
    ['is needless where nothing listens', [], home, 'not-listening'],
    ['is needless on loopback', ['127.0.0.1'], home, 'loopback'],
    ['is needless on loopback of IPv6', ['::1'], home, 'loopback'],
    ['is needless under a name', ['localhost'], home, 'loopback'],
    ['is needless without IPv4', ['::'], ['fd00::5'], 'no-ipv4'],
    ['is needless at an IPv6 address', ['fd00::5'], home, 'no-ipv4'],
    ['is needless with a public address', ['0.0.0.0'], ['192.168.1.5', '5.5.5.5'], 'public-address'],
    ['is needless at a public address', ['5.5.5.5'], home, 'public-address'],
  ]
  it.each(cases)('%s', (_, listening, own, why) => {
    expect(needlessFor(listening, own)).toBe(why)
  })
})
