import { expect, it } from 'vitest'
import { Churning } from './churning.ts'
import { SETTING_DEFAULTS } from './scenario.ts'
import { ScenarioRun } from './scenario-run.ts'

it('as many come as go, whoever is to stay stays, and the dead are forgotten', () => {
  const setting = { ...SETTING_DEFAULTS, peers: 12 }
  const run = new ScenarioRun({ scenario: 'test', setting, plannedMs: 200_000, onProgress: () => {} })
  run.grow()
  run.pass(10_000)
  const staying = run.live().slice(0, 3)
  const until = run.world.now + 120_000
  const churning = new Churning(run, { medianMs: 20_000, until, staying, waysIn: () => run.waysIn })
  run.pass(120_000)
  const { left } = churning
  expect(left).toBeGreaterThan(10)
  for (const node of staying) expect(node.alive).toBe(true)
  run.pass(90_000)
  expect(churning.left).toBe(left)
  expect(run.live().length).toBe(12)
  expect(run.live().some(node => node.public && !staying.includes(node))).toBe(true)
  expect(run.world.nodes.length).toBe(12)
  expect(run.joins.size).toBe(11)
})
