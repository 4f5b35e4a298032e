/** Peers that cannot be dialled are reached by what their refs say, whoever of those named is gone (spec 5.2). */
import { describe, expect, it } from 'vitest'
import type { PeerRef } from '../core/crypto/peer-ref.ts'
import type { Overlay } from '../core/overlay/overlay.ts'
import { type Node, type PlacedPeer, World } from './world.ts'

/** A settled mesh: so many public peers, some hidden ones, and one more whose ref is mailed. */
function mesh(seed: number, placed: PlacedPeer = {}, publics: readonly PlacedPeer[] = Array(6).fill({})) {
  const world = new World({ seed, delayMs: [5, 20] })
  const open = publics.map(each => world.add({ public: true, ...each }))
  const [first] = open
  if (first === undefined) throw new Error('a mesh has a public peer')
  const others = Array.from({ length: 4 }, () => world.add({ public: false }))
  const hidden = world.add({ public: false, ...placed })
  for (const node of [...open.slice(1), ...others, hidden]) node.join(first)
  const wanted = placed.rendezvous ?? 3
  const isNamed = (): boolean => hidden.ref.rendezvous.length === wanted
  expect(world.runUntil(isNamed, 30_000, 100), `seed ${seed}`).not.toBeNull()
  world.run(10_000)
  return { world, open, others, hidden }
}

function isReached(world: World, from: Node, ref: PeerRef, withinMs: number): boolean {
  const call = from.ask(request => ({ kind: 'connect', request, target: { kind: 'ref', ref } }))
  world.runUntil(() => call.answer() !== undefined, withinMs, 10)
  return call.answer()?.kind === 'connected'
}

/** What a peer holds of another. */
function heldBy(node: Node, of: Node): PeerRef | null {
  // reason: the world makes production peers here.
  const { overlay } = node.peer as unknown as { overlay: Overlay }
  return overlay.refOf(of.id)
}

describe('a ref that was mailed', () => {
  it('leads a stranger without any link to its peer, when all but one of those it names are gone', () => {
    for (let seed = 1; seed <= 9; seed += 1) {
      const { world, open, hidden } = mesh(seed)
      const mailed = hidden.ref
      const survivor = mailed.rendezvous[seed % 3]?.peer
      for (const node of open) {
        if (node.id !== survivor && mailed.rendezvous.some(entry => entry.peer === node.id)) node.kill(seed > 6)
      }
      const stranger = world.add({ public: false })
      expect(isReached(world, stranger, mailed, 8_000), `seed ${seed}`).toBe(true)
    }
  })

  it('leads someone who is in the mesh to its peer, when all that it names are gone and the peer has others', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const { world, open, others, hidden } = mesh(seed)
      const mailed = hidden.ref
      for (const node of open) if (mailed.rendezvous.some(entry => entry.peer === node.id)) node.kill()
      const isMoved = (): boolean =>
        hidden.ref.rendezvous.length === 3 &&
        hidden.ref.rendezvous.every(entry => mailed.rendezvous.every(before => before.peer !== entry.peer))
      expect(world.runUntil(isMoved, 60_000, 100), `seed ${seed}`).not.toBeNull()
      const [caller] = others
      expect(caller !== undefined && isReached(world, caller, mailed, 8_000), `seed ${seed}`).toBe(true)
    }
  })
})

describe('a newer ref', () => {
  it('takes the place of the older one with all who know the peer, and the older one comes back nowhere', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const { world, open, others, hidden } = mesh(seed)
      const older = hidden.ref
      for (const node of open) if (older.rendezvous.some(entry => entry.peer === node.id)) node.kill()
      const knowing = [...open, ...others].filter(node => node.alive && heldBy(node, hidden) !== null)
      expect(knowing.length).toBeGreaterThan(2)
      world.runUntil(() => hidden.ref.rendezvous.length === 3 && hidden.ref.sequence > older.sequence, 60_000, 100)
      const isEverywhere = (): boolean => knowing.every(node => heldBy(node, hidden)?.sequence === hidden.ref.sequence)
      expect(world.runUntil(isEverywhere, 60_000, 100), `seed ${seed}`).not.toBeNull()
      // Somebody still has the mail.
      for (const node of knowing) isReached(world, node, older, 8_000)
      world.run(20_000)
      expect(isEverywhere(), `seed ${seed}`).toBe(true)
    }
  })
})

describe('a peer that cannot be dialled', () => {
  it.each([1, 2, 4])('names as many rendezvous as it was told to: %i', rendezvous => {
    for (const seed of [1, 2, 3]) {
      const { world, hidden } = mesh(seed, { rendezvous })
      world.run(120_000)
      expect(hidden.ref.rendezvous).toHaveLength(rendezvous)
    }
  })

  it('names them in different ranges of addresses, where it knows such', () => {
    const place = (host: string): PlacedPeer => ({ address: { scheme: 'tcp', host, port: 4100, extra: '' } })
    const publics = ['198.51.1.1', '198.51.2.1', '198.51.3.1', '198.51.4.1', '203.0.1.1', '192.0.2.1'].map(place)
    for (const seed of [1, 2, 3]) {
      const { world, hidden } = mesh(seed, {}, publics)
      const ranges = (): number =>
        new Set(hidden.ref.rendezvous.map(entry => entry.addresses[0]?.host.split('.').slice(0, 2).join('.'))).size
      expect(
        world.runUntil(() => ranges() === 3, 600_000, 1_000),
        `seed ${seed}`,
      ).not.toBeNull()
      world.run(600_000)
      expect(ranges(), `seed ${seed}`).toBe(3)
    }
  })
})
