/**
 * What the answers of STUN tell of the NAT in front of a socket (RFC 4787, section 4.1): by IPv4 alone, IPv6 is not mapped. No
 * single helper is believed against others: it may lie, to make the NAT look worse than it is or to have somebody probed.
 */
import type { NatMapping } from './punch-description.ts'
import type { SocketAddress } from './stun.ts'

export interface MappedPlaces {
  readonly mapping: NatMapping
  /** Where others may be told to send. */
  readonly places: readonly SocketAddress[]
}

/** `seen`: what each helper said, one each; `own`: the places of the machine itself. */
export function judgeMapping(seen: readonly SocketAddress[], own: readonly SocketAddress[]): MappedPlaces {
  const confirmed = seen.filter(
    (place, i) => isIn(place, own) || seen.some((other, j) => j !== i && samePlace(place, other)),
  )
  const mapped = seen.filter(({ host }) => !host.includes(':'))
  const agreed = confirmed.filter(({ host }) => !host.includes(':'))
  // A NAT that gives each destination another port gives no two helpers the same answer.
  const mapping: NatMapping = agreed.length > 0 ? 'independent' : mapped.length < 2 ? 'unknown' : 'dependent'
  const places = [...agreed, ...seen.filter(({ host }) => host.includes(':'))]
  return { mapping, places: mapping === 'independent' ? places : seen }
}

function isIn(place: SocketAddress, places: readonly SocketAddress[]): boolean {
  return places.some(other => samePlace(place, other))
}

function samePlace(one: SocketAddress, other: SocketAddress): boolean {
  return one.host === other.host && one.port === other.port
}
