/**
 * The end of a turn of the event loop: first the tasks that wait for it, then one write a wire of all that the turn and
 * they gave it. Every write wakes another process; what comes together costs the receiver one read.
 */

const tasks: (() => void)[] = []
const writes: (() => void)[] = []
let scheduled = false

export function atTurnEnd(task: () => void): void {
  tasks.push(task)
  schedule()
}

/** After all tasks. */
export function writeAtTurnEnd(write: () => void): void {
  writes.push(write)
  schedule()
}

function schedule(): void {
  if (scheduled) return
  scheduled = true
  setImmediate(run)
}

function run(): void {
  scheduled = false
  try {
    // The lists grow while they run.
    runAll(tasks)
    runAll(writes)
  } finally {
    if (tasks.length + writes.length > 0) schedule()
  }
}

function runAll(list: (() => void)[]): void {
  let done = 0
  try {
    while (done < list.length) list[done++]!()
  } finally {
    list.splice(0, done)
  }
}
