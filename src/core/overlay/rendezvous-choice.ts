/**
 * Which public links a peer that cannot be dialled names as its rendezvous (spec 5.2): in different ranges of addresses where
 * it can choose, so that no one place takes all of them with it; among those the least loaded.
 */
import type { Address } from '../base/address.ts'
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

/** Those of a rendezvous by which a ref tells where it is: first the ones that can be dialled from anywhere. */
export function namedAddresses({ addresses }: PeerRef): readonly Address[] {
  const dialled = addresses.filter(({ scheme }) => scheme !== 'udp')
  const rank = ({ host }: Address): number => (isGlobalHost(host) ? 0 : 1)
  return dialled.sort((a, b) => rank(a) - rank(b)).slice(0, RENDEZVOUS_ADDRESSES_MAX)
}

function sameRange(a: Link, b: Link): boolean {
  return rangeOf(a.ref) === rangeOf(b.ref)
}
