/** Punched UDP between two Node peers (spec 5.9): a way is probed for from both ends, then a reliable stream runs over it. */
import { randomBytes, randomInt } from 'node:crypto'
import type { UdxSocket } from 'udx-native'
import type { Address } from '../../core/base/address.ts'
import type { NegotiatedSink, NegotiatedWire, Negotiator, ServedPorts } from '../negotiator.ts'
import { LINGER_MS } from '../wire-driver.ts'
import { Allowance } from './allowance.ts'
import { mayBeSentTo, plainIp } from './ip-address.ts'
import type { NatSurvey } from './nat-survey.ts'
import { GUESS_PORTS_PER_TICK, PUNCH_TICK_MS, Punch, withoutBadPlaces } from './punch.ts'
import { type PunchDescription, readPunchDescription, TOKEN_BYTES, writePunchDescription } from './punch-description.ts'
import { UdpHost } from './udp-host.node.ts'
import { UdpWire } from './udp-wire.node.ts'

/** Ports guessed by all peers of this process within a minute: a stranger may have named somebody else's address. */
const GUESSES_PER_MINUTE = 500 * GUESS_PORTS_PER_TICK

export class UdpNegotiator implements Negotiator {
  readonly transport = 'udp'
  readonly scarce = false
  readonly encrypts = false
  /** Made at the first wire where the peer listens nowhere. */
  private host: UdpHost | null = null
  /** Places on this machine's loopback are probed: the peer is there on purpose. */
  private loopback = false
  private readonly punches = new Map<string, Punch<UdxSocket>>()
  private readonly wires = new Set<UdpWire>()
  private readonly guesses = new Allowance(GUESSES_PER_MINUTE, 60_000)

  prepare(offer: Uint8Array | null, helpers: readonly Address[], sink: NegotiatedSink): NegotiatedWire {
    const host = this.host ?? this.use(new UdpHost())
    const stream = host.newStream()
    const wire = new UdpWire(sink, stream)
    this.wires.add(wire)
    wire.onOver = () => this.wires.delete(wire)
    const told = offer === null ? null : readPunchDescription(offer)
    if (offer !== null && told === null) {
      wire.fail({ code: 'malformed', detail: 'what the other side told of its UDP socket' })
      return wire
    }
    const token = randomBytes(TOKEN_BYTES)
    host.find(helpers).then(({ mapping, candidates }) => {
      if (!wire.isPreparing) return
      const own: PunchDescription = { token: new Uint8Array(token), stream: stream.id, mapping, candidates }
      if (told !== null && !mayMeet(own, told)) {
        wire.fail({ code: 'not-supported', detail: 'both NATs give each destination another port' })
        return
      }
      wire.onProceed = answer => {
        const other = readPunchDescription(answer)
        if (other === null) wire.fail({ code: 'malformed', detail: 'what the other side told of its UDP socket' })
        else this.punch(host, wire, own, other, true)
      }
      wire.describe(writePunchDescription(own))
      if (told !== null) this.punch(host, wire, own, told, false)
    })
    return wire
  }

  onNetworkChanged(): void {
    this.host?.forgetMappings()
  }

  async close(): Promise<void> {
    for (const wire of [...this.wires]) wire.fail({ code: 'closed' })
    // Streams that the other side does not let go hold up their socket: for so long only.
    await Promise.race([this.host?.close(), new Promise(resolve => setTimeout(resolve, LINGER_MS).unref())])
  }

  survey(helpers: readonly Address[]): Promise<NatSurvey> {
    return (this.host ?? this.use(new UdpHost())).survey(helpers)
  }

  serve(host: string, port: number): ServedPorts | null {
    if (this.host !== null) return null
    const ip = plainIp(host) ?? '0.0.0.0'
    this.loopback = !mayBeSentTo(ip, false) && mayBeSentTo(ip, true)
    const opened = this.use(new UdpHost({ host, port }))
    return opened.port === null ? null : { ipv4: opened.portOf(4), ipv6: opened.portOf(6) }
  }

  private use(host: UdpHost): UdpHost {
    this.host = host
    host.onProbe = ({ kind, token }, socket, from) => {
      this.punches.get(Buffer.from(token).toString('hex'))?.onProbe(kind, socket, from)
    }
    return host
  }

  /** Goes on until the wire is over: whoever chose a way asks until it hears that this side has heard. */
  private punch(
    host: UdpHost,
    wire: UdpWire,
    own: PunchDescription,
    other: PunchDescription,
    isOfferer: boolean,
  ): void {
    const extra = new Set<UdxSocket>()
    const key = Buffer.from(own.token).toString('hex')
    const punch = new Punch<UdxSocket>(own, withoutBadPlaces(other, this.loopback), isOfferer, performance.now(), {
      socketFor: to => host.socketFor(to),
      openSocket: () => {
        const socket = host.openExtra()
        if (socket !== null) extra.add(socket)
        return socket
      },
      send: (socket, bytes, to) => host.send(socket, bytes, to),
      draw: below => randomInt(below),
      mayGuess: () => this.guesses.take(performance.now()),
      onFound: (socket, at) => {
        clearInterval(timer)
        for (const other of extra) if (other !== socket) host.release(other)
        wire.open(socket, other.stream, at, isOfferer)
      },
    })
    const timer = setInterval(() => punch.tick(performance.now()), PUNCH_TICK_MS)
    this.punches.set(key, punch)
    wire.onOver = () => {
      this.wires.delete(wire)
      this.punches.delete(key)
      clearInterval(timer)
      for (const socket of extra) host.release(socket)
    }
    punch.tick(performance.now())
  }
}

/** Two NATs that both map anew for each destination leave no way, unless both peers are behind the same one. */
function mayMeet(own: PunchDescription, other: PunchDescription): boolean {
  if (own.mapping !== 'dependent' || other.mapping !== 'dependent') return true
  const hosts = new Set(own.candidates.filter(({ kind }) => kind === 'reflexive').map(({ host }) => host))
  return other.candidates.some(({ host, kind }) => kind === 'reflexive' && hosts.has(host))
}
