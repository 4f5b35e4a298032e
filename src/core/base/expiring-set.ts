/**
 * What was seen lately: a set bounded in size and age. Every key lapses `lapseMs` after it was added (adding it again
 * does not renew it), the oldest ones earlier where there are more than `sizeMax`.
 */
import type { Instant } from './instant.ts'
import { RareMap } from './rare-map.ts'

export interface ExpiringSetOptions<K> {
  readonly sizeMax: number
  readonly lapseMs: number
  /** Told each key that lapses or is pushed out. */
  readonly onLapse?: (key: K) => void
}

export class ExpiringSet<K> {
  private readonly options: ExpiringSetOptions<K>
  /** In the order of adding, which is the order of lapsing. */
  private readonly addedAt = new RareMap<K, Instant>()

  constructor(options: ExpiringSetOptions<K>) {
    this.options = options
  }

  get size(): number {
    return this.addedAt.size
  }

  has(key: K, now: Instant): boolean {
    const addedAt = this.addedAt.get(key)
    return addedAt !== undefined && now - addedAt < this.options.lapseMs
  }

  /** True where the key was not there. */
  add(key: K, now: Instant): boolean {
    this.lapse(now)
    if (this.addedAt.has(key)) return false
    if (this.addedAt.size >= this.options.sizeMax)
      for (const oldest of this.addedAt.keys()) if (this.forget(oldest)) break
    this.addedAt.set(key, now)
    return true
  }

  delete(key: K): boolean {
    return this.addedAt.delete(key)
  }

  /** Drops what is past its age; `add` does it too. */
  lapse(now: Instant): void {
    for (const [key, addedAt] of this.addedAt) {
      if (now - addedAt < this.options.lapseMs) return
      this.forget(key)
    }
  }

  private forget(key: K): boolean {
    this.options.onLapse?.(key)
    return this.addedAt.delete(key)
  }
}
