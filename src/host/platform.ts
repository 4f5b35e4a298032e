/**
 * What differs between Node and a browser, gathered: one interface, made by `nodePlatform` and `browserPlatform`. The
 * mesh facade and the run loop know no other platform things.
 */
import type { Address, AddressScheme } from '../core/base/address.ts'
import type { Result } from '../core/base/fault.ts'
import type { Instant, WallTime } from '../core/base/instant.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { CryptoSuite } from '../core/crypto/suite.ts'
import type { Negotiator } from '../paths/negotiator.ts'
import type { PeerReport } from '../paths/shared-port/peer-page.ts'
import type { Acceptor, Wire, WireSink } from '../paths/wire-driver.ts'
import type { FindRefs, Meet } from '../waysin/way-in-source.ts'
import type { OwnNetwork, OwnNetworkOptions } from './own-network.ts'
import type { OpenedStore } from './store.ts'

export interface Platform {
  readonly suite: CryptoSuite
  readonly clock: HostClock
  /** How many links a peer carries here if the user does not say. */
  readonly defaultCapacity: number
  readonly dialable: readonly AddressScheme[]
  /** What goes through NATs here, first choice first; made anew for each peer. */
  negotiators(): readonly Negotiator[]
  dial(address: Address, sink: WireSink): Wire
  /** Frees memory that was sent, where that need not wait for a garbage collection. */
  readonly onSpent: ((buffers: readonly Uint8Array[]) => void) | null
  /**
   * `place` is a folder in Node, a database's name in a browser; without it the store lives in memory. Faults:
   * 'store-locked' (another process has it), 'store-damaged' (beyond repair), 'store-failed'.
   */
  openStore(place: string | undefined): Promise<Result<OpenedStore>>
  /** Refs out of a source that a user named. */
  readonly findRefs: FindRefs
  /** Where peers hear each other before they are in; what there is not on a platform is left out. */
  readonly meetings: { readonly tabs?: Meet; readonly lan?: Meet }
  /** Tells, until what it returns is called, whenever this machine may have another place in the network; `lost`: it may have left its old one. */
  watchNetwork(onChanged: (lost: boolean) => void): () => void
  /**
   * What ports show to those who call them by WebRTC: `kept` itself where it is good, else one made anew, to be kept from now on.
   * Null where nothing can listen.
   */
  readonly certificate: ((kept: Uint8Array | null) => Uint8Array) | null
  /** Null where nothing can listen. Faults: 'port-in-use', 'listen-failed'. */
  readonly listen: ((options: ListenOptions) => Promise<Result<Listening>>) | null
  /** Whether a peer answers at a place; null where there is no way from here to such addresses, or none to find out. */
  readonly answersAt: ((place: Address, peer: PeerId) => Promise<boolean | null>) | null
  /** Null where the platform shows nothing of the network. */
  readonly openOwnNetwork: ((options: OwnNetworkOptions) => OwnNetwork) | null
}

export interface HostClock {
  /** Milliseconds with fractions, from any start; never goes back. */
  monotonicNow(): Instant
  wallNow(): WallTime
  /** Runs `task` once after `delayMs`; returns what cancels it. */
  setTimer(delayMs: number, task: () => void): () => void
}

export interface ListenOptions {
  /** An IP address or host name of this machine: '0.0.0.0', '::' (both families), '127.0.0.1'. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  readonly accept: Acceptor
  /** What the port says of its peer over HTTP (`GET /`, `GET /health`); asked anew for each request. */
  readonly report: () => PeerReport
  /** Null: no WebRTC. */
  readonly webrtc: WebRtcListenOptions | null
}

export interface WebRtcListenOptions {
  /** The UDP port; the number of the TCP port where undefined, 0 for any. Another one where it is taken. */
  readonly port: number | undefined
  readonly certificate: Uint8Array
}

export interface Listening {
  readonly host: string
  /** The real port, also where 0 was asked for. */
  readonly port: number
  /** The UDP port that takes WebRTC, and the hash of the certificate that it shows; null where there is none. */
  readonly webrtc: { readonly port: number; readonly certificateHash: Uint8Array } | null
  /** Stops listening and ends what is not yet a wire; accepted wires stay open. */
  close(): Promise<void>
}
