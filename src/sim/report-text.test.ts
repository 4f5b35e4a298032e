import { describe, expect, it } from 'vitest'
import { handMadeOutcome } from './outcome.fixtures.ts'
import { durationText, grouped, percent, progressText, remainingMs, reportText, settingText } from './report-text.ts'

const FACTS = { realMs: 2_340, replay: 'webmesh sim --scenario hand-made', paint: (_: string, text: string) => text }

describe('the text of an outcome', () => {
  it('lists every check with target and measured, the trace, and both times', () => {
    const text = reportText(handMadeOutcome({ ok: true }), FACTS)
    expect(text).toMatch(/^one component {2,}100 % within 20 s {2,}100 % after 12 s {2,}ok$/m)
    expect(text).toContain('trace 0123456789abcdef')
    expect(text).toContain('2 min of virtual time in 2.3 s')
    expect(text).toContain('all 2 checks held')
    expect(text).not.toContain('the same again')
  })

  it('gives seed and replay where a check failed', () => {
    const text = reportText(handMadeOutcome({ ok: false }), FACTS)
    expect(text).toMatch(/routing .* FAILED$/m)
    expect(text).toContain('1 of 2 checks failed, seed 7')
    expect(text).toContain('the same again: webmesh sim --scenario hand-made')
  })

  it('says what is simulated', () => {
    const { setting } = handMadeOutcome({ ok: true })
    expect(settingText('churn', setting)).toMatch(/^churn: 300 peers, seed 7, share 50 %.*\npublic 10 %, cone 60 %/)
  })
})

describe('the progress line', () => {
  it('estimates the time left by the pace of the later half', () => {
    const marks = [
      { atMs: 0, done: 0 },
      { atMs: 20_000, done: 0.1 },
      { atMs: 30_000, done: 0.3 },
      { atMs: 40_000, done: 0.5 },
    ]
    expect(remainingMs(marks)).toBe(25_000)
    expect(remainingMs(marks.slice(0, 2))).toBe(180_000)
    expect(progressText('joining', 0.25, 12_345, 90_000)).toBe(' 25 %  joining, 12,345 live, 1 min 30 s left')
  })

  it('takes the whole time where the later half brought nothing on', () => {
    const marks = [0, 10_000, 20_000, 40_000].map(atMs => ({ atMs, done: atMs === 0 ? 0 : 0.5 }))
    expect(remainingMs(marks)).toBe(40_000)
  })

  it('promises nothing before anything is done', () => {
    expect(remainingMs([])).toBeNull()
    expect(remainingMs([{ atMs: 5_000, done: 0 }])).toBeNull()
    expect(progressText('joining', 0, 1, null)).toBe('  0 %  joining, 1 live')
  })
})

it.each([
  [0, '0 s'],
  [420, '0.42 s'],
  [9_960, '10 s'],
  [59_600, '1 min'],
  [200_000, '3 min 20 s'],
  [3_599_700, '1 h'],
  [7_500_000, '2 h 5 min'],
  [604_800_000, '7 d'],
])('%i ms are written %s', (ms, text) => {
  expect(durationText(ms)).toBe(text)
})

it('shares and counts read as people write them', () => {
  expect([percent(0.5), percent(0.9995), percent(1)]).toEqual(['50 %', '99.95 %', '100 %'])
  expect([grouped(999), grouped(1_000_000)]).toEqual(['999', '1,000,000'])
})
