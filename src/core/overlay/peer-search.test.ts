/** A search for a peer among neighbours of which some lie. */
import { describe, expect, it } from 'vitest'
import { fail, ok, type Result } from '../base/fault.ts'
import type { PeerId } from '../base/peer-id.ts'
import { type PeerRef, REF_LIFETIME_MS, readPeerRef, signPeerRef } from '../crypto/peer-ref.ts'
import { nativeSuite, testIdentity } from '../crypto/suite.fixtures.ts'
import { PEER_SEARCH_TRIES_MAX } from '../limits.ts'
import { Turn } from '../turn.ts'
import type { OverlayMessage } from './overlay-messages.ts'
import { PeerSearch } from './peer-search.ts'
import { RoutedRequests } from './routed-requests.ts'

const WALL_TIME = 1_800_000_000_000
const wanted = refOf(1)
const other = refOf(2)

function refOf(byte: number): PeerRef {
  const times = { sequence: WALL_TIME, expires: WALL_TIME + REF_LIFETIME_MS }
  const fields = { ...times, capacity: 12, relays: true, addresses: [], rendezvous: [] }
  return signPeerRef(nativeSuite, testIdentity(nativeSuite, byte), fields)
}

/** One peer with links `a`, `b` and `c`, the first of which the ring favours; each says what `answerOf` tells. */
function searchAmong(answerOf: (link: string) => Uint8Array | null) {
  const links = ['a', 'b', 'c']
  const asked: string[] = []
  const found: Result<PeerRef>[] = []
  let now = 0
  const turn = (): Turn => new Turn(now, WALL_TIME)
  const pick = (avoid: readonly PeerId[]): PeerId | null => {
    const link = links.find(name => !(avoid as readonly string[]).includes(name))
    // reason: any text serves as an id.
    return link === undefined ? null : (link as PeerId)
  }
  const waiting: { to: PeerId; message: OverlayMessage }[] = []
  const requests = new RoutedRequests({
    send: (_turn, to, message) => {
      asked.push(to)
      waiting.push({ to, message })
      return true
    },
    nextHopToKey: (_key, _method, avoid) => pick(avoid),
    linkCloserThan: (_peer, _key, _method, avoid) => pick(avoid),
    isCloser: () => false,
    answer: () => null,
  })
  const admit = (at: Turn, bytes: Uint8Array): PeerRef | null => {
    const read = readPeerRef(nativeSuite, bytes, at.wallTime)
    return read.ok ? read.value : null
  }
  const search = new PeerSearch({ admit }, requests)
  search.find(turn(), wanted.peer, wanted.position, (_turn, result) => found.push(result))
  for (; now < 20_000; now += 50) {
    for (const { to, message } of waiting.splice(0)) {
      if (message.kind !== 'route') continue
      const answer = answerOf(to)
      const status = answer === null ? 'refused' : 'answered'
      const payload = answer ?? new Uint8Array(0)
      requests.onRouteAnswer(turn(), to, { kind: 'route-answer', id: message.id, status, hops: 0, payload })
    }
    requests.onWake(turn())
    search.onWake(turn())
  }
  return { asked, found }
}

describe('a search for a peer', () => {
  it('goes another way each time: the first says that it knows nobody, the second tells of another peer', () => {
    const truth = (link: string) => (link === 'a' ? null : link === 'b' ? other.bytes : wanted.bytes)
    const { asked, found } = searchAmong(truth)
    expect(found).toEqual([ok(wanted)])
    expect(asked).toEqual(['a', 'b', 'c'])
  })

  it('does not take a ref whose signature does not hold', () => {
    const forged = wanted.bytes.slice()
    const last = forged.length - 1
    forged[last] = (forged[last] ?? 0) ^ 1
    const { asked, found } = searchAmong(link => (link === 'a' ? forged : wanted.bytes))
    expect(found).toEqual([ok(wanted)])
    expect(asked).toEqual(['a', 'b'])
  })

  it('ends where nobody knows it, after all ways and then the first again', () => {
    const { asked, found } = searchAmong(() => null)
    expect(found).toEqual([fail({ code: 'peer-unreachable', detail: 'nobody knows it' })])
    expect(asked).toHaveLength(PEER_SEARCH_TRIES_MAX)
    expect(new Set(asked).size).toBe(3)
  })
})
