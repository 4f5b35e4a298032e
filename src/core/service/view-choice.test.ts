import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import { RING } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { type Candidate, chooseToTell, chooseView, ringNeighbours } from './view-choice.ts'

// reason: the choice compares ids only for sameness.
const id = (index: number): PeerId => `p${index}` as PeerId
/** Evenly spread: number i sits at i hundredths of the ring. */
const all: Candidate[] = Array.from({ length: 100 }, (_, i) => ({
  peer: id(i),
  position: Math.floor((RING / 100) * i),
}))
const at = (index: number): number => Math.floor((RING / 100) * index) + 1

describe('the view of a member', () => {
  it('has the next member each way, round the end of the ring too', () => {
    expect(ringNeighbours(at(50), all)).toEqual({ before: id(50), after: id(51) })
    expect(ringNeighbours(at(99), all)).toEqual({ before: id(99), after: id(0) })
    expect(ringNeighbours(at(5), all.slice(0, 1))).toEqual({ before: id(0), after: id(0) })
    expect(ringNeighbours(at(5), [])).toEqual({ before: null, after: null })
  })

  it('has three at random beside them, and keeps those it has', () => {
    const first = chooseView(new Rng(1), at(50), all, new Set(), new Set(), 3)
    expect(first.size).toBe(5)
    expect([...first]).toEqual(expect.arrayContaining([id(50), id(51)]))
    const second = chooseView(new Rng(2), at(50), all, first, first, 3)
    expect([...second].sort()).toEqual([...first].sort())
  })

  it('chooses nobody at random who is linked already', () => {
    const linked = new Set(all.slice(0, 98).map(({ peer }) => peer))
    const view = chooseView(new Rng(3), at(50), all, new Set(), linked, 3)
    expect([...view].sort()).toEqual([id(50), id(51), id(98), id(99)].sort())
  })

  it('tells a member of those next to it, and of some others', () => {
    const told = chooseToTell(new Rng(4), at(10), all, 16)
    expect(told.size).toBe(16)
    expect([...told]).toEqual(expect.arrayContaining([7, 8, 9, 10, 11, 12, 13, 14].map(id)))
  })
})
