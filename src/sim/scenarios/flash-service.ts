/** A share of all peers joins one service within a minute: every one finds others, and the registry answers anybody. */

import type { Scenario } from '../scenario.ts'
import { checkSettled, percent } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import { type Call, succeeded } from '../watch.ts'
import type { Node } from '../world.ts'

const SETTLE_MS = 60_000
const FLASH_MS = 60_000
const AFTER_MS = 30_000
const ASKERS_MAX = 200
const FOUND_LIMIT_MS = 5_000
const SERVICE = 'flash.example/1'

export const flashService: Scenario = {
  name: 'flash-service',
  summary: 'a share of all peers joins one service within a minute',
  defaults: { share: 0.5 },
  run(setting, onProgress) {
    const run = new ScenarioRun({ scenario: 'flash-service', setting, plannedMs: 260_000, onProgress })
    const { world, watch } = run
    run.grow()
    run.settle(SETTLE_MS)
    const members = run.pick(run.live(), Math.max(2, setting.share * setting.peers))
    const joins: Call[] = []
    for (const member of members)
      world.at(world.now + run.rng.below(FLASH_MS), () => joins.push(watch.joinService(member, SERVICE)))
    const asked: Call[] = []
    const ask = (askers: readonly Node[], count: number): void => {
      for (const node of run.pick(askers, count)) asked.push(watch.findService(node, SERVICE))
    }
    run.pass(FLASH_MS / 2, 'join the service')
    // A member may be the only one as yet, and is not told of itself.
    const others = run.live().filter(node => !members.includes(node))
    ask(others, ASKERS_MAX / 4)
    run.pass(FLASH_MS / 2 + AFTER_MS, 'join the service')
    ask(run.live(), ASKERS_MAX)
    run.pass(FOUND_LIMIT_MS, 'judge')

    const joined = joins.filter(succeeded).length
    run.check('all were told that they are members', joined === members.length, `${members.length}`, `${joined}`)
    const ids = new Set(members.map(member => member.id))
    const found = run
      .look(members)
      .snapshots.map(
        ({ services }) =>
          services.find(({ service }) => service === SERVICE)?.members.filter(peer => ids.has(peer)).length ?? 0,
      )
    const wanted = Math.min(members.length - 1, 8)
    const lonely = found.filter(count => count < wanted).length
    const target = `each at least ${wanted} others`
    run.check('members find each other', lonely === 0, target, `${lonely} with fewer, least ${Math.min(...found)}`)
    const answered = asked.filter(
      ({ answer }) =>
        answer?.kind === 'service-found' &&
        answer.members.length > 0 &&
        answer.members.every(({ peer }) => ids.has(peer)),
    )
    const share = answered.length / asked.length
    const inTime = `100 % with members within ${FOUND_LIMIT_MS / 1_000} s`
    run.check('the registry answers', share === 1, inTime, `${percent(share)} of ${asked.length}`)
    checkSettled(run)
    return run.outcome()
  },
}
