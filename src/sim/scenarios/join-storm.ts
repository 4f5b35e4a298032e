/** From one peer to all, every one through the first: the ring closes soon after the last, and the first carries little. */

import type { Scenario } from '../scenario.ts'
import { checkEstimate, checkRing, checkSettled, recovery, SMALL_PEERS } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import { succeeded } from '../watch.ts'

const RING_LIMIT_MS = 15_000
const SETTLE_MS = 60_000
const BYTES_PER_JOIN_MAX = 6_144
/** Among few the first is everybody's neighbour, and often the only one through whom they reach each other. */
const BYTES_PER_JOIN_MAX_SMALL = 12_288

export const joinStorm: Scenario = {
  name: 'join-storm',
  summary: 'grows from one peer to all, every one through the first',
  defaults: {},
  run(given, onProgress) {
    const setting = { ...given, settled: false }
    const run = new ScenarioRun({ scenario: 'join-storm', setting, plannedMs: 180_000, onProgress })
    run.grow()
    const [first] = run.waysIn
    const bytes = first === undefined ? 0 : first.bytesSent + first.bytesReceived
    const perJoin = Math.round(bytes / Math.max(1, setting.peers - 1))
    const healed = recovery(run, { limitMs: 60_000, phase: 'close the ring', routing: false })
    checkRing(run, healed, RING_LIMIT_MS)
    const bytesMax = setting.peers < SMALL_PEERS ? BYTES_PER_JOIN_MAX_SMALL : BYTES_PER_JOIN_MAX
    const target = `at most ${bytesMax} bytes, up and down`
    run.check('bytes per join at the way in', perJoin <= bytesMax, target, `${perJoin}`)
    const joins = [...run.joins.values()]
    const joined = joins.filter(succeeded).length
    run.check('all were told that they are in', joined === joins.length, `${joins.length}`, `${joined}`)
    run.pass(SETTLE_MS, 'settle')
    checkSettled(run)
    checkEstimate(run)
    return run.outcome()
  },
}
