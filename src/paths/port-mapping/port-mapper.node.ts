/**
 * Keeps ports of the gateway mapped to those of this machine: asks by PCP, NAT-PMP and UPnP in turn, so that multicast goes
 * out only where single datagrams to the gateway brought nothing; renews in time; takes the mappings away at the end. Whatever
 * fails is a state, and is tried again later. For an IPv6 address of this machine it keeps holes in the gateway's firewall, by
 * PCP alone: what is "mapped" then is the address itself.
 */
import { messageOf } from '../../core/base/fault.ts'
import { plainIp } from '../udp/ip-address.ts'
import { defaultGateway } from './default-gateway.node.ts'
import { GatewaySocket } from './gateway-socket.node.ts'
import { GATEWAY_PORT } from './pcp.ts'
import { openNatPmp, openPcp } from './pcp-gateway.node.ts'
import type { Gateway, Grant, MappingProtocol, PortToMap } from './port-mapping.ts'
import { UpnpGateway } from './upnp-gateway.node.ts'

/** What RFC 6886 recommends: a peer that dies without a word leaves its mapping for so long. */
const LEASE_SECONDS = 7_200
/** Renewed at half of the lease, and at least this often: a gateway that was restarted has forgotten it. */
const RENEW_AFTER_MAX_MS = 1_800_000
/** A gateway that grants less is asked no more often. */
const RENEW_AFTER_MIN_MS = 1_000
/** After a failure; the last holds from then on. */
const AGAIN_AFTER_MS: readonly number[] = [60_000, 300_000, 1_800_000]
/** Taking mappings away may hold up the end so long: three calls of UPnP to a slow router. */
const CLOSE_MS = 2_000

export interface MappedPorts {
  readonly protocol: MappingProtocol
  readonly gateway: string
  readonly host: string
  readonly tcpPort: number
  /** Of STUN and punched wires; null where there is none to map, or the gateway did not map it. */
  readonly udpPort: number | null
  /** That takes WebRTC; the same. */
  readonly webrtcPort: number | null
}

export type MapperState =
  | { readonly kind: 'searching' }
  | { readonly kind: 'none'; readonly asked: string | null; readonly detail: string }
  | { readonly kind: 'mapped'; readonly mapped: MappedPorts }

export interface PortMapperOptions {
  readonly tcpPort: number
  /** Of STUN and punched wires. */
  readonly udpPort: number | null
  /** Of UDP too, and another one. */
  readonly webrtcPort: number | null
  /** The one address of this machine that takes connections; any of IPv4 unless given. */
  readonly from?: string | undefined
  readonly leaseSeconds?: number
  /** First choice first. */
  readonly protocols?: readonly MappingProtocol[]
  readonly onChange: (state: MapperState) => void
}

interface Held {
  readonly gateway: Gateway
  readonly tcp: Grant
  /** By the port of this machine. */
  readonly udp: ReadonlyMap<number, Grant>
  readonly until: number
}

const NONE: ReadonlyMap<number, Grant> = new Map()
const PROTOCOLS: readonly MappingProtocol[] = ['pcp', 'nat-pmp', 'upnp']
const PROTOCOLS_IPV6: readonly MappingProtocol[] = ['pcp']
const NAMES: Readonly<Record<MappingProtocol, string>> = { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' }

export class PortMapper {
  private readonly options: PortMapperOptions
  private readonly closing = new AbortController()
  private held: Held | null = null
  /** Is asked just now, and has not answered. */
  private asking: { readonly gateway: Gateway; readonly port: PortToMap } | null = null
  private failures = 0
  private timer: NodeJS.Timeout | undefined
  private busy: Promise<void>

  constructor(options: PortMapperOptions) {
    this.options = options
    this.busy = this.look()
  }

  private get isIpv6(): boolean {
    return this.options.from?.includes(':') === true
  }

  /** The network has changed, or may have: looks now. */
  lookAgain(): void {
    clearTimeout(this.timer)
    this.busy = this.busy.then(() => this.look())
  }

  /** Takes the mappings away, and waits two seconds for it at most. */
  async close(): Promise<void> {
    this.closing.abort()
    clearTimeout(this.timer)
    const { asking } = this
    if (asking !== null && this.held === null && asking.gateway.protocol !== 'upnp') {
      asking.gateway.giveUp(asking.port)
      asking.gateway.close()
    }
    const ended = this.busy.then(() => this.letGo())
    let timer: NodeJS.Timeout | undefined
    const late = new Promise(resolve => {
      timer = setTimeout(resolve, CLOSE_MS)
    })
    await Promise.race([ended, late])
    clearTimeout(timer)
    this.held?.gateway.close()
  }

  private async look(): Promise<void> {
    if (this.closing.signal.aborted) return
    const { held } = this
    const host = await defaultGateway(this.isIpv6 ? 6 : 4)
    if (held !== null && held.gateway.host === host) {
      const fault = await this.map(held.gateway, held)
      if (fault === null || this.closing.signal.aborted) return
      const leftMs = held.until - performance.now()
      if (leftMs > 2 * RENEW_AFTER_MIN_MS) {
        // It may come back in time.
        this.again(leftMs / 4)
        return
      }
    }
    await this.letGo()
    if (this.closing.signal.aborted) return
    this.options.onChange({ kind: 'searching' })
    await this.search(host)
  }

  private async search(host: string | null): Promise<void> {
    const { signal } = this.closing
    const faults: string[] = []
    const protocols = this.options.protocols ?? (this.isIpv6 ? PROTOCOLS_IPV6 : PROTOCOLS)
    for (const protocol of host === null ? [] : protocols) {
      if (signal.aborted) return
      const gateway = await this.open(protocol, host!)
      const fault = gateway === null ? 'no answer' : await this.map(gateway, null)
      if (fault === null) return
      gateway?.close()
      faults.push(`${NAMES[protocol]}: ${fault}`)
    }
    if (signal.aborted) return
    const detail = host === null ? 'this machine has no default gateway' : faults.join('; ')
    this.options.onChange({ kind: 'none', asked: host, detail })
    this.again(AGAIN_AFTER_MS[Math.min(this.failures, AGAIN_AFTER_MS.length - 1)]!)
    this.failures += 1
  }

  private async open(protocol: MappingProtocol, host: string): Promise<Gateway | null> {
    const { from } = this.options
    if (protocol === 'pcp') return openPcp(host, from)
    if (protocol === 'nat-pmp') return openNatPmp(host, from)
    const way = await GatewaySocket.open(host, GATEWAY_PORT, from)
    way?.close()
    return way === null ? null : UpnpGateway.find(host, way.ownHost, this.closing.signal)
  }

  /** All ports, for the first time or again; why not, or null where the TCP port is mapped. */
  private async map(gateway: Gateway, before: Held | null): Promise<string | null> {
    const { tcpPort, udpPort, webrtcPort, leaseSeconds = LEASE_SECONDS } = this.options
    const tcp = await this.ask(gateway, { transport: 'tcp', port: tcpPort }, before?.tcp.port ?? tcpPort, leaseSeconds)
    if (typeof tcp === 'string') return tcp
    const renewAfterMs = renewAfter(tcp)
    this.held = { gateway, tcp, udp: before?.udp ?? NONE, until: performance.now() + 2 * renewAfterMs }
    for (const own of [udpPort, webrtcPort])
      if (own !== null) this.held = await this.mapUdp(this.held, own, leaseSeconds)
    if (this.closing.signal.aborted) return null
    this.failures = 0
    const { host, port } = tcp
    const { udp } = this.held
    const mappedTo = (own: number | null): number | null => (own === null ? null : (udp.get(own)?.port ?? null))
    const ports = { tcpPort: port, udpPort: mappedTo(udpPort), webrtcPort: mappedTo(webrtcPort) }
    this.options.onChange({
      kind: 'mapped',
      mapped: { protocol: gateway.protocol, gateway: gateway.host, host, ...ports },
    })
    this.again(renewAfterMs)
    return null
  }

  /** One without which the others are of use all the same. */
  private async mapUdp(held: Held, own: number, leaseSeconds: number): Promise<Held> {
    if (this.closing.signal.aborted) return held
    const port: PortToMap = { transport: 'udp', port: own }
    const grant = await this.ask(held.gateway, port, held.udp.get(own)?.port ?? own, leaseSeconds)
    const others = [...held.udp].filter(([other]) => other !== own)
    return { ...held, udp: new Map(typeof grant === 'string' ? others : [...others, [own, grant]]) }
  }

  private async ask(gateway: Gateway, port: PortToMap, wanted: number, seconds: number): Promise<Grant | string> {
    if (this.closing.signal.aborted) return 'closed'
    this.asking = { gateway, port }
    try {
      const grant = await gateway.map(port, wanted, seconds)
      const host = plainIp(grant.host)
      const isHole = host === plainIp(this.options.from ?? '') && grant.port === port.port
      if (host !== null && (this.isIpv6 ? isHole : host !== '0.0.0.0' && grant.port > 0)) return { ...grant, host }
      await gateway.unmap(port, grant.port)
      return this.isIpv6 ? 'the gateway gave another address' : 'the gateway has no address outside'
    } catch (error) {
      return messageOf(error)
    } finally {
      this.asking = null
    }
  }

  private async letGo(): Promise<void> {
    const { held } = this
    if (held === null) return
    await held.gateway.unmap({ transport: 'tcp', port: this.options.tcpPort }, held.tcp.port)
    for (const [port, grant] of held.udp) await held.gateway.unmap({ transport: 'udp', port }, grant.port)
    held.gateway.close()
    this.held = null
  }

  private again(delayMs: number): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.lookAgain(), delayMs)
  }
}

/** Half of the lease, within bounds. */
function renewAfter({ seconds }: Grant): number {
  const half = seconds === null ? Number.POSITIVE_INFINITY : seconds * 500
  return Math.min(Math.max(half, RENEW_AFTER_MIN_MS), RENEW_AFTER_MAX_MS)
}
