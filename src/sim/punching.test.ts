import { describe, expect, it } from 'vitest'
import type { PathView } from '../core/effect.ts'
import { MAPPING_LIVES_MS } from './network.ts'
import { type DeviceClass, type NatClass, NetworkModel, plainProfile, punchShare } from './network-model.ts'
import type { Node } from './node.ts'
import { negotiableOn } from './punching.ts'
import { SETTING_DEFAULTS } from './scenario.ts'
import { World } from './world.ts'

interface Pair {
  readonly world: World
  readonly relay: Node
  readonly a: Node
  readonly b: Node
  /** How their session travels, as each end sees it. */
  readonly paths: () => string[]
  /** Writes from `a` to `b`; what has arrived there. */
  readonly write: (byte: number) => void
  readonly arrived: number[]
}

/** Two production peers behind NATs, in a mesh with one public peer, that talk to each other. */
function pair(nats: readonly [NatClass, NatClass], devices: readonly [DeviceClass, DeviceClass], seed = 1): Pair {
  const model = new NetworkModel({ seed, mix: SETTING_DEFAULTS.mix })
  const world = new World({ seed, model })
  const place = (nat: NatClass, device: DeviceClass): Node => {
    const profile = { ...model.draw({ public: nat === 'public', device }), nat, lateMs: 0 }
    return world.add({ public: nat === 'public', profile })
  }
  const relay = place('public', 'server')
  const a = place(nats[0], devices[0])
  const b = place(nats[1], devices[1])
  for (const node of [a, b]) node.join(relay)
  world.run(5_000)
  const call = a.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: b.id } }))
  world.runUntil(() => call.answer() !== undefined, 10_000)
  const connected = call.answer()
  if (connected?.kind !== 'connected') throw new Error('any two peers can talk')
  const { session } = connected
  const opened = a.ask(request => ({ kind: 'stream-open', request, session, subject: '' })).answer()
  if (opened?.kind !== 'stream-opened') throw new Error('a session opens streams')
  const arrived: number[] = []
  b.onEvent = event => {
    if (event.kind === 'stream-data') for (const chunk of event.chunks) arrived.push(...chunk)
  }
  const write = (byte: number): void =>
    a.command({ kind: 'stream-write', session, stream: opened.stream, chunks: [Uint8Array.of(byte)] })
  const pathOf = (node: Node, other: Node): string =>
    textOf(node.peer.snapshot().links.find(link => link.peer === other.id)?.path)
  return { world, relay, a, b, arrived, write, paths: () => [pathOf(a, b), pathOf(b, a)] }
}

function textOf(path: PathView | undefined): string {
  if (path === undefined) return 'no link'
  return path.kind === 'wire' ? path.transport : path.kind
}

describe('two peers behind NATs', () => {
  it('both cones, end on a wire of their own, by what their machines have', () => {
    for (const [one, other, transport] of [
      ['desktop', 'desktop', 'udp'],
      ['desktop', 'tab', 'webrtc'],
      ['tab', 'desktop', 'webrtc'],
      ['tab', 'tab', 'webrtc'],
    ] as const) {
      const { world, relay, paths, write, arrived } = pair(['cone', 'cone'], [one, other])
      write(1)
      world.run(5_000)
      expect(paths(), `${one} and ${other}`).toEqual([transport, transport])
      world.run(15_000)
      expect(relay.peer.snapshot().circuitsRelayed).toBe(0)
      relay.kill(true)
      write(2)
      world.run(500)
      expect(arrived).toEqual([1, 2])
    }
  })

  it('one a cone, one symmetric, do so in nine of ten tries, by UDP alone', () => {
    let direct = 0
    for (let seed = 1; seed <= 40; seed += 1) {
      const { world, paths } = pair(['cone', 'symmetric'], ['desktop', 'desktop'], seed)
      world.run(10_000)
      if (paths().every(path => path === 'udp')) direct += 1
    }
    expect(direct).toBeGreaterThanOrEqual(32)
    expect(direct).toBeLessThan(40)
    const { world, paths } = pair(['cone', 'symmetric'], ['desktop', 'tab'])
    world.run(60_000)
    expect(paths()).toEqual(['circuit', 'circuit'])
  })

  it.each([
    ['symmetric', 'symmetric'],
    ['blocked', 'cone'],
    ['blocked', 'blocked'],
  ] as const)('%s and %s stay on a circuit and keep talking', (one, other) => {
    const { world, paths, write, arrived } = pair([one, other], ['desktop', 'desktop'])
    for (let i = 0; i < 20; i += 1) {
      write(i)
      world.run(5_000)
    }
    expect(paths()).toEqual(['circuit', 'circuit'])
    expect(arrived).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  it('that sleep for less than their NATs remember go on over the same wire', () => {
    const { world, b, paths, write, arrived } = pair(['cone', 'cone'], ['desktop', 'desktop'])
    world.run(5_000)
    const moves = b.events.filter(event => event.kind === 'path').length
    world.freeze(b)
    write(1)
    world.run(6_000)
    expect(arrived).toEqual([])
    world.thaw(b)
    world.run(1_000)
    expect(arrived).toEqual([1])
    expect(paths()).toEqual(['udp', 'udp'])
    expect(b.events.filter(event => event.kind === 'path')).toHaveLength(moves)
  })

  it('of which one sleeps for longer lose the wire at both ends; awake again they make another', () => {
    const { world, a, b, paths } = pair(['cone', 'cone'], ['desktop', 'desktop'])
    world.run(5_000)
    expect(paths()).toEqual(['udp', 'udp'])
    const [before, other] = [a, b].map(node => node.openWires().filter(end => end.punched))
    world.freeze(b)
    world.run(MAPPING_LIVES_MS + 1_000)
    expect(before?.map(end => end.open)).toEqual([false])
    world.thaw(b)
    expect(other?.map(end => end.open)).toEqual([false])
    world.run(60_000)
    expect(paths()).toEqual(['udp', 'udp'])
  })

  it('of which one dies: the other is told by nobody, and finds out by its silence', () => {
    const { world, a, b, paths } = pair(['cone', 'cone'], ['desktop', 'desktop'])
    world.run(5_000)
    b.kill()
    world.run(1_000)
    expect(a.openWires().filter(end => end.punched)).toHaveLength(1)
    expect(paths()[0]).toBe('udp')
    world.run(40_000)
    expect(paths()[0]).toBe('no link')
    expect(a.openWires().filter(end => end.punched)).toHaveLength(0)
  })
})

describe('the share of tries that succeed', () => {
  const kinds: readonly NatClass[] = ['public', 'cone', 'symmetric', 'blocked']

  it('is the same from either side', () => {
    for (const transport of ['udp', 'webrtc'] as const) {
      for (const one of kinds)
        for (const other of kinds) expect(punchShare(one, other, transport)).toBe(punchShare(other, one, transport))
    }
  })

  it('is none where UDP is blocked', () => {
    for (const other of kinds) expect(punchShare('blocked', other, 'udp')).toBe(0)
  })
})

describe('what machines can negotiate', () => {
  it('is nothing in worlds without a model, where peers are alike, unless it is said', () => {
    const told: unknown[] = []
    const world = new World({
      seed: 1,
      make: options => {
        told.push(options.negotiates)
        return {
          step: () => [],
          nextWake: () => null,
          snapshot: () => {
            throw new Error('nobody looks')
          },
        }
      },
    })
    world.add({ public: false, profile: plainProfile(false) })
    world.add({ public: false, negotiates: negotiableOn('tab') })
    expect(told).toEqual([[], [{ transport: 'webrtc', scarce: true, encrypts: true }]])
  })
})
