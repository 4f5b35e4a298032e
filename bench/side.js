/** One process of a measurement: does what the bench asks of it over IPC, and ends when the bench does. */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { crowdCommands } from './crowd-side.js'
import { meshCommands } from './mesh-side.js'
import { plainCommands } from './plain-side.js'

/** @type {Record<string, (argument: any) => unknown>} */
const commands = { ...plainCommands, ...meshCommands, ...crowdCommands }

const heapProfile = process.argv[2]
const profiler = heapProfile === undefined ? null : new Session()
if (profiler !== null) {
  profiler.connect()
  // All that is allocated, not only what lives on at the end, which is all that --heap-prof tells.
  profiler.post('HeapProfiler.startSampling', {
    samplingInterval: 65_536,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
}

process.on('disconnect', () => {
  if (profiler === null || heapProfile === undefined) process.exit()
  profiler.post('HeapProfiler.stopSampling', (_error, stopped) => {
    writeFileSync(heapProfile, JSON.stringify(stopped?.profile ?? null))
    process.exit()
  })
})
process.on('message', async message => {
  // reason: the bench alone sends messages, and always this one.
  const { id, name, argument } = /** @type {{ id: number, name: string, argument: unknown }} */ (message)
  try {
    process.send?.({ id, value: await commands[name]?.(argument) })
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? error.message : String(error) })
  }
})
