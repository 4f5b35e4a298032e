/** A member that leaves is gone from the registry, whoever else left just before. */
import { expect, it } from 'vitest'
import { type Node, World } from './world.ts'

const SERVICE = 'left.example/1'

function membersFor(world: World, watcher: Node): readonly string[] {
  const asked = watcher.ask(request => ({ kind: 'service-find', request, service: SERVICE }))
  world.runUntil(() => asked.answer() !== undefined, 6_000, 20)
  const answer = asked.answer()
  return answer?.kind === 'service-found' ? answer.members.map(({ peer }) => peer) : []
}

it('is not found any more after it has left, though its neighbours have just lost others', () => {
  const lingering: string[] = []
  for (let seed = 1; seed <= 60; seed += 1) {
    const world = new World({ seed, delayMs: [1, 3] })
    const host = world.add({ public: true })
    const join = (): Node => {
      const node = world.add({ public: false })
      node.join(host)
      world.runUntil(() => node.events.some(event => event.kind === 'joined'), 5_000, 10)
      return node
    }
    const member = join()
    member.ask(request => ({ kind: 'service-join', request, service: SERVICE, summary: '' }))
    const watcher = join()
    world.runUntil(() => membersFor(world, watcher).includes(member.id), 10_000, 50)
    for (let i = 0; i < 3; i += 1) {
      const passer = join()
      world.run(40)
      passer.command({ kind: 'leave-mesh' })
    }
    member.command({ kind: 'leave-mesh' })
    world.run(1_000)
    expect(member.alive).toBe(false)
    if (membersFor(world, watcher).includes(member.id)) lingering.push(`seed ${seed}`)
  }
  expect(lingering).toEqual([])
}, 60_000)
