/** The outcome of a scenario as text for a terminal. Pure: the caller says how long it took and how to paint. */
import type { Check, ScenarioOutcome, ScenarioSetting } from './scenario.ts'

export interface TextFacts {
  /** Real time that the run took. */
  readonly realMs: number
  readonly replay: string
  readonly paint: (colour: 'green' | 'red' | 'dim' | 'bold', text: string) => string
}

/** What is going to be simulated, on one or two lines. */
export function settingText(scenario: string, setting: ScenarioSetting): string {
  const { nat, device } = setting.mix
  const parts = [`${scenario}: ${grouped(setting.peers)} peers, seed ${setting.seed}`]
  parts.push(`share ${percent(setting.share)}`, `${setting.minutes} min`, `loss ${percent(setting.lossShare)}`)
  if (setting.settled) parts.push('settled from the beginning')
  if (setting.churnedMinutes > 0) parts.push(`after ${setting.churnedMinutes} min of churn`)
  const nats = Object.entries(nat).map(([name, share]) => `${name} ${percent(share)}`)
  const devices = Object.entries(device).map(([name, share]) => `${name} ${percent(share)}`)
  return `${parts.join(', ')}\n${nats.join(', ')}; ${devices.join(', ')}`
}

export function reportText(outcome: ScenarioOutcome, { realMs, replay, paint }: TextFacts): string {
  const failed = outcome.checks.filter(check => !check.ok).length
  const lines = [...checkLines(outcome.checks, paint), '']
  const times = `${durationText(outcome.virtualMs)} of virtual time in ${durationText(realMs)}`
  lines.push(`trace ${outcome.trace}   ${times}`)
  if (outcome.ok) {
    lines.push(paint('green', `all ${outcome.checks.length} checks held`))
  } else {
    lines.push(paint('red', `${failed} of ${outcome.checks.length} checks failed, seed ${outcome.setting.seed}`))
    lines.push(`the same again: ${replay}`)
  }
  return lines.join('\n')
}

function checkLines(checks: readonly Check[], paint: TextFacts['paint']): string[] {
  const heads = { name: 'check', target: 'target', measured: 'measured' }
  const width = (column: keyof typeof heads): number =>
    checks.reduce((most, check) => Math.max(most, check[column].length), heads[column].length)
  const [name, target, measured] = [width('name'), width('target'), width('measured')]
  const row = (cells: typeof heads): string =>
    `${cells.name.padEnd(name)}   ${cells.target.padEnd(target)}   ${cells.measured.padEnd(measured)}`
  return [
    paint('dim', row(heads).trimEnd()),
    ...checks.map(check => `${row(check)}   ${check.ok ? paint('green', 'ok') : paint('red', 'FAILED')}`),
  ]
}

/** One line while it runs: what it is at, how far, and how much longer. */
export function progressText(phase: string, done: number, live: number, leftMs: number | null): string {
  const left = leftMs === null ? '' : `, ${durationText(leftMs)} left`
  return `${String(Math.floor(done * 100)).padStart(3)} %  ${phase}, ${grouped(live)} live${left}`
}

export interface ProgressMark {
  /** Real time since the start. */
  readonly atMs: number
  readonly done: number
}

/**
 * At the pace of the later half of the time so far: the beginning, when peers join, is slower than what follows. Null
 * while nothing can be said.
 */
export function remainingMs(marks: readonly ProgressMark[]): number | null {
  const last = marks[marks.length - 1]
  if (last === undefined) return null
  const since = marks.find(({ atMs }) => atMs >= last.atMs / 2) ?? last
  const [fromMs, fromDone] = last.done > since.done ? [since.atMs, since.done] : [0, 0]
  if (last.done <= fromDone) return null
  return ((1 - Math.min(last.done, 1)) * (last.atMs - fromMs)) / (last.done - fromDone)
}

/** `0.42 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `7 d`. */
export function durationText(ms: number): string {
  const seconds = ms / 1_000
  if (seconds < 9.95) return `${Number(seconds.toFixed(seconds < 1 ? 2 : 1))} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3_600) return two(Math.floor(whole / 60), 'min', whole % 60, 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 1_440) return two(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.round(seconds / 3_600)
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`
}

/** `0.5` as `50 %`, with as many digits as it needs, at most three behind the point. */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(3))} %`
}

/** `1234567` as `1,234,567`. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}
