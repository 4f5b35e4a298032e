import { describe, expect, it } from 'vitest'
import { SCARCE_WIRES_BURST, SCARCE_WIRES_INTERVAL_MS, SCARCE_WIRES_RESERVE } from '../limits.ts'
import { ScarceBudget } from './scarce-budget.ts'

const HOUR_MS = 3_600_000

describe('wires of a scarce transport', () => {
  it('are at most 96 in 8 hours, however many are wanted', () => {
    const budget = new ScarceBudget()
    let made = 0
    for (let now = 0; now < 8 * HOUR_MS; now += 1_000) {
      if (budget.from(now, true) > now) continue
      budget.spend(now)
      made += 1
    }
    expect(made).toBeLessThanOrEqual(96)
    expect(made).toBeGreaterThan(90)
  })

  it('are kept for users when few are left', () => {
    const budget = new ScarceBudget()
    let made = 0
    for (; budget.from(0, false) === 0; made += 1) budget.spend(0)
    expect(made).toBe(SCARCE_WIRES_BURST - SCARCE_WIRES_RESERVE)
    expect(budget.from(0, true)).toBe(0)
    expect(budget.from(0, false)).toBe(SCARCE_WIRES_INTERVAL_MS)
    expect(budget.from(SCARCE_WIRES_INTERVAL_MS, false)).toBe(SCARCE_WIRES_INTERVAL_MS)
  })

  it('that met nobody count for nothing, and none are saved up beyond the first lot', () => {
    const budget = new ScarceBudget()
    for (let i = 0; i < SCARCE_WIRES_BURST; i += 1) budget.spend(0)
    expect(budget.from(0, true)).toBe(SCARCE_WIRES_INTERVAL_MS)
    budget.giveBack()
    expect(budget.from(0, true)).toBe(0)
    const later = 1_000 * HOUR_MS
    let made = 0
    for (; budget.from(later, true) <= later; made += 1) budget.spend(later)
    expect(made).toBe(SCARCE_WIRES_BURST)
  })
})
