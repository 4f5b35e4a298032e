/**
 * The overlay under schedules drawn by chance: whatever the order in which messages, lost paths, ended sessions, sleep,
 * joins and deaths come, each peer keeps its bounds at every step (`overlay-net.fixtures.ts`), and when nothing more
 * happens links are agreed on by both ends and the ring is whole. A failure prints the seed that repeats it.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Rng } from '../base/rng.ts'
import type { NetPeer } from './overlay-net.fixtures.ts'
import { OverlayNet } from './overlay-net.fixtures.ts'
import { closestAfter } from './ring-order.ts'

/** Small ones, so that they are full most of the time: those are never without public peers that have room. */
const CAPACITIES = [256, 4, 6, 8, 12, 12, 24]
const QUIET_MS_MAX = 400_000
const TICK_MS = 50

const KINDS = [
  'flow',
  'flow',
  'flow',
  'flow',
  'join',
  'lose-path',
  'find-path',
  'end',
  'freeze',
  'thaw',
  'kill',
] as const

interface Op {
  readonly kind: (typeof KINDS)[number]
  /** Decides whom it befalls. */
  readonly chance: number
  readonly ms: number
}

const op: fc.Arbitrary<Op> = fc.record({
  kind: fc.constantFrom(...KINDS),
  chance: fc.nat({ max: 9_999 }),
  ms: fc.constantFrom(0, 1, 20, 50, 250, 1_000, 4_000),
})

function newcomer(net: OverlayNet): NetPeer {
  const index = net.peers.length
  const capacity = CAPACITIES[index % CAPACITIES.length] ?? 12
  // A peer that cannot be dialled needs places for three public links beside the near ones.
  return net.add({ capacity, open: index % 3 !== 2 || capacity < 8 })
}

/** Some of what waits arrives, some time passes. */
function flow(net: OverlayNet, rng: Rng, ms: number): void {
  for (const item of net.waiting()) if (rng.unit() < 0.6) net.deliver(item, 1 + rng.below(4))
  net.pass(ms)
}

function happen(net: OverlayNet, { kind, chance, ms }: Op): void {
  const rng = new Rng(chance)
  const live = net.live()
  const one = rng.pick(live)
  const end = one === undefined ? undefined : rng.pick([...one.ends.values()])
  switch (kind) {
    case 'flow':
      flow(net, rng, ms)
      break
    case 'join':
      if (net.peers.length < 16) net.join(newcomer(net), [...net.peers.slice(0, 1), ...rng.sample(live, 1)])
      break
    case 'lose-path':
      if (one !== undefined && end !== undefined) net.losePath(one, end)
      break
    case 'find-path':
      for (const lost of one?.ends.values() ?? []) net.findPath(lost)
      break
    case 'end':
      if (one !== undefined && end !== undefined) net.end(one, end)
      break
    case 'freeze':
      if (one !== undefined) net.freeze(one)
      break
    case 'thaw': {
      const asleep = rng.pick(net.peers.filter(peer => peer.alive && peer.frozen))
      if (asleep !== undefined) net.thaw(asleep)
      break
    }
    case 'kill':
      // The first is the one through which all come: with it gone some might never have met any other.
      if (one !== undefined && one.index !== 0) net.kill(one)
      break
  }
}

/** Pairs of which one takes the other for a link alone. */
function halfLinks(net: OverlayNet): string[] {
  const found: string[] = []
  for (const peer of net.live()) {
    for (const link of peer.overlay.links.all()) {
      const other = net.peers.find(item => item.peer === link.peer)
      if (other?.awake !== true || !other.overlay.links.has(peer.peer)) found.push(`${peer.index} to ${other?.index}`)
    }
  }
  return found
}

/** Live peers that are not linked with the next one on the ring. */
function ringGaps(net: OverlayNet): string[] {
  const placed = net.live().map(peer => ({ position: peer.ref.position, peer }))
  const found: string[] = []
  for (const { position, peer } of placed) {
    const [next] = closestAfter(position, placed, 1)
    if (next !== undefined && !peer.overlay.links.has(next.peer.peer))
      found.push(`${peer.index} lacks ${next.peer.index}`)
  }
  return found
}

/** Nothing more befalls anybody: all are awake, paths are found again. How long until all is well, or null. */
function calmDown(net: OverlayNet, rng: Rng): number | null {
  for (const peer of net.peers) {
    if (peer.alive && peer.frozen) net.thaw(peer)
    for (const end of peer.ends.values()) net.findPath(end)
  }
  const start = net.now
  while (net.now - start < QUIET_MS_MAX) {
    for (const item of net.waiting()) net.deliver(item, rng.below(20))
    net.pass(TICK_MS)
    if ((net.now - start) % 1_000 < TICK_MS && halfLinks(net).length === 0 && ringGaps(net).length === 0) {
      return net.now - start
    }
  }
  return null
}

function grown(seed: number, peers: number): OverlayNet {
  const net = new OverlayNet(seed)
  const rng = net.rng.fork('grow')
  for (let i = 0; i < peers; i += 1) {
    net.join(newcomer(net), net.peers.slice(0, Math.min(i, 1)))
    flow(net, rng, 50)
  }
  return net
}

describe('overlays under any schedule', () => {
  it('never carry more than they can, never give up a near link for a farther one, and agree when it is over', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 2, max: 10 }),
        fc.array(op, { minLength: 5, maxLength: 120 }),
        (seed, peers, ops) => {
          const net = grown(seed, peers)
          for (const item of ops) happen(net, item)
          const tookMs = calmDown(net, net.rng.fork('calm'))
          expect({ halfLinks: halfLinks(net), ringGaps: ringGaps(net) }).toEqual({ halfLinks: [], ringGaps: [] })
          expect(tookMs).not.toBeNull()
        },
      ),
      { numRuns: Number(process.env.OVERLAY_RUNS ?? 300) },
    )
  })
})
