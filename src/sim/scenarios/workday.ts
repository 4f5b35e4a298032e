/**
 * Tabs that stay open for a working day while all others come and go, in ordinary use: each is in a service whose members
 * it talks to now and then, and looks somebody up by id. A browser gives a page 500 WebRTC connections in its life, and none
 * back: how many it was asked for is counted by its host, whatever the peer thinks it spent.
 */

import { Churning } from '../churning.ts'
import type { Scenario } from '../scenario.ts'
import { checkBounds, percent } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import { type Call, succeeded, telling } from '../watch.ts'
import type { Node } from '../world.ts'

const SETTLE_MS = 60_000
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const SERVICE = 'workday.example/1'
/** Of the tabs that stay each talks to a member this often, and to anybody at all. */
const TALK_EVERY_MS = 300_000
/** In a small world they are few. */
const TABS_MAX = 20
const WAYS_IN = 2
/** In eight hours; shorter days have what is given at once, and the same by the hour. */
const CONNECTIONS_AT_ONCE = 36
const CONNECTIONS_PER_HOUR = 8
const TALKED_SHARE = 0.99

export const workday: Scenario = {
  name: 'workday',
  summary: 'tabs stay open for hours while others come and go: how many WebRTC connections it costs them',
  defaults: { peers: 60, medianMinutes: 10, minutes: 480 },
  run(setting, onProgress) {
    const dayMs = setting.minutes * MINUTE_MS
    const run = new ScenarioRun({ scenario: 'workday', setting, plannedMs: 2 * SETTLE_MS + dayMs, onProgress })
    run.grow()
    run.settle(SETTLE_MS)
    const { world, watch } = run
    const tabs = run.pick(
      run.live().filter(node => node.profile.device === 'tab'),
      Math.min(TABS_MAX, setting.peers / 6),
    )
    for (const tab of tabs) watch.joinService(tab, SERVICE)
    // In a small world there might be no public peer for a moment: who comes next then is a mesh of its own.
    const servers = run.pick(
      run.live().filter(node => node.public),
      1,
    )
    run.pass(SETTLE_MS / 2, 'settle')

    const end = world.now + dayMs
    const waysIn = (): Node[] =>
      run.pick(
        run.joined().filter(node => node.public),
        WAYS_IN,
      )
    const churning = new Churning(run, {
      medianMs: setting.medianMinutes * MINUTE_MS,
      until: end,
      staying: [...tabs, ...servers],
      waysIn,
    })
    const talks: Call[] = []
    while (world.now < end) {
      for (const tab of tabs) {
        for (const among of [tabs, run.joined()]) {
          const [other] = run.pick(
            among.filter(node => node !== tab),
            1,
          )
          if (other !== undefined) talks.push(watch.connect(tab, other))
        }
      }
      run.pass(Math.min(TALK_EVERY_MS, end - world.now), 'day')
    }
    run.pass(SETTLE_MS / 2, 'judge')

    const limit = CONNECTIONS_AT_ONCE + (CONNECTIONS_PER_HOUR * world.now) / HOUR_MS
    const counts = tabs.map(tab => world.punching.webRtcConnectionsOf(tab))
    const most = Math.max(...counts)
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length
    run.check(
      'WebRTC connections of a tab',
      tabs.length > 0 && most <= limit,
      `at most ${Math.floor(limit)}, any of ${tabs.length} tabs`,
      `${most}, mean ${mean.toFixed(1)}`,
    )
    const told = telling(talks)
    const talked = told.filter(succeeded).length / told.length
    run.check('tabs reach whom they want', talked >= TALKED_SHARE, `at least ${percent(TALKED_SHARE)}`, percent(talked))
    run.check('peers came and went', churning.left > 0, 'some', `${churning.left}`)
    checkBounds(run)
    return run.outcome()
  },
}
