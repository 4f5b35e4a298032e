/**
 * A settled world beside a grown one of the same size, seed and mix: what the running protocol makes of both, minute by
 * minute. Ends with 1 if it does not accept the settled one as settled.
 *
 *   npm run settled -- [PEERS] [SEED] [MINUTES TO SETTLE] [MINUTES MEASURED]
 */
import { NetworkModel } from '../../src/sim/network-model.ts'
import { SETTING_DEFAULTS } from '../../src/sim/scenario.ts'
import { meanMinute, type RestMinute, type RestState, RestWatch } from '../../src/sim/settled-figures.ts'
import { addSettled } from '../../src/sim/settled-world.ts'
import { World } from '../../src/sim/world.ts'

const [peers = 2_000, seed = 1, settleMinutes = 10, minutes = 3] = process.argv.slice(2).map(Number)
/** From one peer to all within a minute, each through the first. */
const JOIN_MS = Math.min(50, 60_000 / peers)
/** Settled less than grown, as parts of the latter. */
const RATE_LEAST = 0.6
const RATE_MOST = 1.5

interface Rest {
  readonly name: string
  readonly minutes: readonly RestMinute[]
  readonly state: RestState
}

function emptyWorld(): World {
  return new World({ seed, model: new NetworkModel({ ...SETTING_DEFAULTS, seed }), keepsEvents: false })
}

function grownWorld(): World {
  const world = emptyWorld()
  const first = world.add({ public: true, device: 'server' })
  for (let i = 1; i < peers; i += 1) {
    world.run(JOIN_MS)
    world.add().join(first)
  }
  for (let minute = 1; minute <= settleMinutes; minute += 1) {
    world.run(60_000)
    tell(`grown: ${minute} of ${settleMinutes} min settled`)
  }
  return world
}

function restOf(name: string, world: World): Rest {
  const watch = new RestWatch(world)
  const measured: RestMinute[] = []
  while (measured.length < minutes) {
    measured.push(watch.minute())
    tell(`${name}: ${measured.length} of ${minutes} min measured`)
  }
  return { name, minutes: measured, state: watch.state() }
}

function tell(text: string): void {
  process.stderr.write(`${text}, ${Math.round(process.uptime())} s\n`)
}

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.join(' | ')} |`
}

function minuteRow(name: string, minute: RestMinute): string {
  const { linksUp, linksDown, linksLost, messagesPerSecond, bytesPerSecond, ringGaps, component } = minute
  const rates = [linksUp.toFixed(3), linksDown.toFixed(3), Math.round(linksLost * 10) / 10]
  return row([name, ...rates, messagesPerSecond.toFixed(2), bytesPerSecond.toFixed(0), ringGaps, component])
}

function stateRow({ name, state }: Rest): string {
  const { meanHops, estimateShare, meanLinks, roles, relayed } = state
  const shares = [roles.near, roles.public, roles.far, roles.random, roles.guest, relayed].map(share =>
    share.toFixed(3),
  )
  return row([name, meanHops?.toFixed(2) ?? 'none', estimateShare.toFixed(3), meanLinks.toFixed(1), ...shares])
}

const settled = restOf('settled', emptyWorldWithPeers())
const grown = restOf('grown', grownWorld())

function emptyWorldWithPeers(): World {
  const world = emptyWorld()
  addSettled(world, peers)
  tell('settled: built')
  return world
}

console.log(`${peers} peers, seed ${seed}, 1 % loss; grown: ${settleMinutes} minutes after the last join\n`)
console.log(
  row(['minute', 'links up', 'links down', 'links lost, all', 'messages/s', 'bytes/s', 'ring gaps', 'one whole']),
)
console.log(row(Array(8).fill('---')))
for (const rest of [settled, grown]) {
  for (const [index, minute] of rest.minutes.entries()) console.log(minuteRow(`${rest.name} ${index + 1}`, minute))
}
console.log(
  `\n${row(['at the end', 'hops', 'estimate', 'links', 'near', 'public', 'far', 'random', 'guest', 'relayed'])}`,
)
console.log(row(Array(10).fill('---')))
for (const rest of [settled, grown]) console.log(stateRow(rest))

const mean = meanMinute(settled.minutes)
const grownMean = meanMinute(grown.minutes)
const within = (a: number, b: number): boolean => a / b > RATE_LEAST && a / b < RATE_MOST
const changes = ({ linksUp, linksDown }: RestMinute): number => linksUp + linksDown
const checks: readonly (readonly [string, boolean])[] = [
  ['the ring is whole at every look', mean.ringGaps === 0 && mean.component === 1],
  ['links hardly change', changes(mean) < Math.max(0.5, 2 * changes(grownMean))],
  ['hardly a link is lost', mean.linksLost <= Math.max(peers / 200, 2 * grownMean.linksLost)],
  ['messages as when grown', within(mean.messagesPerSecond, grownMean.messagesPerSecond)],
  ['bytes as when grown', within(mean.bytesPerSecond, grownMean.bytesPerSecond)],
  ['no burst at the beginning', settled.minutes[0]!.bytesPerSecond < 1.25 * mean.bytesPerSecond],
  ['hops as when grown', within(settled.state.meanHops ?? 0, grown.state.meanHops ?? 1)],
  ['links as when grown', within(settled.state.meanLinks, grown.state.meanLinks)],
]
console.log()
for (const [name, ok] of checks) console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`)
process.exitCode = checks.every(([, ok]) => ok) ? 0 : 1
