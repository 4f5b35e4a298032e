/** Laptops are closed for a minute up to an hour and opened again: the rest is unharmed, who returns is one with it. */

import type { Scenario } from '../scenario.ts'
import { checkSettled, percent, seconds } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import { type Call, firstFailure, successShare } from '../watch.ts'
import type { Node } from '../world.ts'

const SETTLE_MS = 60_000
const SLEEP_MS_MIN = 60_000
const REUNION_MS = 10_000
/** How long the rest has to notice before it must talk to each other without them. */
const NOTICE_MS = 30_000
const ROUND_MS = 10_000
const PAIRS = 20

export const sleepWake: Scenario = {
  name: 'sleep-wake',
  summary: 'a share of peers freezes for a minute up to `minutes` and returns',
  defaults: { share: 0.3, minutes: 60 },
  run(setting, onProgress) {
    const sleepMsMax = Math.max(SLEEP_MS_MIN, setting.minutes * 60_000)
    const plannedMs = 200_000 + sleepMsMax
    const run = new ScenarioRun({ scenario: 'sleep-wake', setting, plannedMs, onProgress })
    const { world } = run
    run.grow()
    run.settle(SETTLE_MS)
    const others = run.live().filter(node => !run.waysIn.includes(node))
    const sleepers = run.pick(others, setting.share * setting.peers)
    const start = world.now
    /** Who opened when, and was not seen to be one with the rest yet. */
    const returning = new Map<Node, number>()
    const reunitedMs: number[] = []
    for (const node of sleepers) {
      world.freeze(node, run.rng.below(2) === 0)
      const sleepMs = SLEEP_MS_MIN + run.rng.unit() * (sleepMsMax - SLEEP_MS_MIN)
      world.at(start + sleepMs, () => {
        world.thaw(node)
        returning.set(node, world.now)
      })
    }
    const calls: Call[] = []
    const awake = others.filter(node => !sleepers.includes(node))
    const end = start + sleepMsMax + 60_000
    let unharmed = 1
    let nextRound = start + NOTICE_MS
    while (world.now < end) {
      run.pass(returning.size > 0 ? run.lookMs : 1_000, 'asleep')
      if (world.now >= nextRound) {
        nextRound = world.now + ROUND_MS
        calls.push(...run.startPairs(awake, PAIRS))
        const restAwake = new Set(awake)
        const look = run.look()
        const whole = look.components()[0] ?? []
        const inside = whole.filter(index => restAwake.has(look.nodes[index]!)).length
        unharmed = Math.min(unharmed, inside / awake.length)
      }
      if (returning.size > 0) reunitedMs.push(...takeReunited(run, returning))
    }
    run.pass(NOTICE_MS, 'judge')
    run.check('the rest stays whole', unharmed === 1, '100 %', percent(unharmed))
    const first = firstFailure(calls)
    const routed = `${percent(successShare(calls))} of ${calls.length}${first === null ? '' : `, first ${first}`}`
    run.check('the rest talks on', first === null, '100 %', routed)
    const late = reunitedMs.filter(ms => ms > REUNION_MS).length + returning.size
    const slowest = returning.size > 0 ? 'never' : seconds(Math.max(0, ...reunitedMs))
    const target = `all ${sleepers.length} within ${seconds(REUNION_MS)}`
    run.check('the returned are one with the rest', late === 0, target, `${late} later, slowest ${slowest}`)
    checkSettled(run)
    return run.outcome()
  },
}

/** Who is in the one component, linked with true ring neighbours, is no longer returning. How long each took. */
function takeReunited(run: ScenarioRun, returning: Map<Node, number>): number[] {
  const look = run.look()
  const apart = new Set(look.ringGaps().flat())
  const times: number[] = []
  for (const index of look.components()[0] ?? []) {
    const node = look.nodes[index]!
    const since = returning.get(node)
    if (since === undefined || apart.has(node)) continue
    returning.delete(node)
    times.push(run.world.now - since)
  }
  return times
}
