/** Which of a peer's places others are told (spec 2.3): those that take wires, what the gateway mapped, and where STUN is served. */
import type { Address } from '../core/base/address.ts'
import { textOfBase64url } from '../core/base/base64url.ts'
import { isGlobalHost } from '../core/base/global-host.ts'
import { REF_ADDRESSES_MAX } from '../core/crypto/peer-ref.ts'
import type { MappedPlace } from '../host/own-network.ts'
import type { Listening } from '../host/platform.ts'
import type { ServedPorts } from '../paths/negotiator.ts'
import { isHelper } from '../paths/port-mapping/port-mapping.ts'

/** Where STUN is served: at one place, or at all of a family or both. */
export interface ServedUdp extends ServedPorts {
  readonly host: string
}

type TakesWires = Pick<Listening, 'host' | 'port' | 'webrtc'>

/**
 * Each port takes both plain wires and WebSockets, and WebRTC beside it, so each host is told under all schemes; and where STUN is
 * served, unless that is a private place. First what a gateway mapped, then what can be dialled from anywhere: most of those who
 * dial are not in this peer's own network. Of more than fit a ref the first host is told in full, the others by TCP first.
 */
export function announcedAddresses(
  listeners: readonly TakesWires[],
  udp: ServedUdp | null,
  ownHosts: () => readonly string[],
  mapped: MappedPlace | null = null,
): readonly Address[] {
  const hostsOf = (host: string): readonly string[] =>
    host === '0.0.0.0' ? ownHosts().filter(own => !own.includes(':')) : host === '::' ? ownHosts() : [host]
  const own = listeners.flatMap(({ host, port, webrtc }) =>
    hostsOf(host).flatMap(reachable => addressesAt(reachable, port, webrtc)),
  )
  const addresses = [...own].sort((a, b) => Number(isGlobalHost(b.host)) - Number(isGlobalHost(a.host)))
  if (mapped !== null) {
    const { host, tcpPort, webrtcPort } = mapped
    const certificateHash = listeners.find(({ webrtc }) => webrtc !== null)?.webrtc?.certificateHash
    const isCalled = webrtcPort !== null && certificateHash !== undefined
    addresses.unshift(...addressesAt(host, tcpPort, isCalled ? { port: webrtcPort, certificateHash } : null))
  }
  const served = udp === null ? [] : hostsOf(udp.host).filter(isHelper)
  // IPv4 first: those who know of one place alone take that.
  const helpers = [
    mapped !== null && mapped.udpPort !== null
      ? helperAt(mapped.host, mapped.udpPort)
      : helperAt(
          served.find(host => !host.includes(':')),
          udp?.ipv4,
        ),
    helperAt(
      served.find(host => host.includes(':')),
      udp?.ipv6,
    ),
  ].filter(helper => helper !== null)
  return [...fitting(addresses, REF_ADDRESSES_MAX - helpers.length), ...helpers]
}

function helperAt(host: string | undefined, port: number | null | undefined): Address | null {
  return host === undefined || port == null ? null : { scheme: 'udp', host, port, extra: '' }
}

function addressesAt(host: string, port: number, webrtc: TakesWires['webrtc']): Address[] {
  const addresses: Address[] = [
    { scheme: 'tcp', host, port, extra: '' },
    { scheme: 'ws', host, port, extra: '' },
  ]
  if (webrtc === null) return addresses
  return [...addresses, { scheme: 'webrtc', host, port: webrtc.port, extra: textOfBase64url(webrtc.certificateHash) }]
}

function fitting(addresses: readonly Address[], room: number): readonly Address[] {
  const first = addresses[0]?.host
  const rank = ({ host, scheme }: Address): number => (host === first ? 0 : scheme === 'tcp' ? 1 : 2)
  const kept = new Set([...addresses].sort((a, b) => rank(a) - rank(b)).slice(0, room))
  return addresses.filter(address => kept.has(address))
}
