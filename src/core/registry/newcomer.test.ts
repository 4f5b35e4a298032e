import { describe, expect, it } from 'vitest'
import { World } from '../../sim/world.ts'
import type { PeerId } from '../base/peer-id.ts'
import { NEWCOMER_MS, NEWCOMER_QUIET_MS } from '../limits.ts'
import { Newcomer } from './newcomer.ts'

// reason: any texts that differ serve as ids.
const [a, b] = ['a', 'b'] as unknown as [PeerId, PeerId]

describe('a newcomer', () => {
  it('knows too little until its neighbours said what they hold and handed it over, and have not changed for a while', () => {
    const newcomer = new Newcomer()
    expect(newcomer.isSettling(0)).toBe(false)
    newcomer.onNearChanged(0, new Set([a, b]), [a, b])
    newcomer.onDigest(10, a, ['slot'])
    newcomer.onDigest(10, b, [])
    expect(newcomer.isSettling(NEWCOMER_QUIET_MS)).toBe(true)
    newcomer.onRecord('slot')
    expect(newcomer.isSettling(NEWCOMER_QUIET_MS - 1)).toBe(true)
    expect(newcomer.isSettling(NEWCOMER_QUIET_MS)).toBe(false)
  })

  it('waits for none that is no neighbour any more, and for nobody for ever', () => {
    const newcomer = new Newcomer()
    newcomer.onNearChanged(0, new Set([a]), [a])
    newcomer.onNearChanged(100, new Set([b]), [b])
    newcomer.onDigest(110, b, [])
    expect(newcomer.isSettling(100 + NEWCOMER_QUIET_MS)).toBe(false)
    newcomer.onNearChanged(700, new Set([a, b]), [a])
    expect(newcomer.isSettling(NEWCOMER_MS - 1)).toBe(true)
    expect(newcomer.isSettling(NEWCOMER_MS)).toBe(false)
  })

  it('lists all services the moment that it has joined', () => {
    for (let seed = 1; seed <= 12; seed += 1) {
      const world = new World({ seed })
      const first = world.add({ public: true })
      for (let i = 0; i < 5; i += 1) world.add({ public: true }).join(first)
      world.run(2_000)
      for (const [index, node] of world.nodes.entries())
        node.ask(request => ({ kind: 'service-join', request, service: `demo-${index}/1`, summary: '' }))
      world.run(3_000)
      const late = world.add({ public: true })
      late.join(first)
      world.runUntil(() => late.events.some(event => event.kind === 'joined'), 5_000, 5)
      const listed = late.ask(request => ({ kind: 'service-list', request }))
      world.runUntil(() => listed.answer() !== undefined, 6_000, 20)
      const answer = listed.answer()
      const names = answer?.kind === 'service-listed' ? answer.services.map(entry => entry.service) : answer
      expect({ seed, names }).toEqual({ seed, names: world.nodes.slice(0, 6).map((_, index) => `demo-${index}/1`) })
    }
  })
})
