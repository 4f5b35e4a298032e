/** Which peer is sought as a hub: the nearest large public one, over which others find this peer from afar. */
import { describe, expect, it } from 'vitest'
import { RING } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { type PeerRef, REF_LIFETIME_MS, signPeerRef } from '../crypto/peer-ref.ts'
import { nativeSuite, testIdentity } from '../crypto/suite.fixtures.ts'
import { Turn } from '../turn.ts'
import { LinkSeeking } from './link-seeking.ts'
import { Link } from './link-table.ts'
import { type OverlayNeeds, Surrounds } from './overlay-needs.ts'

const turn = new Turn(1_000, 1_800_000_000_000)
const SERVER = { capacity: 256, host: '192.0.2.1' }
const DESKTOP = { capacity: 24, host: '192.0.2.2' }
const HIDDEN_SERVER = { capacity: 256, host: null }

function refOf(byte: number, { capacity, host }: { capacity: number; host: string | null }): PeerRef {
  const addresses = host === null ? [] : [{ scheme: 'tcp' as const, host, port: 4_100, extra: '' }]
  const fields = { sequence: 1, expires: turn.wallTime + REF_LIFETIME_MS, relays: true, rendezvous: [] }
  return signPeerRef(nativeSuite, testIdentity(nativeSuite, byte), { ...fields, capacity, addresses })
}

/** A peer that stands next to `beside`, knows all of `refs` and is linked to some of them. */
function seekingBeside(beside: PeerRef, refs: readonly PeerRef[], linked: readonly PeerRef[] = []) {
  const position = (beside.position + 1) % RING
  // reason: no more of the surroundings is looked at.
  const needs = { position, capacity: 24, contact: () => null } as unknown as OverlayNeeds
  const around = new Surrounds(needs, new Rng(1))
  for (const ref of refs) around.memory.learn(ref, 'random', 0)
  for (const ref of linked) {
    around.links.add(new Link(ref, 'far'))
    around.memory.setLinked(ref.peer, true)
  }
  return {
    around,
    seeking: new LinkSeeking(
      around,
      () => {},
      () => {},
      () => 1_000,
    ),
  }
}

describe('the hub that a peer seeks', () => {
  const servers = [1, 2, 3, 4].map(byte => refOf(byte, SERVER))
  const [near, other] = servers as [PeerRef, PeerRef]

  it('is the nearest public peer of large capacity, whoever else is nearer', () => {
    const desktop = refOf(5, DESKTOP)
    expect(seekingBeside(near, servers).seeking.hubCandidate(turn)).toBe(near)
    expect(seekingBeside(desktop, [...servers, desktop]).seeking.hubCandidate(turn)?.capacity).toBe(256)
    const hidden = refOf(6, HIDDEN_SERVER)
    expect(seekingBeside(hidden, [...servers, hidden]).seeking.hubCandidate(turn)).not.toBe(hidden)
    expect(seekingBeside(near, [desktop, hidden]).seeking.hubCandidate(turn)).toBeNull()
  })

  it('is none where one that is linked stands nearer', () => {
    expect(seekingBeside(near, servers, [near]).seeking.hubCandidate(turn)).toBeNull()
    expect(seekingBeside(near, servers, [other]).seeking.hubCandidate(turn)).toBe(near)
  })

  it('is the next while the nearest could not be reached', () => {
    const { around, seeking } = seekingBeside(near, servers)
    around.memory.failed(near.peer, turn.now)
    const next = seeking.hubCandidate(turn)
    expect(next).not.toBeNull()
    expect(next).not.toBe(near)
  })
})
