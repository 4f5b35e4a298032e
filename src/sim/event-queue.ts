/** What happens when: a binary heap by time, and by order of entry among equals, so that a run can be repeated. */
import type { Instant } from '../core/base/instant.ts'

interface Entry<T> {
  readonly at: Instant
  readonly order: number
  readonly item: T
}

export class EventQueue<T> {
  private readonly heap: Entry<T>[] = []
  private entered = 0

  get size(): number {
    return this.heap.length
  }

  nextAt(): Instant | null {
    return this.heap[0]?.at ?? null
  }

  push(at: Instant, item: T): void {
    const { heap } = this
    const entry = { at, order: this.entered++, item }
    let child = heap.length
    heap.push(entry)
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!before(entry, heap[parent]!)) break
      heap[child] = heap[parent]!
      child = parent
    }
    heap[child] = entry
  }

  pop(): T | undefined {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first?.item
    let parent = 0
    for (;;) {
      let child = 2 * parent + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1
      if (!before(heap[child]!, last)) break
      heap[parent] = heap[child]!
      parent = child
    }
    heap[parent] = last
    return first.item
  }
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
