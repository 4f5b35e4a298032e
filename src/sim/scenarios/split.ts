/** The network falls into parts that cannot reach each other, for minutes or hours, and is one again. */

import type { Scenario } from '../scenario.ts'
import { checkComponent, checkRing, checkRouting, checkSettled, percent, recovery } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'

const SETTLE_MS = 30_000
const REUNION_MS = 60_000
const LONG_MINUTES = 120
const LONG_REUNION_MS = 300_000

export const split: Scenario = {
  name: 'split',
  summary: 'cut into parts for some minutes, then reunited',
  defaults: { minutes: 10, ways: 2 },
  run(setting, onProgress) {
    const limitMs = setting.minutes >= LONG_MINUTES ? LONG_REUNION_MS : REUNION_MS
    const plannedMs = 180_000 + setting.minutes * 60_000 + limitMs
    const run = new ScenarioRun({ scenario: 'split', setting, plannedMs, onProgress })
    run.grow(1, setting.ways)
    run.settle(SETTLE_MS)
    // Those that accept dials are dealt out in turn: a part without any cannot be whole.
    const dealt = run.pick(run.live(), setting.peers).sort((a, b) => Number(b.public) - Number(a.public))
    const part = new Map(dealt.map((node, i) => [node, node.public ? i % setting.ways : run.rng.below(setting.ways)]))
    run.world.split(node => part.get(node) ?? 0)
    run.pass(setting.minutes * 60_000, 'apart')
    for (let way = 0; way < setting.ways; way += 1) {
      const look = run.look(run.live().filter(node => part.get(node) === way))
      const share = look.componentShare()
      run.check(`part ${way + 1} is whole while apart`, share === 1, '100 %', percent(share))
    }
    run.world.split(null)
    const healed = recovery(run, { limitMs: Math.max(limitMs, 120_000), phase: 'reunite' })
    checkComponent(run, healed, limitMs)
    checkRing(run, healed, limitMs)
    checkRouting(run, healed, limitMs)
    run.pass(SETTLE_MS, 'rest')
    checkSettled(run)
    return run.outcome()
  },
}
