import { describe, expect, it } from 'vitest'
import { ExpiringSet } from './expiring-set.ts'

describe('an expiring set', () => {
  it('holds a key until it lapses, counted from its first adding', () => {
    const set = new ExpiringSet<string>({ sizeMax: 10, lapseMs: 100 })
    expect(set.add('a', 0)).toBe(true)
    expect(set.add('a', 60)).toBe(false)
    expect(set.has('a', 99)).toBe(true)
    expect(set.has('a', 100)).toBe(false)
    expect(set.add('a', 100)).toBe(true)
  })

  it('pushes out the oldest at its size, and tells', () => {
    const told: number[] = []
    const set = new ExpiringSet<number>({ sizeMax: 3, lapseMs: 1_000, onLapse: key => told.push(key) })
    for (let i = 0; i < 5; i += 1) set.add(i, i)
    expect(set.size).toBe(3)
    expect(told).toEqual([0, 1])
    expect([0, 1, 2, 3, 4].filter(key => set.has(key, 5))).toEqual([2, 3, 4])
    set.lapse(1_003)
    expect(told).toEqual([0, 1, 2, 3])
  })

  it('stays at its size under a flood', () => {
    const set = new ExpiringSet<number>({ sizeMax: 64, lapseMs: 1e9 })
    for (let i = 0; i < 10_000; i += 1) set.add(i, i)
    expect(set.size).toBe(64)
  })
})
