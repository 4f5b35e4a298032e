import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Rng } from '../base/rng.ts'
import { nativeSuite } from '../crypto/suite.fixtures.ts'
import type { PeerEvent } from '../effect.ts'
import { BROADCAST_BYTES_MAX, MEMBERS_MAX, SERVICES_JOINED_MAX } from '../limits.ts'
import { Channel } from '../session/session-owner.ts'
import { signBroadcast } from './broadcast.ts'
import { TestMesh, type TestPeer, WALL_AT_START } from './mesh.fixtures.ts'
import { encodeServiceMessage, type ServiceMessage } from './service-messages.ts'
import type { ServiceTag } from './service-tag.ts'

const CHAT = 'chat.example/1'
const GOSSIP = `${Channel.service}/5`

function join(mesh: TestMesh, peers: readonly TestPeer[], service = CHAT): void {
  for (const peer of peers) expect(mesh.step(peer, turn => peer.services.join(turn, service, ''))).toBeNull()
}

/** A mesh in which the first `members` peers have joined and found each other. */
function settled(options: { peers: number; members: number; seed?: number }): TestMesh {
  const mesh = new TestMesh(options)
  join(mesh, mesh.peers.slice(0, options.members))
  mesh.run(20_000)
  return mesh
}

function broadcast(mesh: TestMesh, peer: TestPeer, text: string, service = CHAT): number {
  const sent = mesh.step(peer, turn => peer.services.broadcast(turn, service, new Uint8Array(Buffer.from(text))))
  if (typeof sent !== 'number') throw new Error(sent.code)
  return sent
}

/** The texts that a peer heard, each as often as it came. */
function heard(peer: TestPeer, service = CHAT): string[] {
  const messages = peer.events.filter(event => event.kind === 'message').filter(event => event.service === service)
  return messages.map(message => Buffer.from(message.bytes).toString())
}

function changes(peer: TestPeer, about: TestPeer): boolean[] {
  const events = peer.events.filter((event): event is PeerEvent & { kind: 'member' } => event.kind === 'member')
  return events.filter(event => event.peer === about.identity.peer).map(event => event.present)
}

function memberCounts(peers: readonly TestPeer[], service = CHAT): number[] {
  return peers.map(peer => peer.services.members(service).length)
}

function copiesOf(mesh: TestMesh, act: () => void): number {
  const before = mesh.arrived.get(GOSSIP) ?? 0
  act()
  mesh.run(5_000)
  return (mesh.arrived.get(GOSSIP) ?? 0) - before
}

describe('the members of a service', () => {
  it('discover each other: two within a second and a half, fifty within three', () => {
    const two = new TestMesh({ peers: 10 })
    join(two, two.peers.slice(0, 2))
    two.run(1_500)
    expect(memberCounts(two.peers.slice(0, 2))).toEqual([1, 1])

    const fifty = new TestMesh({ peers: 80 })
    const members = fifty.peers.slice(0, 50)
    join(fifty, members)
    fifty.run(3_000)
    expect(memberCounts(members)).toEqual(members.map(() => 49))
    for (const peer of members)
      for (const other of members) if (other !== peer) expect(changes(peer, other)).toEqual([true])
    expect(fifty.faults).toEqual([])
  })

  it('learn of a newcomer within two seconds and a half', () => {
    const mesh = settled({ peers: 60, members: 30 })
    const newcomer = mesh.peer(40)
    join(mesh, [newcomer])
    mesh.run(2_500)
    for (const peer of mesh.peers.slice(0, 30)) expect(changes(peer, newcomer)).toEqual([true])
    expect(newcomer.services.members(CHAT)).toHaveLength(30)
  })

  it('see within a second that one leaves, and do not take it back on hearsay', () => {
    const mesh = settled({ peers: 60, members: 30 })
    const leaver = mesh.peer(7)
    mesh.step(leaver, turn => leaver.services.leave(turn, CHAT))
    mesh.run(1_000)
    const others = mesh.peers.slice(0, 30).filter(peer => peer !== leaver)
    for (const peer of others) expect(changes(peer, leaver)).toEqual([true, false])
    mesh.run(300_000)
    for (const peer of others) expect(changes(peer, leaver)).toEqual([true, false])
    expect(leaver.services.members(CHAT)).toEqual([])
    expect(leaver.kept.size).toBe(0)
    join(mesh, [leaver])
    mesh.run(2_000)
    for (const peer of others) expect(changes(peer, leaver)).toEqual([true, false, true])
  })

  it('give up one that died once its announcement has expired', () => {
    const mesh = settled({ peers: 40, members: 20 })
    const dead = mesh.peer(3)
    mesh.kill(dead)
    mesh.run(20 * 60_000)
    for (const peer of mesh.peers.slice(0, 20)) if (peer !== dead) expect(changes(peer, dead)).toEqual([true, false])
    expect(memberCounts(mesh.living().slice(0, 19))).toEqual(Array(19).fill(18))
  })

  it('keep one that lost its session for a while', () => {
    const mesh = settled({ peers: 20, members: 6 })
    for (let round = 0; round < 10; round += 1) {
      for (const a of mesh.peers.slice(0, 6))
        for (const b of mesh.peers.slice(0, 6)) if (a !== b) mesh.closeSession(a, b)
      mesh.run(5_000)
    }
    for (const a of mesh.peers.slice(0, 6))
      for (const b of mesh.peers.slice(0, 6)) if (a !== b) expect(changes(a, b)).toEqual([true])
    broadcast(mesh, mesh.peer(0), 'still here')
    mesh.run(2_000)
    expect(mesh.peers.slice(1, 6).map(peer => heard(peer))).toEqual(Array(5).fill([['still here']].flat()))
  })

  it('of two services know only those of their own; sessions are shared and kept until neither needs them', () => {
    const mesh = new TestMesh({ peers: 30 })
    join(mesh, mesh.peers.slice(0, 12))
    join(mesh, mesh.peers.slice(6, 18), 'game.example/2')
    mesh.run(10_000)
    expect(memberCounts(mesh.peers.slice(0, 12))).toEqual(Array(12).fill(11))
    expect(memberCounts(mesh.peers.slice(6, 18), 'game.example/2')).toEqual(Array(12).fill(11))
    broadcast(mesh, mesh.peer(8), 'to chat')
    broadcast(mesh, mesh.peer(8), 'to game', 'game.example/2')
    mesh.run(5_000)
    expect(mesh.peers.map(peer => heard(peer).length)).toEqual(mesh.peers.map((_, i) => (i < 12 && i !== 8 ? 1 : 0)))
    expect(mesh.peers.map(peer => heard(peer, 'game.example/2').length)).toEqual(
      mesh.peers.map((_, i) => (i >= 6 && i < 18 && i !== 8 ? 1 : 0)),
    )
    for (const peer of mesh.peers.slice(6, 12)) mesh.step(peer, turn => peer.services.leave(turn, CHAT))
    mesh.run(60_000)
    expect(memberCounts(mesh.peers.slice(0, 6))).toEqual(Array(6).fill(5))
    expect(memberCounts(mesh.peers.slice(6, 18), 'game.example/2')).toEqual(Array(12).fill(11))
    broadcast(mesh, mesh.peer(6), 'again', 'game.example/2')
    mesh.run(3_000)
    expect(mesh.peers.slice(7, 18).every(peer => heard(peer, 'game.example/2').includes('again'))).toBe(true)
    expect(mesh.faults).toEqual([])
  })

  it('hold few sessions each, of a service of any size', () => {
    const mesh = new TestMesh({ peers: 150 })
    for (const peer of mesh.peers) {
      join(mesh, [peer])
      mesh.run(50)
    }
    mesh.run(60_000)
    const kept = mesh.peers.map(peer => peer.kept.size).sort((a, b) => a - b)
    expect(kept.at(-1)).toBeLessThanOrEqual(5 + 12)
    expect(kept.reduce((sum, size) => sum + size, 0) / kept.length).toBeLessThan(11)
    expect(Math.max(...memberCounts(mesh.peers))).toBeLessThanOrEqual(MEMBERS_MAX)
    broadcast(mesh, mesh.peer(0), 'warm')
    mesh.run(10_000)
    const copies = copiesOf(mesh, () => broadcast(mesh, mesh.peer(9), 'all'))
    expect(mesh.peers.filter(peer => heard(peer).filter(text => text === 'all').length === 1)).toHaveLength(149)
    expect(copies / 149).toBeLessThan(1.3)
  }, 60_000)
})

describe('a broadcast', () => {
  it('reaches all members once and not its origin, and names its origin', () => {
    const mesh = settled({ peers: 60, members: 50 })
    expect(broadcast(mesh, mesh.peer(4), 'hello')).toBeGreaterThan(0)
    mesh.run(3_000)
    expect(mesh.peers.map(peer => heard(peer))).toEqual(mesh.peers.map((_, i) => (i < 50 && i !== 4 ? ['hello'] : [])))
    const message = mesh.peer(30).events.find(event => event.kind === 'message')
    expect(message).toMatchObject({ from: mesh.peer(4).identity.peer, service: CHAT })
  })

  it.each([1, 2, 3])('costs one copy a member once the tree has settled (seed %i)', seed => {
    const mesh = settled({ peers: 60, members: 50, seed })
    for (let i = 0; i < 3; i += 1) copiesOf(mesh, () => broadcast(mesh, mesh.peer(i), `warm ${i}`))
    const copies = Array.from({ length: 10 }, (_, i) =>
      copiesOf(mesh, () => broadcast(mesh, mesh.peer(5 * i), `b${i}`)),
    )
    const perMember = copies.reduce((sum, count) => sum + count, 0) / copies.length / 49
    expect(perMember).toBeLessThanOrEqual(1.3)
    for (const peer of mesh.peers.slice(0, 50))
      for (let i = 0; i < 10; i += 1)
        expect(heard(peer).filter(text => text === `b${i}`)).toHaveLength(peer.index === 5 * i ? 0 : 1)
  })

  it.each([1, 2, 3, 4, 5])('reaches all that live while members die under it (seed %i)', seed => {
    const mesh = settled({ peers: 60, members: 50, seed })
    const rng = new Rng(seed)
    copiesOf(mesh, () => broadcast(mesh, mesh.peer(0), 'warm'))
    const doomed = rng.sample(mesh.peers.slice(1, 50), 15)
    broadcast(mesh, mesh.peer(0), 'during')
    doomed.forEach((peer, i) => {
      mesh.run(i % 3 === 0 ? 10 : 1)
      mesh.kill(peer)
    })
    mesh.run(20_000)
    const alive = mesh.peers.slice(1, 50).filter(peer => peer.alive)
    expect(alive.filter(peer => heard(peer).filter(text => text === 'during').length !== 1)).toEqual([])
    broadcast(mesh, mesh.peer(0), 'after')
    mesh.run(10_000)
    expect(alive.filter(peer => heard(peer).filter(text => text === 'after').length !== 1)).toEqual([])
  })

  it.each([1, 2, 3])('is not lost where a tenth of all messages is (seed %i)', seed => {
    const mesh = settled({ peers: 40, members: 30, seed })
    const rng = new Rng(seed)
    mesh.loses = (_from, _to, channel, bytes) => channel === Channel.service && bytes[0] === 5 && rng.unit() < 0.1
    for (let i = 0; i < 10; i += 1) {
      broadcast(mesh, mesh.peer(i), `m${i}`)
      mesh.run(300)
    }
    mesh.run(15_000)
    const missed = mesh.peers.slice(0, 30).map(peer => 10 - (peer.index < 10 ? 1 : 0) - heard(peer).length)
    expect(missed).toEqual(missed.map(() => 0))
  })

  it('is heard by one who joined before it was sent and linked up after, but not by a later member', () => {
    const mesh = new TestMesh({ peers: 10 })
    join(mesh, mesh.peers.slice(0, 2))
    broadcast(mesh, mesh.peer(0), 'at once')
    mesh.run(5_000)
    expect(heard(mesh.peer(1))).toEqual(['at once'])
    join(mesh, [mesh.peer(2)])
    mesh.run(5_000)
    expect(heard(mesh.peer(2))).toEqual([])
  })

  it('of before does not go on from newcomer to newcomer', () => {
    const mesh = settled({ peers: 160, members: 20 })
    for (let i = 0; i < 5; i += 1) broadcast(mesh, mesh.peer(i), `b${i}`)
    for (let index = 20; index < 160; index += 1) {
      join(mesh, [mesh.peer(index)])
      mesh.run(25)
    }
    mesh.run(10_000)
    // These joined a second and a half after it and more.
    const lateJoiners = mesh.peers.slice(80)
    expect(lateJoiners.flatMap(peer => heard(peer))).toEqual([])
    expect(memberCounts(lateJoiners).every(count => count > 60)).toBe(true)
  })

  it('works with real cryptography', () => {
    const mesh = new TestMesh({ peers: 12, suite: nativeSuite })
    join(mesh, mesh.peers.slice(0, 8))
    mesh.run(5_000)
    broadcast(mesh, mesh.peer(2), 'signed')
    mesh.run(3_000)
    expect(mesh.peers.map(peer => heard(peer).length)).toEqual([1, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    expect(mesh.faults).toEqual([])
  })

  it('is refused over its size, and to a service not joined', () => {
    const mesh = settled({ peers: 3, members: 1 })
    const { services } = mesh.peer(0)
    const tooLong = new Uint8Array(BROADCAST_BYTES_MAX + 1)
    expect(services.broadcast(mesh.turn(), CHAT, tooLong)).toEqual({
      code: 'message-too-large',
      got: 12_289,
      limit: 12_288,
    })
    expect(services.broadcast(mesh.turn(), 'other/1', tooLong)).toMatchObject({ code: 'no-such-service' })
    expect(services.broadcast(mesh.turn(), CHAT, new Uint8Array(BROADCAST_BYTES_MAX))).toBe(0)
  })

  it("cannot be forged by one who passes it on, nor a member's leaving", () => {
    const mesh = settled({ peers: 10, members: 4 })
    const [victim, liar, other] = [mesh.peer(0), mesh.peer(1), mesh.peer(2)]
    const tag = tagOf(mesh)
    for (const content of ['payload', 'member-left'] as const) {
      const real = signBroadcast(liar.identity, new Uint8Array(32), content, WALL_AT_START, new Uint8Array([1]))
      const forged: ServiceMessage = { kind: 'gossip', ageMs: 0, broadcast: { ...real, origin: other.identity.peer } }
      const fault = victim.services.onMessage(mesh.turn(), liar.identity.peer, encodeServiceMessage(tag, forged))
      expect(fault).toMatchObject({ code: 'malformed' })
    }
    expect(heard(victim)).toEqual([])
    expect(changes(victim, other)).toEqual([true])
  })

  it('is not delivered again when it is replayed after it was forgotten', () => {
    const mesh = settled({ peers: 10, members: 4 })
    const tapes: Uint8Array[] = []
    mesh.loses = (_from, to, channel, bytes) => {
      if (channel === Channel.service && bytes[0] === 5 && to === mesh.peer(0)) tapes.push(bytes)
      return false
    }
    broadcast(mesh, mesh.peer(1), 'once')
    mesh.run(15 * 60_000)
    for (const tape of tapes)
      mesh.step(mesh.peer(0), turn => mesh.peer(0).services.onMessage(turn, mesh.peer(2).identity.peer, tape))
    expect(tapes.length).toBeGreaterThan(0)
    expect(heard(mesh.peer(0))).toEqual(['once'])
  })
})

describe('the service part', () => {
  it('refuses the messages of members of a service that it has not joined, without a fault', () => {
    const mesh = settled({ peers: 3, members: 1 })
    const outsider = mesh.peer(1)
    const message = encodeServiceMessage(tagOf(mesh), {
      kind: 'view-join',
      memberForMs: 0,
      ref: mesh.peer(0).ref.bytes,
    })
    expect(
      mesh.step(outsider, turn => outsider.services.onMessage(turn, mesh.peer(0).identity.peer, message)),
    ).toBeNull()
    mesh.run(1_000)
    expect(mesh.arrived.get(`${Channel.service}/3`)).toBe(1)
  })

  it('joins a bounded number of services, under right names only', () => {
    const mesh = new TestMesh({ peers: 2 })
    const peer = mesh.peer(0)
    for (let i = 0; i < SERVICES_JOINED_MAX; i += 1) join(mesh, [peer], `s${i}/1`)
    expect(mesh.step(peer, turn => peer.services.join(turn, 'more/1', ''))).toMatchObject({ code: 'overloaded' })
    expect(mesh.step(peer, turn => peer.services.join(turn, 'No', ''))).toMatchObject({ code: 'invalid-service-name' })
    mesh.step(peer, turn => peer.services.leave(turn, 's0/1'))
    mesh.run(5_000)
    join(mesh, [peer], 'more/1')
  })

  it('never throws on bytes from outside, and stays a member', () => {
    const mesh = settled({ peers: 10, members: 5 })
    const { services } = mesh.peer(0)
    const from = mesh.peer(1)
    const tag = tagOf(mesh)
    const rng = new Rng('bytes')
    const origin = signBroadcast(from.identity, new Uint8Array(32), 'payload', 5, new Uint8Array(9))
    const real: Uint8Array[] = [
      { kind: 'view-join' as const, memberForMs: 5, ref: from.ref.bytes },
      { kind: 'view-accept' as const, memberForMs: 5, refs: [mesh.peer(2).ref.bytes] },
      { kind: 'view-refuse' as const, reason: 'full' as const, refs: [] },
      { kind: 'view-leave' as const, reason: 'trimmed' as const },
      { kind: 'gossip' as const, broadcast: origin, ageMs: 0 },
      { kind: 'ihave' as const, ids: ['00'.repeat(14)] },
      { kind: 'graft' as const, id: 'ff'.repeat(14) },
      { kind: 'prune' as const },
      {
        kind: 'place' as const,
        place: { root: { term: 9, capacity: 24, peer: mesh.peer(2).identity.peer }, round: 3, depth: 1 },
        isParent: true,
      },
    ].map(message => encodeServiceMessage(tag, message))
    const damaged = fc.tuple(fc.constantFrom(...real), fc.array(fc.nat(), { maxLength: 4 })).map(([bytes, places]) => {
      const copy = bytes.slice(0, bytes.length - (places.length % 3))
      for (const place of places) if (place % copy.length > 8) copy[place % copy.length] = rng.below(256)
      return copy
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), bytes => {
        mesh.step(mesh.peer(0), turn => services.onMessage(turn, from.identity.peer, bytes))
      }),
      { numRuns: 2_000, seed: 7 },
    )
    mesh.run(60_000)
    broadcast(mesh, mesh.peer(0), 'alive')
    mesh.run(5_000)
    expect(mesh.peers.slice(1, 5).map(peer => heard(peer))).toEqual(Array(4).fill(['alive']))
  })
})

function tagOf(mesh: TestMesh): ServiceTag {
  return Buffer.from(mesh.suite.sha256(new Uint8Array(Buffer.from(`service:${CHAT}`))).subarray(0, 8)).toString('hex')
}
