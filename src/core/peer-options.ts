/** What a peer is made of, and what can be seen of it from outside. */
import type { AddressScheme } from './base/address.ts'
import type { Instant, WallTime } from './base/instant.ts'
import type { PeerId } from './base/peer-id.ts'
import type { Rng } from './base/rng.ts'
import type { PeerRef } from './crypto/peer-ref.ts'
import type { CryptoSuite, Identity } from './crypto/suite.ts'
import type { Effect, PathView } from './effect.ts'
import type { Input, NegotiatedTransport } from './input.ts'
import type { RelayLimits } from './overlay/relay-budget.ts'
import type { SettledState } from './overlay/settled-state.ts'
import type { ToldViews } from './overlay/told-views.ts'
import type { VerifiedRefs } from './registry/verified-refs.ts'

export interface PeerOptions {
  readonly suite: CryptoSuite
  readonly identity: Identity
  /** Seeds all decisions by chance; a random one in production. */
  readonly seed: number | string
  /** Wall time at instant 0. */
  readonly wallTime: WallTime
  /** How many links this peer carries: a tab 12, a desktop 24, a server 256. */
  readonly capacity: number
  /** Whether it forwards circuits for others. */
  readonly relays: boolean
  /** What it spends on that; what the wires carry where nothing is said. */
  readonly relayLimits?: RelayLimits
  /** How many rendezvous it names where nobody can dial it; three where nothing is said. */
  readonly rendezvous?: number
  /** What its host can dial. */
  readonly dialable: readonly AddressScheme[]
  /** What its host can negotiate, first choice first; nothing where nothing is said. */
  readonly negotiates?: readonly Negotiable[]
  /** How long a session that a user or a stream counts on may be without any path. */
  readonly pathlessMs?: number | undefined
  /** The peers that its store remembers are forgotten, in place of being tried; false where nothing is said. */
  readonly forgets?: boolean
  /** Refs that were read already, where peers of one process share them; its own where nothing is said. */
  readonly refs?: VerifiedRefs
  /** What links told, where peers of one process share it. */
  readonly views?: ToldViews
}

export interface Negotiable {
  readonly transport: NegotiatedTransport
  /** The host can make only so many wires of it in its life. One that is hung up before it is `negotiated` it uses again. */
  readonly scarce: boolean
  /** The wire is encrypted, with keys that both ends proved by what they had told each other. */
  readonly encrypts: boolean
}

export interface Peer {
  step(now: Instant, input: Input): readonly Effect[]
  /** When to call `step` with `wake` at the latest, or null. */
  nextWake(): Instant | null
  snapshot(): PeerSnapshot
  /**
   * Before its first step, where it can, in large simulations: it takes up the state of a long life. Nothing is loaded, what is done now
   * and then is due at its usual times.
   */
  settle?(state: SettledState, rng: Rng): void
}

export interface LinkView {
  readonly peer: PeerId
  readonly role: 'near' | 'far' | 'random' | 'public' | 'guest'
  readonly path: PathView
  /** Of its session, smoothed over its pings, in milliseconds; null before the first was answered. */
  readonly roundTripMs: number | null
}

export interface PeerSnapshot {
  readonly ref: PeerRef
  readonly links: readonly LinkView[]
  /** Refs of peers linked here that accept dials: other ways in. */
  readonly waysIn: readonly PeerRef[]
  readonly rememberedPeers: number
  readonly estimatedPeers: number
  readonly sessions: number
  readonly circuitsRelayed: number
  readonly records: number
  readonly services: readonly { readonly service: string; readonly members: readonly PeerId[] }[]
}
