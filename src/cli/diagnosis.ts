/**
 * What `webmesh doctor` says: from what was found out, one finding for each thing that matters, in words that a user can act
 * on. Decides nothing else, and asks nobody.
 */
import type { DialInHost, NatStatus } from '../host/own-network.ts'
import type { LinkView, PortMappingState } from '../index.node.ts'
import type { MappingProtocol } from '../paths/port-mapping/port-mapping.ts'

/** `bad`: without it this machine cannot take part; `poor`: it can, but less well; `fine`, and `told` where nothing is wrong or right. */
export type Verdict = 'fine' | 'told' | 'poor' | 'bad'

export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  /** One sentence or two, without a full stop at the end. */
  readonly text: string
  /** What to do about it; '' where nothing needs to be done. */
  readonly advice: string
}

export interface WayTried {
  readonly way: string
  /** Null where it led in; a sentence where not. */
  readonly fault: string | null
  readonly ms: number
}

/** In JavaScript's numbers, as `process.versions.node` gives them. */
export function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isOld = major < 20 || (major === 20 && minor < 19)
  const advice = isOld ? 'install Node 20.19 or later' : ''
  return { check: 'node', verdict: isOld ? 'bad' : 'fine', text: `Node ${version}`, advice }
}

export function listenFinding(listening: readonly string[], fault: string | null): Finding {
  const check = 'listens'
  if (fault !== null) {
    const text = listening.length === 0 ? fault : `${fault} For these checks it listens at ${listening.join(', ')}`
    return { check, verdict: 'poor', text, advice: 'choose a port that is free: --listen 0.0.0.0:PORT' }
  }
  return { check, verdict: 'fine', text: `this machine can listen: ${listening.join(', ')}`, advice: '' }
}

export function waysFinding(ways: readonly WayTried[], remembered: number | null, isIn: boolean): Finding {
  const check = 'ways in'
  const worked = ways.filter(({ fault }) => fault === null).length
  const tried = ways.length === 0 ? '' : `${worked} of ${ways.length} given worked`
  const memory = remembered === null ? '' : `the store remembers ${counted(remembered, 'peer')}`
  const text = [tried, memory].filter(part => part !== '').join('; ')
  if (ways.length === 0 && !remembered) {
    const why = text === '' ? 'none was given' : text
    return { check, verdict: 'bad', text: why, advice: 'give one: --join REF, the ref of any peer that runs' }
  }
  if (worked === ways.length && isIn) return { check, verdict: 'fine', text, advice: '' }
  const advice = isIn
    ? 'those that failed may be old: use refs of peers that run now'
    : 'ask for the ref of a peer that runs now, and see whether a firewall here stops connections to it'
  return { check, verdict: isIn ? 'poor' : 'bad', text, advice }
}

export function linksFinding(links: readonly LinkView[], estimatedPeers: number): Finding {
  const check = 'links'
  if (links.length === 0) return { check, verdict: 'bad', text: 'none: no peer keeps a link with this one', advice: '' }
  const kinds = new Map<string, number>()
  for (const { path } of links) {
    const kind =
      path.kind === 'wire' ? `over ${path.transport}` : path.kind === 'circuit' ? 'via other peers' : 'without a path'
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  const parts = [...kinds].map(([kind, count]) => `${count} ${kind}`).join(', ')
  const text = `${counted(links.length, 'link')} (${parts}); the network has about ${counted(estimatedPeers, 'peer')}`
  return { check, verdict: 'fine', text, advice: '' }
}

export function udpFinding({ askedPeers, answeredPeers }: NatStatus): Finding {
  const check = 'udp'
  if (askedPeers === 0)
    return { check, verdict: 'told', text: 'not known: no peer with a public address could be asked', advice: '' }
  const text = `${answeredPeers} of ${counted(askedPeers, 'public peer')} answered`
  if (answeredPeers > 0) return { check, verdict: 'fine', text: `usable: ${text}`, advice: '' }
  const advice = `let UDP out of this network; until then peers that cannot be dialled are reached over others, more slowly`
  return { check, verdict: 'poor', text: `blocked: ${text}`, advice }
}

export function addressFinding({ ipv4, ipv6, answeredPeers }: NatStatus, own: readonly string[]): Finding {
  const check = 'address'
  const ownIpv6 = own.find(host => /^[23][0-9a-f]{3}:/i.test(host))
  const six = ipv6 ?? (ownIpv6 === undefined ? 'none' : `${ownIpv6}, by itself: no peer was asked`)
  if (ipv4 !== null)
    return {
      check,
      verdict: 'fine',
      text: `public IPv4 ${ipv4}, as most of ${counted(answeredPeers, 'peer')} see it; IPv6 ${six}`,
      advice: '',
    }
  const why =
    answeredPeers < 2 ? `two peers that agree are needed, ${answeredPeers} answered` : 'peers tell differently'
  return { check, verdict: 'told', text: `public IPv4 not known: ${why}; IPv6 ${six}`, advice: '' }
}

export function natFinding({ kind, ipv4, ipv6, askedPeers, answeredPeers }: NatStatus): Finding {
  const check = 'nat'
  switch (kind) {
    case 'none':
      return {
        check,
        verdict: 'fine',
        text: 'none: peers see the address that this machine has itself. Everybody can dial it, unless a firewall stops them',
        advice: '',
      }
    case 'independent':
      return {
        check,
        verdict: 'fine',
        text: 'an ordinary one, which shows all peers the same port. Direct wires to almost every peer; to those behind symmetric NATs between Node peers only, after some seconds',
        advice: '',
      }
    case 'dependent':
      return {
        check,
        verdict: 'poor',
        text: 'a symmetric one, which shows each peer another port. Direct wires to public peers and those behind open NATs; to most others between Node peers only, after some seconds; to others behind symmetric NATs over relays',
        advice: 'port mapping, or a forwarded port, makes it one that everybody can dial',
      }
    case 'unknown': {
      const why =
        askedPeers === 0
          ? 'no peer with a public address could be asked'
          : answeredPeers < 2
            ? `two peers that agree are needed, ${answeredPeers} answered`
            : ipv4 === null && ipv6 !== null
              ? 'there is no IPv4 here. IPv6 addresses are most often left as they are, but a firewall may let nobody in'
              : 'peers tell differently; more of them are needed'
      return { check, verdict: 'told', text: `not known: ${why}`, advice: '' }
    }
  }
}

const PROTOCOLS: Readonly<Record<MappingProtocol, string>> = { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' }
const NEEDLESS: Readonly<Record<Extract<PortMappingState, { kind: 'off' }>['why'], string>> = {
  'switched-off': 'switched off',
  'not-supported': 'not there on this platform',
  'not-listening': 'not needed: nothing listens',
  loopback: 'not needed: it listens for this machine alone',
  'no-ipv4': 'not needed: there is no IPv4 here, and IPv6 is not mapped',
  'public-address': 'not needed: this machine has a public address of its own',
  'announce-given': 'not needed: you say where it is reached',
}
const FORWARD = 'forward a TCP port to this machine by hand and start with --announce tcp://PUBLIC-ADDRESS:PORT'

function portsText(ports: readonly (string | null)[]): string {
  const known = ports.filter(port => port !== null)
  return [known.slice(0, -1).join(', '), known.at(-1)].filter(Boolean).join(' and ')
}

/** Of the addresses of the machine itself; what a gateway maps is `mappingFinding`'s. */
export function dialInFinding(hosts: readonly DialInHost[], listening: readonly string[]): Finding {
  const check = 'dial-in'
  const named = (state: DialInHost['state']): string =>
    hosts.flatMap(item => (item.state === state ? [item.host] : [])).join(', ')
  const [open, closed, unknown] = [named('open'), named('closed'), named('unknown')]
  if (closed !== '') {
    const reached = open === '' ? '' : `; they can dial ${open}`
    const promised = hosts.some(({ state, hole }) => state === 'closed' && hole)
      ? ', though the gateway says that it lets them in (PCP)'
      : ''
    return {
      check,
      verdict: 'poor',
      text: `several peers tried to dial ${closed} and could not${promised}${reached}. Others are not told of it, and come by way of other peers`,
      advice: `a firewall, in the router or here, lets nobody in: let it pass TCP port ${portsOf(listening)}, and UDP for WebRTC`,
    }
  }
  if (open !== '') {
    const holes = hosts.flatMap(({ host, state, hole }) => (state === 'open' && hole ? [host] : [])).join(', ')
    const how = holes === '' ? '' : `; the gateway's firewall lets them in to ${holes}, as it was asked to (PCP)`
    return { check, verdict: 'fine', text: `others can dial ${open}: a peer that was asked to did${how}`, advice: '' }
  }
  const text =
    unknown === ''
      ? 'this machine has no address of its own that others could dial from anywhere'
      : `whether others can dial ${unknown} is not known: nobody was there to try`
  return { check, verdict: 'told', text, advice: '' }
}

function portsOf(listening: readonly string[]): string {
  return [...new Set(listening.map(place => place.slice(place.lastIndexOf(':') + 1)))].join(', ')
}

export function mappingFinding(state: PortMappingState): Finding {
  const check = 'port mapping'
  switch (state.kind) {
    case 'off':
      return { check, verdict: 'told', text: NEEDLESS[state.why], advice: '' }
    case 'searching':
      return { check, verdict: 'told', text: 'the gateway has not answered yet', advice: '' }
    case 'none': {
      if (state.asked === null) return { check, verdict: 'told', text: `none: ${state.detail}`, advice: '' }
      const text = `none: the gateway ${state.asked} maps no port (${state.detail})`
      return { check, verdict: 'poor', text, advice: `switch on UPnP or NAT-PMP (PCP) in its settings, or ${FORWARD}` }
    }
    case 'mapped': {
      const { host, tcpPort, udpPort, webrtcPort, trust } = state
      const by = `the gateway ${state.gateway} by ${PROTOCOLS[state.protocol]}`
      const ports = `${portsText([
        `TCP port ${tcpPort}`,
        udpPort === null ? null : `UDP port ${udpPort}`,
        webrtcPort === null ? null : `UDP port ${webrtcPort} for WebRTC`,
      ])} of ${host}`
      switch (trust) {
        case 'confirmed':
          return {
            check,
            verdict: 'fine',
            text: `others can dial ${ports}, mapped at ${by}; peers see that address too`,
            advice: '',
          }
        case 'unconfirmed':
          return {
            check,
            verdict: 'told',
            text: `${ports} are mapped at ${by}; others are not told, since no peer has confirmed that address`,
            advice: `join through a peer with a public address that UDP reaches; whoever is told tcp://${host}:${tcpPort} by you can join there already`,
          }
        case 'contradicted':
          return {
            check,
            verdict: 'poor',
            text: `mapped at ${by}, which says that its address is ${host}: peers see another, so others are not told`,
            advice: `another NAT stands behind it, or it is wrong: ${FORWARD}`,
          }
        case 'private':
          return {
            check,
            verdict: 'poor',
            text: `mapped at ${by}, but its own address ${host} is private: another NAT stands behind it`,
            advice:
              'make the outer router forward ports or pass everything on, or ask the provider for a public address',
          }
      }
    }
  }
}

/** `skewMs`: how far this machine's clock is ahead of others'; null where nobody could be asked. */
export function clockFinding(skewMs: number | null, peers: number): Finding {
  const check = 'clock'
  if (skewMs === null) return { check, verdict: 'told', text: 'not known: no linked peer tells the time', advice: '' }
  const off = Math.abs(skewMs)
  const ahead = skewMs > 0 ? 'ahead of' : 'behind'
  const whom = `${counted(peers, 'peer')}`
  if (off <= 2_000) return { check, verdict: 'fine', text: `agrees with ${whom} to two seconds`, advice: '' }
  const text = `${Math.round(off / 1_000)} s ${ahead} ${whom}`
  if (off < CLOCK_WRONG_MS) return { check, verdict: 'told', text, advice: '' }
  const advice = 'set it, or switch on time synchronisation: what this peer announces is refused or expires too early'
  return { check, verdict: 'poor', text, advice }
}

/** Announcements live for ten minutes, and those made ten minutes in the future are refused: half of that is too much. */
const CLOCK_WRONG_MS = 300_000

export type StoreState =
  | { readonly kind: 'not-given' }
  | { readonly kind: 'missing'; readonly place: string; readonly canBeMade: boolean }
  | { readonly kind: 'fine'; readonly place: string }
  | { readonly kind: 'fault'; readonly place: string; readonly locked: boolean; readonly message: string }

export function storeFinding(state: StoreState): Finding {
  const check = 'store'
  switch (state.kind) {
    case 'not-given':
      return { check, verdict: 'told', text: 'none given: --store DIR checks one', advice: '' }
    case 'missing':
      return state.canBeMade
        ? { check, verdict: 'told', text: `${state.place} is not there yet; it can be made`, advice: '' }
        : {
            check,
            verdict: 'bad',
            text: `${state.place} is not there, and may not be made`,
            advice: 'choose another folder',
          }
    case 'fine':
      return { check, verdict: 'fine', text: `${state.place} can be read and written`, advice: '' }
    case 'fault':
      return state.locked
        ? {
            check,
            verdict: 'told',
            text: `${state.place} is in use by a peer that runs: this check takes another identity`,
            advice: '',
          }
        : { check, verdict: 'bad', text: state.message, advice: '' }
  }
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`
}
