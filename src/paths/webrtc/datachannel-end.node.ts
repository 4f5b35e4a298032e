/** One connection of libdatachannel with its one data channel, as the wire over it sees it. */
import type { DataChannel, PeerConnection } from 'node-datachannel'
import type { Fault } from '../../core/base/fault.ts'
import type { WireFacts } from '../../core/input.ts'
import { wireFacts } from '../wire-driver.ts'
import { safely } from './datachannel-library.node.ts'
import { BUFFERED_BYTES_LOW, type RtcEnd, type WebRtcWire } from './webrtc-wire.ts'

export class DataChannelEnd implements RtcEnd {
  protected connection: PeerConnection | null = null
  protected wire: WebRtcWire | null = null
  protected closed = false
  private channel: DataChannel | null = null
  private readonly onClosed: () => void

  constructor(onClosed: () => void) {
    this.onClosed = onClosed
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

  protected begin(connection: PeerConnection): void {
    this.connection = connection
    connection.onStateChange(state => safely(() => this.onState(state)))
    const channel = connection.createDataChannel('', { negotiated: true, id: 0 })
    this.channel = channel
    channel.setBufferedAmountLowThreshold(BUFFERED_BYTES_LOW)
    channel.onOpen(() => safely(() => this.onOpen()))
    channel.onMessage(message => safely(() => this.wire?.onMessage(ownMemory(message))))
    channel.onBufferedAmountLow(() => safely(() => this.wire?.onBufferedLow()))
    channel.onClosed(() => safely(() => this.onLost({ code: 'wire-lost', detail: 'the data channel closed' })))
  }

  protected onOpen(): void {
    this.wire?.onOpen(this.facts())
  }

  protected onLost(fault: Fault): void {
    this.wire?.onLost(fault)
  }

  protected facts(): WireFacts {
    const remote = this.connection?.getSelectedCandidatePair()?.remote
    return wireFacts('webrtc', remote?.address ?? 'unknown', remote?.port ?? 0)
  }

  private onState(state: string): void {
    if (state !== 'failed') return
    const isOpen = this.channel?.isOpen() === true
    this.onLost(
      isOpen ? { code: 'wire-lost', detail: 'ICE failed' } : { code: 'dial-failed', detail: 'no way to the other end' },
    )
  }
}

/** The core copies by `slice`, which in Node's Buffer copies nothing. */
function ownMemory(message: string | Buffer | ArrayBuffer): Uint8Array | string {
  if (typeof message === 'string') return message
  if (message instanceof ArrayBuffer) return new Uint8Array(message)
  return new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
}
