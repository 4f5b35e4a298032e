/** Peers whose machine slept for minutes: for all others they were gone. */
import { describe, expect, it } from 'vitest'
import { missingRingLinks } from '../../sim/overlay-checks.ts'
import { type Node, World } from '../../sim/world.ts'

const SLEEP_MS = 100_000

function grown(seed: number, count: number): World {
  const world = new World({ seed })
  const first = world.add({ public: true })
  for (let i = 1; i < count; i += 1) {
    world.add({ public: i % 3 === 0 }).join(first)
    world.run(100)
  }
  world.run(30_000)
  return world
}

function sleep(world: World, nodes: readonly Node[], clockStops: boolean): void {
  for (const node of nodes) world.freeze(node, clockStops)
  world.run(SLEEP_MS)
  for (const node of nodes) world.thaw(node)
}

describe('a peer that returns from sleep', () => {
  it.each([true, false])('is one with the rest within 5 s, whether its clock stood still (%s) or not', clockStops => {
    for (const seed of [clockStops ? 1 : 2]) {
      const world = grown(seed, 24)
      const sleepers = world.rng.sample(world.nodes.slice(1), 7)
      sleep(world, sleepers, clockStops)
      const tookMs = world.runUntil(() => missingRingLinks(world).length === 0, 30_000)
      expect(tookMs, `seed ${seed}`).not.toBeNull()
      expect(tookMs, `seed ${seed}`).toBeLessThan(5_000)
      for (const { peer, index } of sleepers)
        expect(peer.snapshot().links.length, `seed ${seed}, ${index}`).toBeGreaterThan(3)
    }
  })

  it('names no rendezvous any more that does not know it', () => {
    const world = grown(4, 24)
    const hidden = world.nodes.find(node => !node.public)
    if (hidden === undefined) throw new Error('two in three are')
    const before = hidden.ref
    expect(before.rendezvous.length).toBeGreaterThan(0)
    sleep(world, [hidden], true)
    world.run(10_000)
    expect(hidden.ref.sequence).toBeGreaterThan(before.sequence)
    for (const { peer } of hidden.ref.rendezvous) {
      const other = world.nodes.find(node => node.id === peer)
      expect(other?.peer.snapshot().links.map(link => link.peer)).toContain(hidden.id)
    }
    expect(hidden.ref.rendezvous.length).toBeGreaterThan(0)
  })

  it.each([true, false])(
    'tells within 30 s that a session is over in which a stream was open (clock stops: %s)',
    clockStops => {
      const world = grown(5, 12)
      const [, from, to] = world.nodes
      if (from === undefined || to === undefined) throw new Error('twelve were added')
      const connected = from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } }))
      world.runUntil(() => connected.answer() !== undefined, 5_000)
      const event = connected.answer()
      if (event?.kind !== 'connected') throw new Error('not connected')
      const { session } = event
      from.ask(request => ({ kind: 'stream-open', request, session, subject: 'chat' }))
      world.run(1_000)
      sleep(world, [from], clockStops)
      const isOver = (): boolean => from.events.some(item => item.kind === 'session-closed' && item.session === session)
      expect(world.runUntil(isOver, 30_000)).not.toBeNull()
    },
  )

  it('keeps the session with an open stream when it slept for 20 s only', () => {
    const world = grown(6, 12)
    const [, from, , to] = world.nodes
    if (from === undefined || to === undefined) throw new Error('twelve were added')
    const connected = from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } }))
    world.runUntil(() => connected.answer() !== undefined, 5_000)
    const event = connected.answer()
    if (event?.kind !== 'connected') throw new Error('not connected')
    const { session } = event
    from.ask(request => ({ kind: 'stream-open', request, session, subject: 'chat' }))
    world.run(1_000)
    world.freeze(from, true)
    world.run(20_000)
    world.thaw(from)
    world.run(20_000)
    expect(from.events.some(item => item.kind === 'session-closed' && item.session === session)).toBe(false)
    const pinged = from.ask(request => ({ kind: 'ping', request, session }))
    world.run(2_000)
    expect(pinged.answer()?.kind).toBe('ponged')
  })
})
