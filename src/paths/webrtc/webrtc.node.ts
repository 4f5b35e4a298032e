/** Negotiated WebRTC in Node, by libdatachannel. What it takes to addresses of this peer is in `webrtc-port.node.ts`. */
import { networkInterfaces } from 'node:os'
import { type Address, hostPort } from '../../core/base/address.ts'
import { type Fault, messageOf } from '../../core/base/fault.ts'
import { GATHER_TIMEOUT_MS, type NegotiatedSink, type NegotiatedWire, type Negotiator } from '../negotiator.ts'
import { mayBeSentTo } from '../udp/ip-address.ts'
import { DataChannelEnd } from './datachannel-end.node.ts'
import { type Library, LibraryUser, safely } from './datachannel-library.node.ts'
import {
  descriptionOfSdp,
  type RtcDescription,
  readRtcDescription,
  sdpOf,
  withoutBadCandidates,
} from './rtc-description.ts'
import { type NegotiatedRtcEnd, NegotiatedRtcWire } from './webrtc-wire.ts'

export interface WebRtcOptions {
  /** The one address of this machine to use; all but loopback unless given. */
  readonly host?: string
}

export function webRtcNegotiator({ host }: WebRtcOptions = {}): Negotiator {
  const open = new Set<NegotiatedEnd>()
  const user = new LibraryUser()
  return {
    transport: 'webrtc',
    scarce: false,
    encrypts: true,
    prepare(offer, helpers, sink) {
      const end = new NegotiatedEnd(() => open.delete(end))
      open.add(end)
      return end.serve(user.use(), offer, helpers, host, sink)
    },
    async close() {
      for (const end of [...open]) end.discard()
      await user.end()
    },
  }
}

class NegotiatedEnd extends DataChannelEnd implements NegotiatedRtcEnd {
  private gathered: () => void = () => {}
  /** It is on this machine's loopback on purpose. */
  private loopback = false

  serve(
    library: Promise<Library>,
    offer: Uint8Array | null,
    helpers: readonly Address[],
    host: string | undefined,
    sink: NegotiatedSink,
  ): NegotiatedWire {
    const wire = new NegotiatedRtcWire(sink, this)
    this.wire = wire
    this.loopback = host !== undefined && !mayBeSentTo(host, false)
    library
      .then(loaded => this.describe(loaded, offer, helpers, host))
      .then(
        description => wire.onDescribed(description),
        (error: unknown) => wire.onLost(faultOf(error)),
      )
    return wire
  }

  acceptAnswer(answer: RtcDescription): void {
    try {
      this.connection?.setRemoteDescription(sdpOf(withoutBadCandidates(answer, this.loopback), 'answer'), 'answer')
    } catch (error) {
      // The library gave the connection up a moment before: nobody may be called from inside of this.
      setImmediate(() => this.wire?.onLost(faultOf(error)))
    }
  }

  private async describe(
    { PeerConnection }: Library,
    offer: Uint8Array | null,
    helpers: readonly Address[],
    host: string | undefined,
  ): Promise<RtcDescription> {
    if (this.closed) throw new Error('closed')
    const remote = offer === null ? null : readRtcDescription(offer)
    if (offer !== null && remote === null) throw new Error('the offer is none')
    const connection = new PeerConnection('webmesh', {
      iceServers: reachable(helpers).map(helper => `stun:${hostPort(helper)}`),
      disableAutoNegotiation: true,
      ...(host === undefined ? {} : { bindAddress: host }),
    })
    const gathered = new Promise<void>(resolve => {
      this.gathered = resolve
    })
    connection.onGatheringStateChange(state => safely(() => state === 'complete' && this.gathered()))
    this.begin(connection)
    if (remote !== null)
      connection.setRemoteDescription(sdpOf(withoutBadCandidates(remote, this.loopback), 'offer'), 'offer')
    connection.setLocalDescription(offer === null ? 'offer' : 'answer')
    const timer = setTimeout(() => this.gathered(), GATHER_TIMEOUT_MS)
    await gathered
    clearTimeout(timer)
    if (this.closed) throw new Error('closed')
    const description = descriptionOfSdp(connection.localDescription()?.sdp ?? '')
    if (description === null) throw new Error('the library describes its end in another way')
    return description
  }
}

/** The library asks one of them, which it draws: none of a family that this machine has not. */
function reachable(helpers: readonly Address[]): readonly Address[] {
  const own = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  const hasIpv4 = own.some(({ family, internal }) => family === 'IPv4' && !internal)
  const alike = helpers.filter(({ host }) => host.includes(':') !== hasIpv4)
  return alike.length > 0 ? alike : helpers
}

function faultOf(error: unknown): Fault {
  return { code: 'dial-failed', detail: messageOf(error) }
}
