/**
 * The UDP sockets of a peer (spec 3.7): one for each family, shared by all that goes over UDP. It answers STUN, asks others
 * how this machine's NAT maps the sockets, and hands probes to whoever waits for them. Congestion control and
 * reliability are the library's (`udx-native`), whose streams run on the same sockets.
 */
import { randomBytes } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import Udx, { type UdxAddress, type UdxSocket, type UdxStream } from 'udx-native'
import type { Address } from '../../core/base/address.ts'
import { isGlobalHost } from '../../core/base/global-host.ts'
import { GATHER_TIMEOUT_MS } from '../negotiator.ts'
import { Allowance } from './allowance.ts'
import { bytesOfIp, plainIp } from './ip-address.ts'
import { judgeMapping } from './nat-mapping.ts'
import { type NatSurvey, surveyOf } from './nat-survey.ts'
import { decodeProbe, type Probe } from './punch.ts'
import { MAPPING_KEPT_MS, type NatMapping, type PunchCandidate } from './punch-description.ts'
import { answerTo, bindingRequest, isStun, mappedAddress, type SocketAddress, TRANSACTION_BYTES } from './stun.ts'

const udx = new Udx()

/** A helper that has not answered is asked again after these. */
const STUN_ASK_AFTER_MS: readonly number[] = [0, 150, 400]
/** Once one has answered, the others may take so long. */
const STUN_OTHERS_MS = 300
/** Answers to strangers' STUN in a second: each is half again as long as its request. */
const STUN_ANSWERS_PER_SECOND = 500

export interface UdpHostOptions {
  /** Where to take datagrams; all addresses unless given. */
  readonly host?: string
  /** The port; any free one unless given, or where it is taken. */
  readonly port?: number
}

export interface Mappings {
  readonly mapping: NatMapping
  readonly candidates: readonly PunchCandidate[]
  readonly survey: NatSurvey
}

export class UdpHost {
  /** Probes that are nobody's are dropped. */
  onProbe: (probe: Probe, socket: UdxSocket, from: SocketAddress) => void = () => {}
  private readonly sockets = new Map<4 | 6, UdxSocket>()
  private readonly extra = new Set<UdxSocket>()
  private readonly host: string | undefined
  private readonly asked = new Map<string, (mapped: SocketAddress) => void>()
  private mappings: { readonly value: Promise<Mappings>; readonly at: number } | null = null
  private nextStream = 1 + (randomBytes(4).readUInt32BE() % 0x7fff_ffff)
  private readonly answers = new Allowance(STUN_ANSWERS_PER_SECOND, 1_000)

  constructor({ host, port = 0 }: UdpHostOptions = {}) {
    this.host = host
    const families: readonly (4 | 6)[] = host === undefined || host === '::' ? [4, 6] : [host.includes(':') ? 6 : 4]
    for (const family of families) {
      const any = family === 4 ? '0.0.0.0' : '::'
      // The same for both, where it is left to the system.
      const wanted = port === 0 ? (this.port ?? 0) : port
      const socket = this.open(family, host === undefined || host === '::' ? any : host, wanted)
      if (socket !== null) this.sockets.set(family, socket)
    }
  }

  /** The real port, of IPv4 where there is that. */
  get port(): number | null {
    for (const socket of this.sockets.values()) return socket.address()?.port ?? null
    return null
  }

  portOf(family: 4 | 6): number | null {
    return this.sockets.get(family)?.address()?.port ?? null
  }

  socketFor(host: string): UdxSocket | null {
    return this.sockets.get(host.includes(':') ? 6 : 4) ?? null
  }

  send(socket: UdxSocket, bytes: Uint8Array, to: SocketAddress): void {
    try {
      socket.trySend(bytes, to.port, to.host)
    } catch {
      // No such address can be sent to from here: as if it were lost on the way.
    }
  }

  /** One more socket on any port, to guess from; `release` ends it. */
  openExtra(): UdxSocket | null {
    const socket = this.open(4, this.host !== undefined && !this.host.includes(':') ? this.host : '0.0.0.0', 0)
    if (socket !== null) this.extra.add(socket)
    return socket
  }

  release(socket: UdxSocket): void {
    if (this.extra.delete(socket)) socket.close()
  }

  newStream(): UdxStream {
    this.nextStream = this.nextStream >= 0x7fff_ffff ? 1 : this.nextStream + 1
    return udx.createStream(this.nextStream)
  }

  /** Where this machine is, by itself and by what helpers see: with two of them it shows how the NAT maps. */
  find(helpers: readonly Address[]): Promise<Mappings> {
    const now = performance.now()
    if (this.mappings === null || now - this.mappings.at > MAPPING_KEPT_MS)
      this.mappings = { value: this.ask(helpers, STUN_OTHERS_MS), at: now }
    return this.mappings.value
  }

  forgetMappings(): void {
    this.mappings = null
  }

  /** The same, asked anew, with patience for every helper. */
  async survey(helpers: readonly Address[]): Promise<NatSurvey> {
    this.mappings = { value: this.ask(helpers, GATHER_TIMEOUT_MS), at: performance.now() }
    return (await this.mappings.value).survey
  }

  async close(): Promise<void> {
    await Promise.all([...this.sockets.values(), ...this.extra].map(socket => socket.close()))
  }

  private open(family: 4 | 6, host: string, port: number): UdxSocket | null {
    for (const wanted of port === 0 ? [0] : [port, 0]) {
      const socket = udx.createSocket({ ipv6Only: family === 6 })
      try {
        socket.bind(wanted, host)
      } catch {
        // The port is taken, or the family is not there.
        continue
      }
      socket.on('message', (bytes, from) => this.onDatagram(socket, bytes, from))
      return socket
    }
    return null
  }

  /** Once one helper has answered, the others may take `othersMs`. */
  private async ask(helpers: readonly Address[], othersMs: number): Promise<Mappings> {
    const own = this.ownPlaces()
    const seen = new Map<string, SocketAddress>()
    const places = helpers.filter(
      ({ host }) => bytesOfIp(host) !== null && this.socketFor(host) !== null && mayReach(own, host),
    )
    await new Promise<void>(resolve => {
      const timers: NodeJS.Timeout[] = []
      const keys: string[] = []
      const done = (): void => {
        for (const timer of timers) clearTimeout(timer)
        for (const key of keys) this.asked.delete(key)
        resolve()
      }
      timers.push(setTimeout(done, GATHER_TIMEOUT_MS))
      if (places.length === 0) done()
      for (const place of places) {
        const socket = this.socketFor(place.host)!
        const transaction = randomBytes(TRANSACTION_BYTES)
        const key = transaction.toString('hex')
        keys.push(key)
        this.asked.set(key, mapped => {
          seen.set(`${place.host} ${place.port}`, mapped)
          if (seen.size === places.length) done()
          else timers.push(setTimeout(done, othersMs))
        })
        for (const delay of STUN_ASK_AFTER_MS)
          timers.push(setTimeout(() => this.send(socket, bindingRequest(transaction), place), delay))
      }
    })
    const { mapping, places: mapped } = judgeMapping([...seen.values()], own)
    const candidates: PunchCandidate[] = [...own]
    for (const { host, port } of mapped) {
      if (!candidates.some(known => known.host === host && known.port === port))
        candidates.push({ kind: 'reflexive', host, port })
    }
    return { mapping, candidates, survey: surveyOf([...seen.values()], own, places) }
  }

  private ownPlaces(): PunchCandidate[] {
    const { host } = this
    const hosts =
      host === undefined || host === '::' || host === '0.0.0.0'
        ? Object.values(networkInterfaces())
            .flatMap(addresses => addresses ?? [])
            .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
            .map(({ address }) => address)
        : [host]
    return hosts.flatMap(own => {
      const ip = plainIp(own)
      const port = this.socketFor(own)?.address()?.port
      return ip === null || port === undefined ? [] : [{ kind: 'host' as const, host: ip, port }]
    })
  }

  private onDatagram(socket: UdxSocket, bytes: Uint8Array, sender: UdxAddress): void {
    const host = plainIp(sender.host)
    if (host === null) return
    const from = { host, port: sender.port }
    if (isStun(bytes)) {
      this.onStun(socket, bytes, from)
      return
    }
    const probe = decodeProbe(bytes)
    if (probe !== null) this.onProbe(probe, socket, from)
  }

  private onStun(socket: UdxSocket, bytes: Uint8Array, from: SocketAddress): void {
    const transaction = bytes.slice(8, 8 + TRANSACTION_BYTES)
    const key = Buffer.from(transaction).toString('hex')
    const onMapped = this.asked.get(key)
    const mapped = onMapped === undefined ? null : mappedAddress(bytes, transaction)
    if (mapped !== null) {
      this.asked.delete(key)
      onMapped?.(mapped)
      return
    }
    if (!this.answers.take(performance.now())) return
    const answer = answerTo(bytes, from)
    if (answer !== null) this.send(socket, answer, from)
  }
}

/** Where this machine has no address of a family that leads there, waiting for answers over it would hold up the wire. */
function mayReach(own: readonly SocketAddress[], host: string): boolean {
  if (own.length === 0) return true
  const alike = own.filter(place => isIpv6(place.host) === isIpv6(host))
  return isIpv6(host) && isGlobalHost(host) ? alike.some(place => isGlobalHost(place.host)) : alike.length > 0
}

function isIpv6(host: string): boolean {
  return host.includes(':')
}
