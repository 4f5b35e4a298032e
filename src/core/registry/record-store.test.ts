import { describe, expect, it } from 'vitest'
import { peerIdOfBytes } from '../base/peer-id.ts'
import { Rng } from '../base/rng.ts'
import { REF_LIFETIME_MS, signPeerRef } from '../crypto/peer-ref.ts'
import type { Identity } from '../crypto/suite.ts'
import {
  ANNOUNCEMENT_LIFETIME_MS,
  ANNOUNCEMENTS_PER_SERVICE_MAX,
  CLOCK_SKEW_MS,
  DESCRIPTOR_LIFETIME_MS,
  RECORDS_MAX,
  RECORDS_PER_PUBLISHER_MAX,
  SERVICES_PER_SHARD_MAX,
} from '../limits.ts'
import { fakeSuite } from '../service/mesh.fixtures.ts'
import {
  descriptionBytes,
  type RecordFields,
  readRecord,
  recordIsAuthentic,
  type ServiceRecord,
  signRecord,
} from './record.ts'
import { RecordStore, type Verdict } from './record-store.ts'
import { parseServiceName, type ServiceName } from './service-name.ts'

const WALL = 1_700_000_000_000
const rng = new Rng('record store')
const suite = fakeSuite(rng)

function name(text: string): ServiceName {
  const parsed = parseServiceName(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}

function newIdentity(): Identity {
  return suite.identity(suite.randomBytes(32))
}

function announcement(identity: Identity, service: string, change: Partial<RecordFields> = {}): ServiceRecord {
  const fields = {
    sequence: WALL,
    expires: WALL + REF_LIFETIME_MS,
    capacity: 1,
    relays: false,
    addresses: [],
    rendezvous: [],
  }
  const payload = signPeerRef(suite, identity, fields).bytes
  const expires = (change.sequence ?? WALL) + ANNOUNCEMENT_LIFETIME_MS
  return signRecord(suite, identity, {
    kind: 'announcement',
    withdrawn: false,
    service: name(service),
    sequence: WALL,
    expires,
    payload: change.withdrawn ? new Uint8Array(0) : payload,
    ...change,
  })
}

function descriptor(identity: Identity, service: string): ServiceRecord {
  return signRecord(suite, identity, {
    kind: 'descriptor',
    withdrawn: false,
    service: name(service),
    sequence: WALL,
    expires: WALL + DESCRIPTOR_LIFETIME_MS,
    payload: descriptionBytes({ members: 1, summary: '' }),
  })
}

/** An unsigned copy by somebody else: the store judges publishers, not signatures. */
function byAnother(record: ServiceRecord, change: Partial<ServiceRecord> = {}): ServiceRecord {
  const peer = peerIdOfBytes(suite.randomBytes(32))
  return { ...record, peer, slot: peer.slice(0, 16), ...change }
}

function offer(store: RecordStore, record: ServiceRecord, wallTime = WALL): Verdict {
  const verdict = store.judge(record, wallTime)
  if (verdict === 'new') store.keep(record)
  return verdict
}

describe('a record', () => {
  it('is read as it was signed, and not where a byte is changed', () => {
    const record = announcement(newIdentity(), 'chat/1')
    const read = readRecord(suite, record.bytes)
    expect(read).toEqual({ ok: true, value: record })
    expect(recordIsAuthentic(suite, record)).toBe(true)
    for (let at = 0; at < record.bytes.length; at += 1) {
      const changed = record.bytes.slice()
      changed[at]! ^= 1
      const other = readRecord(suite, changed)
      expect(other.ok && recordIsAuthentic(suite, other.value), `byte ${at}`).toBe(false)
    }
  })

  it("is refused with another peer's ref in it", () => {
    const { payload } = announcement(newIdentity(), 'chat/1')
    expect(readRecord(suite, announcement(newIdentity(), 'chat/1', { payload }).bytes).ok).toBe(false)
  })
})

describe('the record store', () => {
  it.each([
    ['expired', { sequence: WALL - ANNOUNCEMENT_LIFETIME_MS, expires: WALL }],
    ['made in the future', { sequence: WALL + CLOCK_SKEW_MS + 1 }],
    ['living too long', { expires: WALL + ANNOUNCEMENT_LIFETIME_MS + 1 }],
  ])('refuses a record that is %s', (_, change) => {
    expect(offer(new RecordStore(suite, 0), announcement(newIdentity(), 'chat/1', change))).toBe('untimely')
  })

  it('keeps the later of two records, and a withdrawal in the place of what it withdraws', () => {
    const store = new RecordStore(suite, 0)
    const identity = newIdentity()
    const first = announcement(identity, 'chat/1')
    expect(offer(store, first)).toBe('new')
    expect(offer(store, first)).toBe('known')
    const withdrawn = announcement(identity, 'chat/1', { withdrawn: true, sequence: WALL + 5, expires: first.expires })
    expect(offer(store, withdrawn)).toBe('new')
    expect(offer(store, first)).toBe('older')
    expect(store.live('announcement', name('chat/1'), WALL)).toEqual([])
    expect(store.members(name('chat/1'), WALL)).toBe(0)
    expect(store.size).toBe(1)
    store.removeExpired(first.expires)
    expect(store.size).toBe(0)
  })

  it('samples the publishers of a crowded service and estimates how many there are', () => {
    const store = new RecordStore(suite, 0)
    const crowd = 5_000
    const early = announcement(newIdentity(), 'chat/1')
    offer(store, early)
    for (let i = 0; i < crowd; i += 1) {
      offer(store, byAnother(early))
    }
    expect(store.size).toBe(ANNOUNCEMENTS_PER_SERVICE_MAX)
    const estimate = store.members(name('chat/1'), WALL)
    expect(estimate).toBeGreaterThan(crowd * 0.8)
    expect(estimate).toBeLessThan(crowd * 1.2)
  })

  it('lists a member among a flood of forged members as likely as any of them', () => {
    const kept = Array.from({ length: 40 }, () => {
      const store = new RecordStore(suite, 0)
      const honest = announcement(newIdentity(), 'chat/1')
      offer(store, honest)
      for (let i = 0; i < 512; i += 1) {
        offer(store, byAnother(honest))
      }
      return store.get(honest.slot) !== null
    }).filter(Boolean).length
    expect(kept).toBeGreaterThan(8)
    expect(kept).toBeLessThan(33)
  })

  it('holds a bounded number of records of one publisher, of services in a shard, and in all', () => {
    const store = new RecordStore(suite, 0)
    const one = newIdentity()
    const verdicts = Array.from({ length: RECORDS_PER_PUBLISHER_MAX + 1 }, (_, i) =>
      offer(store, announcement(one, `s${i}/1`)),
    )
    expect(verdicts.filter(verdict => verdict === 'new')).toHaveLength(RECORDS_PER_PUBLISHER_MAX)
    expect(verdicts.at(-1)).toBe('full')

    const base = descriptor(newIdentity(), 'base/1')
    for (let i = 0; i < RECORDS_MAX + RECORDS_MAX / 2; i += 1) {
      const key = rng.below(2 ** 52)
      offer(store, byAnother(base, { key, service: name(`f${i}/1`) }))
      expect(store.size).toBeLessThanOrEqual(RECORDS_MAX)
    }
    expect(store.size).toBe(RECORDS_MAX)
    // What is nearer to this peer's place has stayed: two thirds of what came, the nearest ones.
    const farthest = Math.max(
      ...[...store.records()]
        .filter(record => record.kind === 'descriptor')
        .map(record => Math.min(record.key, 2 ** 52 - record.key)),
    )
    expect(farthest).toBeLessThan(2 ** 51 * 0.75)

    const shard = new RecordStore(suite, 0)
    for (let i = 0; i < 2 * SERVICES_PER_SHARD_MAX; i += 1) {
      offer(shard, byAnother(base, { service: name(`g${i}/1`) }))
    }
    expect(shard.services(base.key)).toHaveLength(SERVICES_PER_SHARD_MAX)
  })
})
