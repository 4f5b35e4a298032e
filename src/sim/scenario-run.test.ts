import { describe, expect, it } from 'vitest'
import { type Progress, SETTING_DEFAULTS } from './scenario.ts'
import {
  checkComponent,
  checkRing,
  checkRouting,
  checkSettled,
  percent,
  recovery,
  seconds,
} from './scenario-measures.ts'
import { ScenarioRun } from './scenario-run.ts'
import { joinStorm } from './scenarios/join-storm.ts'

const SETTING = { ...SETTING_DEFAULTS, peers: 16 }

function grown(): ScenarioRun {
  const run = new ScenarioRun({ scenario: 'test', setting: SETTING, plannedMs: 60_000, onProgress: () => {} })
  run.grow()
  run.pass(10_000, 'settle')
  return run
}

describe('a run', () => {
  it('is the same to the byte for the same setting, and another for another seed', () => {
    const outcome = (seed: number): string => JSON.stringify(joinStorm.run({ ...SETTING, seed }, () => {}))
    expect(outcome(5)).toBe(outcome(5))
    expect(JSON.parse(outcome(5)).trace).toMatch(/^[0-9a-f]{16}$/)
    expect(JSON.parse(outcome(6)).trace).not.toBe(JSON.parse(outcome(5)).trace)
  })

  it('tells its progress, never backwards, to the end', () => {
    const told: Progress[] = []
    joinStorm.run(SETTING, progress => told.push(progress))
    const shares = told.map(({ done }) => done)
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
    expect(told.length).toBeGreaterThan(100)
    expect(told.at(-1)).toEqual({ phase: 'done', done: 1, live: 16 })
  })

  it('has somebody beside the way in who accepts dials, whatever the mix', () => {
    const nat = { public: 0, cone: 1, symmetric: 0, blocked: 0 }
    const device = { server: 0, desktop: 0.5, tab: 0.5 }
    for (let seed = 1; seed <= 3; seed += 1) {
      const setting = { ...SETTING, peers: 5, seed, mix: { nat, device } }
      const run = new ScenarioRun({ scenario: 'test', setting, plannedMs: 60_000, onProgress: () => {} })
      run.grow()
      expect(run.live().filter(node => node.public && !run.waysIn.includes(node)).length).toBe(1)
    }
  })

  it('asks nothing of the peers while it does not probe', () => {
    const run = grown()
    run.probing = false
    run.pass(30_000)
    expect(run.outcome().samples.at(-1)?.routed).toBeNull()
  })

  it('takes samples of a grown world that is whole and idle', () => {
    const run = grown()
    const last = run.outcome().samples.at(-1)
    expect(last).toMatchObject({ live: 16, component: 1, ring: 1 })
    expect(last?.bytesPerSecond).toBeGreaterThan(0)
    expect(last?.hops).toBeGreaterThanOrEqual(1)
  })
})

describe('checks', () => {
  it('all hold of a world at rest', () => {
    const run = grown()
    const healed = recovery(run, { limitMs: 20_000, phase: 'heal' })
    checkComponent(run, healed, 20_000)
    checkRing(run, healed, 20_000)
    checkRouting(run, healed, 20_000)
    const { checks, ok } = run.outcome()
    expect(checks.filter(check => !check.ok)).toEqual([])
    expect(ok).toBe(true)
  })

  it('fail of a world that stays split', () => {
    const run = grown()
    run.world.split(node => node.index % 2)
    run.pass(30_000)
    const healed = recovery(run, { limitMs: 20_000, phase: 'heal' })
    checkComponent(run, healed, 20_000)
    checkRing(run, healed, 20_000)
    checkRouting(run, healed, 20_000)
    checkSettled(run)
    const { checks, ok } = run.outcome()
    expect(ok).toBe(false)
    for (const name of ['one component', 'ring correct', 'routing heals', 'any pair can talk', 'one whole at the end'])
      expect(checks.find(check => check.name === name)?.ok, name).toBe(false)
  })

  it('none is no success', () => {
    expect(grown().outcome().ok).toBe(false)
  })
})

it('a share just below the whole is not shown as the whole', () => {
  expect(percent(1)).toBe('100 %')
  expect(percent(0.9999999)).toBe('99.999 %')
  expect(percent(0.5)).toBe('50 %')
  expect(percent(0)).toBe('0 %')
  expect(seconds(20_000)).toBe('20 s')
  expect(seconds(250)).toBe('0.25 s')
})
