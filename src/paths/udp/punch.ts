/**
 * Probing for a way between two sockets behind NATs (spec 5.9): both sides ask at all places that the other told, and at those
 * that asks come from, until one answers; the offerer chooses. Where one NAT gives each destination another port and the
 * other lets in only whom it knows, ports are guessed on both sides: many sockets here, many ports there (the birthday
 * paradox; as HyperDHT does). It sends nothing itself and reads no clock: `tick` and `onProbe` are what happens to it.
 *
 *   "WMP1" | kind u8 | the receiver's token 16
 */
import { equalBytes } from '../../core/base/bytes.ts'
import { mayBeSentTo } from './ip-address.ts'
import { type PunchDescription, TOKEN_BYTES } from './punch-description.ts'
import type { SocketAddress } from './stun.ts'

export type ProbeKind = 'ask' | 'answer' | 'choose' | 'chosen'

/** The first byte is neither STUN's nor that of the reliable streams on the same socket. */
const MAGIC = Uint8Array.of(0x57, 0x4d, 0x50, 0x31)
const KINDS: readonly ProbeKind[] = ['ask', 'answer', 'choose', 'chosen']
const PROBE_BYTES = MAGIC.length + 1 + TOKEN_BYTES

export const PUNCH_TICK_MS = 50
const ASK_INTERVAL_MS = 200
const CHOOSE_INTERVAL_MS = 100
/** An answer from a better place may be on its way. */
const CHOICE_DELAY_MS = 30
/** Places that asks came from, beside those told: a stranger who knows the token could name any number. */
const HEARD_MAX = 16
/** What plain probing finds it finds within this; then ports are guessed. */
const GUESS_AFTER_MS = 500
/** Sockets that one side opens, and ports that the other tries in each tick: 256 of 64,512 are hit with 99 % by 1,160. */
const GUESS_SOCKETS = 256
const GUESS_SOCKETS_PER_TICK = 32
const GUESS_SOCKET_AGAIN_MS = 1_500
export const GUESS_PORTS_PER_TICK = 12
const GUESS_PORT_MIN = 1_024

export interface Probe {
  readonly kind: ProbeKind
  readonly token: Uint8Array
}

export function encodeProbe(kind: ProbeKind, token: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PROBE_BYTES)
  bytes.set(MAGIC)
  bytes[MAGIC.length] = KINDS.indexOf(kind)
  bytes.set(token, MAGIC.length + 1)
  return bytes
}

/** Null where it is none. */
export function decodeProbe(bytes: Uint8Array): Probe | null {
  if (bytes.length !== PROBE_BYTES || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return null
  const kind = KINDS[bytes[MAGIC.length]!]
  return kind === undefined ? null : { kind, token: bytes.slice(MAGIC.length + 1) }
}

export interface PunchPort<Socket> {
  /** The socket whose places were told, for addresses of this kind; null where there is none. */
  socketFor(host: string): Socket | null
  /** One more, to guess from; null where no more can be had. */
  openSocket(): Socket | null
  send(socket: Socket, bytes: Uint8Array, to: SocketAddress): void
  /** From 0 up to, not including, `below`. */
  draw(below: number): number
  /** Whether one more port may be guessed: all guesses of a process are bounded together. */
  mayGuess(): boolean
  /** There is a way: from this socket to there. Once. */
  onFound(socket: Socket, at: SocketAddress): void
}

interface Way<Socket> extends SocketAddress {
  readonly socket: Socket
  readonly isHost: boolean
}

export class Punch<Socket> {
  private readonly own: PunchDescription
  private readonly other: PunchDescription
  private readonly isOfferer: boolean
  private readonly port: PunchPort<Socket>
  private readonly startedAt: number
  private readonly places: Way<Socket>[] = []
  private readonly guessSockets: { readonly socket: Socket; askedAt: number }[] = []
  private readonly answered: Way<Socket>[] = []
  private answeredAt = 0
  private asksAt = 0
  private choice: Way<Socket> | null = null
  private chosenAt = 0
  private found = false
  private now: number

  constructor(
    own: PunchDescription,
    other: PunchDescription,
    isOfferer: boolean,
    now: number,
    port: PunchPort<Socket>,
  ) {
    this.own = own
    this.other = other
    this.isOfferer = isOfferer
    this.port = port
    this.startedAt = now
    this.now = now
    for (const { host, port: at, kind } of other.candidates)
      this.addPlace(host, at, port.socketFor(host), kind === 'host')
  }

  get token(): Uint8Array {
    return this.own.token
  }

  /** To be called every `PUNCH_TICK_MS` until a way is found. */
  tick(now: number): void {
    this.now = now
    if (this.found) return
    if (this.choice === null && this.answered.length > 0 && now - this.answeredAt >= CHOICE_DELAY_MS) this.choose()
    if (this.choice !== null) {
      if (now - this.chosenAt >= CHOOSE_INTERVAL_MS) this.sendChoice()
      return
    }
    if (now >= this.asksAt) {
      this.asksAt = now + ASK_INTERVAL_MS
      for (const place of this.places) this.say('ask', place.socket, place)
    }
    if (now - this.startedAt >= GUESS_AFTER_MS && this.answered.length === 0) this.guess()
  }

  onProbe(kind: ProbeKind, socket: Socket, from: SocketAddress): void {
    switch (kind) {
      case 'ask':
        this.say('answer', socket, from)
        if (this.addPlace(from.host, from.port, socket, false)) this.say('ask', socket, from)
        return
      case 'answer': {
        const place = this.places.find(({ host, port }) => host === from.host && port === from.port)
        if (this.answered.length === 0) this.answeredAt = this.now
        if (this.answered.length < HEARD_MAX) this.answered.push({ ...from, socket, isHost: place?.isHost === true })
        return
      }
      case 'choose':
        if (this.isOfferer) return
        this.say('chosen', socket, from)
        this.find(socket, from)
        return
      case 'chosen':
        if (this.isOfferer && this.choice !== null) this.find(this.choice.socket, this.choice)
    }
  }

  private addPlace(host: string, port: number, socket: Socket | null, isHost: boolean): boolean {
    const known = this.places.some(place => place.host === host && place.port === port && place.socket === socket)
    if (socket === null || known || this.places.length >= this.other.candidates.length + HEARD_MAX) return false
    this.places.push({ host, port, socket, isHost })
    return true
  }

  /** Places of the machines themselves first: no NAT in between forgets them. */
  private choose(): void {
    if (!this.isOfferer) return
    this.choice = this.answered.find(({ isHost }) => isHost) ?? this.answered[0]!
    this.sendChoice()
  }

  private sendChoice(): void {
    if (this.choice === null) return
    this.chosenAt = this.now
    this.say('choose', this.choice.socket, this.choice)
  }

  private guess(): void {
    const reflexive = this.other.candidates.filter(({ kind, host }) => kind === 'reflexive' && !host.includes(':'))
    if (this.own.mapping === 'dependent' && this.other.mapping !== 'dependent') this.guessFromMany(reflexive)
    else if (this.other.mapping === 'dependent' && this.own.mapping !== 'dependent') this.guessPorts(reflexive)
  }

  /** Each socket gets a port of its own at the NAT here: the other side meets one of them by chance. */
  private guessFromMany(places: readonly SocketAddress[]): void {
    for (let i = 0; i < GUESS_SOCKETS_PER_TICK && this.guessSockets.length < GUESS_SOCKETS; i += 1) {
      const socket = this.port.openSocket()
      if (socket === null) break
      this.guessSockets.push({ socket, askedAt: Number.NEGATIVE_INFINITY })
    }
    for (const item of this.guessSockets) {
      if (this.now - item.askedAt < GUESS_SOCKET_AGAIN_MS) continue
      item.askedAt = this.now
      for (const place of places.slice(0, 1)) this.say('ask', item.socket, place)
    }
  }

  private guessPorts(places: readonly SocketAddress[]): void {
    const [place] = places
    const socket = place === undefined ? null : this.port.socketFor(place.host)
    if (place === undefined || socket === null) return
    for (let i = 0; i < GUESS_PORTS_PER_TICK && this.port.mayGuess(); i += 1) {
      const port = GUESS_PORT_MIN + this.port.draw(65_536 - GUESS_PORT_MIN)
      this.say('ask', socket, { host: place.host, port })
    }
  }

  private find(socket: Socket, at: SocketAddress): void {
    if (this.found) return
    this.found = true
    this.port.onFound(socket, { host: at.host, port: at.port })
  }

  private say(kind: ProbeKind, socket: Socket, to: SocketAddress): void {
    this.port.send(socket, encodeProbe(kind, this.other.token), to)
  }
}

/** A description without the places that no peer should be sent to. */
export function withoutBadPlaces(description: PunchDescription, loopback: boolean): PunchDescription {
  return { ...description, candidates: description.candidates.filter(({ host }) => mayBeSentTo(host, loopback)) }
}
