/**
 * What several public peers tell of this machine by STUN, and what that says of its NAT (RFC 4787 section 4.1). One of them may
 * lie: what fewer than two say, or no more than half of those who answered, is not known.
 */
import type { SocketAddress } from './stun.ts'

/** No NAT; one that shows all peers the same port; one that shows each another. How it filters is not asked. */
export type NatKind = 'unknown' | 'none' | 'independent' | 'dependent'

export interface NatSurvey {
  readonly kind: NatKind
  /** This machine's public IPv4 and IPv6 address, as most peers see it. */
  readonly ipv4: string | null
  readonly ipv6: string | null
  /** The IPv4 addresses that peers told, and how many told each. */
  readonly seen: readonly { readonly host: string; readonly peers: number }[]
  /** Of IPv4, as `seen`. */
  readonly answered: number
  /** How many peers were asked, and how many answered: by that family by which they were more, since many serve both. */
  readonly askedPeers: number
  readonly answeredPeers: number
}

export const NOT_SURVEYED: NatSurvey = {
  kind: 'unknown',
  ipv4: null,
  ipv6: null,
  seen: [],
  answered: 0,
  askedPeers: 0,
  answeredPeers: 0,
}

/** `told`: one answer of each peer by each family. `own`: this machine's own places. `asked`: where peers were asked. */
export function surveyOf(
  told: readonly SocketAddress[],
  own: readonly SocketAddress[],
  asked: readonly Pick<SocketAddress, 'host'>[],
): NatSurvey {
  const ipv4 = told.filter(({ host }) => !host.includes(':'))
  const ipv6 = told.filter(({ host }) => host.includes(':'))
  const asked6 = asked.filter(({ host }) => host.includes(':')).length
  const seen = [...counted(ipv4.map(({ host }) => host))].map(([host, peers]) => ({ host, peers }))
  return {
    kind: kindOf(ipv4, own),
    ipv4: mostSay(ipv4.map(({ host }) => host)),
    ipv6: mostSay(ipv6.map(({ host }) => host)),
    seen,
    answered: ipv4.length,
    askedPeers: Math.max(asked.length - asked6, asked6),
    answeredPeers: Math.max(ipv4.length, ipv6.length),
  }
}

/** By IPv4 alone: IPv6 is not mapped. */
function kindOf(ipv4: readonly SocketAddress[], own: readonly SocketAddress[]): NatKind {
  const place = mostSay(ipv4.map(placeText))
  if (place !== null) return own.some(item => placeText(item) === place) ? 'none' : 'independent'
  // Of two that differ one may lie, of three that all differ two would have to.
  return ipv4.length > 2 && new Set(ipv4.map(placeText)).size === ipv4.length ? 'dependent' : 'unknown'
}

function mostSay(told: readonly string[]): string | null {
  for (const [text, count] of counted(told)) if (count > 1 && 2 * count > told.length) return text
  return null
}

function counted(told: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of told) counts.set(text, (counts.get(text) ?? 0) + 1)
  return counts
}

function placeText({ host, port }: SocketAddress): string {
  return `${host} ${port}`
}
