/** What a session tells the peer core that owns it. One owner serves all sessions: no closures per session. */
import type { FaultCode } from '../base/fault.ts'
import type { Turn } from '../turn.ts'
import type { Path } from './path.ts'
import type { Session } from './session.ts'

/** Who a message is for; numbers are those on the wire (spec 4.5). */
export const Channel = { overlay: 1, registry: 2, service: 3, path: 4 } as const
export type Channel = (typeof Channel)[keyof typeof Channel]

/** What a session tells of the paths that it travels over, or may. */
export interface PathOwner {
  /**
   * The other side asks whether this path carries, and was answered over it. `urgent`: it has no other path. The side that
   * opened the session may move to it.
   */
  onAsked(turn: Turn, session: Session, path: Path, urgent: boolean): void
  /** The answer to `session.askPath`, over the path on which it came. */
  onAnswered(turn: Turn, session: Session, path: Path, token: number): void
  /** Nothing has come over the path for so long though it was to be expected, said again and again until something does. */
  onSilent(turn: Turn, session: Session, silentMs: number): void
  /** Something did, over the same path. */
  onHeardAgain(turn: Turn, session: Session): void
}

export interface SessionOwner {
  readonly paths: PathOwner
  /** A whole message arrived. The bytes are the session's own fresh memory and may be kept. */
  onMessage(turn: Turn, session: Session, channel: number, bytes: Uint8Array): void
  /** The answer to `session.ping`, with the token that was given. */
  onPong(turn: Turn, session: Session, token: number, roundTripMs: number): void
  /** The other side closed the session: nothing more will come. Its streams have failed already. */
  onRemoteClose(turn: Turn, session: Session, code: FaultCode): void
  /** The session has something to send or a new deadline: flush it before this step ends, and ask `nextWake` again. */
  onDirty(session: Session): void
}
