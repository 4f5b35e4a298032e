/**
 * Finds the newest ref of a peer by its id (spec 5.5): at the peer itself, or, while it is away, at those next to its
 * position, who remember it. What nobody knows is asked for again a few times, over another way each: peers that have just
 * joined may not stand in their places yet, and those on the way may lie.
 */
import { type Fault, fail, ok, type Result } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import { bytesOfPeerId, type PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import { RareSet } from '../base/rare-map.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { PEER_SEARCH_PAUSE_MS, PEER_SEARCH_TRIES_MAX, PEER_SEARCHES_MAX } from '../limits.ts'
import type { Turn } from '../turn.ts'
import type { OverlayNeeds } from './overlay-needs.ts'
import { type OnAnswer, RoutedMethod } from './overlay-port.ts'
import type { RoutedRequests } from './routed-requests.ts'

export type OnPeerFound = (turn: Turn, found: Result<PeerRef>) => void

interface Search {
  readonly peer: PeerId
  readonly position: Position
  readonly onFound: OnPeerFound
  tries: number
  /** First hops that were asked: what one says, or keeps to itself, another may know better. */
  readonly ways: PeerId[]
  /** When to ask again; null while an answer is awaited. */
  againAt: Instant | null
}

export class PeerSearch {
  private readonly needs: Pick<OverlayNeeds, 'admit'>
  private readonly requests: RoutedRequests
  private readonly searches = new RareSet<Search>()

  constructor(needs: Pick<OverlayNeeds, 'admit'>, requests: RoutedRequests) {
    this.needs = needs
    this.requests = requests
  }

  /** Faults: `peer-unreachable` where nobody knows the peer, `overloaded`, `timeout`. */
  find(turn: Turn, peer: PeerId, position: Position, onFound: OnPeerFound): void {
    if (this.searches.size >= PEER_SEARCHES_MAX) {
      onFound(turn, fail({ code: 'overloaded', limit: PEER_SEARCHES_MAX }))
      return
    }
    const search: Search = { peer, position, onFound, tries: 0, ways: [], againAt: null }
    this.searches.add(search)
    this.ask(turn, search)
  }

  nextWake(): Instant | null {
    // Asked after every step, and mostly there is none: going through no set costs nothing.
    if (this.searches.size === 0) return null
    let wake: Instant | null = null
    for (const search of this.searches) wake = earlier(wake, search.againAt)
    return wake
  }

  onWake(turn: Turn): void {
    for (const search of [...this.searches]) {
      if (search.againAt !== null && search.againAt <= turn.now) this.ask(turn, search)
    }
  }

  private ask(turn: Turn, search: Search): void {
    search.tries += 1
    search.againAt = null
    const payload = bytesOfPeerId(search.peer)
    const onAnswer: OnAnswer = (later, answer) => {
      const ref = answer.ok ? this.needs.admit(later, answer.value) : null
      if (ref?.peer === search.peer) {
        this.searches.delete(search)
        search.onFound(later, ok(ref))
      } else if (search.tries < PEER_SEARCH_TRIES_MAX) {
        search.againAt = later.now + PEER_SEARCH_PAUSE_MS * 2 ** (search.tries - 1)
      } else {
        this.searches.delete(search)
        const unknown: Fault = { code: 'peer-unreachable', detail: 'nobody knows it' }
        search.onFound(later, fail(answer.ok || answer.fault.code === 'refused' ? unknown : answer.fault))
      }
    }
    this.requests.request(turn, search.position, RoutedMethod.locate, payload, onAnswer, null, search.ways)
  }
}
