import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import { RING } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { chooseToTell, chooseView, ringNeighbours, type SizedCandidate, viewWish } from './view-choice.ts'

// reason: the choice compares ids only for sameness.
const id = (index: number): PeerId => `p${index}` as PeerId
/** Evenly spread: number i sits at i hundredths of the ring. */
function members(capacityOf: (index: number) => number): SizedCandidate[] {
  return Array.from({ length: 100 }, (_, i) => ({
    peer: id(i),
    position: Math.floor((RING / 100) * i),
    capacity: capacityOf(i),
  }))
}
const all = members(() => 12)
const at = (index: number): number => Math.floor((RING / 100) * index) + 1
const NOBODY: ReadonlySet<PeerId> = new Set()
const SMALL = viewWish(12)

describe('the view of a member', () => {
  it('has the next member each way, round the end of the ring too', () => {
    expect(ringNeighbours(at(50), all)).toEqual({ before: id(50), after: id(51) })
    expect(ringNeighbours(at(99), all)).toEqual({ before: id(99), after: id(0) })
    expect(ringNeighbours(at(5), all.slice(0, 1))).toEqual({ before: id(0), after: id(0) })
    expect(ringNeighbours(at(5), [])).toEqual({ before: null, after: null })
  })

  it('has three at random beside them, and keeps those it has', () => {
    const first = chooseView(new Rng(1), at(50), all, NOBODY, NOBODY, SMALL)
    expect(first.size).toBe(5)
    expect([...first]).toEqual(expect.arrayContaining([id(50), id(51)]))
    const second = chooseView(new Rng(2), at(50), all, first, first, SMALL)
    expect([...second].sort()).toEqual([...first].sort())
  })

  it('chooses nobody at random who is linked already', () => {
    const linked = new Set(all.slice(0, 98).map(({ peer }) => peer))
    const view = chooseView(new Rng(3), at(50), all, NOBODY, linked, SMALL)
    expect([...view].sort()).toEqual([id(50), id(51), id(98), id(99)].sort())
  })

  it('has two of the largest among the three, and one of any size', () => {
    const mixed = members(i => (i % 20 === 0 ? 256 : i % 2 === 0 ? 24 : 12))
    const isLarge = (peer: PeerId): boolean => Number(peer.slice(1)) % 20 === 0
    let ofAnySize = 0
    for (let seed = 0; seed < 50; seed += 1) {
      const others = [...chooseView(new Rng(seed), at(50), mixed, NOBODY, NOBODY, SMALL)].slice(2)
      expect(others.filter(isLarge).length).toBeGreaterThanOrEqual(2)
      ofAnySize += others.filter(peer => !isLarge(peer)).length
    }
    expect(ofAnySize).toBeGreaterThan(35)
    const withoutLarge = members(i => (i % 10 === 0 ? 24 : 12))
    const second = [...chooseView(new Rng(1), at(50), withoutLarge, NOBODY, NOBODY, SMALL)].slice(2)
    expect(second.filter(peer => Number(peer.slice(1)) % 10 === 0).length).toBeGreaterThanOrEqual(2)
  })

  it('gives up a smaller one for a large one that is met later, and only for that', () => {
    const first = chooseView(new Rng(1), at(50), all, NOBODY, NOBODY, SMALL)
    const later = members(i => (i === 7 ? 256 : 12))
    const second = chooseView(new Rng(2), at(50), later, first, first, SMALL)
    expect([...second].filter(peer => !first.has(peer))).toEqual([id(7)])
    expect(second.size).toBe(5)
  })

  it('of a large member has a dozen of its like', () => {
    const mixed = members(i => (i % 5 === 0 ? 256 : 12))
    const view = [...chooseView(new Rng(1), at(51), mixed, NOBODY, NOBODY, viewWish(256))]
    expect(view).toHaveLength(15)
    expect(view.slice(2).filter(peer => Number(peer.slice(1)) % 5 === 0).length).toBeGreaterThanOrEqual(12)
  })

  it('tells of large members too', () => {
    const mixed = members(i => (i % 20 === 0 ? 256 : 12))
    const told = [...chooseToTell(new Rng(4), at(50), mixed, 16)]
    expect(told).toHaveLength(16)
    expect(told.filter(peer => Number(peer.slice(1)) % 20 === 0).length).toBeGreaterThanOrEqual(4)
  })

  it('tells a member of those next to it, and of some others', () => {
    const told = chooseToTell(new Rng(4), at(10), all, 16)
    expect(told.size).toBe(16)
    expect([...told]).toEqual(expect.arrayContaining([7, 8, 9, 10, 11, 12, 13, 14].map(id)))
  })
})
