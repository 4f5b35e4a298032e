/**
 * A share of all peers are members of one service and broadcast to it: first while nobody leaves, then under churn of a
 * tenth of the members a minute. Copies are counted where a session opens them.
 */
import type { PeerId } from '../../core/base/peer-id.ts'
import { Rng } from '../../core/base/rng.ts'
import { createPeer } from '../../core/peer.ts'
import type { Peer, PeerOptions } from '../../core/peer-options.ts'
import { createFakeSuite } from '../fake-suite.ts'
import { quantile } from '../judge.ts'
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
const HOPS_MAX = 8
const WITHIN_HOPS_SHARE = 0.99
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
    const suite = createFakeSuite(new Rng(setting.seed).fork('keys'))
    const count = new PayloadCount(suite)
    const make = (options: PeerOptions): Peer => {
      // A payload is followed by seals: over wires that encrypt by themselves there would be none.
      const negotiates = (options.negotiates ?? []).map(negotiable => ({ ...negotiable, encrypts: false }))
      return createPeer({ ...options, negotiates, suite: count.suiteOf(options.identity.peer) })
    }
    const churnMs = setting.minutes * 60_000
    const plannedMs = 60_000 + SETTLE_MS + SERVICE_SETTLE_MS + 2 * ARRIVAL_MS + MEASURED * GAP_MS + churnMs
    const world = { suite, make }
    const run = new ScenarioRun({ scenario: 'broadcast', setting, plannedMs, onProgress, world })
    run.grow()
    run.settle(SETTLE_MS)
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
      count.begin(sent.length, from.id)
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
    checkHops(
      run,
      measured.map((message, index) => ({ message, hops: count.hopsOf(SHAPING + index) })),
    )

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

/** Over how many members it came: of all who were owed it, so that whoever was not reached is beyond any. */
function checkHops(run: ScenarioRun, sent: readonly { message: Sent; hops: ReadonlyMap<PeerId, number> }[]): void {
  const all: number[] = []
  for (const { message, hops } of sent) {
    for (const member of message.members) {
      if (member !== message.from && member.alive) all.push(hops.get(member.id) ?? Number.POSITIVE_INFINITY)
    }
  }
  all.sort((a, b) => a - b)
  const within = all.length === 0 ? 0 : all.filter(hops => hops <= HOPS_MAX).length / all.length
  const measured = `${percent(within)}, the half within ${quantile(all, 0.5)}, the most ${all.at(-1)}`
  const target = `${percent(WITHIN_HOPS_SHARE)} of members within ${HOPS_MAX}`
  run.check('hops from member to member', within >= WITHIN_HOPS_SHARE, target, measured)
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
