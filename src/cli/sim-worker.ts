/** A thread that runs one scenario: the run does not yield, and the main thread has the user to listen to. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import type { Instruments, Progress, ScenarioOutcome, ScenarioSetting } from '../sim/scenario.ts'
import { scenarioNamed } from '../sim/scenario-list.ts'

export interface SimOrder {
  readonly scenario: string
  readonly setting: ScenarioSetting
}

export type SimMessage =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'outcome'; readonly outcome: ScenarioOutcome; readonly realMs: number }

/** No reader sees more. */
const PROGRESS_GAP_MS = 100

// reason: runInThread starts this file, with an order.
const { scenario: name, setting } = workerData as SimOrder
const scenario = scenarioNamed(name)
if (parentPort === null || scenario === undefined) throw new Error('this file is a thread of webmesh sim')
const tell = (message: SimMessage): void => parentPort?.postMessage(message)

setFlagsFromString('--expose-gc')
// reason: only a context made after the flag has it.
const collect = runInNewContext('gc') as () => void
const instruments: Instruments = {
  liveBytes: () => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  },
}

const startedAt = performance.now()
let toldAt = Number.NEGATIVE_INFINITY
const onProgress = (progress: Progress): void => {
  const now = performance.now()
  if (progress.sample === undefined && now - toldAt < PROGRESS_GAP_MS) return
  toldAt = now
  tell({ kind: 'progress', progress })
}
const outcome = scenario.run(setting, onProgress, instruments)
tell({ kind: 'outcome', outcome, realMs: performance.now() - startedAt })
