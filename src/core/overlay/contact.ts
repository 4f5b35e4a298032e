/** A peer with which this one has a session, why it keeps it, and whether it is alive. */
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { PING_TIMEOUT_FAR_MS, PING_TIMEOUT_MS, PING_TIMEOUT_ROUND_TRIPS, REBALANCE_MS } from '../limits.ts'
import type { Session } from '../session/session.ts'
import type { Carrier } from '../session/wire.ts'
import type { CircuitEnd } from './circuits.ts'

/** Reasons to keep a session: bits of `Contact.needs`; `circuits`: this peer's own run over it. */
export const Need = { link: 1, service: 2, user: 4, circuits: 8 } as const

/** When a wire is tried next in place of a circuit, how long after that again, and for which ref that was settled. */
interface Upgrade {
  at: Instant
  delayMs: number
  readonly sequence: number
}

/** Streams stood still over a path that answers: when that was noticed last, how long until the next time, and over which neighbours. */
interface Standstill {
  at: Instant
  patienceMs: number
  readonly hops: PeerId[]
}

/** Since when a session has no path, or none yet over which the other side was heard. */
interface Pathless {
  /** When the path broke, or brought something last. */
  readonly since: Instant
  readonly noticedAt: Instant
}

export class Contact {
  session: Session
  /** Sessions that gave way to it when both sides opened one at once, while streams are open on them: they travel with it. */
  elders: readonly Session[] = []
  /** The other side's newest ref, once it said hello or was dialled by ref. */
  ref: PeerRef | null
  needs = 0
  /** When the session stood. */
  since: Instant
  /** When a ping left whose answer is awaited; null while none is. */
  pingedAt: Instant | null = null
  /** Null while the session has a path over which the other side was heard. */
  pathless: Pathless | null = null
  /** Smoothed, in whole milliseconds, over the paths that answered; null before the first answer. */
  roundTripMs: number | null = null
  /** Null unless a wire was looked for in place of a circuit. */
  upgrade: Upgrade | null = null

  /** The path that should have been heard, and when it last was; null while there is nothing to doubt. */
  doubt: { readonly carrier: Carrier; readonly heardAt: Instant } | null = null
  standstill: Standstill | null = null
  /** A circuit that stands beside the wire, to be there when that breaks. */
  standby: CircuitEnd | null = null
  /** When a less loaded circuit is looked for in place of the one it runs over. */
  rerouteAt: Instant

  constructor(session: Session, ref: PeerRef | null, now: Instant) {
    this.session = session
    this.ref = ref
    this.since = now
    this.rerouteAt = now + REBALANCE_MS
  }

  /** A ping was answered after so long: a quarter of the difference counts. */
  learnRoundTrip(sampleMs: number): void {
    const before = this.roundTripMs ?? sampleMs
    this.roundTripMs = Math.round(before + (sampleMs - before) / 4)
  }

  /** How long a peer at the other end of a wire may take to answer a ping before it is dead. */
  get answerMs(): number {
    const far = PING_TIMEOUT_ROUND_TRIPS * (this.roundTripMs ?? 0)
    return Math.min(Math.max(PING_TIMEOUT_MS, far), PING_TIMEOUT_FAR_MS)
  }

  get peer(): PeerId {
    return this.session.peer
  }

  /** Whether this side pings to keep the session. */
  get wanted(): boolean {
    return this.needs !== 0 || this.hasStreams
  }

  /** Whether a user or a stream counts on it: then it is not given up soon. */
  get counted(): boolean {
    return (this.needs & Need.user) !== 0 || this.hasStreams
  }

  get hasStreams(): boolean {
    return this.session.openStreams > 0 || this.elders.some(({ openStreams }) => openStreams > 0)
  }

  /** Whether its path has kept silent when it should not have, and does so still. */
  get inDoubt(): boolean {
    const { doubt } = this
    return doubt !== null && doubt.carrier === this.session.path && doubt.carrier.heardAt <= doubt.heardAt
  }

  /** When the other side was heard last, or a path to it broke; null where neither is known. */
  get heardAt(): Instant | null {
    return this.pathless?.since ?? this.session.path?.heardAt ?? null
  }

  /** Whether the session has a path over which the other side was heard. */
  get isReached(): boolean {
    return this.session.path !== null && this.pathless === null
  }
}
