/**
 * Hops between two peers of a settled world by the links that its generator draws, by the rule of spec 5.4 as if each ran
 * over a wire: no peer is made, so that a million fit. Ends with 1 if the mean is above that of `webmesh sim --scenario
 * settled`, or a pair has no way.
 *
 *   npm run settled:hops -- [PEERS] [SEED] [PAIRS]
 */
import { RING, ringDistance } from '../../src/core/base/position.ts'
import { nextStep, type Step } from '../../src/core/overlay/next-hop.ts'
import { latencyMs, NetworkModel } from '../../src/sim/network-model.ts'
import { SETTING_DEFAULTS } from '../../src/sim/scenario.ts'
import { meanHopsMax } from '../../src/sim/scenarios/settled.ts'
import { drawLinks } from '../../src/sim/settled-links.ts'
import { SettledMemory } from '../../src/sim/settled-memory.ts'
import { drawPeers } from '../../src/sim/settled-peers.ts'
import { World } from '../../src/sim/world.ts'

const [peers = 100_000, seed = 1, pairs = 300] = process.argv.slice(2).map(Number)
const HOPS_MAX = 64

const world = new World({ seed, model: new NetworkModel({ ...SETTING_DEFAULTS, seed }), keepsEvents: false })
const all = drawPeers(world, peers, 1)
tell(`${peers} peers drawn`)
const links = drawLinks(all, new SettledMemory(all, `hops/${seed}`), `hops/${seed}`)
tell(`${links.count} links drawn`)
const rng = world.rng.fork('pairs')
const hops: number[] = []
for (let i = 0; i < pairs; i += 1) {
  const from = rng.below(peers)
  const count = hopsBetween(from, (from + 1 + rng.below(peers - 1)) % peers)
  if (count !== null) hops.push(count)
}
hops.sort((a, b) => a - b)
const mean = hops.reduce((sum, count) => sum + count, 0) / hops.length
const target = meanHopsMax(peers)
const p99 = hops[Math.floor(0.99 * hops.length)]
const { rss } = process.memoryUsage()
console.log(
  `${peers} peers, seed ${seed}: mean hops ${mean.toFixed(2)} (at most ${target.toFixed(2)}), p99 ${p99}, ` +
    `${pairs - hops.length} of ${pairs} pairs without a way; ${(rss / 2 ** 30).toFixed(1)} GiB`,
)
process.exitCode = hops.length === pairs && mean <= target ? 0 : 1

function hopsBetween(from: number, to: number): number | null {
  const key = all.all[to]!.position
  let at = from
  /** How far from the key the hop before stood: one that stands farther goes on through links closer than that one alone. */
  let before = Number.POSITIVE_INFINITY
  for (let count = 0; count <= HOPS_MAX; count += 1) {
    if (at === to) return count
    const { position, profile } = all.all[at]!
    const own = ringDistance(position, key)
    const limit = before < own ? before : Number.POSITIVE_INFINITY
    const around = othersOf(at)
    const steps = around.map(stepOf)
    const roundTripMs = (step: Step): number => 2 * latencyMs(profile, all.all[around[steps.indexOf(step)]!]!.profile)
    const usable = (step: Step): boolean => ringDistance(step.position, key) < limit
    const step = nextStep(position, key, steps, { usable, delays: { roundTripMs, gap: RING / peers } })
    if (step === null) return null
    before = own
    at = around[steps.indexOf(step)]!
  }
  return null
}

function othersOf(index: number): number[] {
  return Array.from({ length: links.degree(index) }, (_, at) => links.other(links.linkOf(index, at), index))
}

function stepOf(index: number): Step {
  const { peer, position } = all.all[index]!
  const neighbours = Float64Array.from(othersOf(index), other => all.all[other]!.position).sort()
  return { peer, position, neighbours, directNeighbours: neighbours.length }
}

function tell(text: string): void {
  process.stderr.write(`${text}, ${Math.round(process.uptime())} s\n`)
}
