/** A mesh at rest, to which nothing happens: what it costs tabs and servers, how far apart peers are, what they know. */

import { decimalLogarithm } from '../decimal-logarithm.ts'
import { quantile } from '../judge.ts'
import type { Scenario } from '../scenario.ts'
import { checkEstimate, checkSettled, SMALL_PEERS } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import type { Node } from '../world.ts'

/** First tries of far links are over, and what is asked ever more rarely is asked rarely. */
const SETTLE_MS = 300_000
const MINUTE_MS = 60_000
const TAB_BYTES_PER_SECOND = 180
/** Among few, a dozen tabs are no mean: one through which others reach the rest weighs a tenth. */
const TAB_BYTES_PER_SECOND_SMALL = 240
const TAB_MINUTE_BYTES_PER_SECOND = 400
const SERVER_BYTES_PER_SECOND = 4_096
/** Among few, a single server carries all that NATs keep apart. */
const SERVER_BYTES_PER_SECOND_SMALL = 8_192
const RELAYED_TIMES_MEAN = 10
const HOP_PAIRS = 1_000
/** Two peers are one hop apart; the rest as the issue has it. */
const HOPS: readonly (readonly [peers: number, meanHops: number])[] = [
  [2, 1],
  [10_000, 3.4],
  [100_000, 4.3],
  [1_000_000, 5],
]

export const settled: Scenario = {
  name: 'settled',
  summary: 'a mesh at rest: what it costs, who carries it, how many hops lie between two',
  defaults: { minutes: 5 },
  run(setting, onProgress) {
    const plannedMs = 60_000 + SETTLE_MS + setting.minutes * MINUTE_MS + 30_000
    const run = new ScenarioRun({ scenario: 'settled', setting, plannedMs, onProgress })
    run.grow()
    run.settle(SETTLE_MS)
    checkCosts(run, setting.minutes)
    checkRelays(run)
    checkHops(run)
    checkEstimate(run)
    checkSettled(run)
    return run.outcome()
  },
}

/** The most mean hops for so many peers: between those of `HOPS` in a straight line over the logarithm of the number. */
export function meanHopsMax(peers: number): number {
  let [belowPeers, belowHops] = HOPS[0]!
  for (const [peersAt, hopsAt] of HOPS) {
    if (peers <= peersAt) {
      const part = peersAt === belowPeers ? 0 : share(belowPeers, peersAt, peers)
      return belowHops + (hopsAt - belowHops) * part
    }
    belowPeers = peersAt
    belowHops = hopsAt
  }
  return belowHops
}

function share(from: number, to: number, at: number): number {
  const start = decimalLogarithm(from)
  return (decimalLogarithm(at) - start) / (decimalLogarithm(to) - start)
}

/** Bytes in frames that a peer sends and receives over all its wires, those that it relays included. */
function checkCosts(run: ScenarioRun, minutes: number): void {
  const nodes = run.live()
  const bytesOf = (node: Node): number => node.bytesSent + node.bytesReceived
  const start = nodes.map(bytesOf)
  const busiest = nodes.map(() => 0)
  // What is measured is the mesh: nobody asks it anything meanwhile.
  run.probing = false
  for (let minute = 0; minute < minutes; minute += 1) {
    const before = nodes.map(bytesOf)
    run.pass(MINUTE_MS, 'at rest')
    for (const [i, node] of nodes.entries()) busiest[i] = Math.max(busiest[i]!, (bytesOf(node) - before[i]!) / 60)
  }
  run.probing = true
  const rates = nodes.map((node, i) => (bytesOf(node) - start[i]!) / (minutes * 60))
  const of = (device: string): number[] => [...nodes.keys()].filter(i => nodes[i]!.profile.device === device)
  const tabs = of('tab')
  const tabMean = mean(tabs.map(i => rates[i]!))
  const tabLimit = nodes.length < SMALL_PEERS ? TAB_BYTES_PER_SECOND_SMALL : TAB_BYTES_PER_SECOND
  const tabMinute = sorted(tabs.map(i => busiest[i]!))
  const within = (limit: number): string => `at most ${limit} bytes/s up and down`
  const spread = `p99 ${Math.round(quantile(sorted(tabs.map(i => rates[i]!)), 0.99) ?? 0)}`
  run.check('idle cost of tabs, mean', tabMean <= tabLimit, within(tabLimit), `${Math.round(tabMean)}, ${spread}`)
  const tabMost = tabMinute.at(-1) ?? 0
  run.check(
    'idle cost of tabs, busiest minute',
    tabMost < TAB_MINUTE_BYTES_PER_SECOND,
    `under ${TAB_MINUTE_BYTES_PER_SECOND} bytes/s, any tab`,
    `${Math.round(tabMost)}, p99 ${Math.round(quantile(tabMinute, 0.99) ?? 0)}`,
  )
  const serverLimit = nodes.length < SMALL_PEERS ? SERVER_BYTES_PER_SECOND_SMALL : SERVER_BYTES_PER_SECOND
  const servers = of('server')
  const serverMost = Math.max(0, ...servers.map(i => rates[i]!))
  const serverMean = mean(servers.map(i => rates[i]!))
  run.check(
    'idle cost of servers, highest',
    serverMost <= serverLimit,
    within(serverLimit),
    `${Math.round(serverMost)}, mean ${Math.round(serverMean)}, busiest minute ${Math.round(Math.max(0, ...servers.map(i => busiest[i]!)))}`,
  )
}

/** How many links between two others pass through each public peer: links alone, by what one end shows of its way. */
function checkRelays(run: ScenarioRun): void {
  const look = run.look()
  const relayed = new Map<string, number>()
  for (const [index, node] of look.nodes.entries()) if (node.public) relayed.set(look.snapshots[index]!.ref.peer, 0)
  for (const { ref, links } of look.snapshots) {
    for (const { peer, path } of links) {
      // The other end shows it as well.
      if (path.kind !== 'circuit' || ref.peer > peer) continue
      for (const via of path.via) relayed.set(via, (relayed.get(via) ?? 0) + 1)
    }
  }
  const counts = [...relayed.values()]
  const most = Math.max(0, ...counts)
  const limit = RELAYED_TIMES_MEAN * mean(counts)
  run.check(
    'relayed links per public peer',
    most === 0 || most < limit,
    `highest under ${RELAYED_TIMES_MEAN} x mean`,
    `${most}, mean ${mean(counts).toFixed(1)}`,
  )
}

function checkHops(run: ScenarioRun): void {
  const look = run.look()
  const rng = run.rng.fork('hops')
  const { length } = look.nodes
  const hops: number[] = []
  let lost = 0
  for (let i = 0; i < HOP_PAIRS && length > 1; i += 1) {
    const from = rng.below(length)
    const to = (from + 1 + rng.below(length - 1)) % length
    const count = look.hops(from, to)
    if (count === null) lost += 1
    else hops.push(count)
  }
  const limit = meanHopsMax(length)
  const shown = `${mean(hops).toFixed(2)}, p99 ${quantile(sorted(hops), 0.99) ?? 'none'}`
  const measured = lost === 0 ? shown : `${shown}, ${lost} of ${HOP_PAIRS} without a way`
  run.check('mean hops', lost === 0 && mean(hops) <= limit, `at most ${limit.toFixed(2)}`, measured)
}

function mean(numbers: readonly number[]): number {
  return numbers.length === 0 ? 0 : numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}

function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b)
}
