/**
 * Simulates seed after seed of every scenario until told to stop, each in a process of its own. Failures go to a file, a
 * JSON object a line, with the command that replays them. Ends with 1 if there was one. At the end it says how often each
 * check failed, and how many worlds stayed in parts for good.
 *
 *   npm run nightly -- [--minutes M] [--runs N] [--peers N] [--scenario NAME]... [--seed S] [--jobs N] [--out FILE]
 *     [--with='OPTIONS']
 */
import { execFileSync, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { appendFileSync, mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const WEBMESH = fileURLToPath(new URL('../dist/cli/webmesh.js', import.meta.url))
const OUT = fileURLToPath(new URL('../tmp/nightly-failures.jsonl', import.meta.url))
const SEEDS = 2 ** 32
/** A run that takes longer hangs. */
const RUN_TIMEOUT_MS = 30 * 60_000

/** What is worth trying beside a scenario's defaults. */
const VARIATIONS = {
  'bootstrap-death': [
    ['--minutes', '60'],
    ['--share', '1'],
  ],
  'mass-failure': [
    ['--kill', '0.5'],
    ['--kill', '0.9'],
    ['--kill', '0.95'],
    ['--kill', '0.9', '--churned', '10'],
  ],
  split: [
    ['--ways', '2'],
    ['--ways', '3'],
  ],
}

const options = readOptions()
const scenarios = options.scenarios.length > 0 ? options.scenarios : allScenarios()
const plan = scenarios.flatMap(name =>
  (options.with ?? VARIATIONS[name] ?? [[]]).map(extra => ['--scenario', name, ...extra]),
)
/** Of checks by name: how many runs made them, how often they failed. */
const tally = new Map()
/** The check that fails where a world stays in parts. */
const WHOLE_CHECK = 'one whole at the end'
const startedAt = performance.now()
const children = new Set()
let started = 0
let passed = 0
let failed = 0
let stopping = false

mkdirSync(dirname(options.out), { recursive: true })
console.log(
  `${plan.length} scenarios of ${options.peers} peers, seeds from ${options.seed}, failures to ${options.out}`,
)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
const timer = setTimeout(stop, options.minutes * 60_000)
await Promise.all(Array.from({ length: options.jobs }, work))
clearTimeout(timer)
console.log(`${passed} passed, ${failed} failed in ${((performance.now() - startedAt) / 60_000).toFixed(1)} min`)
for (const [name, { runs, fails }] of tally) if (fails > 0) console.log(`  ${name}: failed in ${fails} of ${runs} runs`)
const whole = tally.get(WHOLE_CHECK)
if (whole !== undefined) console.log(`permanent partitions: ${whole.fails} in ${whole.runs} runs`)
process.exitCode = failed === 0 ? 0 : 1

async function work() {
  while (!stopping && started < options.runs) {
    const seed = (options.seed + Math.floor(started / plan.length)) % SEEDS
    const argv = [...plan[started % plan.length], '--peers', String(options.peers), '--seed', String(seed)]
    started += 1
    await simulate(argv)
  }
}

/** One run, to its end; what it says last is what came of it. */
async function simulate(argv) {
  const begunAt = performance.now()
  const child = spawn(process.execPath, [WEBMESH, 'sim', ...argv, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  const late = setTimeout(() => child.kill('SIGKILL'), RUN_TIMEOUT_MS)
  let last = null
  let stderr = ''
  createInterface({ input: child.stdout }).on('line', line => {
    const said = parsed(line)
    if (said?.event === 'done' || said?.event === 'error') last = said
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr = (stderr + text).slice(-4_000)
  })
  const [code, signal] = await new Promise(resolve => {
    child.on('error', error => resolve([null, error.message]))
    child.on('close', (...end) => resolve(end))
  })
  clearTimeout(late)
  children.delete(child)
  if (stopping && last?.event !== 'done') return
  const seconds = ((performance.now() - begunAt) / 1_000).toFixed(1)
  count(last?.checks ?? [])
  const ok = code === 0 && last?.ok === true
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${argv.join(' ')}  ${seconds} s`)
  if (ok) passed += 1
  else record(argv, { code, signal, last, stderr })
}

function count(checks) {
  for (const { name, ok } of checks) {
    const { runs, fails } = tally.get(name) ?? { runs: 0, fails: 0 }
    tally.set(name, { runs: runs + 1, fails: fails + (ok ? 0 : 1) })
  }
}

function record(argv, { code, signal, last, stderr }) {
  failed += 1
  const replay = last?.replay ?? `webmesh sim ${argv.join(' ')}`
  const checks = last?.checks?.filter(check => !check.ok) ?? []
  const { trace = '', stack = '', message = '' } = last ?? {}
  const failure = { at: new Date().toISOString(), replay, checks, trace, code, signal, stack, message, stderr }
  appendFileSync(options.out, `${JSON.stringify(failure)}\n`)
  for (const { name, target, measured } of checks) console.log(`       ${name}: ${measured}, target ${target}`)
  console.log(`       the same again: ${replay}`)
}

function stop() {
  stopping = true
  for (const child of children) child.kill('SIGTERM')
}

function parsed(line) {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function allScenarios() {
  const listed = execFileSync(process.execPath, [WEBMESH, 'sim', '--list', '--json'], { encoding: 'utf8' })
  return listed
    .trim()
    .split('\n')
    .map(line => JSON.parse(line).name)
}

function readOptions() {
  const text = { type: 'string' }
  const { values } = parseArgs({
    options: {
      ...{ minutes: text, runs: text, peers: text, seed: text, jobs: text, out: text, with: text },
      scenario: { type: 'string', multiple: true },
    },
  })
  const number = (name, otherwise, least) => {
    const value = values[name] === undefined ? otherwise : Number(values[name])
    if (value >= least) return value
    console.error(`--${name} takes a number from ${least}, not "${values[name]}"`)
    process.exit(2)
  }
  return {
    // Timers take no more than 2^31 ms.
    minutes: Math.min(number('minutes', 30_000, 0), 30_000),
    runs: number('runs', Number.POSITIVE_INFINITY, 1),
    peers: number('peers', 200, 2),
    seed: number('seed', randomInt(SEEDS), 0),
    jobs: number('jobs', availableParallelism(), 1),
    out: values.out ?? OUT,
    /** Given to every run, in place of what is worth trying. */
    with: values.with === undefined ? null : [values.with.split(' ').filter(word => word !== '')],
    scenarios: values.scenario ?? [],
  }
}
