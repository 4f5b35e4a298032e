/**
 * What a peer learns of the network that its machine is in: how other peers see it, what kind of NAT stands between, whether its
 * gateway lets others in. Where the platform shows nothing of that, all of it is unknown.
 */
import type { Address } from '../core/base/address.ts'
import type { MappingNeedless, PortMappingState } from '../paths/port-mapping/port-mapping.ts'
import { type NatKind, type NatSurvey, NOT_SURVEYED } from '../paths/udp/nat-survey.ts'
import type { HostClock } from './platform.ts'

export interface OwnNetworkView {
  readonly nat: NatStatus
  readonly portMapping: PortMappingState
  readonly dialIn: readonly DialInHost[]
}

/** An address of this machine that others might dial. */
export interface DialInHost {
  readonly host: string
  /** `open`: a peer that was asked to has dialled it. `closed`: several could not, so others are not told of it. */
  readonly state: 'open' | 'closed' | 'unknown'
  /** Whether the gateway says that its firewall lets others in to this peer there, since it was asked to (IPv6, by PCP). */
  readonly hole: boolean
}

export interface NatStatus {
  /**
   * `none`; `independent`: all peers see the same port; `dependent`: each another (symmetric). By IPv4, as most of several
   * peers tell; `unknown` where fewer than two do, or they differ.
   */
  readonly kind: NatKind
  /** This machine's public addresses, as most of several peers tell. */
  readonly ipv4: string | null
  readonly ipv6: string | null
  /** How many public peers were asked over UDP when it was last looked at, and how many answered. */
  readonly askedPeers: number
  readonly answeredPeers: number
}

export interface OwnNetwork {
  view(): Omit<OwnNetworkView, 'dialIn'>
  /** Addresses of this machine for which the gateway says that it lets others in. */
  holes(): readonly string[]
  /** There is one more link: more peers to ask, perhaps. */
  onLink(): void
  /** Others may see this machine at another address now. */
  lookAgain(): void
  /** Takes away what was mapped, and waits two seconds for it at most. */
  close(): Promise<void>
}

/** Where others reach this peer through its gateway. */
export interface MappedPlace {
  readonly host: string
  readonly tcpPort: number
  /** Of STUN and punched wires. */
  readonly udpPort: number | null
  /** Of UDP too. */
  readonly webrtcPort: number | null
}

export interface ListeningPlace {
  readonly host: string
  /** Of TCP. */
  readonly port: number
  /** The port of UDP that takes WebRTC beside it. */
  readonly webrtc: { readonly port: number } | null
}

export interface OwnNetworkOptions {
  readonly clock: HostClock
  /** Where this peer takes connections. */
  readonly listening: readonly ListeningPlace[]
  /** Of STUN and punched wires, by IPv4 and by IPv6. */
  readonly udpPort: number | null
  readonly udpPort6: number | null
  /** This machine's addresses now, without loopback and link-local ones. */
  readonly ownHosts: () => readonly string[]
  /** Why ports are not to be mapped, whatever the network is like; null where they may be. */
  readonly noMapping: MappingNeedless | null
  readonly findHelpers: () => Promise<readonly Address[]>
  readonly survey: (helpers: readonly Address[]) => Promise<NatSurvey>
  /** Told when it becomes another; null where there is none any more. */
  readonly onMappedPlace: (place: MappedPlace | null) => void
  /** One was made or has gone: others may be able to dial the address now, or no more. */
  readonly onHoleChanged: (host: string) => void
}

export const NOTHING_KNOWN: OwnNetworkView = {
  nat: natStatus(NOT_SURVEYED),
  portMapping: { kind: 'off', why: 'not-supported' },
  dialIn: [],
}

export function natStatus({ kind, ipv4, ipv6, askedPeers, answeredPeers }: NatSurvey): NatStatus {
  return { kind, ipv4, ipv6, askedPeers, answeredPeers }
}
