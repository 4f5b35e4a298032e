/** What every store must do, as tests: each store's own test calls `storeContract` with a way to open one. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Store } from './store.ts'

export interface StoreBench {
  /** The same place again gives the same contents. */
  open(place: string): Promise<Store>
  /** Whether what was saved outlives the store object. */
  readonly lasting: boolean
}

export function storeContract(name: string, bench: StoreBench): void {
  describe(name, () => {
    let places = 0
    const stores: Store[] = []
    afterEach(async () => {
      for (const store of stores.splice(0)) await store.close()
    })
    async function open(place: string): Promise<Store> {
      const store = await bench.open(place)
      stores.push(store)
      return store
    }
    function fresh(): Promise<Store> {
      places += 1
      return open(`place-${places}`)
    }
    async function textsOf(store: Store, prefix: string): Promise<string[]> {
      const loaded = await store.load(prefix)
      if (!loaded.ok) throw new Error(JSON.stringify(loaded.fault))
      return loaded.value.map(entry => `${entry.key}=${entry.value.join(',')}`)
    }
    const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

    it('gives back what was saved, by prefix, in the order of keys', async () => {
      const store = await fresh()
      const changes = [
        { key: 'ref/b', value: bytes(2) },
        { key: 'ref/a', value: bytes(1, 255, 0) },
        { key: 'ref', value: bytes(0) },
        { key: 'reg/a', value: bytes(9) },
        { key: 'ref/ü', value: bytes() },
      ]
      expect(await store.save(changes)).toBeNull()
      expect(await textsOf(store, 'ref/')).toEqual(['ref/a=1,255,0', 'ref/b=2', 'ref/ü='])
      expect(await textsOf(store, '')).toHaveLength(5)
      expect(await textsOf(store, 'none/')).toEqual([])
    })

    it('gives values as plain bytes of their own', async () => {
      const store = await fresh()
      const value = bytes(1, 2, 3)
      await store.save([{ key: 'k', value }])
      value.fill(9)
      const loaded = await store.load('k')
      expect(loaded.ok && loaded.value[0]?.value.constructor).toBe(Uint8Array)
      expect(await textsOf(store, 'k')).toEqual(['k=1,2,3'])
    })

    it('overwrites and deletes; of several changes to a key the last counts', async () => {
      const store = await fresh()
      await store.save([
        { key: 'a', value: bytes(1) },
        { key: 'b', value: bytes(2) },
      ])
      await store.save([
        { key: 'a', value: null },
        { key: 'b', value: bytes(3) },
        { key: 'c', value: bytes(4) },
        { key: 'c', value: null },
        { key: 'never', value: null },
      ])
      await store.save([])
      expect(await textsOf(store, '')).toEqual(['b=3'])
    })

    it('holds a thousand entries of 1 KiB', async () => {
      const store = await fresh()
      const changes = Array.from({ length: 1000 }, (_, i) => ({
        key: `n/${String(i).padStart(4, '0')}`,
        value: new Uint8Array(1024).fill(i),
      }))
      await store.save(changes)
      const loaded = await store.load('n/')
      expect(loaded.ok && loaded.value.length).toBe(1000)
      expect(loaded.ok && loaded.value[999]?.value[0]).toBe(999 % 256)
    })

    it('can be closed twice', async () => {
      const store = await fresh()
      await store.close()
      await store.close()
    })

    if (bench.lasting) {
      it('has everything again when it is opened again', async () => {
        const first = await open('again')
        await first.save([{ key: 'self/seed', value: bytes(7, 7) }])
        await first.close()
        expect(await textsOf(await open('again'), '')).toEqual(['self/seed=7,7'])
      })

      it('faults, and does not throw, once it is closed', async () => {
        const store = await fresh()
        await store.close()
        expect((await store.save([{ key: 'a', value: bytes(1) }]))?.code).toBe('store-failed')
        const loaded = await store.load('')
        expect(loaded.ok ? null : loaded.fault.code).toBe('store-failed')
      })
    }
  })
}
