import { describe, expect, it } from 'vitest'
import { type NatKind, surveyOf } from './nat-survey.ts'

const OWN = [{ host: '10.0.0.2', port: 4101 }]
const PUBLIC = [{ host: '5.5.5.5', port: 4101 }]

function places(...texts: string[]): { host: string; port: number }[] {
  return texts.map(text => ({ host: text.slice(0, text.lastIndexOf(' ')), port: Number(text.split(' ').at(-1)) }))
}

describe('what peers tell of a NAT', () => {
  const cases: [string, string[], NatKind, string | null][] = [
    ['nobody answers', [], 'unknown', null],
    ['one alone is not believed', ['5.5.5.5 4101'], 'unknown', null],
    ['two agree', ['5.5.5.5 4101', '5.5.5.5 4101'], 'independent', '5.5.5.5'],
    ['two see different ports: one may lie', ['5.5.5.5 1', '5.5.5.5 2'], 'unknown', '5.5.5.5'],
    ['three see different ports', ['5.5.5.5 1', '5.5.5.5 2', '5.5.5.5 3'], 'dependent', '5.5.5.5'],
    ['one of three lies of the port', ['5.5.5.5 1', '5.5.5.5 1', '5.5.5.5 9'], 'independent', '5.5.5.5'],
    ['one of three lies of the address', ['5.5.5.5 1', '6.6.6.6 1', '5.5.5.5 1'], 'independent', '5.5.5.5'],
    ['two against two', ['5.5.5.5 1', '5.5.5.5 1', '6.6.6.6 1', '6.6.6.6 1'], 'unknown', null],
    ['all see another address', ['5.5.5.5 1', '6.6.6.6 1', '7.7.7.7 1'], 'dependent', null],
    ['IPv6 alone', ['fd00::1 1', 'fd00::1 1'], 'unknown', null],
  ]
  it.each(cases)('%s', (_, told, kind, ipv4) => {
    expect(surveyOf(places(...told), OWN, places(...told))).toMatchObject({ kind, ipv4 })
  })

  it('that there is none, where most see the address that this machine has itself', () => {
    const told = places('5.5.5.5 4101', '5.5.5.5 4101', '9.9.9.9 1')
    expect(surveyOf(told, PUBLIC, told).kind).toBe('none')
    expect(surveyOf(told.slice(0, 1), PUBLIC, told).kind).toBe('unknown')
  })

  it('counts who was asked, who answered, and what they told, by family', () => {
    const told = places('5.5.5.5 1', '5.5.5.5 1', '6.6.6.6 1', 'fd00::1 1', 'fd00::1 1')
    // Most serve both families: they are asked by both, and are no more peers by that.
    const asked = places('4.0.0.1 1', '4.0.0.2 1', '4.0.0.3 1', '4.0.0.4 1', '2a02::1 1', '2a02::2 1')
    expect(surveyOf(told, OWN, asked)).toEqual({
      kind: 'independent',
      ipv4: '5.5.5.5',
      ipv6: 'fd00::1',
      seen: [
        { host: '5.5.5.5', peers: 2 },
        { host: '6.6.6.6', peers: 1 },
      ],
      answered: 3,
      askedPeers: 4,
      answeredPeers: 3,
    })
  })

  it('of a machine with IPv6 alone it counts those', () => {
    const told = places('fd00::1 1', 'fd00::1 1')
    const survey = surveyOf(told, OWN, places('2a02::1 1', '2a02::2 1', '2a02::3 1'))
    expect(survey).toMatchObject({ ipv4: null, ipv6: 'fd00::1', answered: 0, askedPeers: 3, answeredPeers: 2 })
  })
})
