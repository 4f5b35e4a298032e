/**
 * What carries a session's packets: a wire, or a circuit over other peers. A session has one active path; it keeps what
 * it sent until acknowledged, so another path can take over without loss.
 */
import type { Instant } from '../base/instant.ts'
import type { PathView } from '../effect.ts'
import type { SessionId } from '../input.ts'
import type { Turn } from '../turn.ts'

/** Free bytes that a packet's first buffer holds at its front: the path writes the frame's length and label there. */
export const FRAME_HEADER_BYTES = 8

export interface Path {
  /** When an authenticated packet last came over this path. Liveness belongs to the path, not to the peer. */
  heardAt: Instant
  /** False once the wire closed or the circuit ended. */
  readonly open: boolean
  /** Whether everything sent arrives, in order, while the path is open (a wire); a circuit's relays may drop. */
  readonly reliable: boolean
  /** The host at the other end of a wire, as the driver sees it; null of a circuit. */
  readonly remoteHost: string | null
  /** Whether this path encrypts the session's packets itself, with keys that are bound to that very session (spec 4.2). */
  shields(session: SessionId): boolean
  /** Unacknowledged bytes that may be under way over this path. */
  readonly flightBytesMax: number
  /** How many bytes may be handed over now; may go below zero by one packet. */
  room(): number
  /**
   * Sends one packet to the session that the other side knows by `label`. `header` starts with FRAME_HEADER_BYTES free
   * bytes which the path fills; then the packet begins. The buffers are not changed afterwards and may be kept.
   */
  send(turn: Turn, label: number, header: Uint8Array, rest: readonly Uint8Array[]): void
  view(): PathView
}
