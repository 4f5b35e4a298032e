/**
 * A wire over one TCP socket, dialled or accepted (spec 3.3). Reads come through `onread` into shared memory where the
 * socket has it, else as 'data'; all writes of one turn of the event loop leave as one, put together where they are
 * small (a writev of two small buffers costs three times a write), else as a writev.
 */
import type { Socket } from 'node:net'
import type { Fault } from '../../core/base/fault.ts'
import { type FrameReceiver, FrameSplitter } from '../frame-splitter.ts'
import { writeAtTurnEnd } from '../turn-end.node.ts'
import { LINGER_MS, type Wire, type WireSink, wireFacts } from '../wire-driver.ts'
import { freshMemory, type ReadBuffer, ReadBuffers, withoutBuffer } from './read-buffers.node.ts'
import { spentMemory } from './spent-memory.node.ts'

/** Up to here what a turn sends is copied into one buffer. */
const ONE_WRITE_BYTES_MAX = 8_192
/** From here on a frame that reads have cut is put together in pooled memory. */
const POOLED_FRAME_BYTES_MIN = 16_384

const readBuffers = new ReadBuffers()

/** One that the socket has not reported back yet: the memory that it uses must not change. */
interface WriteUnderWay {
  readonly bytes: number
  readonly lent: readonly ReadBuffer[] | null
  readonly held: readonly Uint8Array[] | null
}

function writeOver({ lent, held }: WriteUnderWay): void {
  if (lent !== null) for (const buffer of lent) readBuffers.returned(buffer)
  if (held !== null) for (const buffer of held) spentMemory.letGo(buffer)
}

export class TcpWire implements Wire, FrameReceiver {
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
  private readonly splitter = new FrameSplitter(length => this.frameMemory(length))
  /** Where a large cut frame is being put together. */
  private frameBuffer: ReadBuffer | null = null
  private readBuffer: ReadBuffer = readBuffers.shared
  private state: 'opening' | 'open' | 'ending' | 'closed' = 'opening'
  /** Why it ends, once that is known. */
  private fault: Fault | null = null
  private limit: NodeJS.Timeout | null = null
  /** What this turn sends. */
  private outgoing: Uint8Array[] = []
  private outgoingBytes = 0
  private outgoingLent: ReadBuffer[] | null = null
  private outgoingHeld: Uint8Array[] | null = null
  private readonly writes: WriteUnderWay[] = []

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
    this.sink?.onOpen(wireFacts('tcp', plainHost(remoteAddress), remotePort))
  }

  /** Bytes that came in memory of their own, as 'data'. */
  onData(chunk: Uint8Array): void {
    this.onChunk(withoutBuffer(chunk))
  }

  private onChunk(chunk: Uint8Array): void {
    if (this.state !== 'open' || this.sink === null) return
    const fault = this.splitter.push(chunk, this)
    if (fault !== null) this.end(fault)
  }

  onFrames(bytes: Uint8Array): void {
    const { sink, frameBuffer } = this
    if (frameBuffer === null || bytes.buffer !== frameBuffer.bytes.buffer) {
      sink?.onFrames(bytes)
      return
    }
    this.frameBuffer = null
    readBuffers.whileReading(frameBuffer, () => sink?.onFrames(bytes))
  }

  private frameMemory(length: number): Uint8Array {
    if (length < POOLED_FRAME_BYTES_MIN) return freshMemory(length)
    this.frameBuffer = readBuffers.takeFrame()
    return this.frameBuffer.bytes.subarray(0, length)
  }

  send(buffers: readonly Uint8Array[], bytes: number): void {
    const { socket } = this
    if (socket === null || this.state === 'ending' || this.state === 'closed' || buffers.length === 0) return
    if (this.outgoing.length === 0) writeAtTurnEnd(this.write)
    for (const buffer of buffers) {
      if (readBuffers.mustCopy(buffer)) this.outgoing.push(buffer.slice())
      else {
        this.outgoing.push(buffer)
        if (spentMemory.hold(buffer)) {
          this.outgoingHeld ??= []
          this.outgoingHeld.push(buffer)
        }
        const lent = readBuffers.lend(buffer)
        if (lent !== null) {
          this.outgoingLent ??= []
          this.outgoingLent.push(lent)
        }
      }
    }
    this.outgoingBytes += bytes
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
      this.write()
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

  /** The end of a turn: all that it sent. */
  private readonly write = (): void => {
    const { socket, outgoing, outgoingBytes: bytes } = this
    if (outgoing.length === 0) return
    const write: WriteUnderWay = { bytes, lent: this.outgoingLent, held: this.outgoingHeld }
    this.outgoing = []
    this.outgoingBytes = 0
    this.outgoingLent = null
    this.outgoingHeld = null
    if (!socket?.writable) {
      writeOver(write)
      return
    }
    this.writes.push(write)
    const last = outgoing.length - 1
    if (last === 0 || bytes <= ONE_WRITE_BYTES_MAX) {
      socket.write(last === 0 ? outgoing[0]! : Buffer.concat(outgoing, bytes), this.onWrote)
      return
    }
    socket.cork()
    for (let i = 0; i < last; i += 1) socket.write(outgoing[i]!)
    socket.write(outgoing[last]!, this.onWrote)
    socket.uncork()
  }

  private readonly onWrote = (error?: Error | null): void => {
    const written = this.writes.shift()
    if (written === undefined) return
    writeOver(written)
    if (!error && this.state === 'open') this.sink?.onWritten(written.bytes)
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
    this.write()
    for (const write of this.writes.splice(0)) writeOver(write)
    readBuffers.giveBack(this.readBuffer)
    this.readBuffer = readBuffers.shared
    if (this.frameBuffer !== null) readBuffers.giveBack(this.frameBuffer)
    this.frameBuffer = null
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
