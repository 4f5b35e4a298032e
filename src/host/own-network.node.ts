/**
 * Asks public peers how they see this machine, when there are some and now and then after; has its ports mapped, and the
 * gateway's firewall opened to its IPv6 addresses; and tells of the mapped place once other peers see this machine at the same
 * address as the gateway says.
 */
import type { Address } from '../core/base/address.ts'
import { isGlobalHost } from '../core/base/global-host.ts'
import { invariant } from '../core/base/invariant.ts'
import { GATHER_TIMEOUT_MS } from '../paths/negotiator.ts'
import { type MapperState, PortMapper } from '../paths/port-mapping/port-mapper.node.ts'
import { needlessFor, type PortMappingState, trustIn } from '../paths/port-mapping/port-mapping.ts'
import { NOT_SURVEYED } from '../paths/udp/nat-survey.ts'
import {
  type MappedPlace,
  natStatus,
  type OwnNetwork,
  type OwnNetworkOptions,
  type OwnNetworkView,
} from './own-network.ts'

/** Links come in twos and threes: those that come within this are asked together. */
const LINKS_SETTLE_MS = 500
/** However many links come and go: peers are asked no more often. */
const PAUSE_MS = 2_000
/** While too few have answered to be sure, or nobody has confirmed a mapping; and once all is known. */
const UNSURE_AGAIN_MS = 60_000
const SURE_AGAIN_MS = 600_000
/** With so many answers one liar changes nothing. */
const ANSWERS_WANTED = 3
/** A machine has one that lasts and some that pass; a gateway is not asked for more. */
const HOLES_MAX = 4

invariant(GATHER_TIMEOUT_MS < PAUSE_MS, 'one survey is over before the next')

export function openOwnNetwork(options: OwnNetworkOptions): OwnNetwork {
  return new NodeOwnNetwork(options)
}

class NodeOwnNetwork implements OwnNetwork {
  private readonly options: OwnNetworkOptions
  private readonly mapper: PortMapper | null
  private readonly openers: readonly PortMapper[]
  private readonly open = new Set<string>()
  private survey = NOT_SURVEYED
  /** This machine's address by IPv4, as most told when it was known last. */
  private seenAs: string | null = null
  private mapping: PortMappingState
  private toldPlace: MappedPlace | null = null
  private closed = false
  private lookedAt = Number.NEGATIVE_INFINITY
  private dueAt = Number.POSITIVE_INFINITY
  private cancel: (() => void) | null = null

  constructor(options: OwnNetworkOptions) {
    this.options = options
    const { listening, udpPort } = options
    const ownHosts = options.ownHosts()
    const why =
      options.noMapping ??
      needlessFor(
        listening.map(({ host }) => host),
        ownHosts,
      )
    const place = listening.find(({ host }) => why === null && needlessFor([host], ownHosts) === null)
    this.mapping = place === undefined ? { kind: 'off', why: why ?? 'loopback' } : { kind: 'searching' }
    this.mapper =
      place === undefined
        ? null
        : new PortMapper({
            tcpPort: place.port,
            udpPort,
            webrtcPort: place.webrtc?.port ?? null,
            from: isAny(place.host) ? undefined : place.host,
            onChange: state => this.onMapping(state),
          })
    // Whoever has a public address by IPv4 is no home behind a router.
    const asksForHoles = options.noMapping === null && why !== 'public-address'
    this.openers = asksForHoles ? this.openHoles(ownHosts) : []
  }

  /** For each IPv6 address at which others could dial this machine, if nothing stood before it. */
  private openHoles(ownHosts: readonly string[]): readonly PortMapper[] {
    const { listening, udpPort6 } = this.options
    const places = listening.flatMap(place => {
      const hosts = place.host === '::' ? ownHosts : [place.host]
      return hosts.filter(host => host.includes(':') && isGlobalHost(host)).map(host => ({ ...place, host }))
    })
    return places.slice(0, HOLES_MAX).map(
      ({ host, port, webrtc }) =>
        new PortMapper({
          tcpPort: port,
          udpPort: udpPort6,
          webrtcPort: webrtc?.port ?? null,
          from: host,
          onChange: ({ kind }) => this.onOpener(host, kind === 'mapped'),
        }),
    )
  }

  view(): Omit<OwnNetworkView, 'dialIn'> {
    return { nat: natStatus(this.survey), portMapping: this.mapping }
  }

  holes(): readonly string[] {
    return [...this.open]
  }

  onLink(): void {
    if (this.told < ANSWERS_WANTED) this.lookWithin(LINKS_SETTLE_MS)
  }

  lookAgain(): void {
    // Where the old address is gone nobody may answer before the ports are mapped anew: the gateway is asked in any case.
    this.mapper?.lookAgain()
    this.lookWithin(LINKS_SETTLE_MS)
  }

  async close(): Promise<void> {
    this.closed = true
    this.cancel?.()
    await Promise.all([...this.openers, this.mapper].map(mapper => mapper?.close()))
  }

  private onMapping(state: MapperState): void {
    if (this.closed) return
    this.mapping =
      state.kind === 'mapped'
        ? { kind: 'mapped', ...state.mapped, trust: trustIn(state.mapped.host, this.survey) }
        : state
    this.tellPlace()
    if (this.mapping.kind === 'mapped' && this.mapping.trust === 'unconfirmed') this.lookWithin(LINKS_SETTLE_MS)
  }

  private onOpener(host: string, isOpen: boolean): void {
    if (this.closed || isOpen === this.open.has(host)) return
    if (isOpen) this.open.add(host)
    else this.open.delete(host)
    this.options.onHoleChanged(host)
  }

  private lookWithin(delayMs: number): void {
    const { clock } = this.options
    const now = clock.monotonicNow()
    const at = Math.max(now + delayMs, this.lookedAt + PAUSE_MS)
    if (this.closed || at >= this.dueAt) return
    this.cancel?.()
    this.dueAt = at
    this.cancel = clock.setTimer(at - now, () => {
      this.dueAt = Number.POSITIVE_INFINITY
      this.look()
    })
  }

  private async look(): Promise<void> {
    this.lookedAt = this.options.clock.monotonicNow()
    const helpers = await this.options.findHelpers().catch((): readonly Address[] => [])
    const outside = helpers.filter(({ host }) => this.mayTell(host))
    if (outside.length > 0 && !this.closed) {
      this.survey = await this.options.survey(outside)
      if (this.closed) return
      if (this.mapping.kind === 'mapped') {
        this.mapping = { ...this.mapping, trust: trustIn(this.mapping.host, this.survey) }
        this.tellPlace()
      }
      // The network is another one: the gateway knows its new address, or is a new gateway.
      const { ipv4 } = this.survey
      if (this.seenAs !== null && ipv4 !== null && ipv4 !== this.seenAs) this.mapper?.lookAgain()
      this.seenAs = ipv4 ?? this.seenAs
    }
    const sure = this.told >= ANSWERS_WANTED && !this.isUnconfirmed()
    this.lookWithin(sure ? SURE_AGAIN_MS : UNSURE_AGAIN_MS)
  }

  /** How many peers have told how they see this machine: by IPv4, where it has that. */
  private get told(): number {
    const hasIpv4 = this.options.ownHosts().some(host => !host.includes(':'))
    return hasIpv4 ? this.survey.answered : this.survey.answeredPeers
  }

  /** Whoever is on this side of the NAT sees nothing of it; and of what this machine lacks no silence tells anything. */
  private mayTell(host: string): boolean {
    const isIpv6 = host.includes(':')
    const hasFamily = this.options.ownHosts().some(own => own.includes(':') === isIpv6)
    return hasFamily && isGlobalHost(host)
  }

  private isUnconfirmed(): boolean {
    return this.mapping.kind === 'mapped' && this.mapping.trust === 'unconfirmed'
  }

  private tellPlace(): void {
    const { mapping, toldPlace } = this
    const place = mapping.kind === 'mapped' && mapping.trust === 'confirmed' ? placeOf(mapping) : null
    if (isSame(place, toldPlace) || this.closed) return
    this.toldPlace = place
    this.options.onMappedPlace(place)
  }
}

function placeOf({ host, tcpPort, udpPort, webrtcPort }: MappedPlace): MappedPlace {
  return { host, tcpPort, udpPort, webrtcPort }
}

function isSame(one: MappedPlace | null, other: MappedPlace | null): boolean {
  if (one === null || other === null) return one === other
  const isSamePorts = one.tcpPort === other.tcpPort && one.udpPort === other.udpPort
  return one.host === other.host && isSamePorts && one.webrtcPort === other.webrtcPort
}

function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
