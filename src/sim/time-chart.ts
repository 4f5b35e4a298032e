/** One quantity over virtual time as inline SVG: axes with units, a line, and no more points than can be seen. */
import { coordinate, escaped } from './markup.ts'
import { grouped } from './report-text.ts'

export interface TimePoint {
  readonly atMs: number
  readonly value: number
}

export interface TimeChart {
  readonly title: string
  /** Of the values, as it stands beside a number: `%`, `B/s`, or nothing. */
  readonly unit: string
  readonly points: readonly TimePoint[]
  /** Percentages: the axis ends at 100, and starts near the lowest value where that is high. */
  readonly percentages: boolean
  readonly untilMs: number
}

const WIDTH = 400
const HEIGHT = 200
const LEFT = 48
const RIGHT = 12
const TOP = 24
const BOTTOM = 38
/** Stretches of the time axis; each shows at most its lowest and its highest value. */
const STRETCHES = 180
/** Fewer points than this are marked each. */
const DOTS_MAX = 40

export function timeChartSvg(chart: TimeChart): string {
  const { points, percentages, untilMs, title, unit } = chart
  const most = points.reduce((value, point) => Math.max(value, point.value), 0)
  const least = points.reduce((value, point) => Math.min(value, point.value), Number.POSITIVE_INFINITY)
  const ticks = percentages ? percentTicks(least) : valueTicks(most)
  const low = ticks[0] ?? 0
  const high = ticks[ticks.length - 1] ?? 1
  const span = Math.max(untilMs, 1)
  const x = (atMs: number): number => LEFT + (atMs / span) * (WIDTH - LEFT - RIGHT)
  const y = (value: number): number => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM)

  const parts: string[] = []
  for (const tick of ticks) {
    const at = coordinate(y(tick))
    parts.push(`<path class="grid" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/>`)
    parts.push(
      `<text class="tick" x="${LEFT - 7}" y="${at}" dy=".35em" text-anchor="end">${shortText(tick, high)}</text>`,
    )
  }
  const time = timeTicks(span)
  for (const tick of time.ticks) {
    const at = coordinate(x(tick * time.unitMs))
    parts.push(`<path class="axis" d="M${at} ${HEIGHT - BOTTOM}v4"/>`)
    parts.push(
      `<text class="tick" x="${at}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${numberText(tick)}</text>`,
    )
  }
  parts.push(`<path class="axis" d="M${LEFT} ${HEIGHT - BOTTOM}H${WIDTH - RIGHT}"/>`)
  parts.push(
    `<text class="unit" x="${WIDTH - RIGHT}" y="${HEIGHT - 6}" text-anchor="end">virtual time, ${time.unit}</text>`,
  )
  if (unit !== '') parts.push(`<text class="unit" x="4" y="12">${escaped(unit)}</text>`)
  parts.push(...curve(thinned(points, span), x, y))
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">${parts.join('')}</svg>`
}

function curve(points: readonly TimePoint[], x: (at: number) => number, y: (value: number) => number): string[] {
  const first = points[0]
  const last = points[points.length - 1]
  if (first === undefined || last === undefined) return []
  const line = points.map(({ atMs, value }) => `${coordinate(x(atMs))} ${coordinate(y(value))}`).join('L')
  const floor = HEIGHT - BOTTOM
  const area = `M${coordinate(x(first.atMs))} ${floor}L${line}L${coordinate(x(last.atMs))} ${floor}Z`
  const parts = [`<path class="area" d="${area}"/>`, `<path class="line" d="M${line}"/>`]
  if (points.length > DOTS_MAX) return parts
  const dots = points.map(({ atMs, value }) => `M${coordinate(x(atMs))} ${coordinate(y(value))}h0`).join('')
  return [...parts, `<path class="dots" d="${dots}"/>`]
}

/** Of each stretch of time its lowest and its highest point, in their order: a short dip stays to be seen. */
export function thinned(points: readonly TimePoint[], spanMs: number): readonly TimePoint[] {
  if (points.length <= STRETCHES * 2) return points
  const kept: TimePoint[] = []
  const keep = (stretch: readonly TimePoint[]): void => {
    const [first, ...rest] = stretch
    if (first === undefined) return
    let low = first
    let high = first
    for (const point of rest) {
      if (point.value < low.value) low = point
      if (point.value > high.value) high = point
    }
    if (low === high) kept.push(low)
    else kept.push(...(low.atMs < high.atMs ? [low, high] : [high, low]))
  }
  let stretch: TimePoint[] = []
  let number = 0
  for (const point of points) {
    const at = Math.floor((point.atMs / spanMs) * STRETCHES)
    if (at !== number) {
      keep(stretch)
      stretch = []
      number = at
    }
    stretch.push(point)
  }
  keep(stretch)
  const last = points[points.length - 1]
  if (last !== undefined && kept[kept.length - 1] !== last) kept.push(last)
  return kept
}

function percentTicks(least: number): readonly number[] {
  if (least >= 99 && least < 100) return [99, 99.5, 100]
  if (least >= 90 && least < 100) return [90, 92.5, 95, 97.5, 100]
  return [0, 25, 50, 75, 100]
}

/** From 0 to at least `most`, in three to five steps that people count in. */
export function valueTicks(most: number): readonly number[] {
  if (!(most > 0)) return [0, 1]
  let power = 1
  while (power > most) power /= 10
  while (power * 10 <= most) power *= 10
  const step = power * ([0.25, 0.5, 1, 2].find(factor => most / (power * factor) <= 5) ?? 2)
  const count = Math.max(1, Math.ceil(most / step - 1e-9))
  return Array.from({ length: count + 1 }, (_, index) => index * step)
}

interface TimeTicks {
  readonly unit: string
  readonly unitMs: number
  /** In that unit. */
  readonly ticks: readonly number[]
}

const TIME_UNITS = [
  { unit: 's', unitMs: 1_000, untilMs: 180_000, steps: [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30] },
  { unit: 'min', unitMs: 60_000, untilMs: 10_800_000, steps: [0.5, 1, 2, 5, 10, 20, 30] },
  { unit: 'h', unitMs: 3_600_000, untilMs: 259_200_000, steps: [0.5, 1, 2, 3, 6, 12] },
  { unit: 'days', unitMs: 86_400_000, untilMs: Number.POSITIVE_INFINITY, steps: [0.5, 1, 2, 5, 10, 20, 50, 100] },
] as const
const TIME_TICKS_MAX = 7

export function timeTicks(spanMs: number): TimeTicks {
  // reason: the last unit has no end.
  const { unit, unitMs, steps } = TIME_UNITS.find(({ untilMs }) => spanMs <= untilMs)!
  const span = spanMs / unitMs
  const step = steps.find(candidate => span / candidate <= TIME_TICKS_MAX) ?? span
  const count = Math.floor(span / step + 1e-9)
  return { unit, unitMs, ticks: Array.from({ length: count + 1 }, (_, index) => index * step) }
}

/** In thousands or millions where the axis goes that far: it has room for six characters. */
function shortText(value: number, high: number): string {
  if (high < 10_000 || value === 0) return numberText(value)
  return high < 1_000_000 ? `${numberText(value / 1_000)} k` : `${numberText(value / 1_000_000)} M`
}

function numberText(value: number): string {
  return grouped(Number(value.toFixed(value < 10 ? 3 : 1)))
}
