/**
 * A share of all peers is hostile (`hostile-peer.ts`), some of them beside one victim on the ring. What counts is how the
 * honest fare: whether they reach each other, find services, and hang together without the others.
 */
import { RING } from '../../core/base/position.ts'
import { createPeer } from '../../core/peer.ts'
import { ALL_HOSTILE_WAYS, Conspiracy, createHostilePeer, type HostileWays } from '../hostile-peer.ts'
import type { Look } from '../judge.ts'
import type { Scenario } from '../scenario.ts'
import { checkBounds, percent, quantileText, sortedTimes } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import { type Call, firstFailure, succeeded } from '../watch.ts'
import type { Node } from '../world.ts'

const JOIN_GAP_MS = 50
const SETTLE_MS = 60_000
const ROUND_MS = 5_000
const ROUNDS = 24
const KEEPERS = 5
/** As many of the hostile as are needed to take both near places on either side of one peer. */
const BESIEGERS_MAX = 4
const GOOD_SHARE = 0.99

export const hostile = hostileScenario(ALL_HOSTILE_WAYS)

export function hostileScenario(ways: HostileWays): Scenario {
  return {
    name: 'hostile',
    summary: 'a share of all peers lies, tells false refs and drops what it should route',
    defaults: { share: 0.05 },
    run(setting, onProgress) {
      const plannedMs = setting.peers * JOIN_GAP_MS + SETTLE_MS + ROUNDS * ROUND_MS + 40_000
      const plot: { conspiracy: Conspiracy | null } = { conspiracy: null }
      const run = new ScenarioRun({
        scenario: 'hostile',
        setting,
        plannedMs,
        onProgress,
        world: {
          make: options =>
            plot.conspiracy?.includes(options.identity.peer) === true
              ? createHostilePeer(options, plot.conspiracy)
              : createPeer(options),
        },
      })
      const { world, watch } = run
      const conspiracy = new Conspiracy(world.suite, run.rng.fork('plot'), ways)
      plot.conspiracy = conspiracy
      const hostileCount = Math.round(setting.share * setting.peers)
      const honest: Node[] = []
      let victim: Node | null = null
      let recruited = 0
      const wayIn = world.add({ public: true, device: 'server' })
      watch.add(wayIn)
      run.waysIn.push(wayIn)
      honest.push(wayIn)
      for (let i = 1; i < setting.peers; i += 1) {
        // Spread over all newcomers: some honest peers know nobody else when they meet them.
        if (Math.floor(((i + 1) * hostileCount) / setting.peers) > recruited) {
          recruited += 1
          if (victim === null) victim = run.rng.pick(honest) ?? null
          const besieges = victim !== null && recruited <= Math.min(BESIEGERS_MAX, Math.ceil(hostileCount / 2))
          const reach = besieges ? RING / (setting.peers * 8) : RING
          const seed = conspiracy.seedNear(victim?.ref.position ?? 0, reach)
          conspiracy.recruit(seed)
          const node = world.add({ identitySeed: seed })
          node.join(wayIn)
          // Never among those that count as joined.
          run.joins.set(node, { from: node, to: null, startedAt: 0, answer: null, endedAt: null, bothThere: true })
        } else {
          honest.push(run.join(run.waysIn))
        }
        run.pass(JOIN_GAP_MS, 'join')
      }
      const keepers = run.pick(honest, KEEPERS)
      const serviceOf = (index: number): string => `kept-${index}.example/1`
      run.pass(SETTLE_MS / 2, 'settle')
      for (const [index, keeper] of keepers.entries()) watch.joinService(keeper, serviceOf(index))
      run.pass(SETTLE_MS / 2, 'settle')

      const connects: Call[] = []
      const finds: Call[] = []
      const services: Call[] = []
      let encircled = 0
      let apart = 0
      const perRound = Math.max(10, Math.round(honest.length / 10))
      for (let round = 0; round < ROUNDS; round += 1) {
        connects.push(...run.startPairs(honest, perRound))
        for (let i = 0; i < perRound; i += 1) {
          const [from, to] = run.rng.sample(honest, 2)
          if (from !== undefined && to !== undefined) finds.push(watch.find(from, to))
        }
        for (const [index, keeper] of keepers.entries()) {
          const from = run.rng.pick(honest.filter(node => node !== keeper))
          if (from !== undefined) services.push(watch.findService(from, serviceOf(index)))
        }
        run.pass(ROUND_MS, 'judge')
        const look = run.look(honest)
        encircled = Math.max(encircled, countEncircled(look))
        apart = Math.max(apart, 1 - look.componentShare())
      }
      run.pass(20_000, 'judge')

      checkShare(run, 'routing among the honest', connects)
      checkShare(run, 'peers found', finds)
      const isKeeper = (call: Call): boolean => {
        const keeper = keepers[services.indexOf(call) % keepers.length]
        return call.answer?.kind === 'service-found' && call.answer.members.some(ref => ref.peer === keeper?.id)
      }
      checkShare(run, 'services found', services, isKeeper)
      run.check('not encircled', encircled === 0, 'no honest peer has hostile links only', `${encircled} at most`)
      const whole = apart === 0 ? 'always one' : `${percent(apart)} apart at worst`
      run.check('honest component', apart === 0, 'one, without the hostile', whole)
      checkBounds(run)
      return run.outcome()
    },
  }
}

/** Honest peers none of whose links leads to another honest one. */
function countEncircled(look: Look): number {
  return look.nodes.filter((_, index) => look.links[index]?.length === 0).length
}

function checkShare(
  run: ScenarioRun,
  name: string,
  calls: readonly Call[],
  isGood: (call: Call) => boolean = succeeded,
): void {
  const share = calls.length === 0 ? 0 : calls.filter(isGood).length / calls.length
  const first = firstFailure(calls, isGood)
  const slow = quantileText(sortedTimes(calls), 0.95)
  const measured = `${percent(share)} of ${calls.length}, p95 ${slow}${first === null ? '' : `, first ${first}`}`
  run.check(name, share >= GOOD_SHARE, `at least ${percent(GOOD_SHARE)}`, measured)
}
