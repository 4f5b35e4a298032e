/** A share of all peers vanishes in the same instant, every way in among them, and says nothing. */

import type { Scenario } from '../scenario.ts'
import { checkComponent, checkRing, checkRouting, checkSettled, recovery, vanish } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'

const SETTLE_MS = 120_000
const REST_MS = 60_000

interface Target {
  readonly shareMax: number
  readonly componentMs: number
  readonly componentShare: number
  readonly routingMs: number
}

/** By the share that vanishes. */
const TARGETS: readonly Target[] = [
  { shareMax: 0.5, componentMs: 20_000, componentShare: 1, routingMs: 60_000 },
  { shareMax: 0.9, componentMs: 60_000, componentShare: 1, routingMs: 120_000 },
  { shareMax: 1, componentMs: 120_000, componentShare: 0.999, routingMs: 180_000 },
]

export const massFailure: Scenario = {
  name: 'mass-failure',
  summary: 'a share of all peers vanishes in the same instant, the ways in included',
  defaults: { share: 0.5 },
  run(setting, onProgress) {
    const run = new ScenarioRun({ scenario: 'mass-failure', setting, plannedMs: 420_000, onProgress })
    const target = TARGETS.find(({ shareMax }) => setting.share <= shareMax)
    if (target === undefined) throw new RangeError(`share: ${setting.share} is more than all`)
    run.grow()
    run.pass(SETTLE_MS, 'settle')
    const others = run.live().filter(node => !run.waysIn.includes(node))
    vanish([...run.waysIn, ...run.pick(others, setting.share * setting.peers - run.waysIn.length)])
    const { componentShare, componentMs, routingMs } = target
    const healed = recovery(run, { limitMs: routingMs, phase: 'heal', componentShare })
    checkComponent(run, healed, componentMs, componentShare)
    checkRouting(run, healed, routingMs)
    checkRing(run, healed, routingMs)
    run.pass(REST_MS, 'rest')
    checkSettled(run)
    return run.outcome()
  },
}
