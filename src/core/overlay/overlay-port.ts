/** What registry and service see of the overlay below them. */
import type { Result } from '../base/fault.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Position } from '../base/position.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import type { Turn } from '../turn.ts'

/** Which part answers a routed request; numbers are those on the wire (spec 5.5). */
/** `witness`: to the registry too, from link to link by where they stand themselves. */
export const RoutedMethod = { closest: 1, registry: 2, locate: 3, witness: 4 } as const
export type RoutedMethod = (typeof RoutedMethod)[keyof typeof RoutedMethod]

export function isForRegistry(method: number): boolean {
  return method === RoutedMethod.registry || method === RoutedMethod.witness
}

export type OnAnswer = (turn: Turn, answer: Result<Uint8Array>) => void

export interface OverlayPort {
  /** This peer's own ref, newest. */
  self(): PeerRef
  /**
   * Sends a request towards `key`; the peer closest to it answers (this one itself, if it is the closest: then the
   * answer comes before `request` returns). Requests that share a list of `ways` take different first hops while there are
   * others; those asked are added to it. Faults: `timeout`, `overloaded`, `no-way-in`, `message-too-large`.
   */
  request(
    turn: Turn,
    key: Position,
    method: RoutedMethod,
    payload: Uint8Array,
    onAnswer: OnAnswer,
    ways?: PeerId[],
  ): void
  /** The linked peers next to this one on the ring, nearest first, on each side (at most a few). */
  near(): { readonly before: readonly PeerRef[]; readonly after: readonly PeerRef[] }
  /** How many peers the network has, as estimated here; at least 1. */
  estimatedPeers(): number
  /** Sends a message to the same part of a peer with which a session is open; false where none is or its queue is full. */
  send(turn: Turn, channel: number, to: PeerId, message: Uint8Array): boolean
  /**
   * Opens a session to a peer (or finds the open one), over any path. While the keeper's tag is on it, the session is
   * kept alive and its path renewed. Faults: `peer-unreachable`, `dial-timeout`, `self-connect`.
   */
  keep(turn: Turn, ref: PeerRef, onOpen: (turn: Turn, outcome: Result<PeerId>) => void): void
  /** The opposite of `keep`: the session may be closed when nothing else needs it. Keeps are not counted. */
  release(turn: Turn, peer: PeerId): void
  /** A ref that was received and verified: it may be remembered. */
  learn(turn: Turn, ref: PeerRef): void
}
