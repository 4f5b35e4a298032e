/** Peers whose machine slept for minutes: for all others they were gone. */
import { describe, expect, it } from 'vitest'
import { missingRingLinks } from '../../sim/overlay-checks.ts'
import { type Node, World } from '../../sim/world.ts'

const SLEEP_MS = 100_000
const HOUR_MS = 3_600_000

function grown(seed: number, count: number, pathlessMs?: number): World {
  const world = new World({ seed })
  const first = world.add({ public: true, pathlessMs })
  for (let i = 1; i < count; i += 1) {
    world.add({ public: i % 3 === 0, pathlessMs }).join(first)
    world.run(100)
  }
  world.run(30_000)
  return world
}

function sleep(world: World, nodes: readonly Node[], clockStops: boolean, sleptMs = SLEEP_MS): void {
  for (const node of nodes) world.freeze(node, clockStops)
  world.run(sleptMs)
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

  /** One of twelve peers with a stream to another, over which bytes went. */
  function talking(
    seed: number,
    pathlessMs?: number,
  ): { world: World; from: Node; to: Node; session: number; stream: number } {
    const world = grown(seed, 12, pathlessMs)
    const [, from, to] = world.nodes
    if (from === undefined || to === undefined) throw new Error('twelve were added')
    const connected = from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } }))
    world.runUntil(() => connected.answer() !== undefined, 5_000)
    const event = connected.answer()
    if (event?.kind !== 'connected') throw new Error('not connected')
    const { session } = event
    const opened = from.ask(request => ({ kind: 'stream-open', request, session, subject: 'chat' }))
    world.run(1_000)
    const answer = opened.answer()
    if (answer?.kind !== 'stream-opened') throw new Error('no stream')
    return { world, from, to, session, stream: answer.stream }
  }

  function isOver(node: Node, session: number): boolean {
    return node.events.some(item => item.kind === 'session-closed' && item.session === session)
  }

  /** How long it takes until a byte that is written now is there; null where it does not come. */
  function byteTakes({ world, from, to, session, stream }: ReturnType<typeof talking>): number | null {
    const got = (): number =>
      to.events.reduce((sum, item) => sum + (item.kind === 'stream-data' ? item.chunks.length : 0), 0)
    const before = got()
    from.command({ kind: 'stream-write', session, stream, chunks: [Uint8Array.of(7)] })
    return world.runUntil(() => got() > before, 30_000)
  }

  it.each([true, false])('goes on with its streams within 5 s, if others waited (clock stops: %s)', clockStops => {
    for (const [sleptMs, pathlessMs] of [
      [SLEEP_MS, undefined],
      [HOUR_MS, 2 * HOUR_MS],
    ] as const) {
      const talk = talking(5, pathlessMs)
      sleep(talk.world, [talk.from], clockStops, sleptMs)
      expect(byteTakes(talk), `slept ${sleptMs} ms`).toBeLessThan(5_000)
      expect([isOver(talk.from, talk.session), isOver(talk.to, talk.session)]).toEqual([false, false])
    }
  })

  it.each([true, false])(
    'is told within 5 s that a session is over for which nobody waited an hour (clock stops: %s)',
    clockStops => {
      const { world, from, to, session } = talking(5)
      const there = to.events.length
      sleep(world, [from], clockStops, HOUR_MS)
      expect(to.events.slice(there)).toContainEqual(
        expect.objectContaining({
          kind: 'session-closed',
          peer: from.id,
          fault: expect.objectContaining({ code: 'session-lost' }),
        }),
      )
      expect(world.runUntil(() => isOver(from, session), 30_000)).toBeLessThan(5_000)
      const again = from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } }))
      expect(world.runUntil(() => again.answer()?.kind === 'connected', 5_000)).not.toBeNull()
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
