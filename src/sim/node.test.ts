import { describe, expect, it } from 'vitest'
import type { PeerEvent } from '../core/effect.ts'
import type { Input } from '../core/input.ts'
import { createPeer } from '../core/peer.ts'
import { TCP_GIVES_UP_MS } from './network.ts'
import { latencyMs, NetworkModel, type PeerProfile, plainProfile } from './network-model.ts'
import type { Node } from './node.ts'
import { SETTING_DEFAULTS } from './scenario.ts'
import { World, type WorldOptions } from './world.ts'

const { mix } = SETTING_DEFAULTS

interface Pair {
  readonly world: World
  readonly a: Node
  readonly b: Node
  /** Writes one byte from a to b. */
  readonly write: (byte: number) => void
  /** What arrived at b, and when. */
  readonly arrived: { readonly byte: number; readonly at: number }[]
}

/** Two peers with a session and a stream from `a` to `b`, which dialled. */
function pair(options: Partial<WorldOptions> = {}, profiles: readonly PeerProfile[] = []): Pair {
  const world = new World({ seed: 1, ...options })
  const place = (index: number, isPublic: boolean): Node => {
    const profile = profiles[index]
    return world.add({ public: isPublic, ...(profile === undefined ? {} : { profile }) })
  }
  const a = place(0, true)
  const b = place(1, false)
  b.join(a)
  world.run(5_000)
  const connected = a.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: b.id } })).answer()
  if (connected?.kind !== 'connected') throw new Error('they are linked')
  const { session } = connected
  const opened = a.ask(request => ({ kind: 'stream-open', request, session, subject: '' })).answer()
  if (opened?.kind !== 'stream-opened') throw new Error('a session opens streams')
  const arrived: { byte: number; at: number }[] = []
  b.onEvent = event => {
    if (event.kind !== 'stream-data') return
    for (const chunk of event.chunks) for (const byte of chunk) arrived.push({ byte, at: world.now })
  }
  const write = (byte: number): void =>
    a.command({ kind: 'stream-write', session, stream: opened.stream, chunks: [Uint8Array.of(byte)] })
  return { world, a, b, write, arrived }
}

/** What each peer of a world is told. */
function recorder(): { readonly make: NonNullable<WorldOptions['make']>; readonly told: Map<string, Input[]> } {
  const told = new Map<string, Input[]>()
  return {
    told,
    make: options => {
      const peer = createPeer(options)
      const inputs: Input[] = []
      told.set(options.identity.peer, inputs)
      return {
        step: (now, input) => {
          inputs.push(input)
          return peer.step(now, input)
        },
        nextWake: () => peer.nextWake(),
        snapshot: () => peer.snapshot(),
      }
    },
  }
}

describe('a frozen peer', () => {
  it('makes no step; what was sent to it arrives when it thaws, after the clock', () => {
    const { make, told } = recorder()
    const { world, a, b, write, arrived } = pair({ make })
    world.freeze(b)
    expect(b.frozen).toBe(true)
    const inputs = told.get(b.id) ?? []
    inputs.length = 0
    write(1)
    write(2)
    // Too short for the other side to notice.
    world.run(7_000)
    expect(inputs).toEqual([])
    expect(arrived).toEqual([])
    world.thaw(b)
    expect(inputs[0]).toEqual({ kind: 'clock', wallTime: world.wallTime })
    expect(new Set(inputs.slice(1).map(input => input.kind))).toEqual(new Set(['wire-bytes']))
    expect(arrived.map(({ byte }) => byte)).toEqual([1, 2])
    world.run(5_000)
    expect(a.peer.snapshot().links.map(link => link.peer)).toEqual([b.id])
  })

  it('that was away for a moment is told of no jump', () => {
    const { make, told } = recorder()
    const { world, b, write } = pair({ make })
    const inputs = told.get(b.id) ?? []
    for (const [sleptMs, clockStops, isTold] of [
      [900, true, false],
      [1_100, true, true],
      [2_000, false, false],
      [40_000, false, true],
    ] as const) {
      world.freeze(b, clockStops)
      write(1)
      world.run(sleptMs)
      inputs.length = 0
      world.thaw(b)
      expect({ sleptMs, isTold: inputs.some(input => input.kind === 'clock') }).toEqual({ sleptMs, isTold })
      world.run(1_000)
    }
  })

  it('whose clock stops has missed the time by its own clock, and none by the wall', () => {
    const { world, b } = pair()
    const before = b.now
    world.freeze(b, true)
    world.run(60_000)
    world.thaw(b)
    expect(b.now).toBe(before)
    expect(b.wallTime).toBe(world.wallTime)
  })

  it('loses its wires when TCP gives up: the other side at once, itself when it next sends', () => {
    const { world, a, b, write } = pair()
    // The core would look for its own silent links: this is about the wire alone.
    world.freeze(b)
    write(1)
    const held = a.openWires().length
    expect(held).toBe(1)
    world.run(TCP_GIVES_UP_MS + 1_000)
    expect(a.openWires()).toEqual([])
    expect(b.openWires().length).toBe(1)
    world.thaw(b)
    const linked = world.runUntil(() => a.peer.snapshot().links.some(link => link.peer === b.id), 30_000)
    expect(linked).not.toBeNull()
  })

  it('is not reached by dials, and hears of its own commands when it thaws', () => {
    const { world, a, b } = pair()
    const c = world.add({ public: true })
    world.freeze(c)
    const call = b.ask(request => ({
      kind: 'connect',
      request,
      target: { kind: 'address', address: c.address },
    }))
    let joined: PeerEvent | undefined
    c.onEvent = event => {
      if (event.kind === 'joined') joined = event
    }
    c.join(a)
    world.run(4_000)
    expect(call.answer()?.kind === 'connected').toBe(false)
    expect(joined).toBeUndefined()
    world.thaw(c)
    world.run(5_000)
    expect(joined).toBeDefined()
  })

  it('that is killed says nothing any more', () => {
    const { world, a, b } = pair()
    world.freeze(b)
    b.kill()
    world.run(1_000)
    expect(b.vanished).toBe(true)
    expect(a.openWires().length).toBe(1)
  })
})

describe('a wire of a modelled network', () => {
  it('takes the latency of its pair one way, and the peer that is slow its time beside that', () => {
    const near = { ...plainProfile(true), accessMs: 5 }
    const far = { ...plainProfile(false), x: 30, y: 40, accessMs: 10, lateMs: 100 }
    const { world, write, arrived } = pair({ model: new NetworkModel({ seed: 1, mix }) }, [near, far])
    const sentAt = world.now
    write(1)
    world.run(1_000)
    expect(latencyMs(near, far)).toBe(65)
    expect(arrived.map(({ at }) => at - sentAt)).toEqual([165])
  })

  it('delivers what was lost at least 200 ms later, and all behind it in order and no earlier', () => {
    const { world, a, write, arrived } = pair({ model: new NetworkModel({ seed: 2, mix, lossShare: 0.05 }) }, [
      { ...plainProfile(true), x: 40 },
      plainProfile(false),
    ])
    expect(a.profile.x).toBe(40)
    const sentAt: number[] = []
    for (let i = 0; i < 250; i += 1) {
      sentAt.push(world.now)
      write(i)
      world.run(20)
    }
    world.run(10_000)
    expect(arrived.map(({ byte }) => byte)).toEqual(sentAt.map((_, i) => i))
    const tookMs = arrived.map(({ at }, i) => at - (sentAt[i] ?? 0))
    const isLate = tookMs.map(ms => ms > 41)
    expect(tookMs.filter(ms => Math.abs(ms - 40) < 1e-6).length).toBeGreaterThan(50)
    // Each hold-up begins with one that was itself lost.
    const begins = tookMs.filter((_, i) => isLate[i] && !isLate[i - 1])
    expect(begins.length).toBeGreaterThan(3)
    expect(Math.min(...begins)).toBeGreaterThanOrEqual(240)
  })

  it('shares a machine’s way out among all its wires', () => {
    const slow = { ...plainProfile(true), rateBytesPerMs: 100 }
    const model = new NetworkModel({ seed: 1, mix })
    const world = new World({ seed: 1, model })
    const source = world.add({ public: true, profile: slow })
    const others = [0, 1, 2, 3].map(() => world.add({ public: false, profile: plainProfile(false) }))
    for (const other of others) other.join(source)
    world.run(5_000)
    const got = others.map(other => {
      let bytes = 0
      other.onEvent = event => {
        if (event.kind !== 'stream-data') return
        const { session, stream } = event
        const length = event.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
        bytes += length
        other.command({ kind: 'stream-consumed', session, stream, bytes: length })
      }
      return () => bytes
    })
    for (const other of others) {
      const call = source.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: other.id } }))
      const answer = call.answer()
      if (answer?.kind !== 'connected') throw new Error('they are linked')
      const { session } = answer
      const opened = source.ask(request => ({ kind: 'stream-open', request, session, subject: '' })).answer()
      if (opened?.kind !== 'stream-opened') throw new Error('a session opens streams')
      source.command({ kind: 'stream-write', session, stream: opened.stream, chunks: [new Uint8Array(100_000)] })
    }
    world.run(2_500)
    const total = (): number => got.reduce((sum, bytes) => sum + bytes(), 0)
    expect(total()).toBe(200_000)
    world.run(2_500)
    expect(total()).toBe(400_000)
  })
})

describe('a node', () => {
  it('has the profile that the model draws, keeps it in its next life, and a wall clock of its own', () => {
    const world = new World({ seed: 3, model: new NetworkModel({ seed: 3, mix }) })
    const nodes = Array.from({ length: 60 }, () => world.add())
    for (const node of nodes) {
      expect(node.public).toBe(node.profile.nat === 'public')
      expect(node.ref.capacity).toBe(node.profile.capacity)
      expect(node.wallTime - world.wallTime).toBe(node.profile.clockSkewMs)
    }
    expect(new Set(nodes.map(node => node.profile.device)).size).toBe(3)
    const [first] = nodes
    if (first !== undefined) expect(world.restart(first, true).profile).toBe(first.profile)
  })

  it('counts what it sends and gets, and the world what is delivered', () => {
    const { world, a, b } = pair()
    world.run(2_000)
    expect(world.messages).toBeGreaterThan(4)
    expect(a.bytesReceived + b.bytesReceived).toBe(world.bytes)
    expect(a.bytesReceived).toBe(b.bytesSent)
    expect(b.bytesReceived).toBe(a.bytesSent)
  })

  it('keeps no events where the world keeps none, and answers what it is asked all the same', () => {
    const { world, a, b } = pair({ keepsEvents: false })
    const call = b.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: a.id } }))
    world.run(1_000)
    expect(call.answer()?.kind).toBe('connected')
    expect([...a.events, ...b.events]).toEqual([])
  })

  it('that is dead and forgotten holds nothing, and no later one takes its number; one that came back keeps its store', () => {
    const world = new World({ seed: 4 })
    const [a, b] = [world.add({ public: true }), world.add({ public: true })]
    world.run(100)
    b.store.set('ref/x', new Uint8Array(3))
    expect(() => world.forget(b)).toThrow(/dead/)
    const again = world.restart(b, true)
    world.forget(b)
    expect(world.nodes).toEqual([a, again])
    expect(b.store.size).toBe(0)
    expect(again.store.size).toBe(1)
    again.kill()
    expect(world.restart(again, false).store.size).toBe(0)
    expect(b.peer.snapshot().links).toEqual([])
    expect(world.add().index).toBe(4)
  })
})
