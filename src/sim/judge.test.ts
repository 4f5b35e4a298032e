import { describe, expect, it } from 'vitest'
import { RING } from '../core/base/position.ts'
import type { LinkView, PeerSnapshot } from '../core/peer-options.ts'
import { Look, quantile } from './judge.ts'
import type { Node } from './world.ts'

const WIRE = { kind: 'wire', transport: 'tcp', remote: '10.0.0.1:4100' } as const

interface Shown {
  readonly links: readonly number[]
  readonly pathless?: readonly number[]
  readonly capacity?: number
  readonly estimatedPeers?: number
}

/** Nodes that stand evenly round the ring in the order given, and show these links. */
function lookAt(shown: readonly Shown[]): Look {
  const nodes = shown.map(({ links, pathless = [], capacity = 24, estimatedPeers = shown.length }, index) => {
    const view = (to: number): LinkView => {
      const path = pathless.includes(to) ? ({ kind: 'none' } as const) : WIRE
      return { peer: `p${to}` as Node['id'], role: 'near', path, roundTripMs: null }
    }
    const ref = { peer: `p${index}`, position: (index * RING) / shown.length, capacity }
    const snapshot = { ref, links: links.map(view), estimatedPeers, rememberedPeers: 0 }
    // reason: the judge asks nothing else of a node.
    return {
      index,
      id: `p${index}`,
      public: true,
      profile: { device: 'desktop' },
      peer: { snapshot: () => snapshot as unknown as PeerSnapshot },
    } as unknown as Node
  })
  return new Look(nodes)
}

function ringOf(count: number): Shown[] {
  return Array.from({ length: count }, (_, i) => ({ links: [(i + 1) % count, (i + count - 1) % count] }))
}

describe('a look at a world', () => {
  it('finds a closed ring correct and whole', () => {
    const look = lookAt(ringOf(6))
    expect(look.ringGaps()).toEqual([])
    expect(look.ringShare()).toBe(1)
    expect(look.componentShare()).toBe(1)
  })

  it('counts a link only where both ends show it', () => {
    const shown = ringOf(6)
    shown[0] = { links: [5] }
    const look = lookAt(shown)
    expect(look.ringGaps().map(pair => pair.map(node => node.index))).toEqual([[0, 1]])
    expect(look.ringShare()).toBeCloseTo(4 / 6)
    expect(look.componentShare()).toBe(1)
  })

  it('does not count a link without a path', () => {
    const shown = ringOf(4)
    shown[2] = { links: [1, 3], pathless: [3] }
    expect(lookAt(shown).ringGaps()).toHaveLength(1)
  })

  it('tells components apart, largest first', () => {
    const look = lookAt([{ links: [1] }, { links: [0] }, { links: [3, 4] }, { links: [2, 4] }, { links: [2, 3] }])
    expect(look.components().map(group => [...group].sort())).toEqual([
      [2, 3, 4],
      [0, 1],
    ])
    expect(look.componentShare()).toBe(0.6)
  })

  it('ignores links to those that it does not look at', () => {
    expect(lookAt([{ links: [1, 7] }, { links: [0, 7] }]).componentShare()).toBe(1)
  })

  it('counts the hops of a route, and none where it ends elsewhere', () => {
    const look = lookAt(ringOf(12))
    expect(look.hops(0, 0)).toBe(0)
    expect(look.hops(0, 1)).toBe(1)
    expect(look.hops(0, 5)).toBe(5)
    expect(look.hops(0, 9)).toBe(3)
    const apart = lookAt([{ links: [1] }, { links: [0] }, { links: [3] }, { links: [2] }])
    expect(apart.hops(0, 2)).toBeNull()
  })

  it('names peers with more links than they carry, and the share of good estimates', () => {
    const shown: Shown[] = ringOf(4)
    shown[1] = { links: [0, 2], capacity: 1, estimatedPeers: 9 }
    const look = lookAt(shown)
    expect(look.overfull().map(node => node.index)).toEqual([1])
    expect(look.estimateShare(4, 0.25)).toBe(0.75)
  })

  it('draws the ring with each link from both ends, and thins a large one out', () => {
    const picture = lookAt(ringOf(4)).picture()
    expect(picture.peers.map(({ position }) => position)).toEqual([0, 0.25, 0.5, 0.75])
    expect(picture.links).toContainEqual([0, 1, 'near'])
    expect(lookAt(ringOf(1_300)).picture().peers.length).toBeLessThanOrEqual(600)
  })
})

it.each([
  [0, 1],
  [0.5, 3],
  [0.95, 4],
  [1, 4],
])('the quantile %d of four numbers', (share, expected) => {
  expect(quantile([1, 2, 3, 4], share)).toBe(expected)
  expect(quantile([], share)).toBeNull()
})
