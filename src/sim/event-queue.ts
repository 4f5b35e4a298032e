/**
 * What happens when: a heap of four branches by time, and by order of entry among equals, so that a run can be repeated.
 * Times stand in arrays of plain numbers: nothing is made for an entry, and a comparison follows no pointer.
 */
import type { Instant } from '../core/base/instant.ts'

export class EventQueue<T> {
  private times = new Float64Array(1_024)
  private orders = new Float64Array(1_024)
  private readonly items: T[] = []
  private entered = 0

  get size(): number {
    return this.items.length
  }

  nextAt(): Instant | null {
    return this.items.length === 0 ? null : this.times[0]!
  }

  push(at: Instant, item: T): void {
    const { items } = this
    let child = items.length
    if (child === this.times.length) this.grow()
    const { times, orders } = this
    const order = this.entered++
    items.push(item)
    while (child > 0) {
      // Whoever stands above entered before.
      const parent = (child - 1) >> 2
      if (times[parent]! <= at) break
      times[child] = times[parent]!
      orders[child] = orders[parent]!
      items[child] = items[parent]!
      child = parent
    }
    times[child] = at
    orders[child] = order
    items[child] = item
  }

  pop(): T | undefined {
    const { items, times, orders } = this
    const first = items[0]
    const last = items.pop()
    const length = items.length
    if (last === undefined || length === 0) return first
    const at = times[length]!
    const order = orders[length]!
    let parent = 0
    for (;;) {
      const firstChild = 4 * parent + 1
      if (firstChild >= length) break
      const end = Math.min(firstChild + 4, length)
      let child = firstChild
      let childAt = times[child]!
      for (let next = firstChild + 1; next < end; next += 1) {
        const nextAt = times[next]!
        if (nextAt < childAt || (nextAt === childAt && orders[next]! < orders[child]!)) {
          child = next
          childAt = nextAt
        }
      }
      if (at < childAt || (at === childAt && order < orders[child]!)) break
      times[parent] = childAt
      orders[parent] = orders[child]!
      items[parent] = items[child]!
      parent = child
    }
    times[parent] = at
    orders[parent] = order
    items[parent] = last
    return first
  }

  private grow(): void {
    const times = new Float64Array(this.times.length * 2)
    times.set(this.times)
    this.times = times
    const orders = new Float64Array(this.orders.length * 2)
    orders.set(this.orders)
    this.orders = orders
  }
}
