/** Waits for other work on the machine to pause, so that a round measures ours: what a busy core costs is not a ratio. */
import { cpus } from 'node:os'

const LOOK_MS = 200
const IDLE_SHARE_MIN = 0.8
/** For the whole bench: on a machine that is never idle it measures all the same. */
const WAIT_TOTAL_MS = 60_000
const WAIT_ONCE_MS = 3_000

let waitedMs = 0
let rounds = 0
let quietRounds = 0

/** Before each round, while the processes of the bench rest. */
export async function quietMachine() {
  rounds += 1
  for (let once = 0; once < WAIT_ONCE_MS && waitedMs < WAIT_TOTAL_MS; once += LOOK_MS) {
    const before = times()
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
    const after = times()
    if ((after.idle - before.idle) / (after.all - before.all) >= IDLE_SHARE_MIN) {
      quietRounds += 1
      return
    }
    waitedMs += LOOK_MS
  }
}

/** How many rounds began on an idle machine. */
export function quietShare() {
  return `${quietRounds} of ${rounds} rounds began while the rest of the machine was idle`
}

function times() {
  let idle = 0
  let all = 0
  for (const { times: core } of cpus()) {
    idle += core.idle
    all += core.user + core.nice + core.sys + core.irq + core.idle
  }
  return { idle, all }
}
