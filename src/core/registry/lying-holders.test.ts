/** The registry's users among holders that lie: who says nothing, tells of others, or claims to keep what it drops. */
import { describe, expect, it } from 'vitest'
import { fail, ok, type Result } from '../base/fault.ts'
import type { PeerId } from '../base/peer-id.ts'
import { type Position, RING } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { type PeerRef, REF_LIFETIME_MS, signPeerRef } from '../crypto/peer-ref.ts'
import { nativeSuite, testIdentity } from '../crypto/suite.fixtures.ts'
import { ANNOUNCEMENT_INTERVAL_MS, FIND_WAYS_MAX, FIND_WAYS_MIN, PUBLICATION_GAP_MS } from '../limits.ts'
import { type OverlayPort, RoutedMethod } from '../overlay/overlay-port.ts'
import { Turn } from '../turn.ts'
import { keyOfService, signRecord } from './record.ts'
import { Registry } from './registry.ts'
import {
  decodeRegistryRequest,
  encodeFindAnswer,
  encodePutAnswer,
  encodeRegistryRequest,
  type RegistryRequest,
} from './registry-messages.ts'
import type { ServiceName } from './service-name.ts'

const WALL_TIME = 1_800_000_000_000
const SERVICE = 'chat.example/1'
// reason: the name is one.
const KEY = keyOfService(nativeSuite, SERVICE as ServiceName)
const identity = testIdentity(nativeSuite, 1)
const self = refOf(1)
const [member, liar] = [refOf(2), refOf(3)]

function refOf(byte: number): PeerRef {
  const times = { sequence: WALL_TIME, expires: WALL_TIME + REF_LIFETIME_MS }
  const fields = { ...times, capacity: 12, relays: true, addresses: [], rendezvous: [] }
  return signPeerRef(nativeSuite, testIdentity(nativeSuite, byte), fields)
}

interface Asked {
  readonly kind: RegistryRequest['kind']
  readonly method: RoutedMethod
  readonly ways: PeerId[]
  readonly at: number
  /** From the service's key, round the ring. */
  readonly aside: number
}

/** A registry whose requests are answered 100 ms later as `answerOf` says, by their number; null stays without an answer. */
class Among {
  now = 0
  readonly asked: Asked[] = []
  readonly registry: Registry
  neighbours: readonly PeerRef[] = [refOf(4)]
  private flying: { at: number; run: (turn: Turn) => void }[] = []

  constructor(answerOf: (request: RegistryRequest, index: number) => Result<Uint8Array> | null) {
    const port: OverlayPort = {
      self: () => self,
      near: () => ({ before: this.neighbours, after: [] }),
      estimatedPeers: () => 100,
      send: () => true,
      keep: () => {},
      release: () => {},
      learn: () => {},
      request: (_turn, key, method, payload, onAnswer, ways) => {
        const request = decodeRegistryRequest(payload)
        if (request === null) throw new Error('no request')
        this.asked.push({ kind: request.kind, method, ways: [...(ways ?? [])], at: this.now, aside: asideOf(key) })
        // reason: any text serves as an id.
        ways?.push(`way ${this.asked.length}` as PeerId)
        const answer = answerOf(request, this.asked.length - 1)
        if (answer !== null) this.flying.push({ at: this.now + 100, run: turn => onAnswer(turn, answer) })
      },
    }
    this.registry = new Registry({ port, suite: nativeSuite, identity, rng: new Rng(1) })
  }

  turn(): Turn {
    return new Turn(this.now, WALL_TIME + this.now)
  }

  find(): { peers: readonly PeerId[] | null; members: number; at: number } {
    const outcome: { peers: readonly PeerId[] | null; members: number; at: number } = { peers: null, members: 0, at: 0 }
    this.registry.find(this.turn(), SERVICE, (_turn, found, members) => {
      Object.assign(outcome, { peers: found.ok ? found.value.map(ref => ref.peer) : [], members, at: this.now })
    })
    return outcome
  }

  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; this.now += 50) {
      const due = this.flying.filter(({ at }) => at <= this.now)
      this.flying = this.flying.filter(({ at }) => at > this.now)
      for (const { run } of due) run(this.turn())
      this.registry.onWake(this.turn())
    }
  }

  count(kind: RegistryRequest['kind']): number {
    return this.asked.filter(request => request.kind === kind).length
  }
}

/** Below 0: before the service's key on the ring. */
function asideOf(key: Position): number {
  const distance = (key - KEY + RING) % RING
  return distance > RING / 2 ? distance - RING : distance
}

function telling(...refs: PeerRef[]): Result<Uint8Array> {
  return ok(encodeFindAnswer({ members: refs.length, refs: refs.map(ref => ref.bytes) }))
}

describe('a search for members', () => {
  it('asks three ways at once and is over when they agree', () => {
    const among = new Among(() => telling(member))
    const outcome = among.find()
    among.run(2_000)
    expect(outcome).toEqual({ peers: [member.peer], members: 1, at: 100 })
    expect(among.asked.map(({ ways }) => ways.length)).toEqual([0, 1, 2])
    expect(among.asked).toHaveLength(FIND_WAYS_MIN)
  })

  it('finds the members though the first says that there are none and the second tells of its own', () => {
    const answers = [telling(), telling(liar), telling(member), telling(member)]
    const among = new Among((_request, index) => answers[index] ?? null)
    const outcome = among.find()
    among.run(2_000)
    expect(outcome.peers).toContain(member.peer)
    expect(among.asked).toHaveLength(4)
  })

  it('asks the key and both sides of it, by what neighbours say for the key alone', () => {
    const among = new Among((_request, index) => telling(refOf(10 + index)))
    among.find()
    among.run(2_000)
    const { registry, witness } = RoutedMethod
    expect(among.asked.map(({ method }) => method)).toEqual([registry, witness, witness, registry, witness])
    expect(among.asked.map(({ aside }) => Math.sign(aside))).toEqual([0, -1, 1, -1, 1])
  })

  it('counts what it holds itself as an answer, and that it holds nothing as none', () => {
    const among = new Among((_request, index) => (index < 2 ? telling() : telling(member)))
    const record = signRecord(nativeSuite, testIdentity(nativeSuite, 2), {
      kind: 'announcement',
      withdrawn: false,
      service: SERVICE as ServiceName,
      sequence: WALL_TIME,
      expires: WALL_TIME + ANNOUNCEMENT_INTERVAL_MS,
      payload: member.bytes,
    })
    // As one that is put to this peer.
    among.registry.onRequest(among.turn(), KEY, encodeRegistryRequest({ kind: 'put', record: record.bytes }))
    const outcome = among.find()
    among.run(2_000)
    expect(outcome.peers).toEqual([member.peer])
    expect(among.asked).toHaveLength(FIND_WAYS_MIN)
  })

  it('does not wait for one that keeps silent', () => {
    const among = new Among((_request, index) => (index === 0 ? null : telling(member)))
    const outcome = among.find()
    among.run(2_000)
    expect(outcome.peers).toEqual([member.peer])
    expect(outcome.at).toBeLessThan(1_500)
  })

  it('ends with what there is where no two agree, and with a fault where nobody answers', () => {
    const torn = new Among((_request, index) => (index === 0 ? telling(member) : telling()))
    const outcome = torn.find()
    torn.run(2_000)
    expect(outcome.peers).toEqual([member.peer])
    expect(torn.asked).toHaveLength(FIND_WAYS_MAX)
    const silent = new Among(() => fail({ code: 'timeout' }))
    const nothing = silent.find()
    silent.run(10_000)
    expect(nothing.peers).toEqual([])
    expect(silent.asked).toHaveLength(FIND_WAYS_MAX)
  })

  it('ends soon where all say that there is nobody, but not for a peer without any link, that has answered itself', () => {
    const inside = new Among(() => telling())
    inside.find()
    inside.run(2_000)
    const { registry, witness } = RoutedMethod
    expect(inside.asked.map(({ method }) => method)).toEqual([registry, witness, witness])
    const alone = new Among((_request, index) => (index < FIND_WAYS_MIN ? telling() : telling(member)))
    alone.neighbours = []
    const outcome = alone.find()
    alone.run(4_000)
    expect(outcome.peers).toEqual([member.peer])
    const lonely = new Among(() => telling())
    lonely.neighbours = []
    const nobody = lonely.find()
    lonely.run(4_000)
    expect([nobody.peers, lonely.asked.length]).toEqual([[], FIND_WAYS_MAX])
  })

  it('counts members as the middle of the answers does, not as the boldest', () => {
    const bold = ok(encodeFindAnswer({ members: 1_000_000, refs: [member.bytes] }))
    const among = new Among((_request, index) => (index === 0 ? bold : telling(member)))
    const outcome = among.find()
    among.run(2_000)
    expect(outcome.members).toBe(1)
  })
})

describe('a publication', () => {
  const stored = ok(encodePutAnswer({ outcome: 'stored', members: 1 }))

  it('is put twice at first, over two ways, and then at its interval', () => {
    const among = new Among(() => stored)
    among.registry.announce(among.turn(), SERVICE, '')
    among.run(30_000)
    // An announcement and a descriptor.
    expect(among.count('put')).toBe(4)
    expect(new Set(among.asked.map(({ ways }) => ways.length))).toEqual(new Set([0, 1]))
    among.run(ANNOUNCEMENT_INTERVAL_MS * 1.2)
    expect(among.count('put')).toBe(5)
  })

  it('is put once more, over a third way, where the registry does not list it', () => {
    let listed: readonly PeerRef[] = [member]
    const among = new Among(request => (request.kind === 'put' ? stored : telling(...listed)))
    among.registry.announce(among.turn(), SERVICE, '')
    among.run(30_000)
    among.find()
    among.run(PUBLICATION_GAP_MS)
    expect(among.count('put')).toBe(5)
    expect(among.asked.at(-1)?.ways).toHaveLength(2)
    listed = [self]
    among.find()
    among.run(2 * PUBLICATION_GAP_MS)
    expect(among.count('put')).toBe(5)
  })
})
