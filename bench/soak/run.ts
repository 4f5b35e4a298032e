/**
 * Whole peers on real sockets of this machine who come, talk and go for as long as wanted: processes of several peers, one
 * in five of them listening, the others without any port of their own, and pages in a real Chromium; stays are heavy-tailed,
 * and one process after another is killed. Whether everybody reached everybody by peer id alone, whether broadcasts
 * arrived, and whether a process or page that stays holds more and more. Ends with 1 where it did not go as it should. Of
 * what was slow it says how long the process stood still: on a busy machine that is why.
 *
 *   npm run soak [-- [--minutes 30] [--processes 5] [--peers 8] [--median 4] [--kill 3] [--pages 0]]
 *
 * A stay is below `--median` minutes in one case of two; a process is killed every `--kill` minutes, never with 0.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SoakJudge } from './soak-judge.ts'
import type { Held, Slot, SoakOrder, SoakWord } from './soak-words.ts'

const number = (text: string): { type: 'string'; default: string } => ({ type: 'string', default: text })
const { values } = parseArgs({
  options: {
    minutes: number('30'),
    processes: number('5'),
    peers: number('8'),
    median: number('4'),
    kill: number('3'),
    pages: number('0'),
  },
})
const MINUTE_MS = 60_000
const RUN_MS = given('minutes') * MINUTE_MS
const MEDIAN_MS = given('median') * MINUTE_MS
const KILL_EVERY_MS = given('kill') === 0 ? Number.POSITIVE_INFINITY : given('kill') * MINUTE_MS
const PEERS = given('peers')
const PROCESSES = given('processes')
const PAGES = given('pages')
const LISTENS_ONE_IN = 5
/** Of these of the first process neither goes: one that listens, and one that does not. */
const STAYING = 2
const START_GAP_MS = 3_000
const DOWN_MS = 5_000
const WAYS_IN = 3
/** A process that says nothing for so long writes where it stands into a report of Node, if it can. */
const DUMB_MS = 10_000
const REPORT_SIGNAL = 'SIGUSR2'
/** What a process holds is compared from here on, as medians of so many minutes. */
const SETTLED_MINUTES = 5
const COMPARED_MINUTES = 5
const GROWTH_MAX = 1.5

interface Side {
  readonly child: ChildProcess
  readonly slots: readonly Slot[]
  heardAt: number
  isDumb: boolean
}

const judge = new SoakJudge()
const sides = new Set<Side>()
/** By the first process, and by the first page, which stay. */
const held: Held[] = []

const folder = mkdtempSync(join(tmpdir(), 'webmesh-soak-'))

process.on('exit', () => {
  for (const { child } of sides) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

const [wayIn, ...others] = slotsOf(0)
const first = start(wayIn === undefined ? [] : [wayIn])
while (judge.waysIn().length === 0) await pause(100)
order(first, { begin: others })
for (let index = 1; index < PROCESSES; index += 1) {
  await pause(START_GAP_MS)
  start(slotsOf(index))
}
const pages = PAGES === 0 ? null : start(slotsOfPages(), './soak-pages.js')
const startedAt = performance.now()
let killAt = startedAt + KILL_EVERY_MS
let countAt = startedAt + MINUTE_MS
for (let now = startedAt; now - startedAt < RUN_MS; now = performance.now()) {
  await pause(1_000)
  judge.judgeBroadcasts()
  const count = now >= countAt
  for (const side of sides) order(side, count && (side === first || side === pages) ? { count } : {})
  if (count) countAt += MINUTE_MS
  for (const side of sides) if (side !== pages) watch(side, now)
  if (now >= killAt) {
    killAt += KILL_EVERY_MS
    killOne()
  }
}
const isWell = [judge.conclude(), holdsNoMore()].every(Boolean)
process.exit(isWell ? 0 : 1)

function given(name: keyof typeof values): number {
  const value = Number(values[name])
  if (!(value >= 0)) throw new RangeError(`--${name} is a number, 0 or more`)
  return value
}

/** Those of a process. */
function slotsOf(index: number): Slot[] {
  return Array.from({ length: PEERS }, (_, i) => ({
    number: index * PEERS + i,
    listens: i % LISTENS_ONE_IN === 0,
    medianMs: index === 0 && i < STAYING ? null : MEDIAN_MS,
  }))
}

/** One of each; the first stays, the others come and go. */
function slotsOfPages(): Slot[] {
  return Array.from({ length: PAGES }, (_, i) => ({ number: i, listens: false, medianMs: i === 0 ? null : MEDIAN_MS }))
}

function start(slots: readonly Slot[], script = './soak-side.js'): Side {
  const execArgv = [
    '--expose-gc',
    '--report-on-signal',
    `--report-signal=${REPORT_SIGNAL}`,
    `--report-directory=${tmpdir()}`,
  ]
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), [folder], { execArgv })
  const side: Side = { child, slots, heardAt: performance.now(), isDumb: false }
  const number = child.pid ?? 0
  sides.add(side)
  child.on('message', message => {
    // reason: a side says these words alone.
    const word = message as SoakWord
    side.heardAt = performance.now()
    if (word.kind === 'held') onHeld(word.held)
    else if (word.kind !== 'alive') judge.hear(number, word)
  })
  child.on('exit', (code, signal) => {
    sides.delete(side)
    judge.onProcessGone(number)
    if (signal !== 'SIGKILL') judge.trouble(`a process ended with ${code ?? signal}`)
  })
  order(side, { begin: slots })
  return side
}

function order({ child }: Side, more: Partial<SoakOrder>): void {
  if (!child.connected) return
  child.send({ peers: judge.peers(), waysIn: sample(judge.waysIn(), WAYS_IN), ...more } satisfies SoakOrder)
}

function watch(side: Side, now: number): void {
  const isDumb = now - side.heardAt > DUMB_MS
  if (isDumb && !side.isDumb) {
    judge.trouble(`process ${side.child.pid} says nothing for ${DUMB_MS} ms: its report is in ${tmpdir()}`)
    side.child.kill(REPORT_SIGNAL)
  }
  side.isDumb = isDumb
}

/** Without a word to anybody; others come in its place. */
function killOne(): void {
  const [victim] = sample(
    [...sides].filter(side => side !== first && side !== pages),
    1,
  )
  if (victim === undefined) return
  judge.log(`process ${victim.child.pid} is killed`)
  victim.child.kill('SIGKILL')
  setTimeout(() => start(victim.slots), DOWN_MS)
}

function onHeld(now: Held): void {
  held.push(now)
  const amounts = Object.entries(now.amounts).map(([what, amount]) => `${what} ${amountText(amount)}`)
  judge.log(
    `${judge.line()}; the ${now.where} that stays: ${amounts.join(', ')}, ${now.peers} peers, ${now.sessions} sessions,` +
      ` ${now.links} links, ${now.closed} closed, ${now.closedStillHeld} of them still held`,
  )
}

function holdsNoMore(): boolean {
  let isSame = true
  for (const where of ['process', 'page'] as const) {
    const ofIt = held.filter(one => one.where === where)
    const early = ofIt.slice(SETTLED_MINUTES, SETTLED_MINUTES + COMPARED_MINUTES)
    const late = ofIt.slice(-COMPARED_MINUTES)
    isSame &&= (late.at(-1)?.closedStillHeld ?? 0) === 0
    if (ofIt.length < SETTLED_MINUTES + 2 * COMPARED_MINUTES) continue
    for (const what of Object.keys(late[0]?.amounts ?? {})) {
      const [then = 0, now = 0] = [early, late].map(some => median(some.map(({ amounts }) => amounts[what] ?? 0)))
      const growth = now / then
      console.log(`${what} of the ${where} that stays: ${growth.toFixed(3)} of what it was in minutes 6 to 10`)
      isSame &&= growth <= GROWTH_MAX
    }
  }
  return isSame
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function sample<T>(all: readonly T[], count: number): T[] {
  const left = [...all]
  const drawn: T[] = []
  while (drawn.length < count && left.length > 0) drawn.push(...left.splice(Math.floor(Math.random() * left.length), 1))
  return drawn
}

function amountText(amount: number): string {
  return amount < 1e5 ? `${amount}` : `${(amount / 1e6).toFixed(1)} MB`
}
