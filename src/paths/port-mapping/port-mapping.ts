/**
 * What a gateway can be asked for: that a port of its public address leads to one of this machine. Three protocols do it
 * (`pcp.ts`, `nat-pmp.ts`, `upnp-igd.ts`); what comes of it is a state that users see, and that is trusted only where other
 * peers see the same address.
 */
import { isGlobalHost, isPublicIpv4 } from '../../core/base/global-host.ts'
import type { NatSurvey } from '../udp/nat-survey.ts'

export type MappingProtocol = 'pcp' | 'nat-pmp' | 'upnp'

export interface PortToMap {
  readonly transport: 'tcp' | 'udp'
  /** On this machine. */
  readonly port: number
}

/** What the gateway gave. */
export interface Grant {
  /** Its own address on the other side, as it says. */
  readonly host: string
  readonly port: number
  /** It forgets the mapping after this; null where it never does. */
  readonly seconds: number | null
}

/** A gateway that was found to speak one of the protocols. */
export interface Gateway {
  readonly protocol: MappingProtocol
  /** Where it was asked. */
  readonly host: string
  /** The port that is wanted on the other side is a wish. Rejects with a sentence that says why not. */
  map(port: PortToMap, wanted: number, seconds: number): Promise<Grant>
  /** Of this machine's own mappings alone; never rejects. */
  unmap(port: PortToMap, granted: number): Promise<void>
  /** While `map` has no answer: should it be granted yet, it is to end, and nobody waits for it. */
  giveUp(port: PortToMap): void
  close(): void
}

/** Whether other peers see this machine at the address that the gateway names. */
export type MappingTrust = 'confirmed' | 'unconfirmed' | 'contradicted' | 'private'

export type PortMappingState =
  /** Not tried: `why` says what makes it needless or impossible. */
  | { readonly kind: 'off'; readonly why: MappingNeedless }
  | { readonly kind: 'searching' }
  /** `asked`: the gateway; null where this machine knows none. */
  | { readonly kind: 'none'; readonly asked: string | null; readonly detail: string }
  | {
      readonly kind: 'mapped'
      readonly protocol: MappingProtocol
      readonly gateway: string
      /** The address and ports on the other side, as the gateway says. */
      readonly host: string
      readonly tcpPort: number
      /** Of STUN and punched wires, and of WebRTC; null where it is not mapped. */
      readonly udpPort: number | null
      readonly webrtcPort: number | null
      readonly trust: MappingTrust
    }

export type MappingNeedless =
  | 'switched-off'
  | 'not-supported'
  | 'not-listening'
  | 'loopback'
  | 'no-ipv4'
  | 'public-address'
  | 'announce-given'

/**
 * The gateway is one witness, every peer that answered is one: an address counts where more than half of those who answered say the
 * same as it does. It may still lie to all of them, since it carries the questions; somebody else in the network cannot.
 */
export function trustIn(host: string, { seen, answered }: Pick<NatSurvey, 'seen' | 'answered'>): MappingTrust {
  if (!isPublicIpv4(host)) return 'private'
  if (answered === 0) return 'unconfirmed'
  const agreeing = seen.find(other => other.host === host)?.peers ?? 0
  return 2 * agreeing > answered ? 'confirmed' : 'contradicted'
}

/** Fit to serve STUN: whoever is private sees nothing of its neighbours' NAT, and others cannot ask it. */
export function isHelper(host: string): boolean {
  return isGlobalHost(host) || isLoopback(host)
}

/** Why a peer that listens at these needs no mapping; null where it does. */
export function needlessFor(listening: readonly string[], own: readonly string[]): MappingNeedless | null {
  if (listening.length === 0) return 'not-listening'
  const outside = listening.flatMap(host =>
    host === '0.0.0.0' || host === '::' ? own : isLoopback(host) ? [] : [host],
  )
  const isOpen = listening.some(host => !isLoopback(host))
  const ipv4 = outside.filter(isIpv4)
  if (ipv4.length === 0) return isOpen ? 'no-ipv4' : 'loopback'
  return ipv4.some(isPublicIpv4) ? 'public-address' : null
}

/** A name may lead anywhere: it is taken for this machine's own, as `localhost` is. */
function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1' || !/^[\d.]+$|:/.test(host)
}

function isIpv4(host: string): boolean {
  return /^[\d.]+$/.test(host)
}
