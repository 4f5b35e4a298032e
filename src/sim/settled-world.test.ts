/** What the generator of settled worlds promises, and what the running protocol makes of one (larger: `npm run settled`). */
import { describe, expect, it } from 'vitest'
import { PUBLIC_LINKS_MIN, REMEMBERED_MAX } from '../core/limits.ts'
import { createPeer } from '../core/peer.ts'
import type { Peer, PeerOptions } from '../core/peer-options.ts'
import { Look } from './judge.ts'
import { NetworkModel } from './network-model.ts'
import { SETTING_DEFAULTS } from './scenario.ts'
import { ScenarioRun } from './scenario-run.ts'
import { meanMinute, RestWatch } from './settled-figures.ts'
import { addSettled } from './settled-world.ts'
import { succeeded, Watch } from './watch.ts'
import { World } from './world.ts'

function settledWorld(count: number, seed: number): World {
  const world = new World({ seed, model: new NetworkModel({ ...SETTING_DEFAULTS, seed }), keepsEvents: false })
  addSettled(world, count)
  return world
}

function grownWorld(peers: number, seed: number, settleMs: number): World {
  const setting = { ...SETTING_DEFAULTS, peers, seed }
  const run = new ScenarioRun({ scenario: 'grown', setting, plannedMs: 1, onProgress: () => {} })
  run.grow()
  run.world.run(settleMs)
  return run.world
}

describe('a world that begins settled', () => {
  it('is one whole ring; who cannot be dialled has its rendezvous; nobody carries or remembers too much', () => {
    const { nodes } = settledWorld(300, 1)
    const look = new Look(nodes)
    expect(look.ringGaps()).toEqual([])
    expect(look.componentShare()).toBe(1)
    expect(look.overfull()).toEqual([])
    for (const { ref, links, rememberedPeers } of look.snapshots) {
      expect(ref.rendezvous.length).toBe(ref.isGlobal ? 0 : PUBLIC_LINKS_MIN)
      expect(rememberedPeers).toBeLessThanOrEqual(REMEMBERED_MAX)
      expect(links.every(link => link.path.kind !== 'none')).toBe(true)
    }
    expect(look.snapshots.some(({ links }) => links.some(link => link.path.kind === 'circuit'))).toBe(true)
    expect(look.snapshots.some(({ circuitsRelayed }) => circuitsRelayed > 0)).toBe(true)
  })

  it.each([2, 3, 10])('may be as small as %i peers, and stays whole', count => {
    const world = settledWorld(count, 5)
    world.run(30_000)
    const look = new Look(world.nodes)
    expect(look.ringGaps()).toEqual([])
    expect(look.componentShare()).toBe(1)
  })

  it('says so where too few accept dials to relay for the others', () => {
    const mix = {
      nat: { public: 0.01, cone: 0, symmetric: 0, blocked: 0.99 },
      device: { server: 0, desktop: 1, tab: 0 },
    }
    const world = new World({ seed: 5, model: new NetworkModel({ seed: 5, mix }) })
    expect(() => addSettled(world, 300)).toThrow('too few public peers')
  })

  it('follows from the seed: the same seed passes the same bytes, another one others', () => {
    const trace = (seed: number): string => {
      const world = settledWorld(60, seed)
      world.run(30_000)
      return world.trace.digest()
    }
    expect(trace(3)).toBe(trace(3))
    expect(trace(3)).not.toBe(trace(4))
  })

  it.each([60, 200])(
    'of %i peers stays as it is: no link is lost, nothing comes in a burst, any pair can talk',
    count => {
      const world = settledWorld(count, 2)
      const watch = new RestWatch(world)
      const minutes = [watch.minute(), watch.minute(), watch.minute()]
      const mean = meanMinute(minutes)
      expect(mean.ringGaps).toBe(0)
      expect(mean.component).toBe(1)
      // A relay may give up the link that a circuit ran over.
      expect(mean.linksLost).toBeLessThanOrEqual(count / 50)
      expect(mean.linksUp + mean.linksDown).toBeLessThan(0.6)
      for (const { messagesPerSecond, bytesPerSecond } of minutes) {
        expect(messagesPerSecond / mean.messagesPerSecond).toBeLessThan(1.25)
        expect(bytesPerSecond / mean.bytesPerSecond).toBeLessThan(1.25)
      }
      const users = new Watch(world)
      for (const node of world.nodes) users.add(node)
      const calls = world.nodes.slice(0, 40).map((from, i) => users.connect(from, world.nodes[count - 1 - i]!))
      world.run(20_000)
      expect(calls.filter(call => !succeeded(call)).map(({ answer }) => answer)).toEqual([])
    },
  )

  it('may begin without those that vanish in that instant: their links are there, nothing answers, and the rest heals', () => {
    const setting = { ...SETTING_DEFAULTS, peers: 120, seed: 6, settled: true }
    const run = new ScenarioRun({ scenario: 'gone', setting, plannedMs: 1, onProgress: () => {} })
    run.growWhatIsLeft(0.5)
    expect(run.live()).toHaveLength(60)
    const look = run.look()
    const left = new Set(look.snapshots.map(({ ref }) => ref.peer))
    const links = look.snapshots.flatMap(snapshot => snapshot.links)
    const toGone = links.filter(link => !left.has(link.peer))
    expect(toGone.length / links.length).toBeGreaterThan(0.3)
    expect(toGone.every(link => link.path.kind !== 'none')).toBe(true)
    expect(look.ringGaps().length).toBeGreaterThan(0)
    run.world.run(60_000)
    const healed = run.look()
    expect(healed.ringGaps()).toEqual([])
    expect(healed.snapshots.flatMap(snapshot => snapshot.links).every(link => left.has(link.peer))).toBe(true)
  })

  it('costs a survivor of a mass failure no more steps and packets than there is to do', () => {
    const setting = { ...SETTING_DEFAULTS, peers: 150, seed: 7, settled: true }
    let wakes = 0
    const make = (options: PeerOptions): Peer => {
      const peer = createPeer(options)
      const { step } = peer
      peer.step = (now, input) => {
        if (input.kind === 'wake') wakes += 1
        return step.call(peer, now, input)
      }
      return peer
    }
    const run = new ScenarioRun({ scenario: 'cost', setting, plannedMs: 1, onProgress: () => {}, world: { make } })
    run.growWhatIsLeft(0.5)
    run.world.run(60_000)
    expect(run.look().ringGaps()).toEqual([])
    // Measured: 214 wakes, 434 packets; 372 and 436 where it looked every 250 ms.
    expect(wakes / 75).toBeLessThan(260)
    expect(run.world.messages / 75).toBeLessThan(740)
  })

  it('is like one that was grown and has settled for ten minutes', () => {
    const rest = (world: World) => {
      const watch = new RestWatch(world)
      return { minute: meanMinute([watch.minute(), watch.minute()]), state: watch.state() }
    }
    const seed = 1
    const settled = rest(settledWorld(60, seed))
    const grown = rest(grownWorld(60, seed, 600_000))
    const ratio = (a: number, b: number): number => a / b
    expect(settled.minute.linksUp + settled.minute.linksDown).toBeLessThan(
      2 * (grown.minute.linksUp + grown.minute.linksDown) + 0.3,
    )
    for (const what of ['messagesPerSecond', 'bytesPerSecond'] as const) {
      expect(ratio(settled.minute[what], grown.minute[what])).toBeGreaterThan(0.6)
      expect(ratio(settled.minute[what], grown.minute[what])).toBeLessThan(1.5)
    }
    expect(ratio(settled.state.meanHops ?? 0, grown.state.meanHops ?? 0)).toBeGreaterThan(0.75)
    expect(ratio(settled.state.meanHops ?? 0, grown.state.meanHops ?? 0)).toBeLessThan(1.3)
    // Grown peers keep former ring neighbours as links while they have room.
    expect(ratio(settled.state.meanLinks, grown.state.meanLinks)).toBeGreaterThan(0.6)
    expect(ratio(settled.state.meanLinks, grown.state.meanLinks)).toBeLessThan(1.3)
  })
})
