/**
 * Takes WebRTC wires on one UDP port from callers who know nothing but the address (spec 3.6). The socket is ours: each place that
 * somebody calls from gets a lane, a second socket on loopback, between it and the connection that the library makes for the call.
 * (The library can listen itself, and never lets go of a port that it has: docs/dependencies.md.) A STUN request proves nothing, not
 * even where it comes from, so calls that are not open yet are few, of one source fewer, and begun at a bounded rate.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { ExpiringSet } from '../../core/base/expiring-set.ts'
import {
  CALL_LANES_MAX,
  CALLS_ENDED_KEPT_MAX,
  CALLS_ENDED_KEPT_MS,
  CALLS_OPENING_MAX,
  CALLS_OPENING_PER_SOURCE_MAX,
  CALLS_PER_SECOND_MAX,
  CALLS_PER_SOURCE_MAX,
} from '../../core/limits.ts'
import { SourceCount } from '../shared-port/source-count.ts'
import { Allowance } from '../udp/allowance.ts'
import { plainIp } from '../udp/ip-address.ts'
import { iceNames } from '../udp/stun.ts'
import { Lane } from './call-lane.node.ts'
import { CalledEnd, type CalledEndOptions } from './called-end.node.ts'
import { LibraryUser, safely } from './datachannel-library.node.ts'
import { answerAsSeen } from './ice-answer.node.ts'
import { callerOf } from './rtc-call.ts'

export interface WebRtcPortOptions extends CalledEndOptions {
  /** An IP address of this machine; '::' stands for both families. */
  readonly host: string
  /** Where it is taken, or 0: any free one. */
  readonly port: number
}

export interface WebRtcPort {
  /** The real one. */
  readonly port: number
  /** What it does now, for tests: calls that are not open yet, those that are, those that were turned away. */
  readonly counts: { readonly opening: number; readonly open: number; readonly refused: number }
  /** Takes no more calls, and ends those that are no wires yet; wires stay open. Resolves when the last of them has ended. */
  close(): Promise<void>
}

const LAST_WORDS_MS = 1_000

/** Null where there is no UDP port to be had. */
export async function openWebRtcPort(options: WebRtcPortOptions): Promise<WebRtcPort | null> {
  const { host, port } = options
  const socket = (await bound(host, port)) ?? (await bound(host, 0))
  return socket === null ? null : new CalledPort(socket, options)
}

/** Null where the port is taken, or the address is not this machine's. */
function bound(host: string, port: number): Promise<Socket | null> {
  return new Promise(resolve => {
    const type = host.includes(':') ? 'udp6' : 'udp4'
    // All that is sent goes to addresses, never to names.
    const socket = createSocket({ type, lookup: (name, _, done) => done(null, name, 0) })
    socket.once('error', () => resolve(null))
    socket.bind(port, host, () => {
      socket.removeAllListeners('error').on('error', ignore)
      resolve(socket)
    })
  })
}

/** A call, by the user name that its caller chose for this end. */
interface Call {
  readonly end: CalledEnd
  /** Of both ends. */
  readonly password: string
  readonly source: string
  readonly lanes: Map<string, Lane>
}

class CalledPort implements WebRtcPort {
  readonly port: number
  private readonly socket: Socket
  private readonly options: WebRtcPortOptions
  private readonly user = new LibraryUser()
  /** Not open yet, oldest first. */
  private readonly opening = new Map<string, Call>()
  private readonly open = new Map<string, Call>()
  /** They have ended, and their last words are on the way: what comes from their places is no longer theirs. */
  private readonly leaving = new Set<Call>()
  /** By the places that datagrams come from. */
  private readonly lanes = new Map<string, Lane>()
  /** Their callers may go on asking for a while. */
  private readonly ended = new ExpiringSet<string>({ sizeMax: CALLS_ENDED_KEPT_MAX, lapseMs: CALLS_ENDED_KEPT_MS })
  private readonly openingSources = new SourceCount(CALLS_OPENING_PER_SOURCE_MAX, 'all')
  private readonly sources = new SourceCount(CALLS_PER_SOURCE_MAX, 'all')
  private readonly allowance = new Allowance(CALLS_PER_SECOND_MAX, 1_000)
  private refused = 0
  private closing = false
  private onLastEnded: () => void = ignore

  constructor(socket: Socket, options: WebRtcPortOptions) {
    this.socket = socket
    this.options = options
    this.port = socket.address().port
    socket.on('message', (bytes, from) => this.onDatagram(bytes, from))
  }

  get counts(): WebRtcPort['counts'] {
    return { opening: this.opening.size, open: this.open.size, refused: this.refused }
  }

  async close(): Promise<void> {
    if (this.closing) return
    this.closing = true
    for (const { end } of [...this.opening.values()]) end.close()
    if (this.open.size > 0)
      await new Promise<void>(resolve => {
        this.onLastEnded = resolve
      })
    await this.user.end()
    for (const call of this.leaving) closeLanes(call)
    this.socket.close()
  }

  private onDatagram(bytes: Uint8Array, from: RemoteInfo): void {
    const place = `${from.address} ${from.port}`
    const lane = this.lanes.get(place) ?? this.newLane(bytes, from, place)
    lane?.inward(bytes)
  }

  /** Null for whatever begins no call, and belongs to none. */
  private newLane(bytes: Uint8Array, from: RemoteInfo, place: string): Lane | null {
    const names = iceNames(bytes)
    if (names === null) return null
    const call = this.opening.get(names.to) ?? this.open.get(names.to) ?? this.newCall(names.to, names.from, from)
    if (call === null || call.lanes.size >= CALL_LANES_MAX) return null
    const seenAt = { host: plainIp(from.address) ?? from.address, port: from.port }
    const outward = (sent: Uint8Array): void =>
      this.socket.send(answerAsSeen(sent, seenAt, call.password) ?? sent, from.port, from.address)
    const lane = new Lane(call.end, outward, from)
    call.lanes.set(place, lane)
    this.lanes.set(place, lane)
    return lane
  }

  private newCall(name: string, callerName: string, from: RemoteInfo): Call | null {
    const now = performance.now()
    const caller = callerOf(callerName, name)
    const source = plainIp(from.address)
    if (this.closing || caller === null || source === null || this.ended.has(name, now)) return null
    if (!this.allowance.take(now) || !this.enter(source)) {
      this.refused += 1
      return null
    }
    const [oldest] = this.opening.values()
    if (oldest !== undefined && this.opening.size >= CALLS_OPENING_MAX) oldest.end.close()
    const end = new CalledEnd(this.options, {
      onOpen: () => this.onOpen(name),
      onEnded: () => this.onEnded(name),
    })
    const call: Call = { end, password: caller.pwd, source, lanes: new Map() }
    this.opening.set(name, call)
    this.user.use().then(
      library => safely(() => end.answer(library, name, caller)),
      // There is none for this machine.
      () => end.close(),
    )
    return call
  }

  private enter(source: string): boolean {
    if (!this.sources.enter(source)) return false
    if (this.openingSources.enter(source)) return true
    this.sources.leave(source)
    return false
  }

  private onOpen(name: string): void {
    const call = this.opening.get(name)
    if (call === undefined) return
    this.opening.delete(name)
    this.openingSources.leave(call.source)
    this.open.set(name, call)
  }

  private onEnded(name: string): void {
    const call = this.opening.get(name) ?? this.open.get(name)
    if (call === undefined) return
    if (this.opening.delete(name)) this.openingSources.leave(call.source)
    this.open.delete(name)
    this.sources.leave(call.source)
    this.ended.add(name, performance.now())
    for (const place of call.lanes.keys()) this.lanes.delete(place)
    // The library's last words, by which the caller learns of it, are still to come.
    this.leaving.add(call)
    setTimeout(() => {
      this.leaving.delete(call)
      closeLanes(call)
    }, LAST_WORDS_MS).unref()
    if (this.open.size === 0) this.onLastEnded()
  }
}

function closeLanes({ lanes }: Call): void {
  for (const lane of lanes.values()) lane.close()
}

/** What cannot be sent is as if it were lost on the way. */
function ignore(): void {}
