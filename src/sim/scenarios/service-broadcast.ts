/**
 * A share of all peers are members of one service and broadcast to it: first while nobody leaves, then under churn of a
 * tenth of the members a minute. Copies are counted where a session opens them.
 */
import { Rng } from '../../core/base/rng.ts'
import { createFakeSuite } from '../fake-suite.ts'
import { PayloadCount } from '../payload-count.ts'
import type { Scenario } from '../scenario.ts'
import { checkBounds, percent, quantileText } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import type { Node } from '../world.ts'

const SETTLE_MS = 60_000
const SERVICE_SETTLE_MS = 120_000
const SERVICE = 'broadcast.example/1'
/** The first ones shape the tree out of all neighbours. */
const SHAPING = 5
const MEASURED = 20
const GAP_MS = 2_000
const ARRIVAL_MS = 20_000
const PAYLOAD_BYTES = 1_000
const COPIES_MAX = 1.1
const CHURN_SHARE_A_MINUTE = 0.1
const CHURN_REACHED_SHARE = 0.9999

interface Sent {
  readonly at: number
  readonly from: Node
  /** Members when it was sent. */
  readonly members: readonly Node[]
  readonly received: Map<Node, number>
  readonly timesMs: number[]
}

export const broadcast: Scenario = {
  name: 'broadcast',
  summary: 'broadcasts to a service of a share of all peers, at rest and under churn',
  defaults: { share: 0.5, minutes: 2 },
  run(setting, onProgress) {
    const count = new PayloadCount(createFakeSuite(new Rng(setting.seed).fork('keys')))
    const churnMs = setting.minutes * 60_000
    const plannedMs = 60_000 + SETTLE_MS + SERVICE_SETTLE_MS + 2 * ARRIVAL_MS + MEASURED * GAP_MS + churnMs
    const world = { suite: count.suite }
    const run = new ScenarioRun({ scenario: 'broadcast', setting, plannedMs, onProgress, world })
    run.grow()
    run.pass(SETTLE_MS, 'settle')
    const members = run.pick(run.live(), Math.max(2, setting.share * setting.peers))
    for (const member of members) run.watch.joinService(member, SERVICE)
    run.pass(SERVICE_SETTLE_MS, 'join the service')

    const sent: Sent[] = []
    const mark = run.rng.fork('mark')
    const head = Uint8Array.from({ length: 16 }, () => mark.below(256))
    run.watch.onMessage = (node, { service, bytes }) => {
      const message = service === SERVICE ? sent[(bytes[16]! << 8) | bytes[17]!] : undefined
      if (message === undefined) return
      message.received.set(node, (message.received.get(node) ?? 0) + 1)
      message.timesMs.push(run.world.now - message.at)
    }
    const send = (among: readonly Node[]): void => {
      const [from] = run.pick(among, 1)
      if (from === undefined) return
      const bytes = new Uint8Array(PAYLOAD_BYTES)
      bytes.set(head)
      bytes[16] = sent.length >> 8
      bytes[17] = sent.length
      sent.push({ at: run.world.now, from, members: among.slice(), received: new Map(), timesMs: [] })
      run.watch.ask(from, null, request => ({ kind: 'service-broadcast', request, service: SERVICE, bytes }))
      run.pass(GAP_MS, 'broadcast')
    }
    for (let i = 0; i < SHAPING; i += 1) send(members)
    run.pass(ARRIVAL_MS, 'broadcast')
    count.watch(head)
    for (let i = 0; i < MEASURED; i += 1) send(members)
    run.pass(ARRIVAL_MS, 'broadcast')
    const measured = sent.slice(SHAPING)
    checkReached(run, 'reaches all live members', sent, 1)
    const copies = count.opened / Math.max(1, measured.length * (members.length - 1))
    run.check('payload copies', copies <= COPIES_MAX, `at most ${COPIES_MAX} a member`, copies.toFixed(3))

    const underChurn = sent.length
    const end = run.world.now + churnMs
    while (run.world.now < end) {
      const there = members.filter(node => node.alive)
      const leaving = (CHURN_SHARE_A_MINUTE * members.length * GAP_MS) / 60_000
      for (const node of run.pick(there, Math.floor(leaving) + (run.rng.unit() < leaving % 1 ? 1 : 0))) {
        node.kill(run.rng.below(2) === 0)
        const newcomer = run.join(
          run.pick(
            run.joined().filter(other => other.public),
            2,
          ),
        )
        run.watch.joinService(newcomer, SERVICE)
        members.push(newcomer)
      }
      // Who has only just joined is not yet owed anything.
      send(members.filter(node => node.alive && run.world.now - joinedAt(run, node) > SERVICE_SETTLE_MS / 2))
    }
    run.pass(ARRIVAL_MS, 'broadcast')
    if (churnMs > 0) checkReached(run, 'reaches live members under churn', sent.slice(underChurn), CHURN_REACHED_SHARE)
    const doubles = sent.reduce(
      (sum, { received }) => sum + [...received.values()].filter(times => times > 1).length,
      0,
    )
    run.check('delivered at most once', doubles === 0, '0 delivered twice', `${doubles}`)
    checkBounds(run)
    return run.outcome()
  },
}

function joinedAt(run: ScenarioRun, node: Node): number {
  return run.joins.get(node)?.startedAt ?? 0
}

/** Of those who were members when it was sent and are still there. */
function checkReached(run: ScenarioRun, name: string, sent: readonly Sent[], target: number): void {
  let owed = 0
  let reached = 0
  const times: number[] = []
  for (const { from, members, received, timesMs } of sent) {
    for (const member of members) {
      if (member === from || !member.alive || !from.alive) continue
      owed += 1
      if (received.has(member)) reached += 1
    }
    times.push(...timesMs)
  }
  times.sort((a, b) => a - b)
  const share = owed === 0 ? 0 : reached / owed
  const measured = `${percent(share)} of ${owed}, 99 % of them after ${quantileText(times, 0.99)}`
  run.check(name, share >= target, target === 1 ? '100 %' : `at least ${percent(target)}`, measured)
}
