import { describe, expect, it } from 'vitest'
import { RareMap, RareSet } from './rare-map.ts'

describe('a rare map', () => {
  it('does as a map does', () => {
    const map = new RareMap<string, number>()
    expect([map.size, map.has('a'), map.get('a'), map.delete('a')]).toEqual([0, false, undefined, false])
    expect([[...map], [...map.keys()], [...map.values()]]).toEqual([[], [], []])
    map.set('a', 1)
    map.set('b', 2)
    map.set('a', 3)
    expect([map.size, map.has('a'), map.get('a')]).toEqual([2, true, 3])
    const entries = [
      ['a', 3],
      ['b', 2],
    ]
    expect([[...map], [...map.keys()], [...map.values()]]).toEqual([entries, ['a', 'b'], [3, 2]])
    expect([map.delete('a'), map.delete('a'), map.delete('b'), map.size]).toEqual([true, false, true, 0])
    map.set('c', 4)
    map.clear()
    expect([map.size, map.has('c')]).toEqual([0, false])
  })

  it('can be emptied while it is walked', () => {
    const map = new RareMap<number, string>()
    for (let i = 0; i < 5; i += 1) map.set(i, 'x')
    const seen: number[] = []
    for (const [key] of map) {
      seen.push(key)
      map.delete(key)
    }
    expect([seen, map.size]).toEqual([[0, 1, 2, 3, 4], 0])
  })

  it('has a set beside it that does as a set does', () => {
    const set = new RareSet<string>()
    expect([set.size, set.has('a'), set.delete('a'), [...set]]).toEqual([0, false, false, []])
    for (const item of ['a', 'b', 'a']) set.add(item)
    expect([set.size, set.has('a'), [...set]]).toEqual([2, true, ['a', 'b']])
    expect([set.delete('a'), set.delete('b'), set.size]).toEqual([true, true, 0])
    set.add('c')
    set.clear()
    expect(set.has('c')).toBe(false)
  })
})
