/**
 * WebRTC in Node, by libdatachannel. Three things bite (docs/dependencies.md): what throws inside of one of its callbacks ends
 * the process, so each is wrapped; the process stays alive until `cleanup` is called; and it is loaded only when it is needed.
 */
import type { DataChannel, PeerConnection } from 'node-datachannel'
import type { Address } from '../../core/base/address.ts'
import type { Fault } from '../../core/base/fault.ts'
import type { WireFacts } from '../../core/input.ts'
import { GATHER_TIMEOUT_MS, type NegotiatedSink, type NegotiatedWire, type Negotiator } from '../negotiator.ts'
import { mayBeSentTo } from '../udp/ip-address.ts'
import {
  descriptionOfSdp,
  type RtcDescription,
  readRtcDescription,
  sdpOf,
  withoutBadCandidates,
} from './rtc-description.ts'
import { BUFFERED_BYTES_LOW, type RtcEnd, WebRtcWire } from './webrtc-wire.ts'

type Library = typeof import('node-datachannel')

/** Shared by all peers of the process, as its threads are: how many of them use it. */
let users = 0
let library: Promise<Library> | null = null

export interface WebRtcOptions {
  /** The one address of this machine to use; all but loopback unless given. */
  readonly host?: string
}

export function webRtcNegotiator({ host }: WebRtcOptions = {}): Negotiator {
  const open = new Set<NodeEnd>()
  let isUser = false
  return {
    transport: 'webrtc',
    scarce: false,
    prepare(offer, helpers, sink) {
      if (!isUser) users += 1
      isUser = true
      const end = new NodeEnd(() => open.delete(end))
      open.add(end)
      return end.serve(offer, helpers, host, sink)
    },
    async close() {
      for (const end of [...open]) end.discard()
      if (!isUser) return
      isUser = false
      users -= 1
      if (users === 0) (await library)?.cleanup()
    },
  }
}

class NodeEnd implements RtcEnd {
  private readonly onClosed: () => void
  private connection: PeerConnection | null = null
  private channel: DataChannel | null = null
  private wire: WebRtcWire | null = null
  private gathered: () => void = () => {}
  private closed = false
  /** It is on this machine's loopback on purpose. */
  private loopback = false

  constructor(onClosed: () => void) {
    this.onClosed = onClosed
  }

  serve(
    offer: Uint8Array | null,
    helpers: readonly Address[],
    host: string | undefined,
    sink: NegotiatedSink,
  ): NegotiatedWire {
    const wire = new WebRtcWire(sink)
    this.wire = wire
    wire.attach(this)
    this.loopback = host !== undefined && !mayBeSentTo(host, false)
    library ??= import('node-datachannel')
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

  send(message: Uint8Array | string): boolean {
    const { channel } = this
    if (channel === null || !channel.isOpen()) return false
    try {
      if (typeof message === 'string') channel.sendMessage(message)
      else channel.sendMessageBinary(message)
      return true
    } catch {
      return false
    }
  }

  bufferedBytes(): number {
    return this.channel?.bufferedAmount() ?? 0
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.wire = null
    this.onClosed()
    safely(() => {
      this.channel?.close()
      this.connection?.close()
    })
  }

  discard(): void {
    this.wire?.onLost({ code: 'closed' })
    this.close()
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
      iceServers: helpers.map(helper => `stun:${hostPort(helper)}`),
      disableAutoNegotiation: true,
      ...(host === undefined ? {} : { bindAddress: host }),
    })
    this.connection = connection
    const gathered = new Promise<void>(resolve => {
      this.gathered = resolve
    })
    connection.onGatheringStateChange(state => safely(() => state === 'complete' && this.gathered()))
    connection.onStateChange(state => safely(() => this.onState(state)))
    this.listen(connection.createDataChannel('', { negotiated: true, id: 0 }))
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

  private listen(channel: DataChannel): void {
    this.channel = channel
    channel.setBufferedAmountLowThreshold(BUFFERED_BYTES_LOW)
    channel.onOpen(() => safely(() => this.wire?.onOpen(this.facts())))
    channel.onMessage(message => safely(() => this.wire?.onMessage(ownMemory(message))))
    channel.onBufferedAmountLow(() => safely(() => this.wire?.onBufferedLow()))
    channel.onClosed(() => safely(() => this.wire?.onLost({ code: 'wire-lost', detail: 'the data channel closed' })))
  }

  private onState(state: string): void {
    if (state !== 'failed') return
    const isOpen = this.channel?.isOpen() === true
    this.wire?.onLost(
      isOpen ? { code: 'wire-lost', detail: 'ICE failed' } : { code: 'dial-failed', detail: 'no way through the NATs' },
    )
  }

  private facts(): WireFacts {
    const remote = this.connection?.getSelectedCandidatePair()?.remote
    const host = remote?.address ?? 'unknown'
    return { transport: 'webrtc', remote: hostPort({ host, port: remote?.port ?? 0 }), remoteHost: host }
  }
}

function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** The core copies by `slice`, which in Node's Buffer copies nothing. */
function ownMemory(message: string | Buffer | ArrayBuffer): Uint8Array | string {
  if (typeof message === 'string') return message
  if (message instanceof ArrayBuffer) return new Uint8Array(message)
  return new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
}

/** What throws inside of a callback of the library would end the process without a word: it is thrown outside. */
function safely(task: () => void): void {
  try {
    task()
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}

function faultOf(error: unknown): Fault {
  return { code: 'dial-failed', detail: error instanceof Error ? error.message : String(error) }
}
