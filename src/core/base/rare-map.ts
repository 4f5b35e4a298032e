/**
 * Tables that are empty most of the time: what is under way, what failed. Empty they take a sixth of what an empty `Map`
 * does; a simulated peer has two dozen of these. Meant for entries that are few or do not stay. As in a `Map`, what is
 * deleted during a walk is left out; what is added once the last one was deleted is not walked.
 */
export class RareMap<K, V> {
  private map: Map<K, V> | null = null

  get size(): number {
    return this.map === null ? 0 : this.map.size
  }

  get(key: K): V | undefined {
    return this.map === null ? undefined : this.map.get(key)
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

  keys(): Iterable<K> {
    return this.map?.keys() ?? NOTHING
  }

  values(): Iterable<V> {
    return this.map?.values() ?? NOTHING
  }

  [Symbol.iterator](): Iterator<[K, V]> {
    return (this.map ?? NOTHING)[Symbol.iterator]()
  }
}

export class RareSet<T> {
  private set: Set<T> | null = null

  get size(): number {
    return this.set === null ? 0 : this.set.size
  }

  has(item: T): boolean {
    return this.set?.has(item) ?? false
  }

  add(item: T): void {
    this.set ??= new Set()
    this.set.add(item)
  }

  /** False where it was not there. */
  delete(item: T): boolean {
    if (this.set === null || !this.set.delete(item)) return false
    if (this.set.size === 0) this.set = null
    return true
  }

  clear(): void {
    this.set = null
  }

  [Symbol.iterator](): Iterator<T> {
    return (this.set ?? NOTHING)[Symbol.iterator]()
  }
}

const NOTHING: readonly never[] = []
