/**
 * What simulated peers cost: CPU and packets of a mesh that joins, settles and rests, and the memory of a peer then. The
 * trace tells whether two runs did the same.
 *
 *   npx esbuild bench/core/simulated-peers.ts --bundle --platform=node --format=esm --packages=external \
 *     --outfile=dist.bench/simulated-peers.js && node --expose-gc dist.bench/simulated-peers.js PEERS SEED
 */
import { SETTING_DEFAULTS } from '../../src/sim/scenario.ts'
import { ScenarioRun } from '../../src/sim/scenario-run.ts'

const [peers = 200, seed = 1] = process.argv.slice(2).map(Number)
const setting = { ...SETTING_DEFAULTS, peers, seed }
const run = new ScenarioRun({ scenario: 'cost', setting, plannedMs: 1e9, onProgress: () => undefined })

measure('join', () => run.grow())
measure('settle, 60 s', () => run.pass(60_000))
measure('rest, 120 s', () => run.pass(120_000))
globalThis.gc?.()
const { heapUsed, arrayBuffers } = process.memoryUsage()
console.log(
  `a peer: ${kib(heapUsed)} KiB of heap, ${kib(arrayBuffers)} KiB of buffers; trace ${run.world.trace.digest()}`,
)

function measure(what: string, pass: () => void): void {
  const before = process.cpuUsage()
  const packetsBefore = run.world.messages
  pass()
  const { user, system } = process.cpuUsage(before)
  const packets = run.world.messages - packetsBefore
  const seconds = ((user + system) / 1e6).toFixed(2)
  console.log(`${what}: ${seconds} s of CPU, ${packets} packets, ${((user + system) / packets).toFixed(1)} µs each`)
}

function kib(bytes: number): string {
  return (bytes / 1024 / peers).toFixed(0)
}
