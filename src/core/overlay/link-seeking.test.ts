/** How often a peer asks for links that nobody grants, and whom it asks at once. */
import { expect, it } from 'vitest'
import { ok } from '../base/fault.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RING, ringDistance } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { LINK_HOPED_MS, NEAR_PER_SIDE } from '../limits.ts'
import { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { LinkSeeking } from './link-seeking.ts'
import { Link } from './link-table.ts'
import { type OverlayNeeds, Surrounds } from './overlay-needs.ts'
import { publicRef, WALL } from './public-ref.fixtures.ts'

const CAPACITY = 12
const KNOWN = 60
const TEND_MS = 250

function seekerWith(needs: Partial<OverlayNeeds>): { readonly around: Surrounds; readonly seeking: LinkSeeking } {
  // reason: no more of the surroundings is looked at.
  const around = new Surrounds(needs as OverlayNeeds, new Rng(1))
  const seeking = new LinkSeeking(
    around,
    () => {},
    () => {},
    () => 10_000,
  )
  return { around, seeking }
}

/** How many peers a settled peer asks in two minutes, the nearest of all linked with it, when each is full. */
function askedWith(linkCount: number, alarmed = false): number {
  const self = publicRef(1, CAPACITY)
  const others = Array.from({ length: KNOWN }, (_, i) => publicRef(i + 2, CAPACITY)).sort(
    (a, b) => ringDistance(a.position, self.position) - ringDistance(b.position, self.position),
  )
  let asked = 0
  const refusedSoon: PeerId[] = []
  const { around, seeking } = seekerWith({
    position: (self.position + 1) % RING,
    capacity: CAPACITY,
    contact: () => null,
    self: () => self,
    reach: (turn, target, onReached) => {
      if (target.kind === 'ref') onReached(turn, ok({ peer: target.ref.peer } as Contact))
    },
    send: (_, peer) => {
      asked += 1
      refusedSoon.push(peer)
      return true
    },
  })
  for (const ref of others) around.memory.learn(ref, 'random', 0)
  for (const [i, ref] of others.slice(0, linkCount).entries()) {
    around.links.add(new Link(ref, i < 4 ? 'near' : 'guest'))
    around.memory.setLinked(ref.peer, true)
    seeking.onLinked(new Turn(0, WALL), ref.peer)
  }
  if (alarmed) for (let i = 0; i < linkCount; i += 1) around.alarm.onLost(60_000, linkCount)
  for (let now = 60_000; now < 180_000; now += TEND_MS) {
    const turn = new Turn(now, WALL + now)
    seeking.seek(turn)
    for (const peer of refusedSoon.splice(0)) seeking.onRefused(turn, peer)
  }
  return asked
}

it('a peer that is refused everywhere asks on and on while it is in danger, and less the more links it has', () => {
  // Of 12 links 8 are enough to be safe, and three quarters of those are 6.
  const [far, few, enough, alarm] = [askedWith(5), askedWith(7), askedWith(9), askedWith(7, true)]
  expect(far).toBeGreaterThan(40)
  expect(few).toBeGreaterThan(10)
  expect(few).toBeLessThan(far / 2)
  expect(enough).toBeLessThan(few)
  expect(alarm).toBeGreaterThan(40)
})

/** How many known peers one without links has begun to reach by now, when nobody answers. */
function reachedAfter(passed: number, alarmed = false): number {
  const self = publicRef(1, CAPACITY)
  let reached = 0
  const { around, seeking } = seekerWith({
    position: self.position,
    capacity: CAPACITY,
    contact: () => null,
    self: () => self,
    reach: () => {
      reached += 1
    },
  })
  for (let i = 0; i < KNOWN; i += 1) around.memory.learn(publicRef(i + 2, CAPACITY), 'random', 0)
  if (alarmed) for (let i = 0; i < 4; i += 1) around.alarm.onLost(0, 1)
  // It is a newcomer at first, that asks for no far and random links.
  for (let now = 0; now <= passed; now += TEND_MS) seeking.seek(new Turn(now, WALL + now))
  return reached
}

it('who is being reached or asked counts as a neighbour for a while, but in an alarm', () => {
  const nearest = 2 * NEAR_PER_SIDE
  expect(reachedAfter(0)).toBe(nearest)
  expect(reachedAfter(LINK_HOPED_MS - TEND_MS)).toBe(nearest)
  expect(reachedAfter(LINK_HOPED_MS)).toBeGreaterThan(nearest)
  expect(reachedAfter(LINK_HOPED_MS - TEND_MS, true)).toBeGreaterThan(nearest)
})
