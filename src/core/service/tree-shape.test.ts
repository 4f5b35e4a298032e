import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import { Rng } from '../base/rng.ts'
import { TREE_ROUND_MS, TREE_TERM_MAX } from '../limits.ts'
import { Turn } from '../turn.ts'
import type { Place } from './tree-place.ts'
import { TreeShape } from './tree-shape.ts'

interface Member {
  readonly peer: PeerId
  readonly shape: TreeShape
  readonly neighbours: Set<Member>
  readonly told: Map<Member, { place: Place; isParent: boolean }>
}

/** Members and the links between them; words arrive after random delays, in order on each way. */
class Graph {
  now = 0
  words = 0
  readonly members: Member[] = []
  readonly rng: Rng
  private queue: { at: number; order: number; run: () => void }[] = []
  private order = 0

  constructor(seed: number, capacities: readonly number[]) {
    this.rng = new Rng(seed)
    for (const [index, capacity] of capacities.entries()) this.members.push(this.make(index, capacity))
  }

  at(index: number): Member {
    return this.members[index]!
  }

  /** A ring, and some links across. */
  linkAll(across: number): void {
    const { members, rng } = this
    for (const [i, member] of members.entries()) this.link(member, members[(i + 1) % members.length]!)
    for (let i = 0; i < across; i += 1) this.link(rng.pick(members)!, rng.pick(members)!)
  }

  link(a: Member, b: Member): void {
    if (a === b || a.neighbours.has(b)) return
    a.neighbours.add(b)
    b.neighbours.add(a)
    a.shape.add(this.turn(), b.peer)
    b.shape.add(this.turn(), a.peer)
  }

  cut(a: Member, b: Member, isGone: boolean): void {
    if (!a.neighbours.delete(b)) return
    b.neighbours.delete(a)
    a.told.delete(b)
    b.told.delete(a)
    a.shape.remove(this.turn(), b.peer, isGone)
    b.shape.remove(this.turn(), a.peer, isGone)
  }

  kill(member: Member): void {
    for (const other of [...member.neighbours]) this.cut(member, other, true)
    this.members.splice(this.members.indexOf(member), 1)
  }

  /** A message passes these. */
  use(members: readonly Member[] = this.members): void {
    for (const { shape } of members) shape.onUse(this.turn())
  }

  run(ms: number, check: () => void = () => {}): void {
    const end = this.now + ms
    for (;;) {
      this.queue.sort((a, b) => a.at - b.at || a.order - b.order)
      const next = this.queue[0]
      let wake = Number.POSITIVE_INFINITY
      for (const { shape } of this.members) wake = Math.min(wake, shape.nextWake() ?? wake)
      const at = Math.max(this.now, Math.min(next?.at ?? wake, wake))
      if (at > end) break
      this.now = at
      if (next !== undefined && next.at <= wake) {
        this.queue.shift()
        next.run()
      } else for (const { shape } of [...this.members]) shape.onWake(this.turn())
      check()
    }
    this.now = end
  }

  parentOf(member: Member): Member | null {
    for (const [neighbour, { isParent }] of member.told) if (isParent) return neighbour
    return null
  }

  /** How many steps over parents lead to a member without one; null where they go in a circle. */
  stepsUp(member: Member): number | null {
    let steps = 0
    for (let at: Member | null = member; at !== null; at = this.parentOf(at)) {
      if (steps > this.members.length) return null
      steps += 1
    }
    return steps - 1
  }

  roots(): PeerId[] {
    return this.members.filter(({ shape }) => shape.isWhole && shape.depth === 0).map(({ peer }) => peer)
  }

  member(peer: PeerId | undefined): Member {
    const found = this.members.find(member => member.peer === peer)
    if (found === undefined) throw new Error(`no member ${peer}`)
    return found
  }

  distancesFrom(start: Member): Map<Member, number> {
    const distances = new Map([[start, 0]])
    for (const [member, distance] of distances)
      for (const other of member.neighbours) if (!distances.has(other)) distances.set(other, distance + 1)
    return distances
  }

  turn(): Turn {
    return new Turn(this.now, this.now)
  }

  private make(index: number, capacity: number): Member {
    // reason: the shape compares ids only.
    const peer = `p${`${index}`.padStart(3, '0')}` as PeerId
    const shape = new TreeShape(
      {
        self: () => ({ peer, capacity }),
        tellPlace: (_turn, to, place, isParent) => {
          const target = [...member.neighbours].find(other => other.peer === to)
          if (target === undefined) return false
          this.words += 1
          member.told.set(target, { place, isParent })
          // One word is as quick as any other on the same link: they keep their order.
          const delayMs = 20 + ((index * 7 + Number(to.slice(1)) * 13) % 60)
          this.queue.push({
            at: this.now + delayMs,
            order: this.order++,
            run: () => {
              if (!member.neighbours.has(target)) return
              expect(target.shape.onPlace(this.turn(), peer, place, isParent)).toBeNull()
            },
          })
          return true
        },
        onNewRound: () => {},
      },
      this.rng.fork(`${index}`),
    )
    const member: Member = { peer, shape, neighbours: new Set(), told: new Map() }
    return member
  }
}

function expectShortestTree(graph: Graph): void {
  const [root, ...others] = graph.roots()
  expect(others).toEqual([])
  const distances = graph.distancesFrom(graph.member(root))
  for (const member of graph.members) {
    expect(member.shape.depth).toBe(distances.get(member))
    expect(graph.stepsUp(member)).toBe(distances.get(member))
    for (const other of member.neighbours) {
      const isBranch = graph.parentOf(member) === other || graph.parentOf(other) === member
      expect(member.shape.isBranch(other.peer)).toBe(isBranch)
    }
  }
}

const SEEDS = Array.from({ length: 8 }, (_, i) => i + 1)

describe("the tree's shape", () => {
  it.each(SEEDS)('is that of the shortest ways to a largest member, and both ends of a link agree (seed %i)', seed => {
    const graph = new Graph(seed, [12, 24, 256, 12, 24, 12, 256, ...Array<number>(40).fill(12)])
    graph.linkAll(50)
    graph.run(10_000)
    expect(graph.roots()).toEqual([])
    graph.use()
    graph.run(5_000)
    expect(['p002', 'p006']).toContain(graph.roots()[0])
    expectShortestTree(graph)
  })

  it.each(SEEDS)('never has a circle while links come and go, and is whole after the next round (seed %i)', seed => {
    const graph = new Graph(seed, [256, 256, ...Array<number>(30).fill(12)])
    graph.linkAll(40)
    graph.use()
    const noCircle = (): void => {
      for (const member of graph.members) expect(graph.stepsUp(member)).not.toBeNull()
    }
    graph.run(5_000, noCircle)
    for (let i = 0; i < 60; i += 1) {
      const [a, b] = graph.rng.sample(graph.members, 2)
      const c = graph.rng.pick([...a!.neighbours])
      if (c !== undefined && i % 2 === 0) graph.cut(a!, c, graph.rng.below(2) === 0)
      else graph.link(a!, b!)
      graph.use()
      graph.run(graph.rng.below(1_500), noCircle)
    }
    graph.linkAll(0)
    for (let round = 0; round < 3; round += 1) {
      graph.run(TREE_ROUND_MS + 6_000)
      graph.use()
    }
    graph.run(20_000)
    graph.use()
    graph.run(5_000)
    expectShortestTree(graph)
  })

  it('has another root soon after the root left, and the old tree till then', () => {
    const graph = new Graph(1, [256, 256, 256, ...Array<number>(20).fill(12)])
    graph.linkAll(30)
    graph.use()
    graph.run(5_000)
    const root = graph.member(graph.roots()[0])
    for (const other of graph.members) if (other !== root) graph.link(root, other)
    graph.run(5_000)
    graph.kill(root)
    graph.run(3_000)
    expect(graph.roots()).toHaveLength(1)
    expect(graph.roots()).not.toContain(root.peer)
    expectShortestTree(graph)
  })

  it('has another root where the one it had is silent while messages pass, and keeps it while none do', () => {
    const graph = new Graph(2, [256, ...Array<number>(10).fill(12)])
    graph.linkAll(10)
    graph.use()
    graph.run(5_000)
    expect(graph.roots()).toEqual(['p000'])
    // It still takes words, but says none.
    graph.members.splice(0, 1)
    graph.run(10 * 60_000)
    expect(graph.roots()).toEqual([])
    graph.use()
    graph.run(15_000)
    expect(graph.roots()).toHaveLength(1)
  })

  it('passes to a member that is larger than the root', () => {
    const graph = new Graph(4, [12, 12, 256])
    graph.link(graph.at(0), graph.at(1))
    graph.use([graph.at(0), graph.at(1)])
    graph.run(5_000)
    graph.link(graph.at(1), graph.at(2))
    graph.run(1_000)
    expect(graph.roots()).not.toContain('p002')
    graph.use()
    graph.run(16_000)
    expect(graph.roots()).toEqual(['p002'])
    expectShortestTree(graph)
  })

  it('costs nothing while no message passes', () => {
    const graph = new Graph(5, Array<number>(20).fill(24))
    graph.linkAll(20)
    graph.use()
    graph.run(10_000)
    const { words } = graph
    graph.run(24 * 3_600_000)
    expect(graph.words).toBe(words)
  })

  it('leaves a neighbour through whom messages come late, and comes back to it later', () => {
    // Two ways of the same length from 3 to the root.
    const graph = new Graph(6, [256, 24, 24, 12])
    const [root, left, right, end] = [0, 1, 2, 3].map(i => graph.at(i)) as [Member, Member, Member, Member]
    for (const way of [left, right]) {
      graph.link(root, way)
      graph.link(way, end)
    }
    graph.use()
    graph.run(5_000)
    const [used, spare] = graph.parentOf(end) === left ? [left, right] : [right, left]
    expect(end.shape.onLate(graph.turn(), spare.peer)).toBe(true)
    graph.run(1_000)
    expect(graph.parentOf(end)?.peer).toBe(spare.peer)
    graph.run(TREE_ROUND_MS)
    graph.use()
    graph.run(5_000)
    expect(graph.parentOf(end)?.peer).toBe(spare.peer)
    expect(end.shape.onLate(graph.turn(), used.peer)).toBe(true)
    expect(end.shape.onLate(graph.turn(), root.peer)).toBe(false)
  })

  it('takes nobody for the root but that peer itself, and survives the last term', () => {
    const graph = new Graph(7, [24, 24])
    const [a, b] = [graph.at(0), graph.at(1)]
    graph.link(a, b)
    const place = (peer: PeerId, depth: number, term = 1): Place => ({
      root: { term, capacity: 256, peer },
      round: 1,
      depth,
    })
    expect(a.shape.onPlace(graph.turn(), b.peer, place(a.peer, 0), false)).toMatchObject({ code: 'malformed' })
    expect(a.shape.onPlace(graph.turn(), b.peer, place(b.peer, 1), false)).toMatchObject({ code: 'malformed' })
    expect(a.shape.onPlace(graph.turn(), b.peer, place(b.peer, 0, TREE_TERM_MAX), false)).toBeNull()
    expect(a.shape.isBranch(b.peer)).toBe(true)
    graph.cut(a, b, true)
    for (let i = 0; i < 10; i += 1) {
      graph.use()
      graph.run(60_000)
    }
    expect(a.shape.isWhole).toBe(false)
  })
})
