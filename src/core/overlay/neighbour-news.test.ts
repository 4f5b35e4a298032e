import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Position, RING, ringDistance } from '../base/position.ts'
import { inOrder, type NeighbourView, nearestOf, neighbourNews, withChanges } from './neighbour-news.ts'

/** What a link that was told `before` holds after the news. */
function heldAfter(before: NeighbourView, now: NeighbourView): NeighbourView {
  const news = neighbourNews(before, now, 7)
  if (news?.kind === 'neighbours') return news
  return news?.kind === 'neighbours-changed' ? withChanges(before.positions, before.direct, news.changes) : before
}

/** By position, whether a wire leads there. */
function viewOf(entries: readonly (readonly [Position, boolean])[]): NeighbourView {
  const part = (wanted: boolean): Position[] => entries.filter(([, direct]) => direct === wanted).map(([at]) => at)
  const direct = part(true)
  return { positions: inOrder(Float64Array.from([...direct, ...part(false)]), direct.length), direct: direct.length }
}

const view = fc
  .array(fc.tuple(fc.nat(40), fc.boolean()), { maxLength: 30 })
  .map(entries => viewOf([...new Map(entries)]))

describe('what a peer tells of its links', () => {
  it('leads from what was told to what is, whatever changed', () => {
    fc.assert(
      fc.property(view, view, (before, now) => {
        const { positions, direct } = heldAfter(before, now)
        expect({ positions, direct }).toEqual(now)
      }),
    )
  })

  it('may begin with those nearest to the other side, and comes to all with the next news', () => {
    const places = fc.uniqueArray(fc.nat(RING - 1), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(
        places,
        fc.nat(RING - 1),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(60),
        (positions, place, count, wires) => {
          const all = viewOf(positions.map((position, i) => [position, i < wires]))
          const part = nearestOf(all, place, count)
          const nearest = [...positions].sort((a, b) => ringDistance(place, a) - ringDistance(place, b)).slice(0, count)
          expect(part).toEqual(viewOf(nearest.map(position => [position, positions.indexOf(position) < wires])))
          const { positions: later, direct } = heldAfter(part, all)
          expect({ positions: later, direct }).toEqual(all)
        },
      ),
    )
  })

  it('is nothing where nothing changed, and only the change where little did', () => {
    const before = viewOf([
      [1, true],
      [2, true],
      [3, false],
    ])
    expect(neighbourNews(before, { ...before }, 7)).toBeNull()
    const changes = [{ position: 3, state: 'gone' }]
    const now = viewOf([
      [1, true],
      [2, true],
    ])
    expect(neighbourNews(before, now, 7)).toEqual({ kind: 'neighbours-changed', relayed: 7, changes })
  })

  it('never makes a link hold more than a peer may have', () => {
    const many = Array.from({ length: 256 }, (_, index) => ({ position: index, state: 'direct' as const }))
    const full = withChanges(new Float64Array(0), 0, many)
    const more = withChanges(full.positions, full.direct, [
      { position: 999, state: 'direct' },
      { position: 5, state: 'relayed' },
    ])
    expect(more.positions.length).toBe(256)
    expect(more.direct).toBe(255)
  })
})
