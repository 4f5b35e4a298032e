/** A wire over a reliable UDP stream (spec 3.7): framing as on any stream of bytes. */
import type { UdxSocket, UdxStream } from 'udx-native'
import type { Fault } from '../../core/base/fault.ts'
import { FrameSplitter } from '../frame-splitter.ts'
import type { NegotiatedSink, NegotiatedWire } from '../negotiator.ts'
import { LINGER_MS, wireFacts } from '../wire-driver.ts'
import { MAPPING_KEPT_MS } from './punch-description.ts'
import type { SocketAddress } from './stun.ts'

export class UdpWire implements NegotiatedWire {
  /** For the side that offered; and when the wire is over. */
  onProceed: (answer: Uint8Array) => void = () => {}
  onOver: () => void = () => {}
  private readonly sink: NegotiatedSink
  private readonly stream: UdxStream
  private readonly splitter = new FrameSplitter()
  private state: 'preparing' | 'open' | 'ending' | 'closed' = 'preparing'
  private fault: Fault | null = null
  private linger: NodeJS.Timeout | undefined
  private readonly waiting: Uint8Array[] = []
  private unreported = 0
  private draining = false

  constructor(sink: NegotiatedSink, stream: UdxStream) {
    this.sink = sink
    this.stream = stream
    stream.on('data', bytes => this.onData(bytes))
    stream.on('drain', () => this.onDrain())
    stream.on('end', () => this.onEnd())
    stream.on('error', error => {
      this.fault ??= { code: 'wire-lost', detail: error.code ?? error.message }
    })
    stream.on('close', () => this.finish())
  }

  get isPreparing(): boolean {
    return this.state === 'preparing'
  }

  proceed(answer: Uint8Array): void {
    if (this.state === 'preparing') this.onProceed(answer)
  }

  send(buffers: readonly Uint8Array[], bytes: number): void {
    if (this.state === 'ending' || this.state === 'closed') return
    // Copied in any case: the library sends again from this memory after the core was told that it is written.
    const copy = new Uint8Array(bytes)
    let at = 0
    for (const buffer of buffers) {
      copy.set(buffer, at)
      at += buffer.length
    }
    if (this.state === 'open') this.write(copy)
    else this.waiting.push(copy)
  }

  hangUp(): void {
    if (this.state === 'ending' || this.state === 'closed') return
    this.fault ??= { code: 'closed' }
    if (this.state === 'preparing') {
      this.state = 'ending'
      this.stream.destroy()
      setTimeout(() => this.finish(), 0)
      return
    }
    this.state = 'ending'
    this.linger = setTimeout(() => this.stream.destroy(), LINGER_MS)
    this.stream.end()
  }

  describe(description: Uint8Array): void {
    if (this.state === 'preparing') this.sink.onDescribed(description)
  }

  /** There is a way to the other side. One of the two keeps it open: the answers do the same at the other's NAT. */
  open(socket: UdxSocket, remoteStream: number, { host, port }: SocketAddress, keepsOpen: boolean): void {
    if (this.state !== 'preparing') return
    this.state = 'open'
    this.stream.connect(socket, remoteStream, port, host)
    if (keepsOpen) this.stream.setKeepalive(MAPPING_KEPT_MS)
    this.sink.onOpen(wireFacts('udp', host, port))
    for (const bytes of this.waiting.splice(0)) this.write(bytes)
  }

  fail(fault: Fault): void {
    if (this.state === 'closed') return
    this.fault ??= fault
    this.state = 'ending'
    this.stream.destroy()
    setTimeout(() => this.finish(), 0)
  }

  private write(bytes: Uint8Array): void {
    this.unreported += bytes.length
    if (this.stream.write(bytes)) setImmediate(this.report)
    else this.draining = true
  }

  private readonly report = (): void => {
    if (this.draining || this.state !== 'open' || this.unreported === 0) return
    const written = this.unreported
    this.unreported = 0
    this.sink.onWritten(written)
  }

  private onDrain(): void {
    this.draining = false
    this.report()
  }

  private onData(bytes: Uint8Array): void {
    if (this.state !== 'open') return
    // The core copies by `slice`, which in Node's Buffer copies nothing.
    const fault = this.splitter.push(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), this.sink)
    if (fault !== null) this.fail(fault)
  }

  private onEnd(): void {
    this.fault ??= this.splitter.partial
      ? { code: 'malformed', detail: 'the wire ended within a frame' }
      : { code: 'closed' }
    if (this.state === 'open') this.state = 'ending'
    this.linger ??= setTimeout(() => this.stream.destroy(), LINGER_MS)
    this.stream.end()
  }

  private finish(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    clearTimeout(this.linger)
    this.onOver()
    this.sink.onClosed(this.fault ?? { code: 'wire-lost' })
  }
}
