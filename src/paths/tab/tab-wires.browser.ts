/**
 * Wires between tabs of one origin in one browser, over BroadcastChannel (spec 3.9): they need no server and no network, and so
 * outlive every other peer. Each wire has a channel of its own, which only its two ends listen to; a tab that takes wires is
 * rung on another. Whatever runs in this origin could listen: sessions are sealed as over any wire.
 */
import type { Address } from '../../core/base/address.ts'
import { concatBytes } from '../../core/base/bytes.ts'
import type { Fault } from '../../core/base/fault.ts'
import { hexOfBytes } from '../../core/base/hex.ts'
import type { WireFacts } from '../../core/input.ts'
import { FrameSplitter } from '../frame-splitter.ts'
import type { Acceptor, Wire, WireDriver, WireSink } from '../wire-driver.ts'

/** A tab that does not answer within this is gone, or frozen. */
const TAB_DIAL_TIMEOUT_MS = 2_000
/** Wires that one tab takes at a time: nobody has more tabs of one origin that look for a way in. */
const TAB_WIRES_MAX = 64
const ABOUT: WireFacts = { transport: 'tab', remote: 'localhost:1', remoteHost: 'localhost' }

type Said =
  | { readonly kind: 'open' | 'close' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** So many of the other end's bytes were taken: nothing else would hold it back. */
  | { readonly kind: 'taken'; readonly bytes: number }

export interface TabPlace {
  readonly address: Address
  close(): void
}

/** Takes wires from other tabs, at an address that they have to be told. */
export function openTabPlace(accept: Acceptor): TabPlace {
  const id = randomName()
  const bell = new BroadcastChannel(bellOf(id))
  let taken = 0
  bell.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (typeof data !== 'string' || taken >= TAB_WIRES_MAX) return
    taken += 1
    const wire = new TabWire(data, () => {
      taken -= 1
    })
    wire.answer(accept(wire))
  }
  return { address: { scheme: 'tab', host: 'localhost', port: 1, extra: id }, close: () => bell.close() }
}

export function tabDriver(dialTimeoutMs = TAB_DIAL_TIMEOUT_MS): WireDriver {
  return {
    schemes: ['tab'],
    open({ extra }, sink) {
      const name = randomName()
      const wire = new TabWire(name, () => {})
      wire.dial(sink, dialTimeoutMs)
      const bell = new BroadcastChannel(bellOf(extra))
      bell.postMessage(name)
      bell.close()
      return wire
    },
  }
}

class TabWire implements Wire {
  private readonly channel: BroadcastChannel
  private readonly splitter = new FrameSplitter()
  private readonly onOver: () => void
  /** Said and not yet taken by the other end. */
  private unreported = 0
  private sink: WireSink | null = null
  private state: 'opening' | 'open' | 'closed' = 'opening'
  private readonly waiting: Uint8Array[] = []
  private limit: ReturnType<typeof setTimeout> | undefined

  constructor(name: string, onOver: () => void) {
    this.onOver = onOver
    this.channel = new BroadcastChannel(`webmesh/1/wire/${name}`)
    this.channel.onmessage = ({ data }: MessageEvent<unknown>) => this.onSaid(data)
    globalThis.addEventListener?.('pagehide', this.leave)
  }

  /** The other end has still to say that it is there. */
  dial(sink: WireSink, timeoutMs: number): void {
    this.sink = sink
    this.limit = setTimeout(() => this.end({ code: 'dial-timeout', limit: timeoutMs }), timeoutMs)
  }

  answer(sink: WireSink): void {
    this.sink = sink
    this.say({ kind: 'open' })
    this.open()
  }

  send(buffers: readonly Uint8Array[]): void {
    if (this.state === 'closed') return
    const message = concatBytes(...buffers)
    if (this.state === 'open') this.sayBytes(message)
    else this.waiting.push(message)
  }

  hangUp(): void {
    this.leave()
  }

  private readonly leave = (): void => {
    if (this.state === 'closed') return
    this.say({ kind: 'close' })
    this.end({ code: 'closed' })
  }

  private open(): void {
    this.state = 'open'
    clearTimeout(this.limit)
    this.sink?.onOpen(ABOUT)
    for (const bytes of this.waiting.splice(0)) this.sayBytes(bytes)
  }

  /** The sink is told later: it may be what ends the wire. */
  private end(fault: Fault): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    clearTimeout(this.limit)
    globalThis.removeEventListener?.('pagehide', this.leave)
    setTimeout(() => {
      this.channel.close()
      this.onOver()
      this.sink?.onClosed(fault)
    }, 0)
  }

  private say(said: Said): void {
    this.channel.postMessage(said)
  }

  private sayBytes(bytes: Uint8Array): void {
    this.unreported += bytes.length
    this.say({ kind: 'bytes', bytes })
  }

  /** Anything of this origin may write here. */
  private onSaid(data: unknown): void {
    if (this.state === 'closed') return
    // reason: each field is looked at before it is used.
    const said = data as Partial<Extract<Said, { kind: 'bytes' }> | Extract<Said, { kind: 'taken' }>> | Said | null
    switch (said?.kind) {
      case 'open':
        if (this.state === 'opening') this.open()
        return
      case 'bytes':
        if (this.state === 'open' && said.bytes instanceof Uint8Array) this.onBytes(said.bytes)
        return
      case 'taken':
        if (this.state === 'open' && typeof said.bytes === 'number') this.onTaken(said.bytes)
        return
      case 'close':
        this.end(this.splitter.partial ? { code: 'malformed', detail: 'the wire ended within a frame' } : CLOSED)
    }
  }

  private onTaken(bytes: number): void {
    if (!Number.isInteger(bytes) || bytes <= 0 || bytes > this.unreported) return
    this.unreported -= bytes
    this.sink?.onWritten(bytes)
  }

  private onBytes(bytes: Uint8Array): void {
    if (this.sink === null) return
    this.say({ kind: 'taken', bytes: bytes.length })
    const fault = this.splitter.push(bytes, this.sink)
    if (fault === null) return
    this.say({ kind: 'close' })
    this.end(fault)
  }
}

const CLOSED: Fault = { code: 'closed' }

function bellOf(tab: string): string {
  return `webmesh/1/tab/${tab}`
}

function randomName(): string {
  return hexOfBytes(crypto.getRandomValues(new Uint8Array(16)))
}
