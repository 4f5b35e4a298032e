/**
 * Takes WebRTC wires on one UDP port from callers who know nothing but the address (spec 3.6). The library owns the socket, hands
 * each STUN request of somebody new to us, and takes it from there. Such a request proves nothing, not even where it comes from, so
 * connections that are not open yet are few, of one source fewer, and made at a bounded rate.
 */
import { createSocket } from 'node:dgram'
import type { IceUdpMuxRequest } from 'node-datachannel'
import { ExpiringSet } from '../../core/base/expiring-set.ts'
import type { Fault } from '../../core/base/fault.ts'
import {
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
import { type Acceptor, DIAL_TIMEOUT_MS } from '../wire-driver.ts'
import { DataChannelEnd } from './datachannel-end.node.ts'
import { type Library, LibraryUser, safely } from './datachannel-library.node.ts'
import type { DtlsCertificate } from './dtls-certificate.node.ts'
import { bindingOf, callerOf } from './rtc-call.ts'
import { hashOfText, type RtcDescription, sdpOf } from './rtc-description.ts'
import { WebRtcWire } from './webrtc-wire.ts'

export interface WebRtcPortOptions {
  /** An IP address of this machine; '::' stands for both families. */
  readonly host: string
  /** Where it is taken, or 0: any free one. */
  readonly port: number
  readonly certificate: DtlsCertificate
  readonly accept: Acceptor
}

export interface WebRtcPort {
  /** The real one. */
  readonly port: number
  /** What it does now, for tests: calls that are not open yet, those that are, those that were turned away. */
  readonly counts: { readonly opening: number; readonly open: number; readonly refused: number }
  /** Takes no more calls, and ends those that are no wires yet; wires stay open. Resolves when the last of them has ended. */
  close(): Promise<void>
}

/** Null where there is no UDP port to be had. */
export async function openWebRtcPort(options: WebRtcPortOptions): Promise<WebRtcPort | null> {
  const { host } = options
  const port = (await freePort(host, options.port)) ?? (await freePort(host, 0))
  if (port === null) return null
  const user = new LibraryUser()
  const library = await user.use()
  try {
    return new CalledPort(library, user, { ...options, port })
  } catch {
    // Somebody was quicker.
    await user.end()
    return null
  }
}

/** The port, if it is free: asked before, since the library complains of a taken one on its own. */
function freePort(host: string, port: number): Promise<number | null> {
  return new Promise(resolve => {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' })
    socket.once('error', () => resolve(null))
    socket.bind(port, host, () => {
      const bound = socket.address().port
      socket.close(() => resolve(bound))
    })
  })
}

class CalledPort implements WebRtcPort {
  readonly port: number
  private readonly library: Library
  private readonly user: LibraryUser
  private readonly options: WebRtcPortOptions
  private readonly listener: InstanceType<Library['IceUdpMuxListener']>
  /** By the user name that its caller chose for it: oldest first. */
  private readonly opening = new Map<string, CalledEnd>()
  private readonly open = new Map<string, CalledEnd>()
  /** Their callers may go on asking for a while. */
  private readonly ended = new ExpiringSet<string>({ sizeMax: CALLS_ENDED_KEPT_MAX, lapseMs: CALLS_ENDED_KEPT_MS })
  private readonly openingSources = new SourceCount(CALLS_OPENING_PER_SOURCE_MAX, 'all')
  private readonly sources = new SourceCount(CALLS_PER_SOURCE_MAX, 'all')
  private readonly allowance = new Allowance(CALLS_PER_SECOND_MAX, 1_000)
  private refused = 0
  private closing = false
  private onLastEnded: () => void = () => {}

  constructor(library: Library, user: LibraryUser, options: WebRtcPortOptions) {
    this.library = library
    this.user = user
    this.options = options
    this.port = options.port
    this.listener = new library.IceUdpMuxListener(options.port, options.host)
    this.listener.onUnhandledStunRequest(request => safely(() => this.onRequest(request)))
  }

  get counts(): WebRtcPort['counts'] {
    return { opening: this.opening.size, open: this.open.size, refused: this.refused }
  }

  async close(): Promise<void> {
    if (this.closing) return
    this.closing = true
    for (const end of [...this.opening.values()]) end.close()
    this.listener.stop()
    if (this.open.size > 0)
      await new Promise<void>(resolve => {
        this.onLastEnded = resolve
      })
    await this.user.end()
  }

  private onRequest({ ufrag, localUfrag, host }: IceUdpMuxRequest): void {
    if (this.closing || this.opening.has(localUfrag) || this.open.has(localUfrag)) return
    const now = performance.now()
    const caller = callerOf(ufrag, localUfrag)
    const source = plainIp(host)
    if (caller === null || source === null || this.ended.has(localUfrag, now)) return
    if (!this.allowance.take(now) || !this.enter(source)) {
      this.refused += 1
      return
    }
    const [oldest] = this.opening.values()
    if (oldest !== undefined && this.opening.size >= CALLS_OPENING_MAX) oldest.close()
    const end = new CalledEnd(this.options, localUfrag, {
      onOpen: () => {
        this.opening.delete(localUfrag)
        this.openingSources.leave(source)
        this.open.set(localUfrag, end)
      },
      onEnded: () => {
        if (this.opening.delete(localUfrag)) this.openingSources.leave(source)
        this.open.delete(localUfrag)
        this.sources.leave(source)
        this.ended.add(localUfrag, performance.now())
        if (this.open.size === 0) this.onLastEnded()
      },
    })
    this.opening.set(localUfrag, end)
    end.answer(this.library, this.port, caller)
  }

  private enter(source: string): boolean {
    if (!this.sources.enter(source)) return false
    if (this.openingSources.enter(source)) return true
    this.sources.leave(source)
    return false
  }
}

class CalledEnd extends DataChannelEnd {
  private readonly options: WebRtcPortOptions
  private readonly ufrag: string
  private readonly onOpened: () => void
  private readonly limit: NodeJS.Timeout

  constructor(
    options: WebRtcPortOptions,
    ufrag: string,
    events: { readonly onOpen: () => void; readonly onEnded: () => void },
  ) {
    super(events.onEnded)
    this.options = options
    this.ufrag = ufrag
    this.onOpened = events.onOpen
    this.limit = setTimeout(() => this.close(), DIAL_TIMEOUT_MS)
  }

  answer({ PeerConnection }: Library, port: number, caller: RtcDescription): void {
    const { host, certificate } = this.options
    try {
      this.begin(
        new PeerConnection('webmesh', {
          iceServers: [],
          disableAutoNegotiation: true,
          bindAddress: host,
          enableIceUdpMux: true,
          portRangeBegin: port,
          portRangeEnd: port,
          certificatePemFile: certificate.certificatePem,
          keyPemFile: certificate.keyPem,
          // Nobody told of the caller's: the session's handshake is bound to the one that it shows.
          disableFingerprintVerification: true,
        }),
      )
      this.connection?.setRemoteDescription(sdpOf(caller, 'caller'), 'offer')
      this.connection?.setLocalDescription('answer', { iceUfrag: this.ufrag, icePwd: caller.pwd })
    } catch {
      // The library refuses what is odd, or has given it up already.
      this.close()
    }
  }

  override close(): void {
    clearTimeout(this.limit)
    super.close()
  }

  protected override onOpen(): void {
    const shown = this.connection?.remoteFingerprint()
    if (this.closed || this.wire !== null) return
    if (shown?.algorithm !== 'sha-256') {
      this.close()
      return
    }
    clearTimeout(this.limit)
    this.onOpened()
    const { accept, certificate } = this.options
    this.wire = new WebRtcWire(accept)
    this.wire.attach(this)
    this.wire.onOpen({ ...this.facts(), binding: bindingOf(hashOfText(shown.value), certificate.hash) })
  }

  protected override onLost(fault: Fault): void {
    if (this.wire === null) this.close()
    else super.onLost(fault)
  }
}
