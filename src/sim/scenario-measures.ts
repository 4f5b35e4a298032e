/** What several scenarios measure: how long a world takes to be whole again, and whether one at rest keeps its bounds. */
import { REMEMBERED_MAX } from '../core/limits.ts'
import { quantile } from './judge.ts'
import type { ScenarioRun } from './scenario-run.ts'
import { type Call, firstFailure, succeeded, successShare } from './watch.ts'
import type { Node } from './world.ts'

/** How often a batch of connects is begun while routing recovers. */
const BATCH_MS = 5_000
const SETTLED_PAIRS_MIN = 100
const SETTLED_PAIRS_MAX = 1_000
const ESTIMATE_TOLERANCE = 0.25
const ESTIMATE_SHARE = 0.9
/** What a peer sees of a small ring are two dozen gaps or fewer, and all see the same: they err together. */
const ESTIMATE_TOLERANCE_SMALL = 0.5
const ESTIMATE_SHARE_SMALL = 0.75
/** Below it a figure that is a mean over many has too few. */
export const SMALL_PEERS = 100

/** Milliseconds from the start until it held and did not break again within the time; null where it never did. */
export interface Recovery {
  readonly componentMs: number | null
  readonly ringMs: number | null
  /** When the first batch of connects was over that all succeeded. */
  readonly routingMs: number | null
}

export interface RecoveryWish {
  readonly limitMs: number
  readonly phase: string
  /** What share of the peers, and of tries between them, suffices; all where nothing is said. */
  readonly share?: number
  readonly routing?: boolean
}

interface Batch {
  readonly startedAt: number
  readonly calls: readonly Call[]
}

/** Lets time pass until everything asked for holds, at most `limitMs`. */
export function recovery(run: ScenarioRun, wish: RecoveryWish): Recovery {
  const { world } = run
  const start = world.now
  const { limitMs, phase, share = 1, routing = true } = wish
  let componentMs: number | null = null
  let ringMs: number | null = null
  let routingMs: number | null = routing ? null : 0
  const batches: Batch[] = []
  while (world.now - start < limitMs) {
    const elapsed = world.now - start
    if (routing && elapsed >= batches.length * BATCH_MS)
      batches.push({ startedAt: world.now, calls: run.startPairs(run.live(), batchSize(run)) })
    run.pass(run.lookMs, phase)
    const look = run.look()
    const now = world.now - start
    componentMs = look.componentShare() >= share ? (componentMs ?? now) : null
    ringMs = look.ringGaps().length === 0 ? (ringMs ?? now) : null
    if (routing) routingMs = routedSince(batches, start, share)
    if (componentMs !== null && ringMs !== null && routingMs !== null) break
  }
  return { componentMs, ringMs, routingMs }
}

export function checkComponent(run: ScenarioRun, { componentMs }: Recovery, limitMs: number, share = 1): void {
  const target = `${percent(share)} of the survivors within ${seconds(limitMs)}`
  const measured = componentMs === null ? `${percent(run.look().componentShare())} at the end` : seconds(componentMs)
  run.check('one component', componentMs !== null && componentMs <= limitMs, target, measured)
}

export function checkRing(run: ScenarioRun, { ringMs }: Recovery, limitMs: number): void {
  const gaps = ringMs === null ? run.look().ringGaps() : []
  const [from, to] = gaps[0] ?? []
  const first = from === undefined ? '' : `, first ${from.index} to ${to?.index}`
  const measured = ringMs === null ? `${gaps.length} pairs not linked at the end${first}` : seconds(ringMs)
  run.check('ring correct', ringMs !== null && ringMs <= limitMs, `within ${seconds(limitMs)}`, measured)
}

export function checkRouting(run: ScenarioRun, { routingMs }: Recovery, limitMs: number, share = 1): void {
  const measured = routingMs === null ? 'not in the time given' : seconds(routingMs)
  run.check(
    'routing heals',
    routingMs !== null && routingMs <= limitMs,
    `${percent(share)} within ${seconds(limitMs)}`,
    measured,
  )
}

/**
 * What must hold of any world at rest: one whole, any pair can talk, nobody carries or remembers too much. `least` below 1
 * is for worlds of which a few may be lost.
 */
export function checkSettled(run: ScenarioRun, least = 1): void {
  const nodes = run.live()
  const pairs = Math.min(SETTLED_PAIRS_MAX, Math.max(SETTLED_PAIRS_MIN, 2 * nodes.length))
  const calls = run.connectPairs(nodes, pairs, 'judge')
  const failed = firstFailure(calls)
  const routed = `${percent(successShare(calls))} of ${calls.length}${failed === null ? '' : `, first ${failed}`}`
  const talk = successShare(calls) >= least
  run.check('any pair can talk', talk, `${percent(least)} of sampled pairs, no retry`, routed)
  const look = run.look()
  const share = look.componentShare()
  run.check('one whole at the end', share >= least, `${percent(least)} of live peers`, percent(share))
  const gaps = look.ringGaps().length
  // One that is lost lacks both its neighbours.
  const gapsMax = Math.floor((1 - least) * nodes.length) * 2
  run.check('ring at the end', gaps <= gapsMax, `at most ${gapsMax} pairs not linked`, `${gaps}`)
  checkBounds(run)
}

export function checkBounds(run: ScenarioRun): void {
  const bounds = 'tab 12, desktop 24, server 256'
  const measured = run.overfull > 0 ? `${run.overfull} too many` : 'never more'
  run.check('links', run.overfull <= 0, bounds, measured)
  run.check(
    'remembered peers',
    run.rememberedMax <= REMEMBERED_MAX,
    `at most ${REMEMBERED_MAX}`,
    `${run.rememberedMax}`,
  )
}

export function checkEstimate(run: ScenarioRun): void {
  const look = run.look()
  const peers = look.nodes.length
  const tolerance = peers < SMALL_PEERS ? ESTIMATE_TOLERANCE_SMALL : ESTIMATE_TOLERANCE
  const least = peers < SMALL_PEERS ? ESTIMATE_SHARE_SMALL : ESTIMATE_SHARE
  const share = look.estimateShare(peers, tolerance)
  const target = `within ${percent(tolerance)} for ${percent(least)} of peers`
  run.check('size estimate', share >= least, target, `for ${percent(share)}`)
}

export function sortedTimes(calls: readonly Call[]): number[] {
  return calls
    .filter(succeeded)
    .map(call => (call.endedAt ?? 0) - call.startedAt)
    .sort((a, b) => a - b)
}

export function quantileText(sorted: readonly number[], share: number): string {
  const value = quantile(sorted, share)
  return value === null ? 'none' : `${Math.round(value)} ms`
}

export function percent(share: number): string {
  const text = (share * 100).toFixed(3).replace(/\.?0+$/, '')
  // A share that is not whole is not shown as whole.
  return `${text === '100' && share < 1 ? '99.999' : text} %`
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2).replace(/\.?0+$/, '')} s`
}

/** Kills without a word, all in the same instant. */
export function vanish(nodes: readonly Node[]): void {
  for (const node of nodes) node.kill(true)
}

function batchSize(run: ScenarioRun): number {
  return Math.min(200, Math.max(40, run.live().length))
}

/** Since when all batches that are over went well: the end of the first of them; null where the last did not. */
function routedSince(batches: readonly Batch[], start: number, share: number): number | null {
  let since: number | null = null
  for (const { calls } of batches) {
    if (calls.some(call => call.endedAt === null)) break
    if (successShare(calls) < share) since = null
    else since ??= Math.max(...calls.map(call => call.endedAt ?? 0)) - start
  }
  return since
}
