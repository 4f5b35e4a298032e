/**
 * WebRTC of a browser: negotiated, and to an address. A page gets 500 connections in its life (Chrome), so what was prepared
 * for an offer that nobody answered serves for the next one.
 */
import { type Address, certificateHashOf, hostPort } from '../../core/base/address.ts'
import { type Fault, messageOf } from '../../core/base/fault.ts'
import type { WireFacts } from '../../core/input.ts'
import { GATHER_TIMEOUT_MS, type NegotiatedSink, type NegotiatedWire, type Negotiator } from '../negotiator.ts'
import { DIAL_TIMEOUT_MS, type WireDriver, wireFacts } from '../wire-driver.ts'
import { bindingOf, calledAt } from './rtc-call.ts'
import {
  descriptionOfSdp,
  type RtcDescription,
  readRtcDescription,
  sdpOf,
  withoutBadCandidates,
} from './rtc-description.ts'
import { BUFFERED_BYTES_LOW, type NegotiatedRtcEnd, NegotiatedRtcWire, WebRtcWire } from './webrtc-wire.ts'

/** One helper has told an address by then; others may tell another one. */
const GATHER_REST_MS = 100

/** Null where there is no WebRTC: in workers, and where it is switched off. */
export function webRtcNegotiator(): Negotiator | null {
  if (typeof RTCPeerConnection === 'undefined') return null
  const spares: BrowserEnd[] = []
  const open = new Set<BrowserEnd>()
  return {
    transport: 'webrtc',
    scarce: true,
    encrypts: true,
    prepare(offer, helpers, sink) {
      // A page that has made all that it may throws, and nobody may be called inside.
      try {
        const end = (offer === null ? spares.pop() : undefined) ?? new BrowserEnd(iceServers(helpers))
        open.add(end)
        end.onClosed = isFresh => {
          open.delete(end)
          if (isFresh) spares.push(end)
        }
        return end.serve(offer, sink)
      } catch (error) {
        const wire = new NegotiatedRtcWire(sink, NO_END)
        setTimeout(() => wire.onLost(faultOf(error)), 0)
        return wire
      }
    },
    async close() {
      for (const end of [...open, ...spares]) end.discard()
    },
  }
}

/** Null where there is no WebRTC. */
export function webRtcDriver(dialTimeoutMs = DIAL_TIMEOUT_MS): WireDriver | null {
  if (typeof RTCPeerConnection === 'undefined') return null
  return {
    schemes: ['webrtc'],
    open(address, sink) {
      const wire = new WebRtcWire(() => sink)
      wire.limitOpening(dialTimeoutMs)
      // A page that has made all that it may throws, and nobody may be called inside.
      try {
        new BrowserEnd([]).call(address, wire)
      } catch (error) {
        setTimeout(() => wire.onLost(faultOf(error)), 0)
      }
      return wire
    },
  }
}

const NO_END: NegotiatedRtcEnd = { acceptAnswer() {}, send: () => false, bufferedBytes: () => 0, close() {} }

function iceServers(helpers: readonly Address[]): RTCIceServer[] {
  const urls = helpers.map(helper => `stun:${hostPort(helper)}`)
  return urls.length === 0 ? [] : [{ urls }]
}

class BrowserEnd implements NegotiatedRtcEnd {
  /** `isFresh`: nobody was told of it, or nobody answered. */
  onClosed: (isFresh: boolean) => void = () => {}
  private readonly connection: RTCPeerConnection
  private readonly channel: RTCDataChannel
  private wire: WebRtcWire | null = null
  /** It has met another machine, or tried to. */
  private used = false
  /** Of a call to an address: the hashes of both certificates. */
  private binding: Uint8Array | null = null

  constructor(servers: RTCIceServer[]) {
    this.connection = new RTCPeerConnection({ iceServers: servers })
    this.channel = this.connection.createDataChannel('', { negotiated: true, id: 0 })
    this.channel.binaryType = 'arraybuffer'
    this.channel.bufferedAmountLowThreshold = BUFFERED_BYTES_LOW
    this.channel.onopen = () => this.wire?.onOpen(this.facts())
    this.channel.onmessage = ({ data }) => this.wire?.onMessage(typeof data === 'string' ? data : new Uint8Array(data))
    this.channel.onbufferedamountlow = () => this.wire?.onBufferedLow()
    this.channel.onclose = () => this.wire?.onLost({ code: 'wire-lost', detail: 'the data channel closed' })
    this.connection.onconnectionstatechange = () => {
      if (this.connection.connectionState === 'failed') this.wire?.onLost(this.faultOfFailure())
    }
  }

  serve(offer: Uint8Array | null, sink: NegotiatedSink): NegotiatedWire {
    const wire = new NegotiatedRtcWire(sink, this)
    this.wire = wire
    this.describe(offer).then(
      description => wire.onDescribed(description),
      (error: unknown) => wire.onLost(faultOf(error)),
    )
    return wire
  }

  call(address: Address, wire: WebRtcWire): void {
    this.wire = wire
    this.used = true
    wire.attach(this)
    this.connect(address).catch((error: unknown) => wire.onLost(faultOf(error)))
  }

  acceptAnswer(answer: RtcDescription): void {
    this.used = true
    this.connection
      .setRemoteDescription({ type: 'answer', sdp: sdpOf(withoutBadCandidates(answer, false), 'answer') })
      .catch((error: unknown) => this.wire?.onLost(faultOf(error)))
  }

  send(message: Uint8Array | string): boolean {
    if (this.channel.readyState !== 'open') return false
    // reason: the wire made the memory, which is shared with nobody.
    if (typeof message === 'string') this.channel.send(message)
    else this.channel.send(message as Uint8Array<ArrayBuffer>)
    return true
  }

  bufferedBytes(): number {
    return this.channel.bufferedAmount
  }

  close(): void {
    this.wire = null
    if (this.used) this.connection.close()
    this.onClosed(!this.used)
  }

  discard(): void {
    this.wire?.onLost({ code: 'closed' })
    this.connection.close()
  }

  private async describe(offer: Uint8Array | null): Promise<RtcDescription> {
    const { connection } = this
    if (offer !== null) {
      this.used = true
      const remote = readRtcDescription(offer)
      if (remote === null) throw new Error('the offer is none')
      await connection.setRemoteDescription({ type: 'offer', sdp: sdpOf(withoutBadCandidates(remote, false), 'offer') })
    }
    // A spare one looks again where this machine is now.
    else if (connection.localDescription !== null) connection.restartIce()
    const gathered = gathering(connection)
    await connection.setLocalDescription()
    await gathered
    const description = this.ownDescription()
    // The other side is told at once, and offers again soon. Some browsers tell of no place though they have one.
    if (description.candidates.length === 0 && !navigator.onLine) throw new Error('no way to the other end')
    return description
  }

  private async connect(address: Address): Promise<void> {
    const { connection } = this
    await connection.setLocalDescription()
    const own = this.ownDescription()
    this.binding = bindingOf(own.certificateHash, certificateHashOf(address))
    await connection.setRemoteDescription({ type: 'answer', sdp: sdpOf(calledAt(address, own.pwd), 'called') })
  }

  private ownDescription(): RtcDescription {
    const description = descriptionOfSdp(this.connection.localDescription?.sdp ?? '')
    if (description === null) throw new Error('this browser describes its end in another way')
    return description
  }

  private facts(): WireFacts {
    const remote = this.connection.sctp?.transport.iceTransport.getSelectedCandidatePair?.()?.remote
    const facts = wireFacts('webrtc', remote?.address ?? 'unknown', remote?.port ?? 0)
    return this.binding === null ? facts : { ...facts, binding: this.binding }
  }

  private faultOfFailure(): Fault {
    if (this.channel.readyState !== 'connecting') return { code: 'wire-lost', detail: 'ICE failed' }
    // Where ICE has found a way it was DTLS that found somebody else there.
    const isRefused = this.connection.iceConnectionState !== 'failed'
    return { code: 'dial-failed', detail: isRefused ? 'another certificate than was told' : 'no way to the other end' }
  }
}

/**
 * Resolves when all places are gathered, or after as long as may be waited for them. A browser does not say which family its
 * machine lacks, and waits for helpers of that one in vain: once one helper has told an address there is little to wait for.
 */
function gathering(connection: RTCPeerConnection): Promise<void> {
  return new Promise(resolve => {
    setTimeout(resolve, GATHER_TIMEOUT_MS)
    connection.onicecandidate = ({ candidate }) => {
      if (candidate === null) resolve()
      else if (candidate.type === 'srflx') setTimeout(resolve, GATHER_REST_MS)
    }
  })
}

function faultOf(error: unknown): Fault {
  return { code: 'dial-failed', detail: messageOf(error) }
}
