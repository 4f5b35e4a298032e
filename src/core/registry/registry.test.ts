import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Result } from '../base/fault.ts'
import { Rng } from '../base/rng.ts'
import { type PeerRef, signPeerRef } from '../crypto/peer-ref.ts'
import { nativeSuite } from '../crypto/suite.fixtures.ts'
import type { ServiceEntry } from '../effect.ts'
import {
  ANNOUNCEMENT_INTERVAL_MS,
  ANNOUNCEMENT_LIFETIME_MS,
  DESCRIPTOR_LIFETIME_MS,
  SUMMARY_BYTES_MAX,
} from '../limits.ts'
import { TestMesh, type TestPeer, WALL_AT_START } from '../service/mesh.fixtures.ts'
import type { Turn } from '../turn.ts'
import { keyOfService, signRecord } from './record.ts'
import { refMark } from './ref-mark.ts'
import { decodeFindAnswer, encodeRegistryMessage, encodeRegistryRequest } from './registry-messages.ts'
import { parseServiceName, type ServiceName } from './service-name.ts'

const CHAT = 'chat.example/1'

function name(text: string): ServiceName {
  const parsed = parseServiceName(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}

function announce(mesh: TestMesh, peer: TestPeer, service = CHAT, summary = 'talk'): void {
  expect(mesh.step(peer, turn => peer.registry.announce(turn, service, summary))).toBeNull()
}

function find(mesh: TestMesh, peer: TestPeer, service = CHAT): { found: Result<PeerRef[]> | null; members: number } {
  const outcome: { found: Result<PeerRef[]> | null; members: number } = { found: null, members: 0 }
  mesh.step(peer, turn =>
    peer.registry.find(turn, service, (_, found, members) => Object.assign(outcome, { found, members })),
  )
  mesh.run(15_000)
  return outcome
}

function foundPeers(mesh: TestMesh, peer: TestPeer, service = CHAT): string[] {
  const { found } = find(mesh, peer, service)
  if (found?.ok !== true) throw new Error(`not found: ${JSON.stringify(found)}`)
  return found.value.map(ref => ref.peer).sort()
}

function list(mesh: TestMesh, peer: TestPeer): ServiceEntry[] {
  let listed: Result<ServiceEntry[]> | null = null as Result<ServiceEntry[]> | null
  mesh.step(peer, turn => peer.registry.list(turn, (_, outcome) => (listed = outcome)))
  mesh.run(15_000)
  if (listed?.ok !== true) throw new Error('not listed')
  return listed.value
}

/** Who holds announcements of the service now. */
function holders(mesh: TestMesh, service = CHAT): TestPeer[] {
  const request = encodeRegistryRequest({ kind: 'find', service: name(service), count: 64, marks: [] })
  return mesh.living().filter(peer => {
    const answer = peer.registry.onRequest(mesh.turn(), 0, request)
    return answer !== null && (decodeFindAnswer(answer)?.refs.length ?? 0) > 0
  })
}

function ids(...peers: TestPeer[]): string[] {
  return peers.map(peer => peer.identity.peer).sort()
}

describe('the registry', () => {
  it('finds those who announced themselves, from anywhere, without the one who asks', () => {
    const mesh = new TestMesh({ peers: 100 })
    for (const index of [3, 4, 5]) announce(mesh, mesh.peer(index))
    mesh.run(2_000)
    expect(foundPeers(mesh, mesh.peer(77))).toEqual(ids(mesh.peer(3), mesh.peer(4), mesh.peer(5)))
    expect(foundPeers(mesh, mesh.peer(4))).toEqual(ids(mesh.peer(3), mesh.peer(5)))
    expect(find(mesh, mesh.peer(9)).members).toBe(3)
    expect(foundPeers(mesh, mesh.peer(9), 'other/1')).toEqual([])
    expect(mesh.faults).toEqual([])
  })

  it('tells by four bytes each of members whose refs the searcher holds, and of newer refs in full', () => {
    const mesh = new TestMesh({ peers: 30 })
    for (const index of [3, 4, 5]) announce(mesh, mesh.peer(index))
    mesh.run(2_000)
    const { found: first } = find(mesh, mesh.peer(9))
    if (first?.ok !== true) throw new Error('not found')
    const again = { found: null as Result<PeerRef[]> | null }
    const onFound = (_: Turn, found: Result<PeerRef[]>): void => void Object.assign(again, { found })
    mesh.step(mesh.peer(9), turn => mesh.peer(9).registry.find(turn, CHAT, onFound, first.value))
    mesh.run(15_000)
    expect(again.found?.ok === true && again.found.value.map(ref => ref.peer).sort()).toEqual(
      ids(mesh.peer(3), mesh.peer(4), mesh.peer(5)),
    )
    const marks = first.value.slice(0, 2).map(ref => refMark(ref.bytes))
    const request = encodeRegistryRequest({ kind: 'find', service: name(CHAT), count: 64, marks })
    const holder = holders(mesh)[0]
    const answer = holder?.registry.onRequest(mesh.turn(), 0, request) ?? null
    const lengths = answer === null ? [] : decodeFindAnswer(answer)?.refs.map(ref => ref.length)
    expect(lengths?.filter(length => length === 4).length).toBe(2)
    expect(lengths?.filter(length => length > 100).length).toBe(1)
  })

  it('works with real cryptography, and alone', () => {
    const mesh = new TestMesh({ peers: 20, suite: nativeSuite })
    announce(mesh, mesh.peer(0))
    mesh.run(3_000)
    expect(foundPeers(mesh, mesh.peer(1))).toEqual(ids(mesh.peer(0)))
    expect(list(mesh, mesh.peer(2))).toEqual([{ service: CHAT, summary: 'talk', members: 1 }])
    const alone = new TestMesh({ peers: 1, suite: nativeSuite })
    announce(alone, alone.peer(0))
    alone.run(3_000)
    expect(foundPeers(alone, alone.peer(0))).toEqual([])
    expect(list(alone, alone.peer(0))).toEqual([{ service: CHAT, summary: 'talk', members: 1 }])
  })

  it('lists all services with their members, by name', () => {
    const mesh = new TestMesh({ peers: 60 })
    for (let i = 0; i < 40; i += 1) {
      const service = `service-${String(i % 20).padStart(2, '0')}/1`
      announce(mesh, mesh.peer(i), service, `number ${i % 20}`)
    }
    mesh.run(5_000)
    const entries = list(mesh, mesh.peer(50))
    expect(entries.map(entry => entry.service)).toEqual(
      entries.map((_, i) => `service-${String(i).padStart(2, '0')}/1`),
    )
    expect(entries).toHaveLength(20)
    expect(entries.every(entry => entry.members === 2)).toBe(true)
    expect(entries[7]?.summary).toBe('number 7')
  })

  it('lists more services of a shard than fit one answer', () => {
    const mesh = new TestMesh({ peers: 30 })
    const services = Array.from({ length: 900 }, (_, i) => `a-service-with-a-rather-long-name-for-a-test-${i}/1`)
    for (const [i, service] of services.entries())
      announce(mesh, mesh.peer(i % 30), service, 'x'.repeat(SUMMARY_BYTES_MAX))
    mesh.run(5_000)
    expect(list(mesh, mesh.peer(0)).map(entry => entry.service)).toEqual(services.sort())
  }, 30_000)

  it('refuses a name or summary that is not right, and says so', () => {
    const mesh = new TestMesh({ peers: 1 })
    const { registry } = mesh.peer(0)
    expect(registry.announce(mesh.turn(), 'Chat', '')).toMatchObject({ code: 'invalid-service-name' })
    expect(registry.announce(mesh.turn(), CHAT, 'é'.repeat(101))).toMatchObject({
      code: 'invalid-option',
      got: 202,
      limit: 200,
    })
  })

  it('is held by the region of the key: about eight peers, a dozen with the margin', () => {
    const mesh = new TestMesh({ peers: 400 })
    announce(mesh, mesh.peer(0))
    mesh.run(3_000)
    const held = holders(mesh)
    expect(held.length).toBeGreaterThanOrEqual(5)
    expect(held.length).toBeLessThanOrEqual(24)
    expect(held).toEqual(expect.arrayContaining(mesh.closest(keyOfService(mesh.suite, name(CHAT))).slice(0, 3)))
  })

  it.each([1, 2, 3, 4, 5, 6])(
    'survives the death of the owner and then of all other first holders, one by one (seed %i)',
    seed => {
      const mesh = new TestMesh({ peers: 200, seed })
      const key = keyOfService(mesh.suite, name(CHAT))
      const [publisher, asker] = [...mesh.closest(key)].slice(-2) as [TestPeer, TestPeer]
      announce(mesh, publisher)
      mesh.run(2_000)
      // The publisher is cut off before it can publish again, so that only handing over keeps the record.
      for (let deaths = 0; deaths < 30; deaths += 1) {
        mesh.kill(mesh.closest(key)[0]!)
        mesh.run(5_000)
        expect(holders(mesh), `after ${deaths + 1} deaths`).toContain(mesh.closest(key)[0]!)
      }
      expect(mesh.now).toBeLessThan(ANNOUNCEMENT_INTERVAL_MS * 0.8)
      expect(foundPeers(mesh, asker)).toEqual(ids(publisher))
      expect(mesh.faults).toEqual([])
    },
  )

  it('is handed to peers that come to sit nearer to the key', () => {
    const mesh = new TestMesh({ peers: 60 })
    announce(mesh, mesh.peer(0))
    mesh.run(2_000)
    const key = keyOfService(mesh.suite, name(CHAT))
    for (let i = 0; i < 60; i += 1) {
      mesh.addPeer()
      mesh.run(500)
    }
    const owner = mesh.closest(key)[0]!
    expect(holders(mesh)).toContain(owner)
    // Those that the grown network has left outside the region let go of it.
    mesh.run(60_000)
    expect(holders(mesh).length).toBeLessThan(40)
  })

  it('forgets a member that died when its announcement expires, and its service later', () => {
    const mesh = new TestMesh({ peers: 50 })
    announce(mesh, mesh.peer(0))
    announce(mesh, mesh.peer(1))
    mesh.run(2_000)
    mesh.kill(mesh.peer(0))
    mesh.run(ANNOUNCEMENT_LIFETIME_MS / 2)
    expect(foundPeers(mesh, mesh.peer(9))).toEqual(ids(mesh.peer(0), mesh.peer(1)))
    mesh.run(ANNOUNCEMENT_LIFETIME_MS / 2)
    expect(foundPeers(mesh, mesh.peer(9))).toEqual(ids(mesh.peer(1)))
    mesh.kill(mesh.peer(1))
    mesh.run(DESCRIPTOR_LIFETIME_MS + 60_000)
    expect(list(mesh, mesh.peer(9))).toEqual([])
    expect(mesh.living().map(peer => peer.registry.snapshotCount())).toEqual(mesh.living().map(() => 0))
    expect(mesh.living().every(peer => peer.registry.nextWake() === null || peer.saved.size === 0)).toBe(true)
  })

  it('is renewed as long as the member lives', () => {
    const mesh = new TestMesh({ peers: 30 })
    announce(mesh, mesh.peer(0))
    for (let hour = 0; hour < 3; hour += 1) {
      mesh.run(3_600_000)
      expect(foundPeers(mesh, mesh.peer(9))).toEqual(ids(mesh.peer(0)))
      expect(list(mesh, mesh.peer(9))).toHaveLength(1)
    }
  })

  it('shows at once that a member has left, and takes it back when it returns', () => {
    const mesh = new TestMesh({ peers: 50 })
    announce(mesh, mesh.peer(0))
    announce(mesh, mesh.peer(1))
    mesh.run(3_000)
    mesh.step(mesh.peer(0), turn => mesh.peer(0).registry.withdraw(turn, CHAT))
    mesh.run(1_000)
    expect(foundPeers(mesh, mesh.peer(9))).toEqual(ids(mesh.peer(1)))
    mesh.step(mesh.peer(1), turn => mesh.peer(1).registry.withdraw(turn, CHAT))
    mesh.run(1_000)
    expect(list(mesh, mesh.peer(9))).toEqual([])
    announce(mesh, mesh.peer(0))
    mesh.run(1_000)
    expect(foundPeers(mesh, mesh.peer(9))).toEqual(ids(mesh.peer(0)))
  })

  it('carries a changed ref within seconds', () => {
    const mesh = new TestMesh({ peers: 50 })
    const peer = mesh.peer(0)
    announce(mesh, peer)
    mesh.run(3_000)
    peer.ref = signPeerRef(mesh.suite, peer.identity, { ...peer.ref, sequence: WALL_AT_START + 3_000, capacity: 99 })
    mesh.step(peer, turn => peer.registry.onSelfChanged(turn))
    mesh.run(6_000)
    const { found } = find(mesh, mesh.peer(9))
    expect(found?.ok === true && found.value[0]?.capacity).toBe(99)
  })

  it('is announced again within seconds after a put that failed', () => {
    const mesh = new TestMesh({ peers: 30 })
    const peer = mesh.peer(0)
    const owner = mesh.closest(keyOfService(mesh.suite, name(CHAT)))[0]!
    const answers = owner.registry.onRequest.bind(owner.registry)
    owner.registry.onRequest = () => null
    if (owner !== peer) announce(mesh, peer)
    mesh.run(1_000)
    owner.registry.onRequest = answers
    mesh.run(4_000)
    expect(holders(mesh).length).toBeGreaterThan(0)
  })

  it('brings its records back after a restart, without those that expired meanwhile', () => {
    const mesh = new TestMesh({ peers: 3, noticeMs: 100 })
    announce(mesh, mesh.peer(0))
    mesh.run(5_000)
    const holder = mesh.peer(1)
    expect(holder.saved.size).toBe(2)
    // Each is put twice, and changes of two seconds are saved together.
    expect(holder.saves).toBeLessThanOrEqual(4)
    mesh.kill(holder)
    mesh.kill(mesh.peer(0))
    mesh.run(60_000)
    mesh.restart(holder)
    expect(holder.registry.snapshotCount()).toBe(2)
    mesh.kill(holder)
    mesh.run(ANNOUNCEMENT_LIFETIME_MS)
    holder.saved.set('record/0000000000000000', new Uint8Array([1, 2, 3]))
    mesh.restart(holder)
    expect(holder.registry.snapshotCount()).toBe(1)
    expect(holder.saved.size).toBe(1)
  })

  it('closes on a forged record, and keeps none', () => {
    const mesh = new TestMesh({ peers: 3 })
    const [victim, liar] = [mesh.peer(0), mesh.peer(1)]
    const real = signRecord(mesh.suite, victim.identity, {
      kind: 'announcement',
      withdrawn: false,
      service: name(CHAT),
      sequence: WALL_AT_START,
      expires: WALL_AT_START + 1_000,
      payload: victim.ref.bytes,
    })
    const forged = real.bytes.slice()
    forged[forged.length - 1]! ^= 1
    const message = encodeRegistryMessage({ kind: 'replicate', side: 'after', hops: 1, records: [forged] })
    expect(victim.registry.onMessage(mesh.turn(), liar.identity.peer, message)).toMatchObject({ code: 'malformed' })
    const put = encodeRegistryRequest({ kind: 'put', record: forged })
    expect(victim.registry.onRequest(mesh.turn(), real.key, put)).toBeNull()
    expect(victim.registry.snapshotCount()).toBe(0)
  })

  it('never throws on bytes from outside', () => {
    const mesh = new TestMesh({ peers: 3 })
    const { registry } = mesh.peer(0)
    const rng = new Rng('bytes')
    const record = signRecord(mesh.suite, mesh.peer(1).identity, {
      kind: 'descriptor',
      withdrawn: true,
      service: name(CHAT),
      sequence: WALL_AT_START,
      expires: WALL_AT_START + 1_000,
      payload: new Uint8Array(0),
    })
    const real = [
      encodeRegistryRequest({ kind: 'put', record: record.bytes }),
      encodeRegistryMessage({ kind: 'replicate', side: 'before', hops: 3, records: [record.bytes] }),
      encodeRegistryMessage({ kind: 'digest', entries: [{ slot: record.slot, sequence: 1 }] }),
      encodeRegistryMessage({ kind: 'want', slots: [record.slot] }),
    ]
    const damaged = fc.tuple(fc.constantFrom(...real), fc.array(fc.nat())).map(([bytes, places]) => {
      const copy = bytes.slice(0, bytes.length - (places.length % 3))
      for (const place of places) copy[place % copy.length] = rng.below(256)
      return copy
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged), bytes => {
        registry.onRequest(mesh.turn(), record.key, bytes)
        registry.onMessage(mesh.turn(), mesh.peer(1).identity.peer, bytes)
      }),
      { numRuns: 2_000, seed: 6 },
    )
  })
})
