/** `webmesh sim`: one scenario of the simulator, judged, told to people, machines and as a page. */
import { constants } from 'node:fs'
import { access, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { WebmeshError } from '../mesh/webmesh-error.ts'
import { reportPage } from '../sim/report-page.ts'
import { reportText, settingText } from '../sim/report-text.ts'
import type { Progress, Scenario } from '../sim/scenario.ts'
import { SCENARIOS } from '../sim/scenario-list.ts'
import { replayCommand } from '../sim/setting-options.ts'
import { type CliCall, type CliCommand, CommandFailed, FailureTold, JSON_OPTION, UsageError } from './command.ts'
import { ProgressReport } from './progress-report.ts'
import { excerpt, type Report } from './report.ts'
import { defaultsOf, SETTING_FLAGS, settingFrom } from './sim-setting.ts'
import { type RunSimulation, runInThread, type SimRun } from './sim-thread.ts'
import type { SimOrder } from './sim-worker.ts'

const HELP = `Runs production peers in virtual time over a modelled network, lets something happen
to them, and checks what can be seen from outside. The same seed and setting give the
same run, to the byte, on any machine: the trace is a hash over all that was sent.

  --scenario NAME   what happens; --list shows them all
  --list            the scenarios and what their defaults are
  --peers N         how many peers
  --seed S          of all chance in the run; 1 unless given
  --kill F          the share of peers (0 to 1) that something happens to: they vanish,
                    freeze, join a service. --share F is the same
  --minutes M       virtual time of the middle part: churn, a split, sleep
  --ways N          into how many parts a split cuts
  --median M        churn: how many minutes half of the peers stay
  --churned M       mass-failure: how many minutes peers come and go before it
  --loss F          the share of packets that are lost
  --settled         begins with a mesh as it is hours after all have joined: by far
                    the quickest way to many peers
  --public F, --cone F, --symmetric F, --blocked F
                    shares of peers by their NAT; what some leave over is divided
                    among the others as before
  --server F, --desktop F, --tab F
                    shares of peers by device, likewise
  --html FILE       writes a page with charts and a picture of the ring
  --json            {"event":"sample",…} for each moment measured, and last
                    {"event":"done","ok":…,"seed":…,"trace":…,"checks":[{"name":…,
                    "ok":…,"target":…,"measured":…}],"replay":…}

Ends with 0 only if every check held. Where one failed it prints the command that
runs the same again.`

export const sim: CliCommand = simCommand(SCENARIOS, runInThread)

export function simCommand(scenarios: readonly Scenario[], run: RunSimulation): CliCommand {
  return {
    name: 'sim',
    summary: 'simulates thousands of peers in virtual time and checks what becomes of them',
    usage: '--scenario NAME [--peers N] [--kill F] [--seed S] [--html FILE] [--json] [options]',
    operands: [],
    options: {
      ...JSON_OPTION,
      ...SETTING_FLAGS,
      scenario: { type: 'string' },
      list: { type: 'boolean' },
      html: { type: 'string' },
    },
    help: HELP,
    run: async call => {
      if (call.flags.has('list')) list(call.report, scenarios)
      else await simulate(call, chosen(call, scenarios), run)
    },
  }
}

function chosen({ flags }: CliCall, scenarios: readonly Scenario[]): Scenario {
  const name = flags.text('scenario')
  if (name === undefined) throw new UsageError('--scenario NAME is missing (webmesh sim --list has the names)')
  const scenario = scenarios.find(candidate => candidate.name === name)
  if (scenario !== undefined) return scenario
  throw new UsageError(`there is no scenario "${excerpt(name)}" (webmesh sim --list has those that there are)`)
}

function list(report: Report, scenarios: readonly Scenario[]): void {
  const width = scenarios.reduce((most, { name }) => Math.max(most, name.length), 0)
  for (const scenario of scenarios) {
    const { name, summary } = scenario
    const { peers, share, minutes, ways, medianMinutes } = defaultsOf(scenario)
    const defaults = `--peers ${peers} --share ${share} --minutes ${minutes} --ways ${ways} --median ${medianMinutes}`
    const text = `${report.paint('bold', name.padEnd(width))}  ${summary}\n${' '.repeat(width)}  ${report.paint('dim', defaults)}`
    report.event('scenario', { name, summary, defaults: defaultsOf(scenario) }, text)
  }
}

async function simulate(call: CliCall, scenario: Scenario, run: RunSimulation): Promise<void> {
  const { flags, report } = call
  const setting = settingFrom(flags, scenario)
  const replay = replayCommand(scenario.name, setting, defaultsOf(scenario))
  const file = flags.text('html')
  if (file !== undefined) await checkWritable(file)

  report.event('start', { scenario: scenario.name, setting }, `${settingText(scenario.name, setting)}\n`)
  const { outcome, realMs } = await runAndTell(call, { scenario: scenario.name, setting }, replay, run)
  if (file !== undefined) {
    await writeFile(file, reportPage(outcome, { summary: scenario.summary, realMs, replay }))
    report.event('page', { file }, null)
  }
  const { ok, trace, checks, virtualMs } = outcome
  const text = reportText(outcome, { realMs, replay, paint: (colour, word) => report.paint(colour, word) })
  const facts = { ok, seed: setting.seed, trace, checks, scenario: scenario.name, setting, virtualMs, realMs, replay }
  report.event('done', facts, file === undefined ? text : `${text}\npage: ${file}`)
  if (!ok) throw new FailureTold()
}

/** What the run throws is a failed check like another: the seed that leads there is worth as much. */
async function runAndTell(
  { report, signal }: CliCall,
  order: SimOrder,
  replay: string,
  run: RunSimulation,
): Promise<SimRun> {
  const progress = new ProgressReport(report)
  try {
    const take = (word: Progress): void => {
      if (word.sample !== undefined) report.event('sample', { ...word.sample }, null)
      progress.take(word)
    }
    return await run(order, take, signal)
  } catch (error) {
    progress.end()
    if (error instanceof WebmeshError && error.code === 'aborted') throw error
    const { message = String(error), stack = message } = error instanceof Error ? error : {}
    const { scenario, setting } = order
    const checks = [{ name: 'runs to its end', ok: false, target: 'nothing thrown', measured: message }]
    const facts = { ok: false, seed: setting.seed, trace: '', checks, scenario, setting, stack, replay }
    report.event('done', facts, `${stack}\n\nit broke, seed ${setting.seed}; the same again: ${replay}`)
    throw new FailureTold()
  } finally {
    progress.end()
  }
}

/** Before the run, which may take an hour. */
async function checkWritable(file: string): Promise<void> {
  try {
    await access(dirname(file), constants.W_OK)
  } catch {
    throw new CommandFailed(`cannot write ${excerpt(file)}: its folder is missing, or is not to be written to`)
  }
  const isFolder = await stat(file).then(
    found => found.isDirectory(),
    () => false,
  )
  if (isFolder) throw new CommandFailed(`cannot write ${excerpt(file)}: it is a folder`)
}
