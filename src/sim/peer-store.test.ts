import { describe, expect, it } from 'vitest'
import { Rng } from '../core/base/rng.ts'
import { PeerStore, StoreShelf } from './peer-store.ts'

function told(store: PeerStore, prefix = ''): [string, number[]][] {
  return store.load(prefix).map(({ key, value }) => [key, [...value]])
}

describe('the stores of a world', () => {
  it('each hold what a map would, in its order, and the shelf nothing beside that', () => {
    const rng = new Rng(1)
    const shelf = new StoreShelf()
    const stores = Array.from({ length: 4 }, () => ({ store: new PeerStore(shelf), map: new Map<string, number[]>() }))
    for (let step = 0; step < 600; step += 1) {
      const { store, map } = stores[rng.below(4)]!
      const key = `${rng.below(2) === 0 ? 'ref' : 'record'}/${rng.below(30)}`
      const value = [rng.below(3)]
      if (rng.unit() < 0.3) {
        store.delete(key)
        map.delete(key)
      } else {
        store.set(key, Uint8Array.from(value))
        map.set(key, value)
      }
      if (step % 200 === 199) {
        store.clear()
        map.clear()
      }
      expect(told(store)).toEqual([...map])
      expect(store.size).toBe(map.size)
      const entries = stores.flatMap(other => [...other.map].map(([name, [byte]]) => `${name}=${byte}`))
      expect(shelf.size).toBe(new Set(entries).size)
    }
    const [one] = stores
    expect(told(one!.store, 'ref/')).toEqual([...one!.map].filter(([key]) => key.startsWith('ref/')))
    for (const { store } of stores) store.clear()
    expect(shelf.size).toBe(0)
  })

  it('may begin with what is on the shelf', () => {
    const shelf = new StoreShelf()
    const numbers = ['a', 'b'].map((key, i) => shelf.add(key, Uint8Array.of(i)))
    const store = new PeerStore(shelf, numbers)
    for (const number of numbers) shelf.remove(number)
    expect(told(store)).toEqual([
      ['a', [0]],
      ['b', [1]],
    ])
    store.delete('a')
    expect([told(store), shelf.size]).toEqual([[['b', [1]]], 1])
  })
})
