/** Pages whose last public peer is gone: those that reach others by WebRTC carry circuits between those that do not. */
import { describe, expect, it } from 'vitest'
import type { PathView } from '../core/effect.ts'
import { type NatClass, NetworkModel } from './network-model.ts'
import type { Node } from './node.ts'
import { SETTING_DEFAULTS } from './scenario.ts'
import { World } from './world.ts'

interface Tabs {
  readonly world: World
  readonly wayIn: Node
  readonly pages: readonly Node[]
}

/** Tabs that joined by one public peer and have had time for wires of their own; an `open` NAT lets any of them through. */
function tabs(seed: number, nats: readonly (NatClass | 'open')[], settleMs = 60_000): Tabs {
  const model = new NetworkModel({ seed, mix: SETTING_DEFAULTS.mix })
  const world = new World({ seed, model })
  const wayIn = world.add({ public: true, profile: { ...model.draw({ public: true, device: 'server' }), lateMs: 0 } })
  const pages = nats.map(nat => {
    const profile = { ...model.draw({ public: false, device: 'tab' }), nat: nat === 'open' ? 'public' : nat, lateMs: 0 }
    return world.add({ public: false, profile })
  })
  for (const page of pages) page.join(wayIn)
  world.run(settleMs)
  return { world, wayIn, pages }
}

/** The path of a session that is opened by id alone, or why there is none. */
function pathOf(world: World, from: Node, to: Node): PathView | string {
  const call = from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } }))
  world.runUntil(() => call.answer() !== undefined, 12_000, 20)
  const answer = call.answer()
  return answer?.kind === 'connected' ? answer.path : JSON.stringify(answer)
}

function arrives(world: World, from: Node, to: Node, bytes: number): boolean {
  const call = from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } }))
  world.runUntil(() => call.answer() !== undefined, 12_000, 20)
  const connected = call.answer()
  if (connected?.kind !== 'connected') return false
  const { session } = connected
  const opened = from.ask(request => ({ kind: 'stream-open', request, session, subject: '' })).answer()
  if (opened?.kind !== 'stream-opened') return false
  let got = 0
  to.onEvent = event => {
    if (event.kind !== 'stream-data') return
    let read = 0
    for (const chunk of event.chunks) read += chunk.length
    got += read
    to.command({ kind: 'stream-consumed', session: event.session, stream: event.stream, bytes: read })
  }
  from.command({ kind: 'stream-write', session, stream: opened.stream, chunks: [new Uint8Array(bytes)] })
  return world.runUntil(() => got === bytes, 60_000, 50) !== null
}

describe('a page', () => {
  it('carries what two others say to each other when no public peer is left, and nothing before', () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const { world, wayIn, pages } = tabs(seed, ['symmetric', 'open', 'symmetric'])
      const [a, between, b] = pages as [Node, Node, Node]
      expect(between.peer.snapshot().circuitsRelayed, `seed ${seed}`).toBe(0)
      expect(pathOf(world, a, b), `seed ${seed}`).toEqual({ kind: 'circuit', via: [wayIn.id] })
      wayIn.kill(seed > 4)
      world.run(seed > 4 ? 30_000 : 1_000)
      expect(pathOf(world, a, b), `seed ${seed}`).toEqual({ kind: 'circuit', via: [between.id] })
      expect(arrives(world, b, a, 2_000_000), `seed ${seed}`).toBe(true)
      // That of a session which gave way may still be there.
      expect([1, 2]).toContain(between.peer.snapshot().circuitsRelayed)
    }
  })

  it('goes on in a session whose public relay is gone, by a page that both have', () => {
    for (let seed = 1; seed <= 4; seed += 1) {
      const { world, wayIn, pages } = tabs(seed, ['symmetric', 'open', 'symmetric'])
      const [a, , b] = pages as [Node, Node, Node]
      expect(arrives(world, a, b, 1_000_000)).toBe(true)
      let closed = 0
      const onEvent = a.onEvent
      a.onEvent = event => {
        if (event.kind === 'session-closed' && event.peer === b.id) closed += 1
        onEvent?.(event)
      }
      wayIn.kill()
      expect(arrives(world, a, b, 1_000_000), `seed ${seed}`).toBe(true)
      expect(closed).toBe(0)
    }
  })

  it('finds its way to any other among a dozen, half of which reach only half of the others', () => {
    for (const seed of [1, 2, 3]) {
      const nats = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 'symmetric' : 'open') as NatClass | 'open')
      const { world, wayIn, pages } = tabs(seed, nats, 120_000)
      wayIn.kill()
      world.run(20_000)
      const failed: string[] = []
      for (const from of pages) {
        for (const to of pages) {
          if (from === to) continue
          const path = pathOf(world, from, to)
          if (typeof path === 'string' || path.kind === 'none') failed.push(`${from.index} to ${to.index}: ${path}`)
        }
      }
      expect(failed, `seed ${seed}`).toEqual([])
      for (const page of pages) expect(page.peer.snapshot().circuitsRelayed).toBeLessThanOrEqual(12)
    }
  })
})
