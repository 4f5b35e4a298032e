/**
 * What simulated peers store. Most hold the same refs of each other: a shelf keeps every entry of a world once, and the
 * store of a peer is a list of numbers on it.
 */
import { equalBytes } from '../core/base/bytes.ts'
import { invariant } from '../core/base/invariant.ts'
import type { StoreEntry } from '../core/input.ts'

interface Shelved extends StoreEntry {
  readonly number: number
  /** Another value of the same key, which other peers hold. */
  next: Shelved | null
  stores: number
}

export class StoreShelf {
  private readonly byKey = new Map<string, Shelved>()
  /** Nothing has number 0. */
  private readonly byNumber: (Shelved | null)[] = [null]
  private readonly free: number[] = []

  /** Entries that some store holds. */
  get size(): number {
    return this.byNumber.length - 1 - this.free.length
  }

  at(number: number): StoreEntry {
    return this.shelved(number)
  }

  /** The number of an entry, for one more store. */
  add(key: string, value: Uint8Array): number {
    const first = this.byKey.get(key) ?? null
    for (let entry = first; entry !== null; entry = entry.next) {
      if (entry.value !== value && !equalBytes(entry.value, value)) continue
      entry.stores += 1
      return entry.number
    }
    const number = this.free.pop() ?? this.byNumber.length
    const added = { key, value, number, next: first, stores: 1 }
    this.byNumber[number] = added
    this.byKey.set(key, added)
    return number
  }

  /** One more store holds it. */
  addAgain(number: number): void {
    this.shelved(number).stores += 1
  }

  /** One store less holds it. */
  remove(number: number): void {
    const entry = this.shelved(number)
    entry.stores -= 1
    if (entry.stores > 0) return
    this.byNumber[number] = null
    this.free.push(number)
    const first = this.byKey.get(entry.key)
    if (first !== entry) {
      for (let other = first ?? null; other !== null; other = other.next)
        if (other.next === entry) other.next = entry.next
    } else if (entry.next !== null) {
      this.byKey.set(entry.key, entry.next)
    } else {
      this.byKey.delete(entry.key)
    }
  }

  /** All numbers under which the key has a value. */
  *numbersOf(key: string): Iterable<number> {
    for (let entry = this.byKey.get(key) ?? null; entry !== null; entry = entry.next) yield entry.number
  }

  private shelved(number: number): Shelved {
    const entry = this.byNumber[number] ?? null
    invariant(entry !== null, 'a number that stores hold is on the shelf')
    return entry
  }
}

/** In the order of adding, as a `Map` would be. */
export class PeerStore {
  private readonly shelf: StoreShelf
  /** 0 behind the last. */
  private numbers = new Uint32Array(0)
  private count = 0

  /** Holds those that the shelf has under these numbers. */
  constructor(shelf: StoreShelf, numbers: readonly number[] = []) {
    this.shelf = shelf
    this.numbers = Uint32Array.from(numbers)
    this.count = numbers.length
    for (const number of numbers) shelf.addAgain(number)
  }

  get size(): number {
    return this.count
  }

  set(key: string, value: Uint8Array): void {
    const at = this.indexOf(key)
    const number = this.shelf.add(key, value)
    if (at >= 0) this.shelf.remove(this.numbers[at]!)
    else if (this.count === this.numbers.length) this.grow()
    this.numbers[at < 0 ? this.count++ : at] = number
  }

  delete(key: string): void {
    const at = this.indexOf(key)
    if (at < 0) return
    this.shelf.remove(this.numbers[at]!)
    this.numbers.copyWithin(at, at + 1)
    this.count -= 1
    this.numbers[this.count] = 0
  }

  clear(): void {
    for (let i = 0; i < this.count; i += 1) this.shelf.remove(this.numbers[i]!)
    this.numbers = new Uint32Array(0)
    this.count = 0
  }

  load(prefix: string): StoreEntry[] {
    const entries: StoreEntry[] = []
    for (let i = 0; i < this.count; i += 1) {
      const { key, value } = this.shelf.at(this.numbers[i]!)
      if (key.startsWith(prefix)) entries.push({ key, value })
    }
    return entries
  }

  private indexOf(key: string): number {
    for (const number of this.shelf.numbersOf(key)) {
      const at = this.numbers.indexOf(number)
      if (at >= 0) return at
    }
    return -1
  }

  private grow(): void {
    const grown = new Uint32Array(Math.max(16, this.count + (this.count >> 3)))
    grown.set(this.numbers)
    this.numbers = grown
  }
}
