import { expect, it } from 'vitest'
import { World } from '../../sim/world.ts'

it('a newcomer whose only way in dies right after it let it in is not alone', () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const world = new World({ seed })
    const first = world.add({ public: true })
    for (let i = 0; i < 9; i += 1) world.add({ public: i % 2 === 0 }).join(first)
    world.run(5_000)
    const late = world.add({ public: seed % 2 === 0 })
    late.join(first)
    world.runUntil(() => late.events.some(event => event.kind === 'joined'), 5_000, 5)
    world.run(20)
    first.kill()
    world.run(3_000)
    const links = late.peer.snapshot().links.filter(link => link.peer !== first.id).length
    expect({ seed, linked: links > 0 }).toEqual({ seed, linked: true })
  }
})

it('those next to a newcomer on the ring hear of it from its way in at once', () => {
  const world = new World({ seed: 3, delayMs: [20, 20] })
  const first = world.add({ public: true })
  const other = world.add({ public: true })
  other.join(first)
  world.run(5_000)
  const late = world.add({ public: true })
  late.join(first)
  world.runUntil(() => late.events.some(event => event.kind === 'joined'), 5_000, 1)
  // The newcomer dies as well: what the other knows of it, it knows from the way in.
  late.kill(true)
  world.run(50)
  expect(other.peer.snapshot().rememberedPeers).toBe(2)
})
