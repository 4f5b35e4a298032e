/** The largest region of the world is gone from one moment to the next, and comes back minutes later from its stores. */

import type { Scenario } from '../scenario.ts'
import { checkComponent, checkRing, checkRouting, checkSettled, recovery, vanish } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'

const SETTLE_MS = 120_000
const COMPONENT_MS = 20_000
const ROUTING_MS = 60_000
const RETURN_MS = 60_000

export const regionLoss: Scenario = {
  name: 'region-loss',
  summary: 'the largest region vanishes, and returns after some minutes',
  defaults: { minutes: 5 },
  run(setting, onProgress) {
    const plannedMs = 450_000 + setting.minutes * 60_000
    const run = new ScenarioRun({ scenario: 'region-loss', setting, plannedMs, onProgress })
    run.grow()
    run.settle(SETTLE_MS)
    const counts = new Map<number, number>()
    for (const { profile } of run.live()) counts.set(profile.region, (counts.get(profile.region) ?? 0) + 1)
    const [largest] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0] ?? [0]
    const inIt = run.live().filter(({ profile }) => profile.region === largest)
    // Where all that accept dials live there, one stays: behind NATs alone the rest would have nobody to meet at.
    const meeting = run.live().some(node => node.public && !inIt.includes(node)) ? null : inIt.find(node => node.public)
    const gone = inIt.filter(node => node !== meeting)
    vanish(gone)
    const healed = recovery(run, { limitMs: ROUTING_MS, phase: 'heal' })
    checkComponent(run, healed, COMPONENT_MS)
    checkRing(run, healed, ROUTING_MS)
    checkRouting(run, healed, ROUTING_MS)
    run.pass(setting.minutes * 60_000, 'without the region')
    for (const node of gone) run.comeBack(node)
    const whole = recovery(run, { limitMs: RETURN_MS, phase: 'return', routing: false })
    const share = whole.componentMs === null ? run.look().componentShare() : 1
    const measured = whole.componentMs === null ? `${(share * 100).toFixed(2)} %` : `${whole.componentMs / 1_000} s`
    run.check('one whole with the returned', whole.componentMs !== null, `within ${RETURN_MS / 1_000} s`, measured)
    run.pass(SETTLE_MS, 'rest')
    checkSettled(run)
    return run.outcome()
  },
}
