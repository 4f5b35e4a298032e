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
    expect(world.runUntil(() => ringIsCorrect(world), 60_000)).not.toBeNull()
    expect(missingRingLinks(world)).toEqual([])
    expect(largestComponent(world)).toBe(40)
  })
}

test('what cannot arrive while the world is split arrives when it heals, whole and in order', () => {
  const world = new World({ seed: 3 })
  const a = world.add({ public: true })
  const b = world.add({ public: false })
  b.join(a)
  world.run(2_000)
  const call = a.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: b.id } }))
  const connected = call.answer()
  if (connected?.kind !== 'connected') throw new Error('they are linked')
  const { session } = connected
  const opened = a.ask(request => ({ kind: 'stream-open', request, session, subject: 'test' })).answer()
  if (opened?.kind !== 'stream-opened') throw new Error('a session opens streams')
  world.split(node => node.index)
  for (let i = 0; i < 50; i += 1) {
    a.command({ kind: 'stream-write', session, stream: opened.stream, chunks: [Uint8Array.of(i)] })
    world.run(100)
  }
  const received = (): number[] =>
    b.events.flatMap(event => (event.kind === 'stream-data' ? event.chunks.flatMap(chunk => [...chunk]) : []))
  expect(received()).toEqual([])
  world.split(null)
  world.run(5_000)
  expect(received()).toEqual(Array.from({ length: 50 }, (_, i) => i))
})

test('a run is repeated exactly by its seed', () => {
  const trace = (): string[] => {
    const world = new World({ seed: 4 })
    const nodes = grow(world, 12, 0.5)
    nodes[3]?.kill(true)
    world.run(30_000)
    return nodes.map(node => `${node.bytesSent} ${node.events.map(event => event.kind).join()}`)
  }
  expect(trace()).toEqual(trace())
})
