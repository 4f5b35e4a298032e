/**
 * A wire over a WebSocket in Node (spec 3.4), dialled or accepted. Message borders mean nothing: what is sent is packed
 * into messages of a moderate size, what comes is cut by the splitter like any stream.
 */
import type { WebSocket } from 'ws'
import type { Fault } from '../../core/base/fault.ts'
import { FrameSplitter } from '../frame-splitter.ts'
import { freshMemory, withoutBuffer } from '../tcp/read-buffers.node.ts'
import { LINGER_MS, type Wire, type WireSink, wireFacts } from '../wire-driver.ts'
import { packMessages } from './message-packing.ts'

export class WsWire implements Wire {
  private readonly socket: WebSocket
  private readonly sink: WireSink
  private readonly splitter = new FrameSplitter(freshMemory)
  private state: 'opening' | 'open' | 'ending' | 'closed' = 'opening'
  private fault: Fault | null = null
  private limit: NodeJS.Timeout | null = null
  private readonly waiting: Uint8Array[] = []
  private written = 0

  constructor(socket: WebSocket, makeSink: (wire: Wire) => WireSink) {
    this.socket = socket
    this.sink = makeSink(this)
    socket.on('message', this.onMessage)
    socket.on('error', this.onError)
    socket.on('close', this.onClose)
  }

  limitDial(timeoutMs: number): void {
    this.limit = setTimeout(() => this.end({ code: 'dial-timeout', limit: timeoutMs }), timeoutMs)
  }

  opened(remoteHost: string, remotePort: number): void {
    if (this.state !== 'opening') return
    this.state = 'open'
    this.clearLimit()
    for (const message of this.waiting.splice(0)) this.write(message)
    this.sink.onOpen(wireFacts('websocket', remoteHost, remotePort))
  }

  send(buffers: readonly Uint8Array[], bytes: number): void {
    if (this.state === 'ending' || this.state === 'closed') return
    // Copied in any case: the buffers may be memory that a TCP socket will read into again.
    for (const message of packMessages(buffers, bytes, Buffer.allocUnsafe)) {
      if (this.state === 'open') this.write(message)
      else this.waiting.push(message)
    }
  }

  hangUp(): void {
    if (this.state === 'ending' || this.state === 'closed') return
    this.state = 'ending'
    this.fault ??= { code: 'closed' }
    this.clearLimit()
    this.limit = setTimeout(() => this.socket.terminate(), LINGER_MS)
    this.socket.close(1000)
  }

  private write(message: Uint8Array): void {
    this.socket.send(message, { binary: true }, error => {
      if (error) return
      if (this.written === 0) process.nextTick(this.reportWritten)
      this.written += message.length
    })
  }

  private end(fault: Fault): void {
    if (this.state === 'closed') return
    this.state = 'ending'
    this.fault ??= fault
    this.socket.terminate()
  }

  private readonly reportWritten = (): void => {
    const { written } = this
    this.written = 0
    if (this.state === 'open') this.sink.onWritten(written)
  }

  private readonly onMessage = (data: unknown, isBinary: boolean): void => {
    if (this.state !== 'open') return
    if (!isBinary || !(data instanceof Uint8Array)) {
      this.end({ code: 'malformed', detail: 'a WebSocket text message' })
      return
    }
    const fault = this.splitter.push(withoutBuffer(data), this.sink)
    if (fault !== null) this.end(fault)
  }

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    const detail =
      error.code ?? error.message.replace('Unexpected server response: ', 'no WebSocket is there, but HTTP ')
    if (this.state === 'opening') this.fault ??= { code: 'dial-failed', detail }
    else if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.fault ??= { code: 'frame-too-large', detail }
    else if (error.code?.startsWith('WS_ERR_')) this.fault ??= { code: 'malformed', detail }
    else this.fault ??= { code: 'wire-lost', detail }
  }

  private readonly onClose = (code: number): void => {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.clearLimit()
    this.sink.onClosed(this.fault ?? this.faultOfClose(code))
  }

  private faultOfClose(code: number): Fault {
    // 1006: the connection ended without a closing handshake (RFC 6455 section 7.1.5).
    if (code === 1006) return { code: 'wire-lost', detail: 'no closing handshake' }
    if (this.splitter.partial) return { code: 'malformed', detail: 'the wire ended within a frame' }
    return { code: 'closed' }
  }

  private clearLimit(): void {
    if (this.limit !== null) clearTimeout(this.limit)
    this.limit = null
  }
}
