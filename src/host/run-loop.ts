/**
 * The only caller of `peer.step`: feeds it what happens and carries out what it asks. Decides nothing of the protocol;
 * what differs between platforms is injected. Effects run in order, sends before events: a handler that writes enters
 * `step` again, its sends go out at once and its events come after those being delivered.
 */
import type { Address } from '../core/base/address.ts'
import type { Fault } from '../core/base/fault.ts'
import type { Instant } from '../core/base/instant.ts'
import { invariant, unreachable } from '../core/base/invariant.ts'
import type { Effect, PeerEvent } from '../core/effect.ts'
import type { Command, Input, LoadId, NegotiatedTransport, StoreEntry, WireFacts, WireId } from '../core/input.ts'
import { WIRE_QUEUE_BYTES_MAX } from '../core/limits.ts'
import type { Peer, PeerSnapshot } from '../core/peer-options.ts'
import type { NegotiatedSink, NegotiatedWire } from '../paths/negotiator.ts'
import type { Wire, WireSink } from '../paths/wire-driver.ts'
import type { HostClock } from './platform.ts'
import type { Store, StoreChange } from './store.ts'

/** Writes to the store wait this long, so that a burst of changes becomes one batch. */
const SAVE_DELAY_MS = 250
/** The wall clock is compared with the monotonic one at least this often: who slept is to know it at once. */
const CLOCK_CHECK_MS = 2_000
/** A difference above this is a jump (the machine slept, or the clock was set), below it drift. */
const CLOCK_JUMP_MS = 1_000
/** The core hears of written bytes by so many: it needs to know only when a full queue has room again. */
const WRITTEN_REPORT_BYTES = 65_536
/** A timer this late means that the process stood still. */
const STANDSTILL_MS = 5_000

invariant(WRITTEN_REPORT_BYTES * 2 <= WIRE_QUEUE_BYTES_MAX, 'what goes unreported leaves room in a queue')

export interface RunLoopOptions {
  readonly peer: Peer
  readonly clock: HostClock
  readonly store: Store
  readonly dial: (address: Address, sink: WireSink) => Wire
  /** For a transport that the peer was told of. */
  readonly negotiate: (
    transport: NegotiatedTransport,
    offer: Uint8Array | null,
    helpers: readonly Address[],
    sink: NegotiatedSink,
  ) => NegotiatedWire
  readonly onSpent: ((buffers: readonly Uint8Array[]) => void) | null
  readonly onEvent: (event: PeerEvent) => void
  /** The store failed: told once, the peer goes on without. */
  readonly onStoreFault: (fault: Fault) => void
}

export class RunLoop {
  private readonly peer: Peer
  private readonly options: RunLoopOptions
  private readonly startedAt: number
  private readonly wires = new Map<WireId, WireEnd>()
  private readonly saver: Saver
  private nextAcceptedWire = -1
  /** Read once for a step and all steps that its events cause. */
  private now: Instant = 0
  private performing = false
  private delivering = false
  private events: PeerEvent[] = []
  private wakeAt: Instant | null = null
  private cancelTimer: (() => void) | null = null
  /** Wall time less monotonic time, as last told to the peer. */
  private clockOffset: number
  private stopped: Promise<void> | null = null
  private onLastWireClosed: (() => void) | null = null

  /** The peer's instant 0 is now: make the peer just before, with the wall time of the same moment. */
  constructor(options: RunLoopOptions) {
    this.options = options
    this.peer = options.peer
    this.startedAt = options.clock.monotonicNow()
    this.clockOffset = options.clock.wallNow() - this.startedAt
    this.saver = new Saver(options.store, options.clock, options.onStoreFault)
    this.arm()
  }

  input(input: Input): void {
    if (this.stopped !== null) return
    invariant(!this.performing, 'a driver called its sink from inside a method of its wire')
    if (!this.delivering) this.now = this.options.clock.monotonicNow() - this.startedAt
    const effects = this.peer.step(this.now, input)
    if (effects.length > 0) this.perform(effects)
    if (this.delivering) return
    try {
      if (this.events.length > 0) this.deliver()
    } finally {
      this.arm()
    }
  }

  command(command: Command): void {
    this.input({ kind: 'command', command })
  }

  /** Takes a wire that another peer dialled. */
  accept(wire: Wire): WireSink {
    const end = new WireEnd(this, this.nextAcceptedWire, 'acceptor')
    this.nextAcceptedWire -= 1
    end.wire = wire
    this.wires.set(end.id, end)
    if (this.stopped !== null) wire.hangUp()
    return end
  }

  snapshot(): PeerSnapshot {
    return this.peer.snapshot()
  }

  /** Steps no more, hangs up all wires, writes what is unsaved and closes the store; resolves when all is done. */
  stop(): Promise<void> {
    this.stopped ??= this.windUp()
    return this.stopped
  }

  /** For `WireEnd`: the wire is gone, whoever ended it. */
  forget(wire: WireId): void {
    this.wires.delete(wire)
    if (this.wires.size === 0) this.onLastWireClosed?.()
  }

  private perform(effects: readonly Effect[]): void {
    this.performing = true
    for (let i = 0; i < effects.length; i += 1) {
      const effect = effects[i]!
      switch (effect.kind) {
        case 'send':
          this.wires.get(effect.wire)?.send(effect.buffers, effect.bytes)
          break
        case 'event':
          this.events.push(effect.event)
          break
        case 'dial':
          this.dial(effect.wire, effect.address)
          break
        case 'negotiate':
          this.negotiate(effect)
          break
        case 'negotiated':
          this.wires.get(effect.wire)?.proceed(effect.remote)
          break
        case 'spent':
          this.options.onSpent?.(effect.buffers)
          break
        case 'hang-up':
          this.wires.get(effect.wire)?.hangUp()
          break
        case 'save':
          this.saver.change(effect.key, effect.value)
          break
        case 'load':
          this.load(effect.load, effect.prefix)
          break
        default:
          unreachable(effect)
      }
    }
    this.performing = false
  }

  private deliver(): void {
    this.delivering = true
    const { events } = this
    let at = 0
    try {
      // The list grows while handlers write.
      while (at < events.length) this.options.onEvent(events[at++]!)
    } finally {
      this.delivering = false
      if (at === events.length) events.length = 0
      else this.events = events.slice(at)
    }
  }

  private dial(wire: WireId, address: Address): void {
    const end = new WireEnd(this, wire, 'dialler')
    invariant(!this.wires.has(wire), 'a wire is dialled under a number that is taken')
    this.wires.set(wire, end)
    end.wire = this.options.dial(address, end)
  }

  private negotiate({ wire, transport, role, remote, helpers }: Extract<Effect, { kind: 'negotiate' }>): void {
    const end = new WireEnd(this, wire, role === 'offerer' ? 'dialler' : 'acceptor')
    invariant(!this.wires.has(wire), 'a wire is negotiated under a number that is taken')
    this.wires.set(wire, end)
    end.wire = end.negotiated = this.options.negotiate(transport, remote, helpers, end)
  }

  private load(load: LoadId, prefix: string): void {
    this.saver.load(prefix).then(entries => this.input({ kind: 'loaded', load, entries }))
  }

  /** One timer for all; an earlier one than needed stays and arms itself again when it fires. */
  private arm(): void {
    if (this.stopped !== null) return
    const wanted = Math.min(this.peer.nextWake() ?? Number.POSITIVE_INFINITY, this.now + CLOCK_CHECK_MS)
    if (this.wakeAt !== null && this.wakeAt <= wanted) return
    this.cancelTimer?.()
    this.wakeAt = wanted
    // Timers count whole milliseconds: rounded up, a wake never comes just before its deadline.
    this.cancelTimer = this.options.clock.setTimer(Math.max(0, Math.ceil(wanted - this.now)), this.onTimer)
  }

  private readonly onTimer = (): void => {
    if (this.stopped !== null) return
    const { clock } = this.options
    const monotonic = clock.monotonicNow()
    const now = monotonic - this.startedAt
    const wall = clock.wallNow()
    const late = this.wakeAt === null ? 0 : now - this.wakeAt
    this.wakeAt = null
    this.cancelTimer = null
    if (late > STANDSTILL_MS || Math.abs(wall - monotonic - this.clockOffset) > CLOCK_JUMP_MS) {
      this.clockOffset = wall - monotonic
      this.input({ kind: 'clock', wallTime: wall })
    }
    const wake = this.peer.nextWake()
    if (wake !== null && wake <= now) this.input({ kind: 'wake' })
    else {
      this.now = now
      this.arm()
    }
  }

  private async windUp(): Promise<void> {
    this.cancelTimer?.()
    for (const end of this.wires.values()) end.hangUp()
    const wiresClosed = new Promise<void>(resolve => {
      this.onLastWireClosed = resolve
      if (this.wires.size === 0) resolve()
    })
    await this.saver.flush()
    await this.options.store.close()
    await wiresClosed
  }
}

/** One wire as the run loop holds it: its number, and what its driver reports turned into inputs. */
class WireEnd implements NegotiatedSink {
  readonly id: WireId
  wire: Wire | null = null
  /** The same, where it was negotiated. */
  negotiated: NegotiatedWire | null = null
  private readonly loop: RunLoop
  private readonly role: 'dialler' | 'acceptor'
  private hungUp = false
  private written = 0

  constructor(loop: RunLoop, id: WireId, role: 'dialler' | 'acceptor') {
    this.loop = loop
    this.id = id
    this.role = role
  }

  send(buffers: readonly Uint8Array[], bytes: number): void {
    if (!this.hungUp) this.wire?.send(buffers, bytes)
  }

  proceed(answer: Uint8Array): void {
    if (!this.hungUp) this.negotiated?.proceed(answer)
  }

  hangUp(): void {
    if (this.hungUp) return
    this.hungUp = true
    this.wire?.hangUp()
  }

  onDescribed(description: Uint8Array): void {
    if (!this.hungUp) this.loop.input({ kind: 'wire-described', wire: this.id, description })
  }

  onOpen(about: WireFacts): void {
    if (!this.hungUp) this.loop.input({ kind: 'wire-open', wire: this.id, role: this.role, about })
  }

  onFrames(bytes: Uint8Array): void {
    if (!this.hungUp) this.loop.input({ kind: 'wire-bytes', wire: this.id, bytes })
  }

  onWritten(bytes: number): void {
    this.written += bytes
    if (this.hungUp || this.written < WRITTEN_REPORT_BYTES) return
    const { written } = this
    this.written = 0
    this.loop.input({ kind: 'wire-writable', wire: this.id, bytes: written })
  }

  onClosed(fault: Fault): void {
    this.loop.forget(this.id)
    this.loop.input({ kind: 'wire-closed', wire: this.id, fault })
  }
}

/** Batches changes: the last one of a key counts, one batch is written at a time, loads see what is not yet written. */
class Saver {
  private readonly store: Store
  private readonly clock: HostClock
  private readonly onFault: (fault: Fault) => void
  private faultTold = false
  private changes = new Map<string, Uint8Array | null>()
  private cancelTimer: (() => void) | null = null
  private writing: Promise<void> = Promise.resolve()

  constructor(store: Store, clock: HostClock, onFault: (fault: Fault) => void) {
    this.store = store
    this.clock = clock
    this.onFault = onFault
  }

  change(key: string, value: Uint8Array | null): void {
    this.changes.set(key, value)
    this.cancelTimer ??= this.clock.setTimer(SAVE_DELAY_MS, () => {
      this.flush()
    })
  }

  flush(): Promise<void> {
    this.cancelTimer?.()
    this.cancelTimer = null
    this.writing = this.writing.then(() => this.write())
    return this.writing
  }

  async load(prefix: string): Promise<StoreEntry[]> {
    await this.flush()
    const loaded = await this.store.load(prefix)
    if (loaded.ok) return loaded.value
    this.tell(loaded.fault)
    return []
  }

  private async write(): Promise<void> {
    if (this.changes.size === 0) return
    const batch: StoreChange[] = []
    for (const [key, value] of this.changes) batch.push({ key, value })
    this.changes.clear()
    const fault = await this.store.save(batch)
    if (fault !== null) this.tell(fault)
  }

  private tell(fault: Fault): void {
    if (this.faultTold) return
    this.faultTold = true
    this.onFault(fault)
  }
}
