import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import { Rng } from '../base/rng.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { CANDIDATE_BACKOFF_MS, FRESH_MS, REMEMBERED_LOST_MAX, REMEMBERED_MAX, REMEMBERED_NEAR_MAX } from '../limits.ts'
import { type MemoryReason, RememberedPeers } from './remembered-peers.ts'

let made = 0

/** A ref as it matters here: nobody looks at its signature any more. */
function ref(host: string | null, fields: Partial<PeerRef> = {}): PeerRef {
  made += 1
  return {
    // reason: any text that differs serves as an id.
    peer: `peer ${made}` as PeerId,
    position: made,
    sequence: 1,
    expires: 0,
    capacity: 24,
    relays: true,
    addresses: host === null ? [] : [{ scheme: 'tcp', host, port: 1, extra: '' }],
    rendezvous: [],
    bytes: new Uint8Array(0),
    ...fields,
  }
}

function count(memory: RememberedPeers, reason: MemoryReason): number {
  return [...memory.all()].filter(entry => entry.reason === reason).length
}

describe('the memory of peers', () => {
  it('keeps to its size, and to the share of each reason where others need the room', () => {
    const memory = new RememberedPeers(new Rng(1))
    for (let i = 0; i < 200; i += 1) memory.learn(ref(`10.${i}.0.1`), 'lost', i)
    for (let i = 0; i < 200; i += 1) memory.learn(ref(`11.${i}.0.1`), 'near', i)
    for (let i = 0; i < 600; i += 1) memory.learn(ref(`12.${i % 256}.0.1`), 'random', i)
    expect(memory.size).toBe(REMEMBERED_MAX)
    expect(count(memory, 'lost')).toBe(REMEMBERED_LOST_MAX)
    expect(count(memory, 'near')).toBe(REMEMBERED_NEAR_MAX)
  })

  it('is not washed out by a flood of refs from one address range', () => {
    const memory = new RememberedPeers(new Rng(2))
    const honest = Array.from({ length: 200 }, (_, i) => ref(`10.${i}.0.1`))
    for (const one of honest) memory.learn(one, 'random', 0)
    for (let i = 0; i < 5_000; i += 1) memory.learn(ref(`66.6.${i % 256}.${i >> 8}`), 'random', i)
    expect(memory.size).toBe(REMEMBERED_MAX)
    expect(honest.filter(one => memory.get(one.peer) !== undefined)).toHaveLength(200)
  })

  it('gives up peers behind NATs beyond a quarter first: through the others a way in is sure', () => {
    const memory = new RememberedPeers(new Rng(3))
    for (let i = 0; i < 220; i += 1) memory.learn(ref(`10.${i}.0.1`), 'random', 0)
    for (let i = 0; i < 1_000; i += 1) memory.learn(ref(null), 'random', i)
    const open = [...memory.all()].filter(entry => entry.ref.addresses.length > 0)
    expect(open.length).toBeGreaterThan(REMEMBERED_MAX * 0.7)
  })

  it('keeps the newest ref of a peer, whatever comes later', () => {
    const memory = new RememberedPeers(new Rng(4))
    const first = ref('10.0.0.1', { sequence: 5 })
    memory.learn(first, 'random', 0)
    memory.learn({ ...first, sequence: 4 }, 'random', 1)
    expect(memory.get(first.peer)?.ref.sequence).toBe(5)
    memory.learn({ ...first, sequence: 6 }, 'random', 2)
    expect(memory.get(first.peer)?.ref.sequence).toBe(6)
    expect(memory.size).toBe(1)
  })

  it('lets one that failed rest longer each time, until someone has had contact since', () => {
    const memory = new RememberedPeers(new Rng(5))
    const one = ref('10.0.0.1')
    const entry = memory.learn(one, 'random', 0)
    memory.failed(one.peer, 1_000)
    expect(entry.restsUntil).toBe(1_000 + CANDIDATE_BACKOFF_MS)
    memory.failed(one.peer, 50_000)
    expect(entry.restsUntil).toBe(50_000 + 2 * CANDIDATE_BACKOFF_MS)
    // Word from before the failure says nothing; word from after it does.
    memory.learn(one, 'random', 49_000)
    expect(entry.failures).toBe(2)
    memory.learn(one, 'random', 51_000)
    expect([entry.failures, entry.restsUntil]).toEqual([0, 0])
    memory.failed(one.peer, 60_000, 3_000)
    memory.learn(one, 'random', 59_000)
    expect([entry.failures, entry.restsUntil]).toEqual([1, 63_000])
    memory.succeeded(one.peer, 61_000)
    expect([entry.failures, entry.heardAt]).toEqual([0, 61_000])
  })

  it('knows fresh from old, also of before the start of time', () => {
    const memory = new RememberedPeers(new Rng(6))
    const entry = memory.learn(ref('10.0.0.1'), 'random', -FRESH_MS / 2)
    expect(entry.isFresh(0)).toBe(true)
    expect(entry.isFresh(FRESH_MS)).toBe(false)
  })

  it('no longer counts one as lost with which there is contact', () => {
    const memory = new RememberedPeers(new Rng(7))
    const one = ref('10.0.0.1')
    const entry = memory.learn(one, 'lost', 0)
    memory.learn(one, 'random', 1)
    expect(entry.reason).toBe('lost')
    memory.succeeded(one.peer, 2)
    expect(entry.reason).toBe('random')
  })
})
