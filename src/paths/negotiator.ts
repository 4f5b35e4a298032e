/**
 * What a transport through NATs fulfils (spec 5.9): both ends prepare a wire, tell each other how, over the session that
 * they have, and open it from both ends at once. Once it is open it is a wire like any other.
 */
import type { Address } from '../core/base/address.ts'
import type { NegotiatedTransport } from '../core/input.ts'
import type { NatSurvey } from './udp/nat-survey.ts'
import type { Wire, WireSink } from './wire-driver.ts'

export interface Negotiator {
  readonly transport: NegotiatedTransport
  /** The host can make only so many of its wires in its life. */
  readonly scarce: boolean
  /** The wire is encrypted, and opens only to the end that gave the description. */
  readonly encrypts: boolean
  /**
   * Prepares a wire: `onDescribed` says what the other side must know, or `onClosed` that nothing came of it, with
   * 'not-supported' where the NATs are known to leave no way. `offer` is what the other side's host said, null where this
   * one offers. `helpers` are places that serve STUN. Never throws.
   */
  prepare(offer: Uint8Array | null, helpers: readonly Address[], sink: NegotiatedSink): NegotiatedWire
  /**
   * For a peer that others can dial: takes wires on this port of UDP from now on, and serves STUN there. The real ports, which are
   * others where that one is taken; null where there is none to be had.
   */
  serve?(host: string, port: number): ServedPorts | null
  /** This machine may have another place in the network: what was learnt of the old one is forgotten. */
  onNetworkChanged?(): void
  /** What helpers tell of this machine's public addresses and of its NAT. Never rejects. */
  survey?(helpers: readonly Address[]): Promise<NatSurvey>
  /** Ends what is open, and lets go of what outlives the wires: sockets, threads. */
  close(): Promise<void>
}

/** By family: of a place that takes both, each has a socket of its own. */
export interface ServedPorts {
  readonly ipv4: number | null
  readonly ipv6: number | null
}

export interface NegotiatedWire extends Wire {
  /** What the answerer's host said: the offerer opens now. */
  proceed(answer: Uint8Array): void
}

export interface NegotiatedSink extends WireSink {
  onDescribed(description: Uint8Array): void
}

/** How long gathering may take: an address behind the NAT that no helper has told by then is done without. */
export const GATHER_TIMEOUT_MS = 1_000
