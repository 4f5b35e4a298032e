/** What a mesh promises, in worlds of production peers: one whole, any to any, healing (issue of the same names). */
import { describe, expect, it } from 'vitest'
import { nativeSuite } from '../core/crypto/suite.fixtures.ts'
import type { PeerEvent } from '../core/effect.ts'
import { countsOf, largestComponent, missingRingLinks, ringIsCorrect } from './overlay-checks.ts'
import { type Node, World } from './world.ts'

/** Peers that join one after the other through the first, every second one behind a NAT. */
function grow(world: World, count: number, isPublic = (index: number): boolean => index % 2 === 0): Node[] {
  const first = world.add({ public: true })
  for (let i = 1; i < count; i += 1) {
    world.add({ public: isPublic(i) }).join(first)
    world.run(50)
  }
  return world.nodes
}

interface Call {
  readonly from: Node
  readonly to: Node
  readonly answer: () => PeerEvent | undefined
}

function connect(from: Node, to: Node): Call {
  return {
    from,
    to,
    ...from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } })),
  }
}

/** Those that did not end well, as text that tells the seed. */
function failures(calls: readonly Call[], what: string): string[] {
  return calls
    .filter(call => call.answer()?.kind !== 'connected')
    .map(({ from, to, answer }) => `${what}: ${from.index} to ${to.index}: ${JSON.stringify(answer())}`)
}

function missingIn(world: World, what: string): string[] {
  return missingRingLinks(world).map(({ from, to }) => `${what}: ${from.index} lacks ${to.index}`)
}

describe('a mesh', () => {
  it('of 200 peers with half behind NATs converges to the correct ring, and any of 300 sampled pairs reaches the other by peer id alone', () => {
    const seed = 11
    const world = new World({ seed })
    const nodes = grow(world, 200)
    const tookMs = world.runUntil(() => ringIsCorrect(world), 60_000)
    expect(missingIn(world, `seed ${seed}`)).toEqual([])
    expect(tookMs).toBeLessThan(30_000)
    expect(largestComponent(world)).toBe(200)
    const calls: Call[] = []
    while (calls.length < 300) {
      const [from, to] = world.rng.sample(nodes, 2)
      if (from === undefined || to === undefined) continue
      calls.push(connect(from, to))
      world.run(20)
    }
    world.runUntil(() => calls.every(call => call.answer() !== undefined), 15_000)
    expect(failures(calls, `seed ${seed}`)).toEqual([])
  }, 120_000)

  it('whose only way in is killed right after eight joined still connects every pair within 10 s', () => {
    const failed: string[] = []
    for (let seed = 1; seed <= 20; seed += 1) {
      for (const settleMs of [100, 500, 1_000, 2_000]) {
        const what = `seed ${seed}, killed after ${settleMs} ms`
        const world = new World({ seed, delayMs: [1, 5] })
        for (let i = 0; i < 8; i += 1) world.add({ public: i < 4 })
        const [first, ...rest] = world.nodes
        if (first === undefined) throw new Error('eight were added')
        for (const node of rest) node.join(first)
        for (const node of world.nodes) {
          node.ask(request => ({ kind: 'service-join', request, service: 'demo.example/1', summary: '' }))
        }
        const joined = (): boolean => rest.every(node => node.events.some(event => event.kind === 'joined'))
        if (world.runUntil(joined, 10_000, 20) === null) failed.push(`${what}: not all joined`)
        world.run(settleMs)
        first.kill()
        const calls = rest.flatMap(from => rest.filter(to => to !== from).map(to => connect(from, to)))
        world.runUntil(() => calls.every(call => call.answer() !== undefined), 10_000, 50)
        failed.push(...failures(calls, what))
      }
    }
    expect(failed).toEqual([])
  }, 120_000)

  it('that was split in two for a minute heals', () => {
    for (const seed of [21, 22]) {
      const world = new World({ seed })
      grow(world, 30)
      world.run(20_000)
      world.split(node => node.index % 2)
      world.run(60_000)
      // Each half is a whole of its own.
      expect(largestComponent(world)).toBe(15)
      world.split(null)
      const tookMs = world.runUntil(() => ringIsCorrect(world), 60_000)
      expect(missingIn(world, `seed ${seed}`)).toEqual([])
      expect(tookMs).not.toBeNull()
      expect(largestComponent(world)).toBe(30)
    }
  }, 120_000)

  it('of 100 peers of which half vanish silently has a correct ring again within 60 s', () => {
    const seed = 31
    const world = new World({ seed })
    grow(world, 100)
    world.run(20_000)
    for (const node of world.rng.sample(world.nodes, 50)) node.kill(true)
    const tookMs = world.runUntil(() => ringIsCorrect(world), 60_000)
    expect(missingIn(world, `seed ${seed}`)).toEqual([])
    expect(tookMs).not.toBeNull()
    expect(largestComponent(world)).toBe(50)
  }, 120_000)

  it('that falls quiet holds nothing of what it no longer needs', () => {
    const seed = 41
    const world = new World({ seed })
    const nodes = grow(world, 24)
    for (let i = 0; i < 60; i += 1) {
      const [from, to] = world.rng.sample(nodes, 2)
      if (from !== undefined && to !== undefined && from.alive) connect(from, to)
      world.run(100)
      if (i % 20 === 10) world.rng.pick(world.live().slice(1))?.kill(i % 40 === 10)
    }
    for (const node of world.live()) {
      for (const event of node.events) {
        if (event.kind === 'connected') node.command({ kind: 'session-close', session: event.session, code: 'closed' })
      }
    }
    world.run(120_000)
    for (const node of world.live()) {
      // The overlay looks for the dead now and then: at some moment it does not.
      const isQuiet = (): boolean => {
        const { attempts, asks, handshakes, openings, retired, unused, unprovenWires } = countsOf(node)
        return attempts + asks + handshakes + openings + retired + unused + unprovenWires === 0
      }
      expect(world.runUntil(isQuiet, 60_000, 50), `seed ${seed}, node ${node.index}`).not.toBeNull()
      const { sessions, contacts, wires, labels, circuitLabels, circuitEnds, hops } = countsOf(node)
      // Each session travels over a carrier of its own; each label is a session's, a circuit's end's or a hop's.
      expect(contacts).toBe(sessions)
      expect(labels).toBe(sessions + circuitLabels)
      expect(circuitLabels).toBe(circuitEnds + 2 * hops)
      expect(wires + circuitEnds).toBe(sessions)
      expect(sessions).toBeLessThanOrEqual(26)
    }
  }, 120_000)

  it.each([
    ['a fake suite', undefined],
    ['real cryptography', nativeSuite],
  ])('does the same with %s', (_name, suite) => {
    const world = new World({ seed: 51, ...(suite === undefined ? {} : { suite }) })
    const nodes = grow(world, 10)
    expect(world.runUntil(() => ringIsCorrect(world), 30_000)).not.toBeNull()
    const calls = nodes.flatMap(from => nodes.filter(to => to !== from).map(to => connect(from, to)))
    world.runUntil(() => calls.every(call => call.answer() !== undefined), 15_000)
    expect(failures(calls, 'seed 51')).toEqual([])
    for (const { from, to, answer } of calls) {
      const event = answer()
      expect(event?.kind === 'connected' && event.peer).toBe(to.id)
      expect(from.events.some(other => other.kind === 'session-closed' && other.fault.code === 'malformed')).toBe(false)
    }
  })

  it('whose sessions overtake each other on new paths ends none of them as malformed', () => {
    for (let seed = 40; seed < 50; seed += 1) {
      const world = new World({ seed })
      const nodes = grow(world, 10)
      world.runUntil(() => ringIsCorrect(world), 30_000)
      const calls = nodes.flatMap(from => nodes.filter(to => to !== from).map(to => connect(from, to)))
      world.runUntil(() => calls.every(call => call.answer() !== undefined), 15_000)
      const faults = nodes.flatMap(({ events }) => events.filter(event => event.kind === 'session-closed'))
      expect(
        faults.filter(({ fault }) => fault.code === 'malformed'),
        `seed ${seed}`,
      ).toEqual([])
    }
  }, 60_000)
})
