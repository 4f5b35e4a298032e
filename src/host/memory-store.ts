/** A store that lasts as long as the process. */
import { type Fault, ok, type Result } from '../core/base/fault.ts'
import type { StoreEntry } from '../core/input.ts'
import type { Store, StoreChange } from './store.ts'

export class MemoryStore implements Store {
  private readonly values = new Map<string, Uint8Array>()

  async load(prefix: string): Promise<Result<StoreEntry[]>> {
    const keys = [...this.values.keys()].filter(key => key.startsWith(prefix)).sort()
    return ok(keys.map(key => ({ key, value: this.values.get(key)!.slice() })))
  }

  async save(changes: readonly StoreChange[]): Promise<Fault | null> {
    for (const { key, value } of changes) {
      if (value === null) this.values.delete(key)
      else this.values.set(key, value.slice())
    }
    return null
  }

  async close(): Promise<void> {}
}
