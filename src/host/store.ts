/**
 * Where a peer keeps what should survive it: its identity, remembered peers, records. Keys are path-like text. One
 * contract suite (`store-contract.ts`) holds for every store. The run loop batches writes.
 */
import type { Fault, Result } from '../core/base/fault.ts'
import type { StoreEntry } from '../core/input.ts'

export interface StoreChange {
  readonly key: string
  /** Null deletes. */
  readonly value: Uint8Array | null
}

export interface Store {
  /** All entries whose key starts with `prefix`, in the order of their keys. */
  load(prefix: string): Promise<Result<StoreEntry[]>>
  /** All of the changes or none of them; in their order. */
  save(changes: readonly StoreChange[]): Promise<Fault | null>
  close(): Promise<void>
}

export interface OpenedStore {
  readonly store: Store
  /** Null, or 'store-damaged': the store opened, but some of what it held is lost. */
  readonly fault: Fault | null
}
