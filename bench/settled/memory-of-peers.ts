/**
 * What settled peers take in memory: as built, and after some virtual seconds of running. All of the heap and of the
 * buffers beside it counts, the program's own few megabytes aside.
 *
 *   npx esbuild bench/settled/memory-of-peers.ts --bundle --platform=node --format=esm --packages=external \
 *     --outfile=dist.bench/memory-of-peers.js && node --expose-gc dist.bench/memory-of-peers.js PEERS SECONDS
 */
import { NetworkModel } from '../../src/sim/network-model.ts'
import { SETTING_DEFAULTS } from '../../src/sim/scenario.ts'
import { addSettled } from '../../src/sim/settled-world.ts'
import { World } from '../../src/sim/world.ts'

const [peers = 2_000, seconds = 60] = process.argv.slice(2).map(Number)
const seed = 1
const world = new World({ seed, model: new NetworkModel({ ...SETTING_DEFAULTS, seed }), keepsEvents: false })
const before = live()

addSettled(world, peers)
tell('as built')
world.run(1_000 * seconds)
tell(`after ${seconds} s`)

function live(): NodeJS.MemoryUsage {
  // Buffers are freed by the one after that which finds them unused.
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage()
}

function tell(when: string): void {
  const { heapUsed, external, rss } = live()
  const heap = kib(heapUsed - before.heapUsed)
  console.log(`${when}: ${heap} KiB of heap, ${kib(external - before.external)} of buffers a peer; RSS ${kib(rss)}`)
}

function kib(bytes: number): string {
  return (bytes / 1024 / peers).toFixed(1)
}
