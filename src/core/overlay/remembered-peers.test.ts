import { describe, expect, it } from 'vitest'
import type { Address } from '../base/address.ts'
import type { PeerId } from '../base/peer-id.ts'
import { Rng } from '../base/rng.ts'
import { areGlobal, type PeerRef } from '../crypto/peer-ref.ts'
import { CANDIDATE_BACKOFF_MS, REMEMBERED_LOST_MAX, REMEMBERED_MAX, REMEMBERED_NEAR_MAX } from '../limits.ts'
import { type MemoryReason, RememberedPeers } from './remembered-peers.ts'

let made = 0

/** A ref as it matters here: nobody looks at its signature any more. */
function ref(host: string | null, fields: Partial<PeerRef> = {}): PeerRef {
  made += 1
  const addresses: readonly Address[] = host === null ? [] : [{ scheme: 'tcp', host, port: 1, extra: '' }]
  return {
    // reason: any text that differs serves as an id.
    peer: `peer ${made}` as PeerId,
    position: made,
    sequence: 1,
    expires: 0,
    capacity: 24,
    relays: true,
    negotiates: [],
    addresses,
    isGlobal: areGlobal(addresses),
    rendezvous: [],
    bytes: new Uint8Array(0),
    ...fields,
  }
}

function count(memory: RememberedPeers, reason: MemoryReason): number {
  return memory.refs().filter((_, index) => memory.reason(index) === reason).length
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
    expect(honest.filter(one => memory.refOf(one.peer) !== undefined)).toHaveLength(200)
  })

  it('gives up peers behind NATs beyond a quarter first: through the others a way in is sure', () => {
    const memory = new RememberedPeers(new Rng(3))
    for (let i = 0; i < 220; i += 1) memory.learn(ref(`10.${i}.0.1`), 'random', 0)
    for (let i = 0; i < 1_000; i += 1) memory.learn(ref(null), 'random', i)
    const open = memory.refs().filter(({ addresses }) => addresses.length > 0)
    expect(open.length).toBeGreaterThan(REMEMBERED_MAX * 0.7)
  })

  it('keeps the newest ref of a peer, whatever comes later', () => {
    const memory = new RememberedPeers(new Rng(4))
    const first = ref('10.0.0.1', { sequence: 5 })
    memory.learn(first, 'random', 0)
    memory.learn({ ...first, sequence: 4 }, 'random', 1)
    expect(memory.refOf(first.peer)?.sequence).toBe(5)
    memory.learn({ ...first, sequence: 6 }, 'random', 2)
    expect(memory.refOf(first.peer)?.sequence).toBe(6)
    expect(memory.size).toBe(1)
  })

  it('lets one that failed rest longer each time, until someone has had contact since', () => {
    const memory = new RememberedPeers(new Rng(5))
    const one = ref('10.0.0.1')
    memory.learn(one, 'random', 0)
    memory.failed(one.peer, 1_000)
    expect(memory.restsUntil(0)).toBe(1_000 + CANDIDATE_BACKOFF_MS)
    memory.failed(one.peer, 50_000)
    expect(memory.restsUntil(0)).toBe(50_000 + 2 * CANDIDATE_BACKOFF_MS)
    // Word from before the failure says nothing; word from after it does.
    memory.learn(one, 'random', 49_000)
    expect(memory.failures(0)).toBe(2)
    memory.learn(one, 'random', 51_000)
    expect([memory.failures(0), memory.restsUntil(0)]).toEqual([0, 0])
    memory.failed(one.peer, 60_000, 3_000)
    memory.learn(one, 'random', 59_000)
    expect([memory.failures(0), memory.restsUntil(0)]).toEqual([1, 63_000])
    memory.succeeded(one.peer, 61_000)
    expect([memory.failures(0), memory.heardAt(0)]).toEqual([0, 61_000])
  })

  it('tells who rests at this moment, whoever has failed since or was forgiven', () => {
    const memory = new RememberedPeers(new Rng(12))
    const refs = [ref('10.0.0.1'), ref('10.1.0.1'), ref('10.2.0.1')]
    for (const one of refs) memory.learn(one, 'random', 0)
    const resting = (now: number): boolean[] => refs.map((_, index) => memory.isResting(index, now))
    expect(resting(0)).toEqual([false, false, false])
    memory.failed(refs[0]!.peer, 0, 5_000)
    memory.failed(refs[1]!.peer, 0, 2_000)
    memory.failed(refs[2]!.peer, 0, 9_000)
    memory.succeeded(refs[2]!.peer, 1)
    expect(resting(1_999)).toEqual([true, true, false])
    expect(resting(2_000)).toEqual([true, false, false])
    memory.failed(refs[1]!.peer, 2_500, 500)
    expect(resting(3_499)).toEqual([true, true, false])
    expect(resting(3_500)).toEqual([true, false, false])
    expect(resting(5_000)).toEqual([false, false, false])
    expect(refs.map((_, index) => memory.hasFailed(index))).toEqual([true, true, false])
  })

  it('knows of each where it stands, whether it accepts dials and is linked, while others come and go', () => {
    const memory = new RememberedPeers(new Rng(13))
    const known = new Map<PeerId, boolean>()
    for (let i = 0; i < 1_000; i += 1) {
      const one = ref(i % 3 === 0 ? `10.${i % 200}.0.1` : null)
      const linked = i % 5 === 0
      memory.learn(one, 'random', i, linked)
      if (i % 10 === 0) memory.setLinked(one.peer, false)
      known.set(one.peer, linked && i % 10 !== 0)
    }
    for (const [index, one] of memory.refs().entries()) {
      expect(memory.known(index)).toEqual({ position: one.position, isPublic: one.addresses.length > 0, ref: one })
      expect(memory.isLinked(index)).toBe(known.get(one.peer))
    }
    const moved = ref('10.0.0.9', { peer: memory.refs()[0]!.peer, sequence: 2, addresses: [] })
    memory.learn(moved, 'random', 1_000)
    expect(memory.isPublic(0)).toBe(false)
  })

  it('counts private addresses while nothing leads outside, and only global ones while something does', () => {
    const memory = new RememberedPeers(new Rng(17))
    const hosts = ['10.0.0.1', '192.168.1.7', '127.0.0.1', 'fd00::7', '5.45.100.7', '2a02::7', null]
    for (const host of hosts) memory.learn(ref(host), 'random', 0)
    const publics = (): boolean[] => hosts.map((_, index) => memory.isPublic(index))
    expect(publics()).toEqual([true, true, true, true, true, true, false])
    memory.setGlobalOnly(true)
    expect(publics()).toEqual([false, false, false, false, true, true, false])
    memory.learn(ref('10.0.0.9'), 'random', 0)
    memory.learn(ref('5.45.100.8'), 'random', 0)
    expect([memory.isPublic(7), memory.isPublic(8)]).toEqual([false, true])
    memory.setGlobalOnly(false)
    expect(publics()).toEqual([true, true, true, true, true, true, false])
    expect(memory.isPublic(7)).toBe(true)
  })

  it('no longer counts one as lost with which there is contact', () => {
    const memory = new RememberedPeers(new Rng(7))
    const one = ref('10.0.0.1')
    memory.learn(one, 'lost', 0)
    memory.learn(one, 'random', 1)
    expect(memory.reason(0)).toBe('lost')
    memory.succeeded(one.peer, 2)
    expect(memory.reason(0)).toBe('random')
  })

  it('finds each by its id and by its position while others come and go', () => {
    const memory = new RememberedPeers(new Rng(8))
    const known = new Map<PeerId, PeerRef>()
    for (let i = 0; i < 1_000; i += 1) {
      const one = ref(`10.${i % 200}.0.1`, { position: i * 65_536 + (i % 7) })
      memory.learn(one, 'random', i)
      memory.failed(one.peer, i, 1_000 + i)
      known.set(one.peer, one)
    }
    expect(memory.size).toBe(REMEMBERED_MAX)
    for (const [index, one] of memory.refs().entries()) {
      expect(memory.refOf(one.peer)).toBe(known.get(one.peer))
      expect(memory.indexOf(one.peer)).toBe(index)
      expect(memory.indexAt(one.position)).toBe(index)
      const came = Math.floor(one.position / 65_536)
      expect([memory.heardAt(index), memory.restsUntil(index)]).toEqual([came, 1_000 + 2 * came])
    }
    const gone = [...known.values()].filter(one => memory.refOf(one.peer) === undefined)
    expect(gone).toHaveLength(1_000 - REMEMBERED_MAX)
    expect(gone.filter(one => memory.refAt(one.position) !== undefined)).toEqual([])
  })

  it('tells the store of each ref once, of newer ones again, and of those that gave way', () => {
    const memory = new RememberedPeers(new Rng(9))
    const refs = Array.from({ length: REMEMBERED_MAX }, (_, i) => ref(`10.${i}.0.1`))
    for (const one of refs) memory.learn(one, 'random', 0)
    expect(memory.takeUnsaved()).toEqual(refs)
    expect(memory.takeUnsaved()).toEqual([])
    const newer = { ...refs[7]!, sequence: 2 }
    memory.learn(newer, 'random', 0)
    expect(memory.takeUnsaved()).toEqual([newer])
    expect(memory.takeDropped()).toEqual([])
    const comer = ref('11.0.0.1')
    memory.learn(comer, 'random', 0)
    const [victim] = refs.filter(one => memory.refOf(one.peer) === undefined)
    expect(memory.takeUnsaved()).toEqual([comer])
    expect(memory.takeDropped()).toEqual([victim?.peer])
    expect(memory.takeDropped()).toEqual([])
  })

  it('does not have the store forget one that is remembered again', () => {
    const memory = new RememberedPeers(new Rng(10))
    const one = ref('10.0.0.1')
    const other = ref('10.0.0.2')
    memory.onLoaded(one.peer)
    memory.onLoaded(other.peer)
    memory.learn(one, 'random', 0)
    expect(memory.takeUnsaved()).toEqual([one])
    expect(memory.takeDropped()).toEqual([other.peer])
  })
})
