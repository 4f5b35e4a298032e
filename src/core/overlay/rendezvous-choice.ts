/**
 * Which public links a peer that cannot be dialled names as its rendezvous (spec 5.2): in different ranges of addresses where
 * it can choose, so that no one place takes all of them with it; among those the least loaded.
 */
import type { Address, AddressScheme } from '../base/address.ts'
import { isGlobalHost } from '../base/global-host.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { RELAYED_WEIGHT, RENDEZVOUS_ADDRESSES_MAX } from '../limits.ts'
import type { Link } from './link-table.ts'
import { rangeOf } from './remembered-peers.ts'

export interface RendezvousSwap {
  readonly out: Link
  readonly in: Link
}

/** The first `count` in ranges of their own, then others, each in the order given. */
export function inSeveralRanges(links: readonly Link[], count: number): Link[] {
  const ranges = new Set<number>()
  const alone = links.filter(({ ref }) => {
    const range = rangeOf(ref)
    const isNew = !ranges.has(range)
    ranges.add(range)
    return isNew
  })
  return [...alone, ...links.filter(link => !alone.includes(link))].slice(0, count)
}

/** One that shares its range with another of those named goes for one in a range of its own. */
export function rangeSwap(named: readonly Link[], others: readonly Link[]): RendezvousSwap | null {
  const shared = named.filter(link => named.some(other => other !== link && sameRange(other, link)))
  const out = [...shared].sort((a, b) => loadOf(b) - loadOf(a))[0]
  const into = leastLoaded(others.filter(link => !named.some(other => sameRange(other, link))))
  return out === undefined || into === undefined ? null : { out, in: into }
}

/** Whether no two ranges more become one when it takes the place of `out`. */
export function mayReplace(link: Link, out: Link, named: readonly Link[]): boolean {
  const isShared = (of: Link): boolean => named.some(other => other !== out && sameRange(other, of))
  return !isShared(link) || isShared(out)
}

/** How much of what a peer can carry it carries, as it told; a way in comes after all others. */
export function loadOf(link: Link): number {
  const carried = link.neighbours.length + RELAYED_WEIGHT * link.relayed
  return carried / Math.max(1, link.ref.capacity) + (link.role === 'way-in' ? 1 : 0)
}

export function leastLoaded(links: readonly Link[]): Link | undefined {
  return [...links].sort((a, b) => loadOf(a) - loadOf(b))[0]
}

/** Who can dial addresses of a scheme, as bits: programs, pages, pages that came over https. `udp` serves STUN alone. */
const DIALLERS: Readonly<Record<AddressScheme, number>> = { tcp: 1, ws: 3, wss: 7, webrtc: 6, udp: 0, tab: 0 }
const DIALLER_KINDS = 3

/**
 * Those of a rendezvous by which a ref tells where it is: of those that can be dialled from anywhere its first, then those by
 * which most others get in, by kind and by family of addresses; then the ones of its own network.
 */
export function namedAddresses({ addresses }: PeerRef): readonly Address[] {
  const named: Address[] = []
  let served = 0
  for (const isGlobal of [true, false]) {
    const left = addresses.filter(({ scheme, host }) => DIALLERS[scheme] > 0 && isGlobalHost(host) === isGlobal)
    while (left.length > 0 && named.length < RENDEZVOUS_ADDRESSES_MAX) {
      const gains = left.map(address => countBits(diallersOf(address) & ~served))
      const at = named.length === 0 ? 0 : gains.indexOf(Math.max(...gains))
      served |= diallersOf(left[at]!)
      named.push(...left.splice(at, 1))
    }
  }
  return named
}

/** The upper bits are those who have IPv6; a name may be looked up in either family. */
function diallersOf({ scheme, host }: Address): number {
  const kinds = DIALLERS[scheme]
  return (host.includes(':') ? 0 : kinds) | (/^[\d.]+$/.test(host) ? 0 : kinds << DIALLER_KINDS)
}

function countBits(bits: number): number {
  return bits === 0 ? 0 : (bits & 1) + countBits(bits >> 1)
}

function sameRange(a: Link, b: Link): boolean {
  return rangeOf(a.ref) === rangeOf(b.ref)
}
