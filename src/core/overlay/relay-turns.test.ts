/** Turns by bytes among those that circuits came from. */
import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import { Rng } from '../base/rng.ts'
import { RelayTurns } from './relay-turns.ts'

interface Item {
  readonly source: PeerId
  readonly frameBytes: number
}

function item(source: string, frameBytes: number): Item {
  // reason: any text tells sources apart.
  return { source: source as PeerId, frameBytes }
}

/** Sends so many frames of those that always have more; bytes by source. */
function sent(items: readonly Item[], frames: number, isReady: (item: Item) => boolean = () => true) {
  const turns = new RelayTurns<Item>(({ source }) => source)
  for (const each of items) turns.add(each)
  const bytes = new Map<string, number>()
  for (let i = 0; i < frames; i += 1) {
    const next = turns.next(isReady)
    if (next === null) break
    bytes.set(next.source, (bytes.get(next.source) ?? 0) + next.frameBytes)
    turns.took(next, next.frameBytes, true)
  }
  return bytes
}

describe('those that share a wire', () => {
  it('have like shares by source, whatever the number of their circuits and the length of their frames', () => {
    const many = Array.from({ length: 20 }, () => item('many', 65_000))
    const bytes = sent([...many, item('one', 65_000), item('small', 700)], 5_000)
    const [few = 0, most = 0] = [Math.min(...bytes.values()), Math.max(...bytes.values())]
    expect(bytes.size).toBe(3)
    expect(most - few).toBeLessThan(140_000)
  })

  it('of one source take turns among themselves', () => {
    const alike = [item('a', 1_000), item('a', 1_000), item('a', 1_000)]
    const turns = new RelayTurns<Item>(({ source }) => source)
    for (const each of alike) turns.add(each)
    const order: number[] = []
    for (let i = 0; i < 6; i += 1) {
      const next = turns.next(() => true)
      if (next === null) break
      order.push(alike.indexOf(next))
      turns.took(next, next.frameBytes, true)
    }
    expect(order).toEqual([0, 1, 2, 0, 1, 2])
  })

  it('and cannot go on hold up nobody, and lose no turn for ever', () => {
    const [stuck, free] = [item('stuck', 60_000), item('free', 60_000)]
    expect(sent([stuck, free], 10, each => each !== stuck)).toEqual(new Map([['free', 600_000]]))
    expect(sent([stuck, free], 10, each => each !== stuck && each !== free).size).toBe(0)
  })

  it('are gone when they have nothing more, or are taken out', () => {
    const rng = new Rng(1)
    const turns = new RelayTurns<Item>(({ source }) => source)
    const items = Array.from({ length: 30 }, (_, i) => item(`s${i % 7}`, 100))
    for (let round = 0; round < 200; round += 1) {
      const each = items[rng.below(items.length)]
      if (each === undefined) continue
      if (rng.below(2) === 0) turns.add(each)
      else turns.delete(each)
      expect([...turns.all()].length > 0).toBe(turns.size > 0)
    }
    for (let next = turns.next(() => true); next !== null; next = turns.next(() => true)) turns.took(next, 100, false)
    expect(turns.size).toBe(0)
  })
})
