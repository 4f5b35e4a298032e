/**
 * What a peer has that has been in a mesh for long: the simulator begins large worlds with peers of such a state, since
 * growing them would take hours. Both ends of a session must be given the same keys, and each the other's label.
 */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import type { CipherName } from '../crypto/suite.ts'
import type { WireFacts, WireId } from '../input.ts'
import type { LinkRole } from './link-table.ts'
import type { MemoryReason } from './remembered-peers.ts'

export interface SettledState {
  /** The peer's own, signed by it. */
  readonly ref: PeerRef
  readonly links: readonly SettledLink[]
  /** Its part in the middle of other peers' circuits. */
  readonly hops: readonly SettledHop[]
  readonly remembered: readonly SettledMemory[]
}

/** Instants before 0 were before the peer began. */
export interface SettledLink {
  readonly ref: PeerRef
  /** Why it is a link; null where only a session stands. */
  readonly role: LinkRole | null
  /** Whether this side opened the session. */
  readonly initiator: boolean
  readonly label: number
  readonly remoteLabel: number
  readonly cipher: CipherName
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
  readonly path: SettledPath
  /** As pings have measured it; null where none has. */
  readonly roundTripMs: number | null
  readonly since: Instant
  /** When something came over the path last. */
  readonly heardAt: Instant
  /** What the other side told of its links, those that it reaches over a wire first; not written to, so peers may share it. */
  readonly neighbours: Float64Array
  readonly directNeighbours: number
  /** And of circuits of others that it carries. */
  readonly relayed: number
  /** What it told of the network's size, 0 if it never did, and when. */
  readonly estimate: number
  readonly estimatedAt: Instant
}

export type SettledPath =
  | { readonly kind: 'wire'; readonly wire: WireId; readonly about: WireFacts }
  | {
      readonly kind: 'circuit'
      readonly neighbour: PeerId
      readonly label: number
      readonly remoteLabel: number
      /** The peers in between, nearest first. */
      readonly via: readonly PeerId[]
      /** When a wire is looked for next in its place. */
      readonly betterAt: Instant
    }

/** A circuit that `from` opened and that goes on to `towards`: the labels given here, and those that they gave. */
export interface SettledHop {
  readonly from: PeerId
  readonly towards: PeerId
  readonly aheadLabel: number
  readonly backLabel: number
  readonly labelOfFrom: number
  readonly labelOfTowards: number
  readonly heardAt: Instant
}

export interface SettledMemory {
  readonly ref: PeerRef
  readonly reason: MemoryReason
  readonly heardAt: Instant
}
