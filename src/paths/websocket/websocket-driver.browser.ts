/**
 * Dials `ws://` and `wss://` addresses by the browser's own WebSocket (spec 3.4). A page that came over https may not
 * open `ws://` (mixed content): such addresses are no schemes of this driver there, so that nobody tries them.
 */
import { type Address, type AddressScheme, addressText } from '../../core/base/address.ts'
import { type Fault, messageOf } from '../../core/base/fault.ts'
import { FrameSplitter } from '../frame-splitter.ts'
import { DIAL_TIMEOUT_MS, LINGER_MS, type Wire, type WireDriver, type WireSink, wireFacts } from '../wire-driver.ts'
import { packMessages } from './message-packing.ts'

/** `bufferedAmount` has no event: it is looked at this often, while it is not zero. */
const WRITTEN_POLL_MS = 10

export function webSocketDriver(dialTimeoutMs = DIAL_TIMEOUT_MS): WireDriver {
  const schemes: AddressScheme[] = pageIsSecure() ? ['wss'] : ['wss', 'ws']
  return {
    schemes,
    open(address: Address, sink: WireSink): Wire {
      return new WebSocketWire(address, sink, dialTimeoutMs)
    },
  }
}

/** Tells, as the mixed-content rules do, by how the page came; a worker has a location too. */
function pageIsSecure(): boolean {
  return globalThis.location?.protocol === 'https:'
}

class WebSocketWire implements Wire {
  private readonly sink: WireSink
  private readonly address: Address
  private readonly socket: WebSocket | null
  private readonly splitter = new FrameSplitter()
  private state: 'opening' | 'open' | 'ending' | 'closed' = 'opening'
  private fault: Fault | null = null
  private limit: ReturnType<typeof setTimeout> | undefined
  private poll: ReturnType<typeof setTimeout> | undefined
  private readonly waiting: Uint8Array[] = []
  /** Handed to the browser and not yet reported written. */
  private unreported = 0

  constructor(address: Address, sink: WireSink, dialTimeoutMs: number) {
    this.address = address
    this.sink = sink
    this.socket = this.dial()
    if (this.socket === null) return
    this.limit = setTimeout(() => this.end({ code: 'dial-timeout', limit: dialTimeoutMs }), dialTimeoutMs)
  }

  send(buffers: readonly Uint8Array[], bytes: number): void {
    if (this.state === 'ending' || this.state === 'closed') return
    for (const message of packMessages(buffers, bytes, length => new Uint8Array(length))) {
      if (this.state === 'open') this.write(message)
      else this.waiting.push(message)
    }
  }

  hangUp(): void {
    this.end({ code: 'closed' })
  }

  /** The constructor throws where the address or the page's policy forbids the dial; nobody may be called inside. */
  private dial(): WebSocket | null {
    try {
      const socket = new WebSocket(addressText(this.address))
      socket.binaryType = 'arraybuffer'
      socket.onopen = () => this.onOpen()
      socket.onmessage = event => this.onMessage(event.data)
      // A browser says nothing of what went wrong; 'close' always follows.
      socket.onerror = () => {}
      socket.onclose = event => this.onClose(event.code)
      return socket
    } catch (error) {
      this.fault = { code: 'dial-failed', detail: messageOf(error) }
      setTimeout(() => this.onClose(0), 0)
      return null
    }
  }

  private write(message: Uint8Array): void {
    // reason: the message is memory that packMessages made, never shared.
    this.socket?.send(message as Uint8Array<ArrayBuffer>)
    this.unreported += message.length
    this.poll ??= setTimeout(this.reportWritten, 0)
  }

  /** Ends with a closing handshake; if that takes too long the wire counts as closed all the same. */
  private end(fault: Fault): void {
    if (this.state === 'ending' || this.state === 'closed') return
    this.state = 'ending'
    this.fault ??= fault
    clearTimeout(this.limit)
    this.limit = setTimeout(() => this.onClose(1006), LINGER_MS)
    this.socket?.close()
  }

  private onOpen(): void {
    if (this.state !== 'opening') return
    this.state = 'open'
    clearTimeout(this.limit)
    for (const message of this.waiting.splice(0)) this.write(message)
    this.sink.onOpen(wireFacts('websocket', this.address.host, this.address.port))
  }

  private onMessage(data: unknown): void {
    if (this.state !== 'open') return
    // What came shows that the browser had a turn: credit for what left meanwhile need not wait for the timer.
    this.countWritten()
    if (!(data instanceof ArrayBuffer)) {
      this.end({ code: 'malformed', detail: 'a WebSocket text message' })
      return
    }
    const fault = this.splitter.push(new Uint8Array(data), this.sink)
    if (fault !== null) this.end(fault)
  }

  private onClose(code: number): void {
    if (this.state === 'closed') return
    const dialled = this.state !== 'opening'
    this.state = 'closed'
    clearTimeout(this.limit)
    clearTimeout(this.poll)
    this.sink.onClosed(this.fault ?? this.faultOfClose(dialled, code))
  }

  private faultOfClose(dialled: boolean, code: number): Fault {
    if (!dialled) return { code: 'dial-failed', detail: addressText(this.address) }
    if (code === 1006) return { code: 'wire-lost', detail: 'no closing handshake' }
    if (this.splitter.partial) return { code: 'malformed', detail: 'the wire ended within a frame' }
    return { code: 'closed' }
  }

  private readonly reportWritten = (): void => {
    this.poll = undefined
    this.countWritten()
    if (this.unreported > 0 && this.state === 'open') this.poll = setTimeout(this.reportWritten, WRITTEN_POLL_MS)
  }

  private countWritten(): void {
    if (this.state !== 'open' || this.socket === null) return
    const written = this.unreported - this.socket.bufferedAmount
    if (written <= 0) return
    this.unreported -= written
    this.sink.onWritten(written)
  }
}
