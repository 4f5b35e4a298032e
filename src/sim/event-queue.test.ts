import { expect, test } from 'vitest'
import { Rng } from '../core/base/rng.ts'
import { EventQueue } from './event-queue.ts'

test('what is entered comes out by time, and equals in order of entry, also while more is entered', () => {
  const rng = new Rng(1)
  const queue = new EventQueue<{ readonly at: number; readonly order: number }>()
  const waiting: { readonly at: number; readonly order: number }[] = []
  const popped: unknown[] = []
  const expected: unknown[] = []
  let now = 0
  for (let order = 0; order < 5_000; order += 1) {
    const entry = { at: now + rng.below(40), order }
    queue.push(entry.at, entry)
    waiting.push(entry)
    while (rng.unit() < 0.48 && waiting.length > 0) {
      waiting.sort((a, b) => a.at - b.at || a.order - b.order)
      expected.push(waiting.shift())
      now = queue.nextAt() ?? now
      popped.push(queue.pop())
    }
  }
  waiting.sort((a, b) => a.at - b.at || a.order - b.order)
  expect(queue.size).toBe(waiting.length)
  while (queue.size > 0) popped.push(queue.pop())
  expect(popped).toEqual([...expected, ...waiting])
  expect(queue.pop()).toBeUndefined()
  expect(queue.nextAt()).toBeNull()
})
