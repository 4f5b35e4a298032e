/**
 * A wire over one TCP socket, dialled or accepted (spec 3.3). Reads come through `onread` into shared memory where the
 * socket has it, else as 'data'; all writes of one turn of the event loop leave as one writev.
 */
import type { Socket } from 'node:net'
import type { Fault } from '../../core/base/fault.ts'
import { FrameSplitter } from '../frame-splitter.ts'
import { LINGER_MS, type Wire, type WireSink } from '../wire-driver.ts'
import { freshMemory, type ReadBuffer, ReadBuffers, withoutBuffer } from './read-buffers.node.ts'

const readBuffers = new ReadBuffers()

export class TcpWire implements Wire {
  /** For the socket's constructor: reading into shared memory. */
  readonly onread = {
    buffer: (): Uint8Array => this.readBuffer.bytes,
    callback: (bytesRead: number): boolean => {
      this.onRead(bytesRead)
      return true
    },
  }
  private sink: WireSink | null = null
  private socket: Socket | null = null
  private readonly splitter = new FrameSplitter(freshMemory)
  private readBuffer: ReadBuffer = readBuffers.shared
  private state: 'opening' | 'open' | 'ending' | 'closed' = 'opening'
  /** Why it ends, once that is known. */
  private fault: Fault | null = null
  private limit: NodeJS.Timeout | null = null
  private corked = false
  /** For each send under way: its bytes, and the read buffer lent to it. */
  private readonly sends: { readonly bytes: number; readonly lent: ReadBuffer | null }[] = []
  private written = 0

  /** Uses the socket from now on. */
  attach(socket: Socket, sink: WireSink): void {
    this.socket = socket
    this.sink = sink
    socket.on('error', this.onError)
    socket.on('end', this.onEnd)
    socket.on('close', this.onClose)
  }

  /** The dial must succeed within this time. */
  limitDial(timeoutMs: number): void {
    this.limit = setTimeout(() => this.end({ code: 'dial-timeout', limit: timeoutMs }), timeoutMs)
  }

  opened(): void {
    if (this.state !== 'opening' || this.socket === null) return
    this.state = 'open'
    this.clearLimit()
    const { remoteAddress = '', remotePort = 0 } = this.socket
    const remoteHost = plainHost(remoteAddress)
    const remote = remoteHost.includes(':') ? `[${remoteHost}]:${remotePort}` : `${remoteHost}:${remotePort}`
    this.sink?.onOpen({ transport: 'tcp', remote, remoteHost })
  }

  /** Bytes that came in memory of their own, as 'data'. */
  onData(chunk: Uint8Array): void {
    this.onChunk(withoutBuffer(chunk))
  }

  private onChunk(chunk: Uint8Array): void {
    if (this.state !== 'open' || this.sink === null) return
    const fault = this.splitter.push(chunk, this.sink)
    if (fault !== null) this.end(fault)
  }

  send(buffers: readonly Uint8Array[], bytes: number): void {
    const { socket } = this
    if (socket === null || this.state === 'ending' || this.state === 'closed' || buffers.length === 0) return
    if (!this.corked) {
      this.corked = true
      socket.cork()
      process.nextTick(this.uncork)
    }
    let lent: ReadBuffer | null = null
    const last = buffers.length - 1
    for (let i = 0; i <= last; i += 1) {
      let chunk = buffers[i]!
      if (readBuffers.mustCopy(chunk)) chunk = Buffer.from(chunk)
      else lent ??= readBuffers.lend(chunk)
      if (i === last) {
        this.sends.push({ bytes, lent })
        socket.write(chunk, this.onWrote)
      } else socket.write(chunk)
    }
  }

  hangUp(): void {
    const { socket } = this
    if (socket === null || this.state === 'ending' || this.state === 'closed') return
    const opening = this.state === 'opening'
    this.state = 'ending'
    this.fault ??= { code: 'closed' }
    this.clearLimit()
    if (opening) socket.destroy()
    else {
      socket.end()
      this.limit = setTimeout(() => socket.destroy(), LINGER_MS)
    }
  }

  private onRead(bytesRead: number): void {
    const buffer = this.readBuffer
    readBuffers.startReading(buffer)
    this.onChunk(buffer.bytes.subarray(0, bytesRead))
    this.readBuffer = readBuffers.finishReading(buffer)
  }

  /** Ends at once, with what is not yet written. */
  private end(fault: Fault): void {
    if (this.state === 'closed') return
    this.state = 'ending'
    this.fault ??= fault
    this.socket?.destroy()
  }

  private readonly uncork = (): void => {
    this.corked = false
    this.socket?.uncork()
  }

  private readonly onWrote = (error?: Error | null): void => {
    const send = this.sends.shift()
    if (send === undefined) return
    if (send.lent !== null) readBuffers.returned(send.lent)
    if (error) return
    // Several sends are often written at once: one report for all.
    if (this.written === 0) process.nextTick(this.reportWritten)
    this.written += send.bytes
  }

  private readonly reportWritten = (): void => {
    const { written } = this
    this.written = 0
    if (this.state === 'open') this.sink?.onWritten(written)
  }

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    const code = this.state === 'opening' ? 'dial-failed' : 'wire-lost'
    this.fault ??= { code, detail: error.code ?? error.message }
  }

  /** The other side hung up: what is queued may still go out, for a while. */
  private readonly onEnd = (): void => {
    if (this.state !== 'open') return
    this.state = 'ending'
    this.fault ??= this.splitter.partial
      ? { code: 'malformed', detail: 'the wire ended within a frame' }
      : { code: 'closed' }
    this.limit = setTimeout(() => this.socket?.destroy(), LINGER_MS)
  }

  private readonly onClose = (): void => {
    const { sink } = this
    if (this.state === 'closed') return
    this.state = 'closed'
    this.clearLimit()
    for (const send of this.sends) if (send.lent !== null) readBuffers.returned(send.lent)
    this.sends.length = 0
    readBuffers.giveBack(this.readBuffer)
    this.readBuffer = readBuffers.shared
    this.sink = null
    sink?.onClosed(this.fault ?? { code: 'wire-lost' })
  }

  private clearLimit(): void {
    if (this.limit !== null) clearTimeout(this.limit)
    this.limit = null
  }
}

/** An IPv4 address seen through an IPv6 socket is written as IPv4. */
export function plainHost(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
