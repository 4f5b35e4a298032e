import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Position } from '../base/position.ts'
import { allNeighbours, type NeighbourView, neighbourNews, withChanges } from './neighbour-news.ts'

interface Told {
  readonly positions: Float64Array
  readonly direct: number
}

/** What a link that was told `before` holds after the news. */
function after(before: NeighbourView, now: NeighbourView): Told {
  const held = heldOf(before)
  const news = neighbourNews(before, now)
  if (news?.kind === 'neighbours') return news
  return news?.kind === 'neighbours-changed' ? withChanges(held.positions, held.direct, news.changes) : held
}

function heldOf(view: NeighbourView): Told {
  const message = allNeighbours(view)
  if (message.kind !== 'neighbours') throw new Error(message.kind)
  return message
}

function sorted({ positions, direct }: Told): Position[][] {
  return [positions.slice(0, direct), positions.slice(direct)].map(part => [...part].sort((a, b) => a - b))
}

const view = fc.array(fc.tuple(fc.nat(40), fc.boolean()), { maxLength: 30 }).map(entries => new Map(entries))

describe('what a peer tells of its links', () => {
  it('leads from what was told to what is, whatever changed', () => {
    fc.assert(
      fc.property(view, view, (before, now) => {
        expect(sorted(after(before, now))).toEqual(sorted(heldOf(now)))
      }),
    )
  })

  it('is nothing where nothing changed, and only the change where little did', () => {
    const before = new Map([
      [1, true],
      [2, true],
      [3, false],
    ])
    expect(neighbourNews(before, new Map(before))).toBeNull()
    const changes = [{ position: 3, state: 'gone' }]
    const now = new Map([
      [1, true],
      [2, true],
    ])
    expect(neighbourNews(before, now)).toEqual({ kind: 'neighbours-changed', changes })
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
