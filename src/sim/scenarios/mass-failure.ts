/** A share of all peers vanishes in the same instant, every way in among them, and says nothing. */

import { Churning } from '../churning.ts'
import type { Scenario } from '../scenario.ts'
import { checkComponent, checkRing, checkRouting, checkSettled, recovery, vanish } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import type { Node } from '../world.ts'

const MINUTE_MS = 60_000
const SETTLE_MS = 120_000
const REST_MS = 60_000
/** Who came within so much before may be unknown to all but its neighbours. */
const KNOWN_MS = 60_000

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
    const plannedMs = (setting.settled ? 120_000 : 300_000) + churnedMs
    const run = new ScenarioRun({ scenario: 'mass-failure', setting, plannedMs, onProgress })
    const target = TARGETS.find(({ shareMax }) => setting.share <= shareMax)
    if (target === undefined) throw new RangeError(`share: ${setting.share} is more than all`)
    if (setting.settled && churnedMs === 0) {
      run.growWhatIsLeft(setting.share)
    } else {
      run.grow()
      run.settle(SETTLE_MS)
      if (churnedMs > 0) churn(run, churnedMs)
      vanish([...run.waysIn, ...chosen(run)])
    }
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

function churn(run: ScenarioRun, forMs: number): void {
  const { waysIn } = run
  // Somebody who accepts dials has to be there for long enough to be known when the ways in are gone.
  const other = run.live().filter(node => node.public && !waysIn.includes(node))[0]
  new Churning(run, {
    medianMs: run.setting.medianMinutes * MINUTE_MS,
    until: run.world.now + forMs,
    staying: other === undefined ? waysIn : [...waysIn, other],
    waysIn: () => waysIn,
  })
  run.pass(forMs, 'churn')
}

/**
 * Who vanishes beside the ways in, and beside those that were not told yet that they are in: of the mesh they know the ways
 * in alone. One of those that accept dials is left, that others can have heard of where there is such a one: without any,
 * nobody can reach anybody.
 */
function chosen(run: ScenarioRun): Node[] {
  const { world, waysIn, joins, setting } = run
  const inside = new Set(run.joined())
  const others = run.live().filter(node => !waysIn.includes(node))
  const joined = others.filter(node => inside.has(node))
  const outside = others.filter(node => !inside.has(node))
  const vanishing = run.pick(joined, setting.share * (joined.length + waysIn.length) - waysIn.length)
  const gone = new Set(vanishing)
  const spared = joined.filter(node => !gone.has(node))
  const isKnown = (node: Node): boolean => node.public && world.now - (joins.get(node)?.startedAt ?? 0) >= KNOWN_MS
  if (!spared.some(isKnown)) exchange(vanishing, spared, vanishing.some(isKnown) ? isKnown : node => node.public)
  return [...outside, ...vanishing]
}

/** Lets one of these vanish in place of one that is wanted. */
function exchange(vanishing: Node[], spared: readonly Node[], isWanted: (node: Node) => boolean): void {
  const [other] = spared
  const at = vanishing.findIndex(isWanted)
  if (other !== undefined && at >= 0 && !spared.some(isWanted)) vanishing[at] = other
}
