/**
 * Peers that come and go all the time: for each that goes another comes, sessions heavy-tailed about a median. Half crash,
 * a quarter vanish with their machines, a quarter say goodbye. Who is gone is forgotten soon after.
 */
import type { Instant } from '../core/base/instant.ts'
import type { ScenarioRun } from './scenario-run.ts'
import { drawSessionLength } from './session-lengths.ts'
import type { Node } from './world.ts'

/** A goodbye takes less, and what the others still send to it. */
const FORGET_AFTER_MS = 60_000

export interface ChurnPlan {
  readonly medianMs: number
  /** From then on nobody leaves and nobody comes. */
  readonly until: Instant
  /** Those that do not leave. */
  readonly staying: readonly Node[]
  /** Through whom a newcomer joins. */
  readonly waysIn: () => readonly Node[]
}

export class Churning {
  left = 0
  /** They may be there for a moment still. */
  private readonly leaving = new WeakSet<Node>()
  private readonly run: ScenarioRun
  private readonly plan: ChurnPlan

  constructor(run: ScenarioRun, plan: ChurnPlan) {
    this.run = run
    this.plan = plan
    const staying = new Set(plan.staying)
    // Those that are there at the start have been for some time.
    for (const node of run.live()) if (!staying.has(node)) this.stay(node, run.rng.unit())
  }

  private stay(node: Node, restShare: number): void {
    const { run, plan } = this
    const lengthMs = drawSessionLength(run.rng, plan.medianMs) * restShare
    run.world.at(run.world.now + lengthMs, () => this.leave(node))
  }

  private leave(node: Node): void {
    const { run, plan } = this
    const { world, rng } = run
    if (world.now >= plan.until || !node.alive) return
    // Where nobody is left that accepts dials, nobody can reach anybody, and no newcomer has a way in: the last one stays on.
    const isOtherOpen = (other: Node): boolean => other !== node && other.public && !this.leaving.has(other)
    if (node.public && !run.joined().some(isOtherOpen)) {
      this.stay(node, 1)
      return
    }
    this.leaving.add(node)
    const how = rng.below(4)
    if (how === 0) node.command({ kind: 'leave-mesh' })
    else node.kill(how === 1)
    this.left += 1
    world.at(world.now + FORGET_AFTER_MS, () => {
      node.kill()
      run.forget(node)
    })
    this.stay(run.join(plan.waysIn(), run.placedSoThatOneIsPublic(plan.staying)), 1)
  }
}
