/** Peers that listen only where their own network reaches them (spec 5.2): what they announce counts within it alone. */
import { describe, expect, it } from 'vitest'
import { isGlobalHost } from '../core/base/global-host.ts'
import type { PeerRef } from '../core/crypto/peer-ref.ts'
import type { PathView } from '../core/effect.ts'
import { OUTSIDE_KEPT_MS } from '../core/limits.ts'
import { type Node, type PlacedPeer, World } from './world.ts'

const HOME: PlacedPeer = { public: true, network: 1 }
const HOME_PAGE: PlacedPeer = { public: false, network: 1 }

function worldOf(seed: number, publics: number): { readonly world: World; readonly open: Node[] } {
  const world = new World({ seed, delayMs: [5, 20] })
  const open = Array.from({ length: publics }, () => world.add({ public: true }))
  const [first] = open
  for (const node of open.slice(1)) if (first !== undefined) node.join(first)
  world.run(5_000)
  return { world, open }
}

function pathTo(world: World, from: Node, ref: PeerRef): PathView | undefined {
  const call = from.ask(request => ({ kind: 'connect', request, target: { kind: 'ref', ref } }))
  world.runUntil(() => call.answer() !== undefined, 8_000, 10)
  const answer = call.answer()
  return answer?.kind === 'connected' ? answer.path : undefined
}

/** The peers that it names, by where they are. */
function named(node: Node): ('private' | 'global')[] {
  return node.ref.rendezvous.map(({ addresses }) =>
    addresses.some(({ host }) => isGlobalHost(host)) ? 'global' : 'private',
  )
}

const THREE_GLOBAL = ['global', 'global', 'global']
const THREE_PRIVATE = ['private', 'private', 'private']

describe('a peer that listens at a private address, with public peers elsewhere', () => {
  it('names three of these, and is reached by its ref alone, also where another machine has its address', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const { world, open } = worldOf(seed, 6)
      const listener = world.add(HOME)
      listener.join(open[seed % 6]!)
      expect(
        world.runUntil(() => named(listener).length === 3, 30_000, 100),
        `seed ${seed}`,
      ).not.toBeNull()
      expect(named(listener)).toEqual(THREE_GLOBAL)
      const mailed = listener.ref
      world.add({ public: true, network: 2, address: listener.address })
      for (const stranger of [world.add({ public: false }), world.add({ public: false, network: 2 })])
        expect(pathTo(world, stranger, mailed), `seed ${seed}`).toMatchObject({ kind: 'circuit' })
      expect(pathTo(world, world.add(HOME_PAGE), mailed), `seed ${seed}`).toMatchObject({ kind: 'wire' })
    }
  })

  it('comes to name them where it joined through a neighbour, and so does a page beside it', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const { world, open } = worldOf(seed, 4)
      const neighbour = world.add(HOME)
      neighbour.join(open[0]!)
      world.run(10_000)
      const listener = world.add(HOME)
      const page = world.add(HOME_PAGE)
      listener.join(neighbour)
      page.join(neighbour)
      const both = (): boolean => [listener, page].every(node => named(node).join() === THREE_GLOBAL.join())
      expect(world.runUntil(both, 30_000, 100), `seed ${seed}`).not.toBeNull()
    }
  })

  it('counts its network again only when nothing has led outside for long, and is hidden again as soon as something does', () => {
    for (let seed = 1; seed <= 3; seed += 1) {
      const { world, open } = worldOf(seed, 3)
      const listeners = Array.from({ length: 4 }, () => world.add(HOME))
      const page = world.add(HOME_PAGE)
      for (const node of [...listeners, page]) node.join(open[0]!)
      const all = (what: readonly string[]): boolean => listeners.every(node => named(node).join() === what.join())
      expect(
        world.runUntil(() => all(THREE_GLOBAL), 60_000, 100),
        `seed ${seed}`,
      ).not.toBeNull()
      world.run(60_000)
      for (const node of open) node.kill()
      // Nobody takes those of this network for public meanwhile.
      const isKept = (): boolean => [...listeners, page].some(node => named(node).includes('private'))
      expect(world.runUntil(isKept, OUTSIDE_KEPT_MS - 60_000, 1_000), `seed ${seed}`).toBeNull()
      const isHome = (): boolean => all([]) && named(page).join() === THREE_PRIVATE.join()
      expect(world.runUntil(isHome, 240_000, 1_000), `seed ${seed}`).not.toBeNull()
      world.run(60_000)
      expect(isHome(), `seed ${seed}`).toBe(true)
      const back = open.map(({ identitySeed, address }) => world.add({ public: true, identitySeed, address }))
      for (const node of back.slice(1)) node.join(back[0]!)
      const isOutside = (): boolean => all(THREE_GLOBAL) && named(page).join() === THREE_GLOBAL.join()
      expect(world.runUntil(isOutside, 900_000, 1_000), `seed ${seed}`).not.toBeNull()
    }
  })
})

describe('a large private network with one public peer', () => {
  it('links those within by wires of their own, and not to that one alone', () => {
    for (let seed = 1; seed <= 3; seed += 1) {
      const world = new World({ seed, delayMs: [5, 20] })
      const server = world.add({ public: true, capacity: 256 })
      const listeners = Array.from({ length: 30 }, () => world.add(HOME))
      for (const node of listeners) {
        node.join(server)
        world.run(200)
      }
      world.run(120_000)
      const chosen = listeners.flatMap(node =>
        node.peer
          .snapshot()
          .links.filter(({ role, path }) => (role === 'far' || role === 'random') && path.kind === 'wire'),
      )
      expect(chosen.length, `seed ${seed}`).toBeGreaterThan(listeners.length)
      expect(listeners.map(named), `seed ${seed}`).toEqual(listeners.map(() => ['global']))
    }
  })
})

describe('a network that nothing leads out of', () => {
  it('has its own public peers: who listens names nobody, and a page names those who do', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const world = new World({ seed, delayMs: [1, 5] })
      const listeners = Array.from({ length: 5 }, () => world.add(HOME))
      const pages = Array.from({ length: 4 }, () => world.add(HOME_PAGE))
      for (const node of [...listeners.slice(1), ...pages]) node.join(listeners[0]!)
      const isNamed = (): boolean => pages.every(page => named(page).join() === THREE_PRIVATE.join())
      expect(world.runUntil(isNamed, 30_000, 100), `seed ${seed}`).not.toBeNull()
      expect(listeners.flatMap(named)).toEqual([])
      expect(pathTo(world, world.add(HOME_PAGE), pages[0]!.ref), `seed ${seed}`).toBeDefined()
    }
  })

  it('is not led to believe that anything does by what one of them announces', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const world = new World({ seed, delayMs: [1, 5] })
      const listeners = Array.from({ length: 5 }, () => world.add(HOME))
      const [first, liar] = listeners
      const elsewhere = { scheme: 'tcp' as const, host: '20.99.99.99', port: 4100, extra: '' }
      liar?.command({ kind: 'announce', addresses: [elsewhere, liar.address] })
      const page = world.add(HOME_PAGE)
      for (const node of [...listeners.slice(1), page]) node.join(first!)
      world.run(120_000)
      expect(page.ref.rendezvous, `seed ${seed}`).toHaveLength(3)
      expect(listeners.flatMap(named)).toEqual([])
    }
  })
})
