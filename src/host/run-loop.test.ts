import { describe, expect, it } from 'vitest'
import type { Address } from '../core/base/address.ts'
import { type Fault, fail } from '../core/base/fault.ts'
import type { Effect, PeerEvent } from '../core/effect.ts'
import type { Input } from '../core/input.ts'
import type { Peer, PeerSnapshot } from '../core/peer-options.ts'
import type { Wire, WireSink } from '../paths/wire-driver.ts'
import { MemoryStore } from './memory-store.ts'
import type { HostClock } from './platform.ts'
import { RunLoop } from './run-loop.ts'
import type { Store } from './store.ts'

const ADDRESS: Address = { scheme: 'tcp', host: '127.0.0.1', port: 1, extra: '' }
const ABOUT = { transport: 'tcp', remote: '127.0.0.1:1', remoteHost: '127.0.0.1' } as const

/** A clock that the test moves; `sleep` passes wall time without monotonic time, as a suspended machine does. */
class TestClock implements HostClock {
  now = 1000
  wall = 1_700_000_000_000
  private readonly timers = new Set<{ at: number; task: () => void }>()

  monotonicNow(): number {
    return this.now
  }
  wallNow(): number {
    return this.wall
  }
  setTimer(delayMs: number, task: () => void): () => void {
    const timer = { at: this.now + delayMs, task }
    this.timers.add(timer)
    return () => this.timers.delete(timer)
  }
  get armed(): number {
    return this.timers.size
  }
  /** Lets timers fire in order, up to `ms` from now, each `lateMs` late. */
  advance(ms: number, lateMs = 0): void {
    const end = this.now + ms
    for (;;) {
      const next = [...this.timers].sort((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > end) break
      this.timers.delete(next)
      this.wall += next.at + lateMs - this.now
      this.now = next.at + lateMs
      next.task()
    }
    if (end > this.now) {
      this.wall += end - this.now
      this.now = end
    }
  }
}

class ScriptedPeer implements Peer {
  readonly inputs: { now: number; input: Input }[] = []
  wake: number | null = null
  script: (input: Input) => Effect[] = () => []

  step(now: number, input: Input): readonly Effect[] {
    this.inputs.push({ now, input })
    return this.script(input)
  }
  nextWake(): number | null {
    return this.wake
  }
  snapshot(): PeerSnapshot {
    throw new Error('not part of these tests')
  }
  kinds(): string[] {
    return this.inputs.map(({ input }) => (input.kind === 'command' ? input.command.kind : input.kind))
  }
}

class TestWire implements Wire {
  readonly sink: WireSink
  readonly log: string[]
  hungUp = 0
  constructor(sink: WireSink, log: string[]) {
    this.sink = sink
    this.log = log
  }
  send(buffers: readonly Uint8Array[]): void {
    this.log.push(`send ${buffers.map(buffer => buffer.join(',')).join('|')}`)
  }
  hangUp(): void {
    this.hungUp += 1
  }
}

function bench(more: { store?: Store; onEvent?: (event: PeerEvent) => void } = {}) {
  const clock = new TestClock()
  const peer = new ScriptedPeer()
  const log: string[] = []
  const wires: TestWire[] = []
  const faults: Fault[] = []
  const spent: Uint8Array[] = []
  const loop = new RunLoop({
    peer,
    clock,
    store: more.store ?? new MemoryStore(),
    negotiate: () => {
      throw new Error('this peer negotiates nothing')
    },
    dial(_, sink) {
      const wire = new TestWire(sink, log)
      wires.push(wire)
      return wire
    },
    onSpent: buffers => spent.push(...buffers),
    onEvent: event => {
      log.push(event.kind === 'ponged' ? `event ${event.request}` : event.kind)
      more.onEvent?.(event)
    },
    onStoreFault: fault => faults.push(fault),
  })
  return { clock, peer, log, wires, faults, spent, loop }
}

const ping = (request: number) => ({ kind: 'ping', request, session: 0 }) as const
const event = (request: number): Effect => ({
  kind: 'event',
  event: { kind: 'ponged', request, roundTripMs: 0, path: { kind: 'none' } },
})
const send = (wire: number, ...bytes: number[]): Effect => ({
  kind: 'send',
  wire,
  buffers: [Uint8Array.from(bytes)],
  bytes: bytes.length,
})

function settled(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 0))
}

describe('the run loop', () => {
  it('sends before it tells events, and events that a handler causes come after those of its own step', () => {
    const { peer, log, wires, loop } = bench({
      onEvent: e => {
        if (e.kind === 'ponged' && e.request === 1) loop.command(ping(2))
      },
    })
    peer.script = input => {
      if (input.kind !== 'command' || input.command.kind !== 'ping') return []
      if (input.command.request === 0) return [{ kind: 'dial', wire: 1, address: ADDRESS }]
      if (input.command.request === 1) return [event(1), send(1, 1), event(11), send(1, 2)]
      return [event(2), send(1, 3)]
    }
    loop.command(ping(0))
    loop.command(ping(1))
    expect(wires).toHaveLength(1)
    expect(log).toEqual(['send 1', 'send 2', 'event 1', 'send 3', 'event 11', 'event 2'])
  })

  it('gives a step and all that its handlers cause the same instant, counted from its own start', () => {
    const { clock, peer, loop } = bench({
      onEvent: () => {
        clock.now += 5
        loop.command({ kind: 'leave-mesh' })
      },
    })
    peer.script = input => (input.kind === 'command' && input.command.kind === 'ping' ? [event(1)] : [])
    clock.now += 0.25
    loop.command(ping(1))
    loop.command(ping(2))
    expect(peer.inputs.map(({ now }) => now)).toEqual([0.25, 0.25, 5.25, 5.25])
  })

  it('goes on with other events after a handler threw', () => {
    let thrown = false
    const { peer, log, loop } = bench({
      onEvent: () => {
        if (!thrown) {
          thrown = true
          throw new Error('of the user')
        }
      },
    })
    peer.script = () => [event(1), event(2)]
    expect(() => loop.command(ping(1))).toThrow('of the user')
    peer.script = () => [event(3)]
    loop.command(ping(1))
    expect(log).toEqual(['event 1', 'event 2', 'event 3'])
  })

  it('turns what wires report into inputs, under the number of the core or one below zero', () => {
    const { peer, wires, log, loop } = bench()
    peer.script = input => (input.kind === 'command' ? [{ kind: 'dial', wire: 1, address: ADDRESS }] : [])
    loop.command(ping(1))
    const [dialled] = wires
    dialled!.sink.onOpen(ABOUT)
    const accepted = [0, 1].map(() => loop.accept(new TestWire(dialled!.sink, log)))
    for (const sink of accepted) sink.onOpen(ABOUT)
    dialled!.sink.onFrames(Uint8Array.of(1))
    accepted[1]!.onWritten(7)
    accepted[1]!.onWritten(100_000)
    dialled!.sink.onClosed({ code: 'wire-lost' })
    expect(peer.inputs.slice(1).map(({ input }) => input)).toEqual([
      { kind: 'wire-open', wire: 1, role: 'dialler', about: ABOUT },
      { kind: 'wire-open', wire: -1, role: 'acceptor', about: ABOUT },
      { kind: 'wire-open', wire: -2, role: 'acceptor', about: ABOUT },
      { kind: 'wire-bytes', wire: 1, bytes: Uint8Array.of(1) },
      { kind: 'wire-writable', wire: -2, bytes: 100_007 },
      { kind: 'wire-closed', wire: 1, fault: { code: 'wire-lost' } },
    ])
  })

  it('tells a peer nothing more of a wire that it hung up, but its end', () => {
    const { peer, wires, log, loop } = bench()
    peer.script = input => {
      if (input.kind === 'command') return [{ kind: 'dial', wire: 1, address: ADDRESS }]
      if (input.kind === 'wire-open') return [{ kind: 'hang-up', wire: 1, code: 'refused' }, send(1, 9)]
      return [send(1, 9)]
    }
    loop.command(ping(1))
    const { sink } = wires[0]!
    sink.onOpen(ABOUT)
    sink.onFrames(Uint8Array.of(1))
    sink.onWritten(1)
    sink.onClosed({ code: 'closed' })
    expect(peer.kinds()).toEqual(['ping', 'wire-open', 'wire-closed'])
    expect(wires[0]!.hungUp).toBe(1)
    expect(log).toEqual([])
  })

  it('hands on what memory is spent, after what is sent', () => {
    const { peer, loop, spent, log } = bench()
    const packet = new Uint8Array(20_000)
    peer.script = input => {
      if (input.kind === 'wire-open') return [{ kind: 'send', wire: -1, buffers: [packet], bytes: packet.length }]
      return [{ kind: 'spent', buffers: [packet] }]
    }
    const sink = loop.accept({ send: () => log.push('sent'), hangUp: () => {} })
    sink.onOpen(ABOUT)
    expect([log, spent]).toEqual([['sent'], []])
    sink.onFrames(Uint8Array.of(1))
    expect(spent[0]).toBe(packet)
  })

  it('wakes the peer at its deadline and not before, with one timer', () => {
    const { clock, peer, loop } = bench()
    peer.wake = 100.5
    loop.command(ping(1))
    clock.advance(100)
    expect(peer.kinds()).toEqual(['ping'])
    peer.script = input => {
      if (input.kind === 'wake') peer.wake = 400
      return []
    }
    clock.advance(1)
    expect(peer.kinds()).toEqual(['ping', 'wake'])
    expect(peer.inputs[1]?.now).toBeGreaterThanOrEqual(100.5)
    for (const wake of [350, 900, 300, 800]) {
      peer.wake = wake
      loop.command(ping(2))
    }
    expect(clock.armed).toBe(1)
    peer.wake = 250
    loop.command(ping(2))
    peer.inputs.length = 0
    clock.advance(149)
    expect(peer.kinds()).toEqual(['wake'])
  })

  it('does not wake a peer whose deadline went later meanwhile', () => {
    const { clock, peer, loop } = bench()
    peer.wake = 50
    loop.command(ping(1))
    peer.wake = 500
    clock.advance(400)
    expect(peer.kinds()).toEqual(['ping'])
    peer.script = () => {
      peer.wake = null
      return []
    }
    clock.advance(100)
    expect(peer.kinds()).toEqual(['ping', 'wake'])
  })

  it('tells the wall time when the clock jumped, and when the process stood still', () => {
    const { clock, peer, loop } = bench()
    loop.command(ping(1))
    clock.advance(65_000)
    expect(peer.kinds()).toEqual(['ping'])
    clock.wall += 3_600_000
    clock.advance(31_000)
    expect(peer.inputs.slice(1).map(({ input }) => input.kind)).toEqual(['clock'])
    expect(peer.inputs[1]?.input).toMatchObject({ wallTime: clock.wall - (clock.now - 1000 - peer.inputs[1]!.now) })
    clock.advance(31_000, 60_000)
    expect(peer.kinds()).toEqual(['ping', 'clock', 'clock'])
    clock.advance(100_000)
    expect(peer.kinds()).toEqual(['ping', 'clock', 'clock'])
  })

  it('saves in batches, the last value of a key, and loads what was not yet written', async () => {
    const batches: number[] = []
    const store = new MemoryStore()
    const counting: Store = {
      load: prefix => store.load(prefix),
      save: changes => {
        batches.push(changes.length)
        return store.save(changes)
      },
      close: () => store.close(),
    }
    const { clock, peer, loop } = bench({ store: counting })
    const save = (key: string, value: number): Effect => ({ kind: 'save', key, value: Uint8Array.of(value) })
    peer.script = () => [save('a', 1), save('b', 2), save('a', 3)]
    loop.command(ping(1))
    expect(batches).toEqual([])
    clock.advance(1000)
    await settled()
    expect(batches).toEqual([2])
    peer.script = input => (input.kind === 'command' ? [save('c', 4), { kind: 'load', load: 5, prefix: '' }] : [])
    loop.command(ping(1))
    await settled()
    expect(batches).toEqual([2, 1])
    const input = peer.inputs[peer.inputs.length - 1]?.input
    expect(
      input?.kind === 'loaded' && [input.load, ...input.entries.map(entry => `${entry.key}${entry.value}`)],
    ).toEqual([5, 'a3', 'b2', 'c4'])
  })

  it('tells once that the store fails, and goes on', async () => {
    const fault: Fault = { code: 'store-failed', detail: 'disk full' }
    const broken: Store = { load: async () => fail(fault), save: async () => fault, close: async () => {} }
    const { clock, peer, faults, loop } = bench({ store: broken })
    peer.script = input => {
      if (input.kind !== 'command') return []
      return [
        { kind: 'save', key: 'a', value: null },
        { kind: 'load', load: 1, prefix: '' },
      ]
    }
    loop.command(ping(1))
    await settled()
    loop.command(ping(2))
    clock.advance(1000)
    await settled()
    expect(faults).toEqual([fault])
    expect(peer.inputs.filter(({ input }) => input.kind === 'loaded')).toHaveLength(2)
  })

  it('stops: hangs up, writes what is unsaved, waits for its wires, and steps no more', async () => {
    const store = new MemoryStore()
    const { clock, peer, wires, loop } = bench({ store })
    peer.script = () => [
      { kind: 'dial', wire: peer.inputs.length, address: ADDRESS },
      { kind: 'save', key: 'a', value: Uint8Array.of(1) },
    ]
    loop.command(ping(1))
    let stopped = false
    const stopping = loop.stop().then(() => {
      stopped = true
    })
    expect(loop.stop()).toBe(loop.stop())
    await settled()
    expect(wires[0]!.hungUp).toBe(1)
    expect(stopped).toBe(false)
    wires[0]!.sink.onClosed({ code: 'closed' })
    await stopping
    loop.command(ping(2))
    clock.advance(100_000)
    expect(peer.inputs).toHaveLength(1)
    expect(await store.load('')).toMatchObject({ ok: true, value: [{ key: 'a' }] })
    const late = new TestWire(wires[0]!.sink, [])
    loop.accept(late)
    expect(late.hungUp).toBe(1)
  })

  it('is told by a crash when a driver calls its sink from inside a method', () => {
    const { peer, wires, loop } = bench()
    peer.script = input => (input.kind === 'command' ? [{ kind: 'dial', wire: 1, address: ADDRESS }] : [send(1, 1)])
    loop.command(ping(1))
    wires[0]!.send = () => wires[0]!.sink.onWritten(100_000)
    expect(() => wires[0]!.sink.onOpen(ABOUT)).toThrow('broken invariant')
  })
})
