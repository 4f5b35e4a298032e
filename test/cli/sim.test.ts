/** `webmesh sim` with a scenario made by hand: what it reads, what it says, how it ends. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { parseArgs } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CommandFailed, FailureTold, Flags, UsageError } from '../../src/cli/command.ts'
import { Report } from '../../src/cli/report.ts'
import { simCommand } from '../../src/cli/sim.ts'
import type { RunSimulation } from '../../src/cli/sim-thread.ts'
import { WebmeshError } from '../../src/mesh/webmesh-error.ts'
import { handMadeOutcome } from '../../src/sim/outcome.fixtures.ts'
import { type Scenario, type ScenarioSetting, SETTING_DEFAULTS } from '../../src/sim/scenario.ts'

const HAND_MADE: Scenario = {
  name: 'hand-made',
  summary: 'half of all peers vanish',
  defaults: { peers: 300, minutes: 3 },
  run: setting => ({ ...handMadeOutcome({ ok: setting.share < 0.9 }), setting }),
}

/** In this thread. */
const runHere: RunSimulation = async ({ setting }, onProgress) => {
  onProgress({ phase: 'join', done: 0.5, live: 10 })
  const outcome = HAND_MADE.run(setting, onProgress)
  for (const sample of outcome.samples) onProgress({ phase: 'settle', done: 0.8, live: sample.live, sample })
  return { outcome, realMs: 12 }
}

interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly error: unknown
}

async function sim(argv: readonly string[], run: RunSimulation = runHere): Promise<Ended> {
  const command = simCommand([HAND_MADE], run)
  const { values } = parseArgs({ args: [...argv], options: command.options, strict: true })
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const report = new Report({ json: argv.includes('--json'), stdout, stderr, environment: {} })
  const { signal } = new AbortController()
  const error = await command
    .run({ flags: new Flags(values), operands: [], report, signal, stdin: process.stdin })
    .then(() => null)
    .catch(error => error)
  return { stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? ''), error }
}

/** The setting that the scenario is run with. */
async function settingOf(...argv: string[]): Promise<ScenarioSetting> {
  const settings: ScenarioSetting[] = []
  const { error } = await sim(['--scenario', 'hand-made', ...argv], async (order, onProgress, signal) => {
    settings.push(order.setting)
    return runHere(order, onProgress, signal)
  })
  expect(error === null || error instanceof FailureTold).toBe(true)
  expect(settings).toHaveLength(1)
  return settings[0]!
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'webmesh-sim-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the setting', () => {
  it("is the scenario's defaults over those of all, where nothing is said", async () => {
    expect(await settingOf()).toEqual({ ...SETTING_DEFAULTS, peers: 300, minutes: 3 })
  })

  it('takes each number from its option; --kill and --share are the same', async () => {
    const numbers = '--peers 50 --seed 9 --kill 0.3 --minutes 7.5 --ways 3 --median 2 --loss 0'.split(' ')
    expect(await settingOf(...numbers)).toEqual({
      ...SETTING_DEFAULTS,
      ...{ peers: 50, seed: 9, share: 0.3, minutes: 7.5, ways: 3, medianMinutes: 2, lossShare: 0 },
    })
    expect((await settingOf('--share', '0.4')).share).toBe(0.4)
  })

  it('divides among the other shares what a given one leaves over', async () => {
    const { mix } = await settingOf('--public', '0.55', '--server', '0.1', '--desktop', '0.2', '--tab', '0.7')
    expect(mix.nat.cone).toBeCloseTo(0.3, 12)
    expect(mix.device).toEqual({ server: 0.1, desktop: 0.2, tab: 0.7 })
  })

  it('of the printed replay is the same to the last bit', async () => {
    const argv = ['--public', '0.1234567', '--tab', '0.77', '--share', '0.95', '--median', '0.7', '--loss', '0.003']
    const { stdout } = await sim(['--scenario', 'hand-made', ...argv])
    const replay = /the same again: webmesh sim (.*)/.exec(stdout)?.[1]?.split(' ') ?? []
    expect(await settingOf(...replay)).toEqual(await settingOf(...argv))
  })

  it.each([
    [['--scenario', 'nope'], /no scenario "nope"/],
    [[], /--scenario NAME is missing/],
    [['--scenario', 'hand-made', '--peers', '1'], /--peers takes a whole number from 2/],
    [['--scenario', 'hand-made', '--peers', '10.5'], /--peers takes a whole number/],
    [['--scenario', 'hand-made', '--kill', '1.1'], /--kill takes a number from 0 to 1/],
    [['--scenario', 'hand-made', '--kill', '0.1', '--share', '0.1'], /one setting/],
    [['--scenario', 'hand-made', '--seed', '1e20'], /--seed takes/],
    [['--scenario', 'hand-made', '--minutes', 'ten'], /--minutes takes/],
    [['--scenario', 'hand-made', '--public', '0.8', '--cone', '0.3'], /add up to 1/],
  ])('that is wrong is refused: %j', async (argv, message) => {
    const { error, stdout } = await sim(argv)
    expect(error).toBeInstanceOf(UsageError)
    expect(String(error)).toMatch(message)
    expect(stdout).toBe('')
  })
})

describe('what it prints', () => {
  it('for people: the setting, the checks, the trace', async () => {
    const { stdout, error } = await sim(['--scenario', 'hand-made'])
    expect(error).toBeNull()
    expect(stdout).toMatch(/^hand-made: 300 peers, seed 1/)
    expect(stdout).toContain('trace 0123456789abcdef')
    expect(stdout).toContain('all 2 checks held')
  })

  it('with --json: the outcome as the last line, after a line for each sample as it is taken', async () => {
    const { stdout } = await sim(['--scenario', 'hand-made', '--json'])
    const lines = stdout.trim().split('\n')
    const last = JSON.parse(lines.at(-1) ?? '')
    expect(last).toMatchObject({ ok: true, seed: 1, trace: '0123456789abcdef' })
    expect(last.checks).toEqual(handMadeOutcome({ ok: true }).checks)
    expect(lines.filter(line => JSON.parse(line).event === 'sample')).toHaveLength(61)
  })

  it('where a check failed: seed and replay, and it ends as failed', async () => {
    const { stdout, error } = await sim(['--scenario', 'hand-made', '--kill', '0.95', '--seed', '77'])
    expect(error).toBeInstanceOf(FailureTold)
    expect(stdout).toContain('1 of 2 checks failed, seed 77')
    const replay = 'webmesh sim --scenario hand-made --peers 300 --seed 77 --share 0.95'
    expect(stdout).toContain(`the same again: ${replay}\n`)
    const machine = await sim(['--scenario', 'hand-made', '--kill', '0.95', '--seed', '77', '--json'])
    expect(machine.error).toBeInstanceOf(FailureTold)
    expect(JSON.parse(machine.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ ok: false, seed: 77, replay })
  })

  it('where the run itself breaks: the stack, the seed and the replay, as a check that failed', async () => {
    const broken: RunSimulation = () => Promise.reject(new Error('link table over its ceiling'))
    const { stdout, error } = await sim(['--scenario', 'hand-made', '--json'], broken)
    expect(error).toBeInstanceOf(FailureTold)
    const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
    expect(last).toMatchObject({ ok: false, seed: 1, replay: expect.stringContaining('--seed 1') })
    expect(last.checks[0].measured).toBe('link table over its ceiling')
    const people = await sim(['--scenario', 'hand-made'], broken)
    expect(people.stdout).toMatch(/ceiling\n\s+at .*the same again: webmesh sim --scenario hand-made/s)
  })

  it('when it is interrupted: nothing of its own', async () => {
    const aborted = new WebmeshError({ code: 'aborted' })
    const { error, stdout } = await sim(['--scenario', 'hand-made', '--json'], () => Promise.reject(aborted))
    expect(error).toBe(aborted)
    expect(stdout.trim().split('\n')).toHaveLength(1)
  })

  it('with --list: every scenario', async () => {
    const { stdout } = await sim(['--list'])
    expect(stdout).toContain('hand-made  half of all peers vanish')
    const machine = await sim(['--list', '--json'])
    expect(JSON.parse(machine.stdout)).toMatchObject({ name: 'hand-made', defaults: { peers: 300 } })
  })

  it('on something that takes over two seconds: how far it is and how long it will take', async () => {
    const slow: RunSimulation = async (order, onProgress, signal) => {
      await new Promise(resolve => setTimeout(resolve, 1_000))
      onProgress({ phase: 'heal', done: 0.25, live: 1_234 })
      await new Promise(resolve => setTimeout(resolve, 1_600))
      return runHere(order, () => {}, signal)
    }
    const [people, machine] = await Promise.all([
      sim(['--scenario', 'hand-made'], slow),
      sim(['--scenario', 'hand-made', '--json'], slow),
    ])
    expect(people.stderr).toMatch(/^ 25 % {2}heal, 1,234 live, [3-6](\.\d)? s left\n$/)
    const progress = machine.stdout.split('\n').find(line => line.includes('"progress"')) ?? '{}'
    expect(JSON.parse(progress)).toMatchObject({ phase: 'heal', done: 0.25, live: 1_234 })
  })
})

describe('the page', () => {
  it('is written where --html says', async () => {
    const file = join(folder, 'report.html')
    const { stdout, error } = await sim(['--scenario', 'hand-made', '--html', file])
    expect(error).toBeNull()
    expect(stdout).toContain(`page: ${file}`)
    expect(await readFile(file, 'utf8')).toMatch(/^<!doctype html>.*half of all peers vanish.*<\/html>\n$/s)
  })

  it('that cannot be written is complained of before the run', async () => {
    const never: RunSimulation = () => Promise.reject(new Error('it ran'))
    for (const file of [join(folder, 'missing', 'x.html'), folder]) {
      const { error } = await sim(['--scenario', 'hand-made', '--html', file], never)
      expect(error).toBeInstanceOf(CommandFailed)
      expect(String(error)).toContain('cannot write')
    }
  })
})
