import { describe, expect, it } from 'vitest'
import { measureMemberBroadcast } from './member-broadcast.ts'

const SMALL = { members: 120, broadcasts: 10, churnMinutes: 0.5, churnShare: 0.1 }

describe('broadcasts to a service of many members', () => {
  it.each([1])('reach all, one copy each, over few members, also under churn (seed %i)', seed => {
    const figures = measureMemberBroadcast({ ...SMALL, seed })
    expect(figures.reached).toBe(figures.owed)
    expect(figures.owed).toBe(119 * 10)
    expect(figures.copies).toBeGreaterThanOrEqual(1)
    expect(figures.copies).toBeLessThanOrEqual(1.1)
    const within = figures.hops.slice(0, 9).reduce((sum, count) => sum + count, 0)
    expect(within / figures.owed).toBeGreaterThanOrEqual(0.99)
    expect(figures.reachedUnderChurn).toBe(figures.owedUnderChurn)
    expect(figures.owedUnderChurn).toBeGreaterThan(1_200)
  })

  it('are the same again for the same seed', () => {
    const [a, b] = [0, 1].map(() => measureMemberBroadcast({ ...SMALL, members: 40, broadcasts: 3, seed: 9 }))
    expect(a).toEqual(b)
  })
})
