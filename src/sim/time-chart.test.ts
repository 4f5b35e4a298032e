import { describe, expect, it } from 'vitest'
import { thinned, timeChartSvg, timeTicks, valueTicks } from './time-chart.ts'

describe('ticks', () => {
  it.each([
    [0, [0, 1]],
    [0.9, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [3.2, [0, 1, 2, 3, 4]],
    [7, [0, 2, 4, 6, 8]],
    [180, [0, 50, 100, 150, 200]],
    [1_900, [0, 500, 1_000, 1_500, 2_000]],
  ])('of values up to %d are round and reach it', (most, ticks) => {
    expect(valueTicks(most).map(tick => Number(tick.toFixed(6)))).toEqual(ticks)
  })

  it('of any value are three to six, and cover it', () => {
    for (let most = 0.003; most < 1e7; most *= 1.37) {
      const ticks = valueTicks(most)
      expect(ticks.length, String(most)).toBeGreaterThanOrEqual(3)
      expect(ticks.length, String(most)).toBeLessThanOrEqual(6)
      expect(ticks[ticks.length - 1], String(most)).toBeGreaterThanOrEqual(most * (1 - 1e-9))
    }
  })

  it.each([
    [60_000, 's', [0, 10, 20, 30, 40, 50, 60]],
    [1_500_000, 'min', [0, 5, 10, 15, 20, 25]],
    [8 * 3_600_000, 'h', [0, 2, 4, 6, 8]],
    [7 * 86_400_000, 'days', [0, 1, 2, 3, 4, 5, 6, 7]],
  ])('of %i ms are in %s', (spanMs, unit, ticks) => {
    expect(timeTicks(spanMs)).toMatchObject({ unit, ticks })
  })
})

describe('thinning', () => {
  it('keeps the one dip of a long run, and the last point', () => {
    const points = Array.from({ length: 20_000 }, (_, index) => ({ atMs: index, value: index === 7_777 ? 12 : 100 }))
    const kept = thinned(points, 20_000)
    expect(kept.length).toBeLessThan(400)
    expect(kept).toContainEqual({ atMs: 7_777, value: 12 })
    expect(kept[kept.length - 1]).toEqual({ atMs: 19_999, value: 100 })
    expect(kept.map(point => point.atMs)).toEqual(kept.map(point => point.atMs).toSorted((a, b) => a - b))
  })
})

it('a chart says what its axes mean, and shows percentages near 100 enlarged', () => {
  const points = [
    { atMs: 0, value: 100 },
    { atMs: 60_000, value: 96 },
  ]
  const svg = timeChartSvg({ title: 'Ring', unit: '%', percentages: true, points, untilMs: 60_000 })
  expect(svg).toContain('>virtual time, s<')
  expect(svg).toContain('>%<')
  expect(svg).toContain('>90<')
  expect(svg).not.toContain('>0<path')
})

it.each([
  [1_900, '2,000'],
  [140_000, '150 k'],
  [2_400_000, '2.5 M'],
])('values up to %i are labelled so that they fit beside the axis: %s', (most, label) => {
  const points = [{ atMs: 0, value: most }]
  const svg = timeChartSvg({ title: 'Bytes', unit: 'B/s', percentages: false, points, untilMs: 60_000 })
  expect(svg).toContain(`>${label}<`)
})
