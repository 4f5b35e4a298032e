/** A share of all peers vanishes in the same instant, every way in among them, and says nothing. */

import { Churning } from '../churning.ts'
import type { Scenario } from '../scenario.ts'
import { checkComponent, checkRing, checkRouting, checkSettled, recovery, vanish } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import type { Node } from '../world.ts'

const MINUTE_MS = 60_000
const SETTLE_MS = 120_000
const REST_MS = 60_000

interface Target {
  readonly shareMax: number
  readonly componentMs: number
  /** Of the survivors, and of what they try: at least so many. */
  readonly share: number
  readonly routingMs: number
}

/** By the share that vanishes. */
const TARGETS: readonly Target[] = [
  { shareMax: 0.5, componentMs: 20_000, share: 1, routingMs: 60_000 },
  { shareMax: 0.9, componentMs: 60_000, share: 1, routingMs: 120_000 },
  { shareMax: 1, componentMs: 120_000, share: 0.999, routingMs: 120_000 },
]

export const massFailure: Scenario = {
  name: 'mass-failure',
  summary: 'a share of all peers vanishes in the same instant, the ways in included',
  defaults: { share: 0.5 },
  run(setting, onProgress) {
    const churnedMs = setting.churnedMinutes * MINUTE_MS
    const plannedMs = 420_000 + churnedMs
    const run = new ScenarioRun({ scenario: 'mass-failure', setting, plannedMs, onProgress })
    const target = TARGETS.find(({ shareMax }) => setting.share <= shareMax)
    if (target === undefined) throw new RangeError(`share: ${setting.share} is more than all`)
    run.grow()
    run.settle(SETTLE_MS)
    if (churnedMs > 0) {
      const until = run.world.now + churnedMs
      const { waysIn } = run
      new Churning(run, {
        medianMs: setting.medianMinutes * MINUTE_MS,
        until,
        staying: waysIn,
        waysIn: () => waysIn,
      })
      run.pass(churnedMs, 'churn')
    }
    vanish([...run.waysIn, ...chosen(run)])
    const { share, componentMs, routingMs } = target
    const healed = recovery(run, { limitMs: routingMs, phase: 'heal', share })
    checkComponent(run, healed, componentMs, share)
    checkRouting(run, healed, routingMs, share)
    checkRing(run, healed, routingMs)
    run.pass(REST_MS, 'rest')
    checkSettled(run, share)
    return run.outcome()
  },
}

/** Who vanishes beside the ways in. One of those that accept dials is left: without any, nobody can reach anybody. */
function chosen(run: ScenarioRun): Node[] {
  const others = run.live().filter(node => !run.waysIn.includes(node))
  const vanishing = run.pick(others, run.setting.share * run.live().length - run.waysIn.length)
  const gone = new Set(vanishing)
  const spared = others.filter(node => !gone.has(node))
  const dialable = vanishing.findIndex(node => node.public)
  const [exchanged] = spared
  if (exchanged !== undefined && dialable >= 0 && !spared.some(node => node.public)) vanishing[dialable] = exchanged
  return vanishing
}
