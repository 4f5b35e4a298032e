import { describe, expect, it } from 'vitest'
import type { NatStatus } from '../host/own-network.ts'
import type { PortMappingState } from '../index.node.ts'
import {
  addressFinding,
  clockFinding,
  dialInFinding,
  type Finding,
  listenFinding,
  mappingFinding,
  natFinding,
  nodeFinding,
  storeFinding,
  udpFinding,
  type Verdict,
  waysFinding,
} from './diagnosis.ts'

const nat = (some: Partial<NatStatus>): NatStatus => ({
  kind: 'unknown',
  ipv4: null,
  ipv6: null,
  askedPeers: 0,
  answeredPeers: 0,
  ...some,
})
const mapped = { kind: 'mapped', protocol: 'upnp', gateway: '10.0.0.1', host: '5.5.5.5', tcpPort: 4100 } as const
const mapping = (state: Partial<Extract<PortMappingState, { kind: 'mapped' }>>): Finding =>
  mappingFinding({ ...mapped, udpPort: 4101, webrtcPort: null, trust: 'confirmed', ...state })
const worked = { way: 'tcp://a:1', fault: null, ms: 1 }
const failed = { way: 'tcp://b:1', fault: 'nobody listens there', ms: 1 }

function dialIn(states: Readonly<Record<string, 'open' | 'closed' | 'unknown'>>, hole = false): Finding {
  const hosts = Object.entries(states).map(([host, state]) => ({ host, state, hole }))
  return dialInFinding(hosts, ['tcp://[::]:4100', 'tcp://0.0.0.0:4200'])
}

describe('what the doctor says', () => {
  const cases: [string, Finding, Verdict, RegExp, RegExp][] = [
    ['of Node', nodeFinding('24.1.0'), 'fine', /24\.1\.0/, /^$/],
    ['of an old Node', nodeFinding('20.18.9'), 'bad', /20\.18\.9/, /20\.19/],
    ['of the oldest Node that will do', nodeFinding('20.19.0'), 'fine', /20\.19\.0/, /^$/],
    ['of a port', listenFinding(['tcp://[::]:4100'], null), 'fine', /can listen: tcp:\/\/\[::\]:4100/, /^$/],
    ['of a port in use', listenFinding(['tcp://[::]:9'], 'It is taken.'), 'poor', /taken.*\[::\]:9/, /--listen/],
    ['of no way in', waysFinding([], null, false), 'bad', /none was given/, /--join REF/],
    ['of a way in', waysFinding([worked], null, true), 'fine', /1 of 1/, /^$/],
    ['of two, one of which failed', waysFinding([worked, failed], null, true), 'poor', /1 of 2/, /old/],
    ['of one that failed', waysFinding([failed], null, false), 'bad', /0 of 1/, /firewall/],
    ['of a memory that helped', waysFinding([], 7, true), 'fine', /remembers 7 peers/, /^$/],
    ['of a memory that did not', waysFinding([], 7, false), 'bad', /remembers 7 peers/, /a peer that runs now/],
    ['of an empty memory', waysFinding([], 0, false), 'bad', /remembers 0 peers/, /--join REF/],
    ['of UDP', udpFinding(nat({ askedPeers: 3, answeredPeers: 2 })), 'fine', /usable: 2 of 3/, /^$/],
    ['of UDP that is blocked', udpFinding(nat({ askedPeers: 3 })), 'poor', /blocked: 0 of 3/, /let UDP out/],
    ['of UDP without a peer to ask', udpFinding(nat({})), 'told', /not known/, /^$/],
    [
      'of the address',
      addressFinding(nat({ ipv4: '5.5.5.5', answeredPeers: 3 }), ['10.0.0.2', 'fd00::2', '2001:db8::2']),
      'fine',
      /IPv4 5\.5\.5\.5, as most of 3 peers.*IPv6 2001:db8::2, by itself/,
      /^$/,
    ],
    ['of too few who tell it', addressFinding(nat({ answeredPeers: 1 }), []), 'told', /1 answered; IPv6 none/, /^$/],
    ['of peers that differ', addressFinding(nat({ answeredPeers: 2 }), []), 'told', /peers tell differently/, /^$/],
    ['of no NAT', natFinding(nat({ kind: 'none' })), 'fine', /Everybody can dial it/, /^$/],
    ['of an ordinary NAT', natFinding(nat({ kind: 'independent' })), 'fine', /Direct wires to almost/, /^$/],
    ['of a symmetric NAT', natFinding(nat({ kind: 'dependent' })), 'poor', /over relays/, /port mapping/],
    ['of a NAT that one peer knows', natFinding(nat({ askedPeers: 1, answeredPeers: 1 })), 'told', /1 answered/, /^$/],
    [
      'of a machine with IPv6 alone',
      natFinding(nat({ ipv6: '2001:db8::2', askedPeers: 3, answeredPeers: 3 })),
      'told',
      /no IPv4 here/,
      /^$/,
    ],
    ['of a mapping', mapping({}), 'fine', /TCP port 4100 and UDP port 4101 of 5\.5\.5\.5.*UPnP/, /^$/],
    [
      'of a mapping of three ports',
      mapping({ webrtcPort: 4100 }),
      'fine',
      /TCP port 4100, UDP port 4101 and UDP port 4100 for WebRTC of 5/,
      /^$/,
    ],
    ['of a mapping of TCP alone', mapping({ udpPort: null }), 'fine', /TCP port 4100 of 5\.5\.5\.5/, /^$/],
    ['of one nobody confirmed', mapping({ trust: 'unconfirmed' }), 'told', /not told/, /tcp:\/\/5\.5\.5\.5:4100/],
    ['of one peers contradict', mapping({ trust: 'contradicted' }), 'poor', /peers see another/, /--announce/],
    ['of one behind another NAT', mapping({ trust: 'private' }), 'poor', /private/, /outer router/],
    [
      'of a gateway that maps nothing',
      mappingFinding({ kind: 'none', asked: '10.0.0.1', detail: 'UPnP: no answer' }),
      'poor',
      /10\.0\.0\.1 maps no port \(UPnP: no answer\)/,
      /switch on UPnP or NAT-PMP.*--announce/,
    ],
    ['of no gateway', mappingFinding({ kind: 'none', asked: null, detail: 'no way out' }), 'told', /no way out/, /^$/],
    [
      'of a mapping that is needless',
      mappingFinding({ kind: 'off', why: 'public-address' }),
      'told',
      /not needed/,
      /^$/,
    ],
    ['of a gateway that is asked still', mappingFinding({ kind: 'searching' }), 'told', /not answered yet/, /^$/],
    ['of no address that can be dialled', dialInFinding([], []), 'told', /no address of its own/, /^$/],
    ['of an address nobody has tried', dialIn({ a: 'unknown' }), 'told', /dial a is not known/, /^$/],
    ['of an open address', dialIn({ a: 'open', b: 'unknown' }), 'fine', /can dial a:/, /^$/],
    [
      'of one that the gateway opens',
      dialIn({ a: 'open' }, true),
      'fine',
      /firewall lets them in to a,.*\(PCP\)/,
      /^$/,
    ],
    ['of one that it promised to open', dialIn({ a: 'closed' }, true), 'poor', /though the gateway says/, /firewall/],
    ['of a closed address', dialIn({ a: 'closed' }), 'poor', /dial a and could not\. Others/, /TCP port 4100, 4200,/],
    ['of a closed and an open one', dialIn({ a: 'closed', b: 'open' }), 'poor', /not; they can dial b\./, /firewall/],
    ['of a clock', clockFinding(-800, 2), 'fine', /2 peers/, /^$/],
    ['of a clock that is a bit off', clockFinding(-30_000, 1), 'told', /30 s behind 1 peer$/, /^$/],
    ['of a clock that is wrong', clockFinding(3_600_000, 3), 'poor', /3600 s ahead of 3 peers/, /set it/],
    ['of a clock nobody compares', clockFinding(null, 0), 'told', /not known/, /^$/],
    ['of no store', storeFinding({ kind: 'not-given' }), 'told', /--store DIR/, /^$/],
    ['of a store', storeFinding({ kind: 'fine', place: '/x' }), 'fine', /\/x can be read and written/, /^$/],
    ['of a store to be', storeFinding({ kind: 'missing', place: '/x', canBeMade: true }), 'told', /can be made/, /^$/],
    [
      'of a store that cannot be',
      storeFinding({ kind: 'missing', place: '/x', canBeMade: false }),
      'bad',
      /may not be made/,
      /another folder/,
    ],
    [
      'of a store in use',
      storeFinding({ kind: 'fault', place: '/x', locked: true, message: '' }),
      'told',
      /in use by a peer that runs/,
      /^$/,
    ],
  ]
  it.each(cases)('%s', (_, finding, verdict, text, advice) => {
    expect(finding.verdict).toBe(verdict)
    expect(finding.text).toMatch(text)
    expect(finding.advice).toMatch(advice)
  })
})
