/** What the parts that keep sessions and their paths ask of the overlay above them. */
import type { Address } from '../base/address.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import type { Turn } from '../turn.ts'
import type { OnPeerFound } from './peer-search.ts'

export interface OverlayView {
  /** The neighbour to go on through towards a peer, none of `avoid`; `from` sent the request here. Null where there is none. */
  nextHop(target: PeerId, avoid: readonly PeerId[], from: PeerId | null): PeerId | null
  /** Neighbours that are to carry no circuit of this peer while any other can. */
  spared(): readonly PeerId[]
  /** How much of what it can carry a neighbour carries, as it told. */
  loadOf(peer: PeerId): number
  /** Whether a remembered peer could not be reached so lately that it is not to be tried now. */
  isResting(turn: Turn, peer: PeerId): boolean
  /** A dial to it has failed. */
  onUnreachable(turn: Turn, peer: PeerId): void
  /** Whether no neighbour that relays stands closer to a peer's place than this one. */
  standsClosest(target: PeerId): boolean
  /** Newest ref of a peer, where one is known. */
  refOf(peer: PeerId): PeerRef | null
  /** Asks others for the newest ref of a peer (spec 5.5). */
  locate(turn: Turn, peer: PeerId, onFound: OnPeerFound): void
  /** Where public peers serve STUN. */
  helpers(): readonly Address[]
  /** How many links this peer carries. */
  capacity(): number
  /** Whether others may dial this peer: it has announced addresses. */
  isDialable(): boolean
  /** Whether others come to this peer by its rendezvous. */
  isHidden(): boolean
}
