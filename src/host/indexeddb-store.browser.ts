/** The store in a browser: one IndexedDB database, by idb-keyval. Pages of one origin may share it. */
import { createStore, promisifyRequest, type UseStore } from 'idb-keyval'
import { type Fault, fail, messageOf, ok, type Result } from '../core/base/fault.ts'
import type { StoreEntry } from '../core/input.ts'
import type { OpenedStore, Store, StoreChange } from './store.ts'

const TABLE = 'entries'

export async function openIndexedDbStore(name: string): Promise<Result<OpenedStore>> {
  const use = createStore(`webmesh-${name}`, TABLE)
  const store = new IndexedDbStore(use)
  // Private windows and full disks show at the first use.
  const tried = await store.load('self/')
  return tried.ok ? ok({ store, fault: null }) : tried
}

class IndexedDbStore implements Store {
  private readonly use: UseStore
  private closed = false

  constructor(use: UseStore) {
    this.use = use
  }

  async load(prefix: string): Promise<Result<StoreEntry[]>> {
    if (this.closed) return fail(CLOSED)
    try {
      const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`)
      return await this.use('readonly', async table => {
        const [keys, values] = await Promise.all([
          promisifyRequest(table.getAllKeys(range)),
          promisifyRequest(table.getAll(range)),
        ])
        return ok(keys.map((key, i) => ({ key: String(key), value: values[i] })))
      })
    } catch (error) {
      return fail(faultOf(error))
    }
  }

  async save(changes: readonly StoreChange[]): Promise<Fault | null> {
    if (this.closed) return CLOSED
    try {
      await this.use('readwrite', table => {
        for (const { key, value } of changes) {
          if (value === null) table.delete(key)
          // A view is stored with all of its buffer.
          else table.put(value.slice(), key)
        }
        return promisifyRequest(table.transaction)
      })
      return null
    } catch (error) {
      return faultOf(error)
    }
  }

  /** The database itself stays open for as long as the page: idb-keyval has no way to close it. */
  async close(): Promise<void> {
    this.closed = true
  }
}

const CLOSED: Fault = { code: 'store-failed', detail: 'the store is closed' }

function faultOf(error: unknown): Fault {
  return { code: 'store-failed', detail: messageOf(error) }
}
