/**
 * What all scenarios share: a world grown by a setting, time that passes with samples and word of progress, checks, and
 * the outcome. Chance here is forked from the world's, so that what is measured changes nothing of what happens.
 */
import type { Instant } from '../core/base/instant.ts'
import { Rng } from '../core/base/rng.ts'
import { REMEMBER_SAVE_MS } from '../core/limits.ts'
import { Look } from './judge.ts'
import { NetworkModel } from './network-model.ts'
import type { Check, Progress, Sample, ScenarioOutcome, ScenarioSetting } from './scenario.ts'
import { addSettled, type ChooseGone } from './settled-world.ts'
import { type Call, succeeded, successShare, telling, Watch } from './watch.ts'
import { type Node, type PlacedPeer, World, type WorldOptions } from './world.ts'

/** All have joined within about a minute; few peers come no faster than this. */
const GROW_MS = 60_000
const JOIN_GAP_MS_MAX = 50
const SAMPLE_MS_MIN = 5_000
const SAMPLES_MAX = 400
/** Beside the ways in, in any world that grows. */
const DIALABLE_MIN = 3
/** Refs that all share: of the living, and of those that went lately. More would be counted as what peers hold. */
const REFS_PER_PEER = 4
const REFS_MIN = 1_024
const PROGRESS_MS_MIN = 250
const PROGRESS_WORDS_MAX = 10_000

export interface RunPlan {
  readonly scenario: string
  readonly setting: ScenarioSetting
  /** How long all of it lasts at most, joining included; for the progress alone. */
  readonly plannedMs: number
  readonly onProgress: (progress: Progress) => void
  readonly world?: Partial<WorldOptions>
}

export class ScenarioRun {
  readonly setting: ScenarioSetting
  readonly world: World
  readonly watch: Watch
  readonly rng: Rng
  /** Everyone who was ever given to a newcomer. */
  readonly waysIn: Node[] = []
  readonly joins = new Map<Node, Call>()
  /** The most links beyond what a peer said it carries, and the most it remembered, over all looks. */
  overfull = 0
  rememberedMax = 0
  /** Whether pairs are connected at each sample, to see whether routing works. */
  probing = true
  private readonly plan: RunPlan
  private readonly probeRng: Rng
  private readonly checks: Check[] = []
  private readonly samples: Sample[] = []
  private readonly sampleMs: number
  private phase = 'join'
  private sampleAt: Instant = 0
  private progressAt: Instant = 0
  private probes: Call[] = []
  private countedMessages = 0
  private countedBytes = 0

  constructor(plan: RunPlan) {
    const { setting } = plan
    this.plan = plan
    this.setting = setting
    this.rng = new Rng(`${plan.scenario}/${setting.seed}`)
    this.probeRng = this.rng.fork('probe')
    const model = new NetworkModel(setting)
    const refsMax = Math.max(REFS_MIN, REFS_PER_PEER * setting.peers)
    this.world = new World({ seed: setting.seed, model, keepsEvents: false, refsMax, ...plan.world })
    this.watch = new Watch(this.world)
    this.sampleMs = Math.max(SAMPLE_MS_MIN, plan.plannedMs / SAMPLES_MAX)
  }

  // ---- peers ----

  /** Peers that are there and awake. */
  live(): Node[] {
    return this.world.live().filter(node => !node.frozen)
  }

  /** Of them those that were told that they are in. */
  joined(): Node[] {
    return this.live().filter(node => {
      const join = this.joins.get(node)
      return join === undefined || succeeded(join)
    })
  }

  /**
   * From one peer to as many as the setting says, through `waysIn` servers that each newcomer is given. At least
   * `dialable` accept dials: where nobody does, nobody can reach anybody, and a small mix may have none.
   */
  grow(waysIn = 1, dialable = waysIn + this.dialableMin()): void {
    const { peers, settled } = this.setting
    if (settled) {
      this.waysIn.push(...this.addSettled(waysIn).slice(0, waysIn))
      return
    }
    const gapMs = Math.min(JOIN_GAP_MS_MAX, GROW_MS / peers)
    for (let i = 0; i < peers; i += 1) {
      const isNeeded = (): boolean => this.world.nodes.filter(node => node.public).length + peers - i <= dialable
      if (i < waysIn) this.addWayIn()
      else this.join(this.waysIn, peers - i <= dialable && isNeeded() ? { public: true } : {})
      this.pass(gapMs, 'join')
    }
  }

  /** A settled world in the instant in which a share of it, the ways in included, has vanished; one that accepts dials is left. */
  growWhatIsLeft(share: number, waysIn = 1): void {
    const { peers } = this.setting
    this.addSettled(waysIn, ({ all }) => {
      const others = [...all.keys()].slice(waysIn)
      const gone = new Set(this.pick(others, share * peers - waysIn))
      const left = others.filter(index => !gone.has(index))
      if (!left.some(index => all[index]!.public)) {
        const open = [...gone].find(index => all[index]!.public)
        if (open !== undefined) gone.delete(open)
      }
      for (let index = 0; index < waysIn; index += 1) gone.add(index)
      return gone
    })
  }

  private addSettled(waysIn: number, gone?: ChooseGone): Node[] {
    const nodes = addSettled(this.world, this.setting.peers, waysIn, gone)
    for (const node of nodes) this.watch.add(node)
    return nodes
  }

  /** Lets a world that was grown come to rest; one that began settled writes what it remembers to its stores. */
  settle(ms: number): void {
    this.pass(this.setting.settled ? Math.min(ms, 2 * REMEMBER_SAVE_MS) : ms, 'settle')
  }

  /** So many of those that a small mix has on the mean: with a single tab to meet at, two dozen cannot meet. */
  private dialableMin(): number {
    const { peers, mix } = this.setting
    return Math.min(DIALABLE_MIN, Math.max(1, Math.floor(peers * mix.nat.public)))
  }

  /** A newcomer drawn from the mix, but for what is settled of it. */
  join(waysIn: readonly Node[], placed: PlacedPeer = {}): Node {
    const node = this.world.add(placed)
    this.watch.add(node)
    this.joins.set(node, this.watch.join(node, waysIn))
    return node
  }

  /** The same peer again, knowing what its store holds, told of no way in. */
  comeBack(node: Node): Node {
    const again = this.world.restart(node, true)
    this.watch.add(again)
    return again
  }

  /** Drops a dead peer that never comes back. */
  forget(node: Node): void {
    this.joins.delete(node)
    this.watch.forget(node)
    this.world.forget(node)
  }

  /** Different ones, chosen by the scenario's own chance. */
  pick<T>(items: readonly T[], count: number): T[] {
    return this.rng.sample(items, Math.round(count))
  }

  /** What a newcomer has to be for one beside those to accept dials. */
  placedSoThatOneIsPublic(beside: readonly Node[]): PlacedPeer {
    return this.live().some(node => node.public && !beside.includes(node)) ? {} : { public: true }
  }

  private addWayIn(): void {
    const node = this.world.add({ public: true, device: 'server' })
    this.watch.add(node)
    if (this.waysIn.length > 0) this.joins.set(node, this.watch.join(node, this.waysIn))
    this.waysIn.push(node)
  }

  // ---- time ----

  pass(ms: number, phase = this.phase): void {
    const { world } = this
    this.phase = phase
    const end = world.now + ms
    while (world.now < end) {
      world.run(Math.min(end, this.sampleAt, this.progressAt) - world.now)
      if (world.now >= this.sampleAt) this.sample()
      if (world.now >= this.progressAt) this.tellProgress()
    }
  }

  /** How long until `done`, or null after `limitMs`. */
  passUntil(done: () => boolean, limitMs: number, phase = this.phase): number | null {
    const start = this.world.now
    while (!done()) {
      if (this.world.now - start >= limitMs) return null
      this.pass(this.lookMs, phase)
    }
    return this.world.now - start
  }

  /** How often the whole is looked at where a moment is sought. */
  get lookMs(): number {
    if (this.setting.peers > 20_000) return 2_500
    return this.setting.peers > 1_000 ? 1_000 : 250
  }

  look(nodes = this.live()): Look {
    const look = new Look(nodes)
    for (const { links, ref, rememberedPeers } of look.snapshots) {
      this.overfull = Math.max(this.overfull, links.length - ref.capacity)
      this.rememberedMax = Math.max(this.rememberedMax, rememberedPeers)
    }
    return look
  }

  /** Connects by peer id between pairs chosen by chance, a few milliseconds apart; awaited until none is open. */
  connectPairs(nodes: readonly Node[], count: number, phase = this.phase): Call[] {
    const calls = this.startPairs(nodes, count)
    this.passUntil(() => calls.every(call => call.endedAt !== null), 20_000, phase)
    return calls
  }

  startPairs(nodes: readonly Node[], count: number): Call[] {
    const calls: Call[] = []
    for (let i = 0; i < count && nodes.length > 1; i += 1) {
      const [from, to] = this.probeRng.sample(nodes, 2)
      if (from !== undefined && to !== undefined) calls.push(this.watch.connect(from, to))
    }
    return calls
  }

  // ---- what is found ----

  check(name: string, ok: boolean, target: string, measured: string): void {
    this.checks.push({ name, ok, target, measured })
  }

  outcome(): ScenarioOutcome {
    const { world, checks, samples, plan } = this
    this.sample()
    plan.onProgress({ phase: 'done', done: 1, live: this.live().length })
    return {
      scenario: plan.scenario,
      setting: this.setting,
      ok: checks.length > 0 && checks.every(check => check.ok),
      trace: world.trace.digest(),
      virtualMs: world.now,
      checks,
      samples,
      picture: new Look(this.live()).picture(),
    }
  }

  private tellProgress(sample?: Sample): void {
    const { now } = this.world
    this.progressAt = now + Math.max(PROGRESS_MS_MIN, this.plan.plannedMs / PROGRESS_WORDS_MAX)
    const done = Math.min(0.99, now / this.plan.plannedMs)
    this.plan.onProgress({ phase: this.phase, done, live: this.live().length, sample })
  }

  /** Routing is the share, of connects begun at the sample before, that stand by this one. */
  private sample(): void {
    const { world } = this
    const live = this.live()
    const look = this.look(live)
    const seconds = (world.now - (this.samples.at(-1)?.atMs ?? 0)) / 1_000
    const each = (count: number): number => (seconds === 0 ? 0 : count / seconds / Math.max(1, live.length))
    const probes = telling(this.probes)
    const sample = {
      atMs: world.now,
      live: live.length,
      component: look.componentShare(),
      ring: look.ringShare(),
      routed: probes.length === 0 ? null : successShare(probes),
      hops: meanHops(look, this.probeRng),
      messagesPerSecond: each(world.messages - this.countedMessages),
      bytesPerSecond: each(world.bytes - this.countedBytes),
    }
    this.samples.push(sample)
    this.tellProgress(sample)
    this.countedMessages = world.messages
    this.countedBytes = world.bytes
    this.sampleAt = world.now + this.sampleMs
    const pairs = this.probing ? Math.min(50, Math.max(4, Math.floor(live.length / 50))) : 0
    this.probes = this.startPairs(this.joined(), pairs)
  }
}

/** Mean hops between pairs chosen by chance that a route leads between; null where there is none. */
export function meanHops(look: Look, rng: Rng, pairs = 50): number | null {
  const { length } = look.nodes
  if (length < 2) return null
  let sum = 0
  let count = 0
  for (let i = 0; i < pairs; i += 1) {
    const from = rng.below(length)
    const to = (from + 1 + rng.below(length - 1)) % length
    const hops = look.hops(from, to)
    if (hops === null) continue
    sum += hops
    count += 1
  }
  return count === 0 ? null : sum / count
}
