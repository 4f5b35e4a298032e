/** Hostile peers do what they are meant to, and honest ones meet it as they should: each way alone, in a small world. */
import { describe, expect, it } from 'vitest'
import { Rng } from '../core/base/rng.ts'
import { createPeer } from '../core/peer.ts'
import { createFakeSuite } from './fake-suite.ts'
import { ALL_HOSTILE_WAYS, Conspiracy, createHostilePeer, type HostileWays } from './hostile-peer.ts'
import { type Node, World } from './world.ts'

const HONEST = 16

function only(...names: readonly (keyof HostileWays)[]): HostileWays {
  const harmless = Object.fromEntries(Object.keys(ALL_HOSTILE_WAYS).map(name => [name, false]))
  // reason: the keys are those of the ways, all of them.
  const ways = harmless as unknown as HostileWays
  return { ...ways, ...Object.fromEntries(names.map(name => [name, true])) }
}

/** Honest peers and two hostile ones, a minute after the last has joined. */
function worldWith(ways: HostileWays, seed = 1): { honest: Node[]; hostile: Node[]; world: World } {
  const rng = new Rng(seed)
  const suite = createFakeSuite(rng.fork('keys'))
  const conspiracy = new Conspiracy(suite, rng.fork('plot'), ways)
  const world = new World({
    seed,
    suite,
    make: options =>
      conspiracy.includes(options.identity.peer) ? createHostilePeer(options, conspiracy) : createPeer(options),
  })
  const first = world.add()
  const honest = [first]
  const hostile: Node[] = []
  for (let i = 0; i < HONEST + 1; i += 1) {
    const isHostile = i === 5 || i === 9
    const identitySeed = suite.randomBytes(32)
    if (isHostile) conspiracy.recruit(identitySeed)
    const node = world.add({ identitySeed, capacity: 12 })
    node.join(first)
    ;(isHostile ? hostile : honest).push(node)
    world.run(100)
  }
  world.run(60_000)
  return { honest, hostile, world }
}

function linksTo(honest: readonly Node[], hostile: readonly Node[]): number {
  let count = 0
  for (const node of honest) {
    for (const link of node.peer.snapshot().links) count += hostile.some(other => other.id === link.peer) ? 1 : 0
  }
  return count
}

describe('a hostile peer', () => {
  it('that does no harm is linked to as any other', () => {
    const { honest, hostile } = worldWith(only())
    expect(linksTo(honest, hostile)).toBeGreaterThan(6)
  })

  it('that tells forged refs is no link of anybody after a minute, while an accomplice that does not is', () => {
    // Every second one forges, by chance: seeds with none, one and two are all among these.
    const counts = [1, 2, 3, 4].map(seed => {
      const { honest, hostile } = worldWith(only('forgedRefs', 'ownRefs'), seed)
      return hostile.map(node => linksTo(honest, [node])).sort((a, b) => a - b)
    })
    expect(counts.flat().some(count => count === 0)).toBe(true)
    expect(counts.flat().some(count => count > 3)).toBe(true)
    expect(counts.flat().filter(count => count > 0 && count <= 3)).toEqual([])
  })

  it('that swallows and lies does not keep honest peers from finding each other', () => {
    const ways = only('swallowedRequests', 'falseAnswers', 'swallowedCircuits', 'deafCircuits', 'claimedLinks')
    const { honest, world } = worldWith(ways)
    const questions = honest.flatMap((from, index) => {
      const to = honest[(index + 7) % honest.length]
      if (to === undefined || to === from) return []
      return [
        { to, ...from.ask(request => ({ kind: 'peer-find', request, peer: to.id })) },
        { to, ...from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } })) },
      ]
    })
    world.run(20_000)
    for (const { answer, to } of questions) {
      const event = answer()
      if (event?.kind === 'connected') expect(event.peer).toBe(to.id)
      else expect(event).toMatchObject({ kind: 'peer-found', ref: { peer: to.id } })
    }
  })

  it('that tells of none but accomplices and the dead leaves honest peers with honest links', () => {
    const { honest, hostile } = worldWith(only('deadRefs', 'ownRefs', 'hollowLinks'))
    for (const node of honest) {
      const links = node.peer.snapshot().links.filter(link => !hostile.some(other => other.id === link.peer))
      expect(links.length).toBeGreaterThan(3)
    }
  })
})
