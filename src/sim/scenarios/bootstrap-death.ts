/**
 * Every peer that was ever given as a way in is gone for good. Peers that were off for a day return with what they
 * remember in their stores, and are told of nobody. With a share of 1 nobody stayed on: a day costs no time then.
 */

import type { Scenario } from '../scenario.ts'
import { checkRing, checkSettled, percent, recovery, seconds, vanish } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'

const WAYS_IN = 3
const SETTLE_MS = 120_000
const RETURN_MS = 120_000
const REJOINED_SHARE = 0.99

export const bootstrapDeath: Scenario = {
  name: 'bootstrap-death',
  summary: 'all ways in are gone for good; peers that were off for a day return',
  defaults: { share: 0.3, minutes: 1_440 },
  run(setting, onProgress) {
    const plannedMs = 400_000 + setting.minutes * 60_000
    const run = new ScenarioRun({ scenario: 'bootstrap-death', setting, plannedMs, onProgress })
    run.grow(WAYS_IN)
    run.settle(SETTLE_MS)
    // Where some stay on, one of them accepts dials: among few, the rest would have nobody to meet at.
    const meeting = setting.share === 1 ? null : run.live().find(node => node.public && !run.waysIn.includes(node))
    const others = run.live().filter(node => node !== meeting && !run.waysIn.includes(node))
    const off = run.pick(others, setting.share * setting.peers)
    for (const node of off) node.kill()
    run.pass((setting.minutes * 60_000) / 2, 'off')
    vanish(run.waysIn)
    run.pass((setting.minutes * 60_000) / 2, 'off')
    const returned = off.map(node => run.comeBack(node))
    const start = run.world.now
    const rejoined = (): number => {
      const look = run.look()
      const whole = new Set(look.components()[0]?.map(index => look.nodes[index]))
      return returned.filter(node => whole.has(node)).length / Math.max(1, returned.length)
    }
    run.passUntil(() => rejoined() === 1, RETURN_MS, 'return')
    const share = rejoined()
    const target = `${percent(REJOINED_SHARE)} within ${seconds(RETURN_MS)}, from remembered peers alone`
    const measured = `${percent(share)} of ${returned.length} after ${seconds(run.world.now - start)}`
    run.check('rejoined', share >= REJOINED_SHARE, target, measured)
    checkRing(run, recovery(run, { limitMs: 60_000, phase: 'rest', routing: false }), 60_000)
    run.pass(SETTLE_MS, 'rest')
    checkSettled(run)
    return run.outcome()
  },
}
