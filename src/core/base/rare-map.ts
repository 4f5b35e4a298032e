/**
 * A map that is empty most of the time: what is under way, what failed. Empty it takes a sixth of what an empty `Map`
 * does; a simulated peer has dozens of these. Meant for few and short-lived entries.
 */
export class RareMap<K, V> {
  private map: Map<K, V> | null = null

  get size(): number {
    return this.map?.size ?? 0
  }

  get(key: K): V | undefined {
    return this.map?.get(key)
  }

  has(key: K): boolean {
    return this.map?.has(key) ?? false
  }

  set(key: K, value: V): void {
    this.map ??= new Map()
    this.map.set(key, value)
  }

  /** False where it was not there. */
  delete(key: K): boolean {
    if (this.map === null || !this.map.delete(key)) return false
    if (this.map.size === 0) this.map = null
    return true
  }

  clear(): void {
    this.map = null
  }

  /** As a `Map`'s: what is deleted meanwhile is left out. */
  keys(): Iterable<K> {
    return this.map?.keys() ?? NOTHING
  }

  values(): Iterable<V> {
    return this.map?.values() ?? NOTHING
  }

  [Symbol.iterator](): Iterator<[K, V]> {
    return this.map?.[Symbol.iterator]() ?? NOTHING[Symbol.iterator]()
  }
}

const NOTHING: readonly never[] = []
