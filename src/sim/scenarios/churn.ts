/** Peers come and go all the time: those that are there reach each other. The keepers of services stay: they must be found. */

import { Churning } from '../churning.ts'
import { quantile } from '../judge.ts'
import type { Scenario } from '../scenario.ts'
import { checkBounds, percent, quantileText, SMALL_PEERS, sortedTimes } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import { type Call, firstFailure, succeeded, telling } from '../watch.ts'
import type { Node } from '../world.ts'

const SETTLE_MS = 60_000
const ROUND_MS = 5_000
/** What a newcomer is given. */
const WAYS_IN = 2
const KEEPERS = 10
const FINDS_A_ROUND = 2
const ROUTED_SHARE = 0.9995
const FOUND_SHARE = 0.999
const MINUTE_MS = 60_000
/** Half of the lookups, and 95 % of them, by the number of peers. */
const LOOKUP_MS: readonly { readonly peersMax: number; readonly p50: number; readonly p95: number }[] = [
  // One machine that is up to 400 ms late, as one in fifty is, takes part in more than one lookup of twenty.
  { peersMax: SMALL_PEERS - 1, p50: 200, p95: 900 },
  { peersMax: 10_000, p50: 200, p95: 500 },
  { peersMax: Number.POSITIVE_INFINITY, p50: 250, p95: 600 },
]

export const churn: Scenario = {
  name: 'churn',
  summary: 'peers come and go, sessions heavy-tailed about a median',
  defaults: { medianMinutes: 10, minutes: 10 },
  run(setting, onProgress) {
    const churnMs = setting.minutes * MINUTE_MS
    const plannedMs = SETTLE_MS + 80_000 + churnMs
    const run = new ScenarioRun({ scenario: 'churn', setting, plannedMs, onProgress })
    run.grow()
    run.settle(SETTLE_MS)
    const { world, watch } = run
    const keepers = run.pick(run.live(), Math.min(KEEPERS, setting.peers / 4))
    const serviceOf = (index: number): string => `kept-${index}.example/1`
    for (const [index, keeper] of keepers.entries()) watch.joinService(keeper, serviceOf(index))
    run.pass(ROUND_MS * 2, 'settle')

    const end = world.now + churnMs
    const waysIn = (): Node[] => {
      const reachable = run.joined().filter(node => node.public)
      return run.pick(reachable, WAYS_IN)
    }
    new Churning(run, { medianMs: setting.medianMinutes * MINUTE_MS, until: end, staying: keepers, waysIn })

    const connects: Call[] = []
    const finds: Call[] = []
    const serviceFinds = new Map<Call, Node>()
    const perRound = Math.min(100, Math.max(10, Math.round(setting.peers / 20)))
    while (world.now < end) {
      const joined = run.joined()
      connects.push(...run.startPairs(joined, perRound))
      for (let i = 0; i < perRound; i += 1) {
        const [from, to] = run.rng.sample(joined, 2)
        if (from !== undefined && to !== undefined) finds.push(watch.find(from, to))
      }
      for (const [index, keeper] of keepers.entries()) {
        for (const from of run.rng.sample(joined, FINDS_A_ROUND))
          if (from !== keeper) serviceFinds.set(watch.findService(from, serviceOf(index)), keeper)
      }
      run.pass(ROUND_MS, 'churn')
    }
    run.pass(20_000, 'judge')

    checkCalls(run, 'routing among joined peers', telling(connects), ROUTED_SHARE)
    const limits = LOOKUP_MS.find(({ peersMax }) => setting.peers <= peersMax) ?? LOOKUP_MS[0]!
    // There and back at once where the ref was known: those are no lookups.
    const oneWayMs = sortedTimes(finds)
      .filter(time => time > 0)
      .map(time => time / 2)
    for (const [name, share] of [
      ['p50', 0.5],
      ['p95', 0.95],
    ] as const) {
      const value = quantile(oneWayMs, share)
      const ok = value !== null && value < limits[name]
      run.check(
        `lookup one way, ${name}`,
        ok,
        `under ${limits[name]} ms`,
        `${quantileText(oneWayMs, share)} of ${oneWayMs.length}`,
      )
    }
    checkCalls(
      run,
      'records found',
      telling([...serviceFinds.keys()]),
      FOUND_SHARE,
      call =>
        call.answer?.kind === 'service-found' &&
        call.answer.members.some(({ peer }) => peer === serviceFinds.get(call)?.id),
    )
    checkBounds(run)
    return run.outcome()
  },
}

function checkCalls(
  run: ScenarioRun,
  name: string,
  calls: readonly Call[],
  target: number,
  isGood: (call: Call) => boolean = succeeded,
): void {
  const good = calls.filter(isGood).length
  const share = calls.length === 0 ? 0 : good / calls.length
  // Of few, a single miss is more than is allowed of many.
  const missesMax = Math.max(1, Math.floor((1 - target) * calls.length))
  const first = firstFailure(calls, isGood)
  const measured = `${percent(share)} of ${calls.length}${first === null ? '' : `, first ${first}`}`
  const isFew = (1 - target) * calls.length < 1
  const wanted = isFew ? 'all but one at most' : `at least ${percent(target)}`
  run.check(name, good > 0 && calls.length - good <= missesMax, wanted, measured)
}
