/**
 * Every scenario at a small size, with a seed that stays and with one that is new each time; `SIM_SEED=…` takes that
 * instead. A failure prints the command that runs the same again.
 */
import { describe, expect, it } from 'vitest'
import { type ScenarioSetting, SETTING_DEFAULTS } from './scenario.ts'
import { SCENARIOS, scenarioNamed } from './scenario-list.ts'
import { replayCommand } from './setting-options.ts'

const PEERS = 24
const FRESH_SEED = Number(process.env.SIM_SEED ?? Date.now() % 2 ** 32)
const SEEDS = [
  ['a seed that stays', 1],
  ['a fresh seed', FRESH_SEED],
] as const

/** What is worth trying of each, small enough for two minutes in all. */
const SMALL: Readonly<Record<string, readonly Partial<ScenarioSetting>[]>> = {
  'join-storm': [{}],
  settled: [{ minutes: 1 }],
  // In a minute one dead hub slows a lookup in twelve; the figure is about one in twenty.
  churn: [{ minutes: 3 }],
  // After churn half vanish: of two survivors one may have joined a moment ago and never have heard of the other.
  'mass-failure': [{}, { share: 0.9 }, { share: 0.95 }, { churnedMinutes: 2, medianMinutes: 2 }],
  split: [{ minutes: 1 }, { minutes: 1, ways: 3 }],
  'bootstrap-death': [{ minutes: 2 }, { share: 1, minutes: 60 }],
  'flash-service': [{}],
  broadcast: [{ minutes: 1 }],
  'sleep-wake': [{ minutes: 2 }],
  'region-loss': [{ minutes: 1 }],
  hostile: [{}],
  workday: [{ peers: 24, minutes: 6, medianMinutes: 2 }],
  week: [{ peers: 12, minutes: 7, medianMinutes: 1 }],
}

const CASES = Object.entries(SMALL).flatMap(([name, settings]) => settings.map(setting => ({ name, setting })))

describe('every scenario', () => {
  it('is listed once and has a small size', () => {
    expect(SCENARIOS.map(({ name }) => name).sort()).toEqual(Object.keys(SMALL).sort())
    for (const scenario of SCENARIOS) expect(scenarioNamed(scenario.name)).toBe(scenario)
    expect(scenarioNamed('no-such')).toBeUndefined()
  })

  for (const [which, seed] of SEEDS) {
    for (const { name, setting: small } of CASES) {
      const words = Object.entries(small).map(([key, value]) => `${key} ${value}`)
      it(`${[name, ...words].join(', ')}: holds what it must with ${which}`, () => {
        const scenario = scenarioNamed(name)
        if (scenario === undefined) throw new Error(`${name} is not listed`)
        const defaults = { ...SETTING_DEFAULTS, ...scenario.defaults }
        const setting = { ...defaults, peers: PEERS, ...small, seed }
        const outcome = scenario.run(setting, () => {})
        const broken = outcome.checks.filter(({ ok }) => !ok)
        expect(broken, replayCommand(name, setting, defaults)).toEqual([])
        expect(outcome.checks.length).toBeGreaterThan(3)
        expect(outcome.trace).toMatch(/^[0-9a-f]{16}$/)
      }, 120_000)
    }
  }
})
