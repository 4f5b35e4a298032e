import { expect, test } from 'vitest'
import { largestComponent, missingRingLinks, ringIsCorrect } from './overlay-checks.ts'
import { type Node, World } from './world.ts'

function grow(world: World, count: number, publicShare: number): Node[] {
  const first = world.add({ public: true })
  for (let i = 1; i < count; i += 1) {
    const node = world.add({ public: world.rng.unit() < publicShare })
    node.join(first)
    world.run(50)
  }
  return world.nodes
}

test('two peers link and a third joins through either', () => {
  const world = new World({ seed: 1 })
  const a = world.add({ public: true })
  const b = world.add({ public: true })
  b.join(a)
  world.run(2_000)
  expect(a.peer.snapshot().links.map(link => link.peer)).toEqual([b.id])
  expect(b.events.some(event => event.kind === 'joined')).toBe(true)
  const c = world.add({ public: false })
  c.join(b)
  world.run(3_000)
  expect(ringIsCorrect(world)).toBe(true)
})

for (const share of [1, 0.4]) {
  test(`forty peers of which ${share * 100} % are public find their ring`, () => {
    const world = new World({ seed: 2 })
    grow(world, 40, share)
    const took = world.runUntil(() => ringIsCorrect(world), 60_000)
    if (took === null) {
      for (const { from, to } of missingRingLinks(world)) console.log(from.index, from.public, to.index, to.public)
    }
    console.log('ring', took, 'component', largestComponent(world))
    expect(took).not.toBe(null)
  })
}
