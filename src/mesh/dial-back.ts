/**
 * Whether others can dial this peer at the places that it tells of: peers that it is linked to are asked to try (spec 5.11). An
 * address of this machine may be one that can be dialled from anywhere and a firewall still let nobody in; told to others, it
 * would make them wait.
 */
import type { Address } from '../core/base/address.ts'
import { isGlobalHost } from '../core/base/global-host.ts'
import type { Instant } from '../core/base/instant.ts'
import { invariant } from '../core/base/invariant.ts'
import type { PeerRef } from '../core/crypto/peer-ref.ts'
import { rangeOf } from '../core/overlay/remembered-peers.ts'
import type { DialInHost } from '../host/own-network.ts'
import type { HostClock } from '../host/platform.ts'

/** What one who was asked found: `not-tried` says nothing of the place. */
export type DialVerdict = 'reached' | 'not-reached' | 'not-tried'

export interface DialBackOptions {
  readonly clock: HostClock
  /** Where this peer takes connections of TCP, and is the same machine from anywhere: one place of each host. */
  readonly places: () => readonly Address[]
  readonly ownHosts: () => readonly string[]
  /** Peers with a link to here that accept dials. */
  readonly helpers: () => readonly PeerRef[]
  /** Asks one of them to dial a place; never rejects. */
  readonly ask: (helper: PeerRef, place: Address) => Promise<DialVerdict>
  /** The state of a host is another one now. */
  readonly onChange: () => void
}

/** Links come in twos and threes: those that come within this can be asked together. */
const LINKS_SETTLE_MS = 1_000
/** Asked for one host: one that reaches it is enough, one that does not may lie or have no way out itself. */
const HELPERS = 3
const FAILURES_MIN = 2
/** How long until a host is looked at again, by what is known of it. */
const AGAIN_MS = { unknown: 60_000, closed: 600_000, open: 3_600_000 } as const
/** Where there were not enough to ask: more have come by then, perhaps. */
const FEW_AGAIN_MS = 10_000

invariant(FAILURES_MIN < HELPERS, 'one liar does not hide a peer')

interface Known {
  readonly state: DialInHost['state']
  readonly dueAt: Instant
}

export class DialBack {
  private readonly options: DialBackOptions
  /** By host; another object in another network. */
  private known = new Map<string, Known>()
  /** Where among the helpers to begin: others than the last time. */
  private turn = 0
  private looking = false
  private closed = false
  private dueAt = Number.POSITIVE_INFINITY
  private cancel: (() => void) | null = null

  constructor(options: DialBackOptions) {
    this.options = options
  }

  view(): readonly Omit<DialInHost, 'hole'>[] {
    return this.options.places().map(({ host }) => ({ host, state: this.stateOf(host) }))
  }

  /** Nobody who was asked could dial it, and they were several. */
  isClosed(host: string): boolean {
    return this.stateOf(host) === 'closed'
  }

  onLink(): void {
    if (this.view().some(({ state }) => state === 'unknown')) this.lookWithin(LINKS_SETTLE_MS)
  }

  /** The machine may be in another network: nothing is known of it. */
  forget(): void {
    this.known = new Map()
    this.lookWithin(LINKS_SETTLE_MS)
  }

  /** What stands before it was opened or closed: it is tried anew, and what is known holds until then. */
  lookAgain(host: string): void {
    // Whoever is trying just now may have begun before: what that brings does not count.
    this.known = new Map(this.known)
    const known = this.known.get(host)
    if (known !== undefined) this.known.set(host, { ...known, dueAt: 0 })
    this.lookWithin(LINKS_SETTLE_MS)
  }

  close(): void {
    this.closed = true
    this.cancel?.()
  }

  private stateOf(host: string): DialInHost['state'] {
    return this.known.get(host)?.state ?? 'unknown'
  }

  private lookWithin(delayMs: number): void {
    const { clock } = this.options
    const now = clock.monotonicNow()
    if (this.closed || now + delayMs >= this.dueAt) return
    this.cancel?.()
    this.dueAt = now + delayMs
    this.cancel = clock.setTimer(delayMs, () => {
      this.dueAt = Number.POSITIVE_INFINITY
      this.look()
    })
  }

  private async look(): Promise<void> {
    if (this.looking) return
    this.looking = true
    const { clock, places } = this.options
    const due = places().filter(({ host }) => (this.known.get(host)?.dueAt ?? 0) <= clock.monotonicNow())
    await Promise.all(due.map(place => this.check(place)))
    this.looking = false
    const next = Math.min(...places().map(({ host }) => this.known.get(host)?.dueAt ?? 0))
    if (next < Number.POSITIVE_INFINITY) this.lookWithin(Math.max(LINKS_SETTLE_MS, next - clock.monotonicNow()))
  }

  private async check(place: Address): Promise<void> {
    const { clock, ask, onChange } = this.options
    const { known } = this
    const helpers = this.helpersFor(place)
    const verdicts = await Promise.all(helpers.map(helper => ask(helper, place)))
    // What they found may hold of the network before.
    if (this.closed || this.known !== known) return
    const before = this.stateOf(place.host)
    const found = stateBy(verdicts)
    // What was found once stands until something else is.
    const state = found === 'unknown' ? before : found
    const againMs = found === 'unknown' && helpers.length < HELPERS ? FEW_AGAIN_MS : AGAIN_MS[found]
    known.set(place.host, { state, dueAt: clock.monotonicNow() + againMs })
    if (state !== before) onChange()
  }

  /** Those that have an address of the same family themselves, first each in a range of its own: not one owner's alone. */
  private helpersFor({ host }: Address): readonly PeerRef[] {
    const own = this.options.ownHosts()
    const isIpv6 = host.includes(':')
    const able = this.options.helpers().filter(({ addresses }) => {
      const elsewhere = addresses.filter(address => isGlobalHost(address.host) && !own.includes(address.host))
      return elsewhere.some(address => address.host.includes(':') === isIpv6)
    })
    this.turn += HELPERS
    const turned = able.map((_, at) => able[(at + this.turn) % able.length]!)
    const ranges = turned.map(rangeOf)
    const alone = turned.filter((_, at) => ranges.indexOf(ranges[at]!) === at)
    return [...new Set([...alone, ...turned])].slice(0, HELPERS)
  }
}

function stateBy(verdicts: readonly DialVerdict[]): DialInHost['state'] {
  if (verdicts.includes('reached')) return 'open'
  return verdicts.filter(verdict => verdict === 'not-reached').length >= FAILURES_MIN ? 'closed' : 'unknown'
}
