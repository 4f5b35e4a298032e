/** Whom a peer tells another of, and how old it says its word of them is. */
import { describe, expect, it } from 'vitest'
import { Rng } from '../base/rng.ts'
import { FRESH_MS } from '../limits.ts'
import { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { Gossip } from './gossip.ts'
import { Link } from './link-table.ts'
import type { OverlayMessage } from './overlay-messages.ts'
import { type OverlayNeeds, Surrounds } from './overlay-needs.ts'
import { publicRef, WALL } from './public-ref.fixtures.ts'
import { readRefName } from './ref-names.ts'
import type { RoutedRequests } from './routed-requests.ts'

const NOW = 2 * FRESH_MS

/** A peer that gossips, with one link that was heard a quarter of a minute ago. */
function gossiping() {
  const self = publicRef(1)
  const link = publicRef(2)
  const sent: OverlayMessage[] = []
  // reason: no more of the surroundings, of the requests and of a contact is looked at.
  const needs = {
    position: self.position,
    capacity: 24,
    self: () => self,
    contact: () => ({ heardAt: NOW - 15_000 }) as Contact,
    send: (_turn, _to, message) => {
      sent.push(message)
      return true
    },
  } as Partial<OverlayNeeds> as OverlayNeeds
  const around = new Surrounds(needs, new Rng(1))
  around.links.add(new Link(link, 'near'))
  around.memory.learn(link, 'near', 0, true)
  const gossip = new Gossip(around, {} as RoutedRequests, () => {})
  const partner = { peer: 'partner', ref: publicRef(3) } as unknown as Contact
  /** Ages in seconds, by position, of those that another is told of. */
  const told = (): Map<number, number> => {
    gossip.answer(new Turn(NOW, WALL), partner)
    const message = sent.pop()
    const refs = message?.kind === 'gossip' ? message.refs : []
    return new Map(refs.map(({ bytes, ageSeconds }) => [readRefName(bytes)?.position ?? -1, ageSeconds]))
  }
  return { around, link, told }
}

describe('gossip', () => {
  it('says how long ago there was word of each, also of a link', () => {
    const { around, link, told } = gossiping()
    const other = publicRef(4)
    around.memory.learn(other, 'random', NOW - 40_000)
    expect(told().get(link.position)).toBe(15)
    expect(told().get(other.position)).toBe(40)
  })

  it('names nobody of whom there was no word for long', () => {
    const { around, told } = gossiping()
    const old = publicRef(5)
    around.memory.learn(old, 'random', NOW - FRESH_MS - 1)
    expect(told().has(old.position)).toBe(false)
  })

  it('names nobody after a mass failure who may have gone with the others, also when the alarm is over', () => {
    const { around, link, told } = gossiping()
    const before = publicRef(6)
    const since = publicRef(7)
    const startedAt = NOW - FRESH_MS / 2
    around.memory.learn(before, 'near', startedAt - 1)
    around.memory.learn(since, 'near', startedAt + 1)
    expect(told().has(before.position)).toBe(true)
    for (let lost = 0; lost < 4; lost += 1) around.alarm.onLost(startedAt, 1)
    expect(around.alarm.isOn(NOW)).toBe(false)
    expect([before, since, link].map(({ position }) => told().has(position))).toEqual([false, true, true])
  })
})
