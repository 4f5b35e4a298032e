import { expect, it } from 'vitest'
import { type Check, type Instruments, SETTING_DEFAULTS } from '../scenario.ts'
import { week } from './week.ts'

/** A week of seven minutes, with what the instruments say at each look. */
function memoryCheck(bytesAt: (look: number) => number): Check | undefined {
  let look = 0
  const instruments: Instruments = { liveBytes: () => (look++ === 0 ? 1_000_000 : 1_000_000 + bytesAt(look)) }
  const setting = { ...SETTING_DEFAULTS, ...week.defaults, peers: 4, minutes: 7, medianMinutes: 1 }
  const { checks } = week.run(setting, () => {}, instruments)
  expect(checks.find(({ name }) => name === 'what a peer holds')?.ok).toBe(true)
  return checks.find(({ name }) => name === 'live memory per peer')
}

it('memory that grows by more than the bound fails the week, memory that stays does not', () => {
  expect(memoryCheck(() => 4_000_000)).toMatchObject({ ok: true, measured: expect.stringContaining('+0.0 %') })
  expect(memoryCheck(look => 4_000_000 * (1 + look / 60))).toMatchObject({ ok: false })
})

it('without instruments bytes are not judged', () => {
  const setting = { ...SETTING_DEFAULTS, ...week.defaults, peers: 4, minutes: 7, medianMinutes: 1 }
  const names = week.run(setting, () => {}).checks.map(({ name }) => name)
  expect(names).toContain('what a peer holds')
  expect(names).not.toContain('live memory per peer')
})
