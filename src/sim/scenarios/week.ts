/**
 * A week of churn: what peers hold at its end is what they held at its beginning. Counted in entries of their tables, and
 * in bytes where whoever runs it can measure those.
 */

import { Churning } from '../churning.ts'
import { countsOf } from '../overlay-checks.ts'
import type { Scenario } from '../scenario.ts'
import { checkBounds, percent, SMALL_PEERS } from '../scenario-measures.ts'
import { ScenarioRun } from '../scenario-run.ts'
import type { Node } from '../world.ts'

const SETTLE_MS = 60_000
const MINUTE_MS = 60_000
/** What is measured in minutes is cut into as many days. */
const DAYS = 7
const LOOKS_A_DAY = 16
const SERVICES = 3
const GROWTH_MAX = 0.05
/** Among few it wavers with who happens to be there: a server holds ten times as much as a tab. */
const GROWTH_MAX_SMALL = 0.5
/** What the engine learns of the program goes on growing, however many peers there are. */
const ENGINE_BYTES = 2_097_152

interface Holding {
  readonly entries: number
  /** Null where nobody measures it. */
  readonly bytes: number | null
}

export const week: Scenario = {
  name: 'week',
  summary: 'a week of churn: peers hold as much at its end as at its beginning',
  defaults: { medianMinutes: 10, minutes: DAYS * 1_440 },
  run(setting, onProgress, instruments) {
    const emptyBytes = instruments?.liveBytes() ?? 0
    const liveBytes = instruments && ((): number => instruments.liveBytes() - emptyBytes)
    const dayMs = (setting.minutes * MINUTE_MS) / DAYS
    const plannedMs = 70_000 + SETTLE_MS + DAYS * dayMs
    const run = new ScenarioRun({ scenario: 'week', setting, plannedMs, onProgress })
    run.grow()
    run.pass(SETTLE_MS, 'settle')
    const keepers = run.pick(run.live(), Math.min(SERVICES, setting.peers / 4))
    for (const [index, keeper] of keepers.entries()) run.watch.joinService(keeper, `kept-${index}.example/1`)
    const { waysIn } = run
    const staying = [...new Set([...keepers, ...waysIn])]
    const until = run.world.now + DAYS * dayMs
    const churning = new Churning(run, {
      medianMs: setting.medianMinutes * MINUTE_MS,
      until,
      staying,
      waysIn: () => waysIn,
    })
    const days: Holding[][] = []
    for (let day = 0; day < DAYS; day += 1) {
      const looks: Holding[] = []
      for (let i = 0; i < LOOKS_A_DAY; i += 1) {
        run.pass(dayMs / LOOKS_A_DAY, `day ${day + 1}`)
        // Before the first have gone a few times over, it is not yet what it is from then on.
        if (day > 0 || i >= LOOKS_A_DAY / 2) looks.push(holdingOf(run.live(), liveBytes))
      }
      days.push(looks)
    }
    const daily = (of: (holding: Holding) => number): number[] => days.map(looks => mean(looks.map(of)))
    checkGrowth(
      run,
      'what a peer holds',
      'entries',
      0,
      daily(({ entries }) => entries),
    )
    if (instruments !== undefined) {
      const spare = ENGINE_BYTES / setting.peers
      checkGrowth(
        run,
        'live memory per peer',
        'bytes',
        spare,
        daily(({ bytes }) => bytes ?? 0),
      )
    }
    run.check('peers came and went', churning.left >= setting.peers, `at least ${setting.peers}`, `${churning.left}`)
    // The last have come a moment ago.
    const share = run.look(run.joined()).componentShare()
    run.check('one whole at the end', share === 1, '100 % of those that are in', percent(share))
    checkBounds(run)
    return run.outcome()
  },
}

/** For each peer. Remembered peers are not in it: their number grows to its bound in hours, and stays there. */
function holdingOf(nodes: readonly Node[], liveBytes: (() => number) | undefined): Holding {
  let entries = 0
  for (const node of nodes) {
    const { links, records, circuitsRelayed, services } = node.peer.snapshot()
    // How long the oldest attempt may last is no entry, nor what was refused at any time.
    const { attemptsEnd: _, offersRefused: __, ...counts } = countsOf(node)
    entries += links.length + records + circuitsRelayed
    for (const { members } of services) entries += members.length
    for (const count of Object.values(counts)) entries += count
  }
  const bytes = liveBytes === undefined ? null : liveBytes() / nodes.length
  return { entries: entries / nodes.length, bytes }
}

/** Of the last day over the first; a lesser one is no growth. */
function checkGrowth(run: ScenarioRun, name: string, unit: string, spare: number, days: readonly number[]): void {
  const first = days[0] ?? 0
  const last = days.at(-1) ?? 0
  const growthMax = run.setting.peers < SMALL_PEERS ? GROWTH_MAX_SMALL : GROWTH_MAX
  const growth = last / first - 1
  const shown = days.map(value => Math.round(value)).join(', ')
  const measured = `${growth < 0 ? '' : '+'}${(growth * 100).toFixed(1)} %; by day ${shown} ${unit}`
  const target = `at most ${percent(growthMax)} above day one${spare > 0 ? ', and 2 MiB in all' : ''}`
  run.check(name, last <= first * (1 + growthMax) + spare, target, measured)
}

function mean(numbers: readonly number[]): number {
  return numbers.length === 0 ? 0 : numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}
