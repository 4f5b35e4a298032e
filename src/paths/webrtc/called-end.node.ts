/**
 * The called end of a WebRTC connection to an address (spec 3.6), by libdatachannel, on a port of loopback: what comes from outside
 * reaches it over lanes. It is a wire once the data channel is open, bound to both certificates.
 */
import type { RemoteInfo } from 'node:dgram'
import type { Fault } from '../../core/base/fault.ts'
import type { WireFacts } from '../../core/input.ts'
import { plainIp } from '../udp/ip-address.ts'
import { type Acceptor, DIAL_TIMEOUT_MS, wireFacts } from '../wire-driver.ts'
import { DataChannelEnd } from './datachannel-end.node.ts'
import { type Library, safely } from './datachannel-library.node.ts'
import type { DtlsCertificate } from './dtls-certificate.node.ts'
import { bindingOf } from './rtc-call.ts'
import { descriptionOfSdp, hashOfText, type RtcDescription, sdpOf } from './rtc-description.ts'
import { WebRtcWire } from './webrtc-wire.ts'

export const LOOPBACK = '127.0.0.1'

export interface CalledEndOptions {
  readonly certificate: DtlsCertificate
  readonly accept: Acceptor
  /** How long a call may take to open; tests shorten it. */
  readonly openingMs?: number
}

export class CalledEnd extends DataChannelEnd {
  private readonly options: CalledEndOptions
  private readonly onOpened: () => void
  private readonly limit: NodeJS.Timeout
  /** The library's, on loopback. */
  private port: number | null = null
  private readonly onPorts: ((port: number) => void)[] = []
  /** Where the caller is seen, by the lane's port, which is where the library sees it. */
  private readonly places = new Map<number, RemoteInfo>()

  constructor(options: CalledEndOptions, events: { readonly onOpen: () => void; readonly onEnded: () => void }) {
    super(events.onEnded)
    this.options = options
    this.onOpened = events.onOpen
    this.limit = setTimeout(() => this.close(), options.openingMs ?? DIAL_TIMEOUT_MS)
  }

  answer({ PeerConnection }: Library, name: string, caller: RtcDescription): void {
    if (this.closed) return
    const { certificatePem, keyPem } = this.options.certificate
    try {
      const connection = new PeerConnection('webmesh', {
        iceServers: [],
        disableAutoNegotiation: true,
        bindAddress: LOOPBACK,
        certificatePemFile: certificatePem,
        keyPemFile: keyPem,
        // Nobody told of the caller's: the session's handshake is bound to the one that it shows.
        disableFingerprintVerification: true,
      })
      connection.onGatheringStateChange(state => safely(() => state === 'complete' && this.onGathered()))
      this.begin(connection)
      connection.setRemoteDescription(sdpOf(caller, 'caller'), 'offer')
      connection.setLocalDescription('answer', { iceUfrag: name, icePwd: caller.pwd })
    } catch {
      // The library refuses what is odd, or has given it up already.
      this.close()
    }
  }

  onPort(task: (port: number) => void): void {
    if (this.port === null) this.onPorts.push(task)
    else task(this.port)
  }

  addLane(port: number, place: RemoteInfo): void {
    this.places.set(port, place)
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

  protected override facts(): WireFacts {
    const place = this.places.get(this.connection?.getSelectedCandidatePair()?.remote.port ?? 0)
    const address = place?.address ?? 'unknown'
    // A socket for both families names IPv4 in IPv6's way.
    const host = address.startsWith('::ffff:') ? (plainIp(address) ?? address) : address
    return wireFacts('webrtc', host, place?.port ?? 0)
  }

  private onGathered(): void {
    const [own] = descriptionOfSdp(this.connection?.localDescription()?.sdp ?? '')?.candidates ?? []
    if (own === undefined) {
      this.close()
      return
    }
    this.port = own.port
    for (const task of this.onPorts.splice(0)) task(own.port)
  }
}
