/** Peers that hear nobody any more, since the router of their machine has another address: nobody was told of it. */
import { describe, expect, it } from 'vitest'
import { type Node, World } from '../../sim/world.ts'
import type { SessionId, StreamId } from '../input.ts'

interface Talk {
  readonly world: World
  readonly ends: readonly [Node, Node]
  readonly session: SessionId
  readonly stream: StreamId
}

/** Two of six peers, one of whom can be dialled, with a stream between them that has come to rest. */
function talking(seed: number): Talk {
  const world = new World({ seed })
  const first = world.add({ public: true })
  const others = Array.from({ length: 5 }, (_, i) => world.add({ public: i === 0 }))
  for (const node of others) node.join(first)
  world.run(20_000)
  const [from, to] = others.slice(-2) as [Node, Node]
  const call = from.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } }))
  world.runUntil(() => call.answer() !== undefined, 5_000)
  const connected = call.answer()
  if (connected?.kind !== 'connected') throw new Error('not connected')
  const { session } = connected
  const opened = from.ask(request => ({ kind: 'stream-open', request, session, subject: '' })).answer()
  if (opened?.kind !== 'stream-opened') throw new Error('no stream')
  const { stream } = opened
  const talk: Talk = { world, ends: [from, to], session, stream }
  byteTakes(talk)
  world.run(10_000)
  return talk
}

/** How long it takes until a byte that the first writes is at the second. */
function byteTakes({ world, ends: [from, to], session, stream }: Talk): number | null {
  const got = (): number => to.events.filter(({ kind }) => kind === 'stream-data').length
  const before = got()
  from.command({ kind: 'stream-write', session, stream, chunks: [Uint8Array.of(7)] })
  return world.runUntil(() => got() > before, 30_000, 20)
}

function renumber(node: Node): void {
  for (const wire of node.openWires()) wire.sever()
}

describe('a peer whose router has another address', () => {
  it.each([0, 1])('is reached within 2 s by who holds a stream to it (end %s)', end => {
    for (let seed = 1; seed <= 12; seed += 1) {
      const talk = talking(seed)
      renumber(talk.ends[end]!)
      // Long enough to know it by itself, or not at all.
      talk.world.run((seed * 500) % 3_000)
      expect(byteTakes(talk), `seed ${seed}`).toBeLessThan(2_000)
      for (const node of talk.ends) expect(node.events.some(({ kind }) => kind === 'stream-failed')).toBe(false)
    }
  })

  it('says so once to its host, which may look for its new address', () => {
    const talk = talking(3)
    const [from, to] = talk.ends
    const heard = (node: Node): number => node.events.filter(({ kind }) => kind === 'unheard').length
    const before = [heard(from), heard(to)]
    renumber(to)
    talk.world.run(10_000)
    expect([heard(from), heard(to)]).toEqual([before[0], before[1]! + 1])
  })
})

describe('a peer that holds a stream', () => {
  it('asks at most one peer a second while nobody says anything', () => {
    const { world, ends } = talking(1)
    const [{ bytesSent }] = ends
    world.run(60_000)
    // A question or an answer is 42 bytes; the rest is what links tell each other.
    expect(ends[0].bytesSent - bytesSent).toBeLessThan(60 * 100)
  })
})
