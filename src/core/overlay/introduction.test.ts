import { expect, it, vi } from 'vitest'
import { World } from '../../sim/world.ts'
import { ringDistance } from '../base/position.ts'
import { WAY_IN_TOLD_LINKS } from '../limits.ts'
import type { LinkView } from '../peer-options.ts'
import { Session } from '../session/session.ts'
import { Channel } from '../session/session-owner.ts'
import { decodeOverlayMessage } from './overlay-messages.ts'

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

it('a newcomer hears from a way in with many links of those nearest to it', () => {
  const world = new World({ seed: 5 })
  const first = world.add({ public: true, capacity: 256 })
  const linksOfFirst = (): readonly LinkView[] => first.peer.snapshot().links
  for (let i = 0; i < 60; i += 1) world.add({ public: true }).join(first)
  world.runUntil(() => linksOfFirst().length > WAY_IN_TOLD_LINKS + 10, 5_000, 1)
  const late = world.add({ public: true })
  const told: Float64Array[] = []
  const send = Session.prototype.sendMessage
  const spy = vi.spyOn(Session.prototype, 'sendMessage').mockImplementation(function (
    this: Session,
    turn,
    channel,
    bytes,
  ) {
    const message = channel === Channel.overlay && this.peer === late.id ? decodeOverlayMessage(bytes) : null
    if (message?.kind === 'neighbours') told.push(message.positions)
    return send.call(this, turn, channel, bytes)
  })
  late.join(first)
  world.runUntil(() => told.length > 0, 5_000, 1)
  spy.mockRestore()
  expect(linksOfFirst().length).toBeGreaterThan(WAY_IN_TOLD_LINKS + 5)
  const { position } = late.ref
  const farthest = Math.max(...told[0]!.map(other => ringDistance(position, other)))
  const nearer = linksOfFirst()
    .map(link => world.nodes.find(node => node.id === link.peer)!.ref.position)
    .filter(other => ringDistance(position, other) <= farthest)
  expect([told[0]?.length, nearer.length]).toEqual([WAY_IN_TOLD_LINKS, WAY_IN_TOLD_LINKS])
})
