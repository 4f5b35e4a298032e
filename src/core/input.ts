/** All that can happen to a peer. Bytes in an input are borrowed until the step's effects are carried out. */
import type { Address } from './base/address.ts'
import type { Fault, FaultCode } from './base/fault.ts'
import type { WallTime } from './base/instant.ts'
import type { PeerId } from './base/peer-id.ts'
import type { PeerRef } from './crypto/peer-ref.ts'

/**
 * Numbered by whoever names the wire first: the core counts dialled and negotiated wires up from 1, the host accepted ones
 * down from -1.
 */
export type WireId = number
/** A session of this peer, unique while the peer runs. */
export type SessionId = number
/** A stream within its session: even ids are opened by the side that opened the session, odd ones by the other. */
export type StreamId = number
/** Ties a command to the events that answer it; chosen by the commander. */
export type RequestId = number
export type LoadId = number

/** Transports through NATs: both ends prepare a wire and tell each other of it over their session (spec 5.9). */
export type NegotiatedTransport = 'udp' | 'webrtc'

export interface WireFacts {
  readonly transport: 'tcp' | 'websocket' | 'tab' | NegotiatedTransport
  /** The other end as the transport sees it, for display and per-source limits: `ip:port`. */
  readonly remote: string
  /** The other end's IP address or host alone. */
  readonly remoteHost: string
  /**
   * What the transport's two ends see alike and nobody between two transports of his own could make them see: the
   * handshakes of sessions over the wire are bound to it. Left out where there is no such thing.
   */
  readonly binding?: Uint8Array
}

export type Input =
  | { readonly kind: 'wake' }
  | { readonly kind: 'clock'; readonly wallTime: WallTime }
  /** The machine's own addresses changed; `lost`: paths may have gone over one that it has no more. */
  | { readonly kind: 'network-changed'; readonly lost: boolean }
  | {
      readonly kind: 'wire-open'
      readonly wire: WireId
      readonly role: 'dialler' | 'acceptor'
      readonly about: WireFacts
    }
  /** What the other side's host must know of a wire that is negotiated, to be told to it: opaque, at most 4 KiB. */
  | { readonly kind: 'wire-described'; readonly wire: WireId; readonly description: Uint8Array }
  /** One or more whole frames (spec 3.1), back to back: the path cuts, the core never sees a part of a frame. */
  | { readonly kind: 'wire-bytes'; readonly wire: WireId; readonly bytes: Uint8Array }
  /** `bytes` of what was sent have left the process's own queue. */
  | { readonly kind: 'wire-writable'; readonly wire: WireId; readonly bytes: number }
  | { readonly kind: 'wire-closed'; readonly wire: WireId; readonly fault: Fault }
  | { readonly kind: 'loaded'; readonly load: LoadId; readonly entries: readonly StoreEntry[] }
  | { readonly kind: 'command'; readonly command: Command }

export interface StoreEntry {
  readonly key: string
  readonly value: Uint8Array
}

/** Someone to reach: by id alone, by ref, or only by an address (then whoever answers there). */
export type Target =
  | { readonly kind: 'peer'; readonly peer: PeerId }
  | { readonly kind: 'ref'; readonly ref: PeerRef }
  | { readonly kind: 'address'; readonly address: Address }

/** What a user asks of the peer. Those with a `request` are answered by one event of that number, `failed` included. */
export type Command =
  /** The addresses under which this peer can be dialled; makes a new ref of its own. */
  | { readonly kind: 'announce'; readonly addresses: readonly Address[] }
  | { readonly kind: 'join-mesh'; readonly request: RequestId; readonly waysIn: readonly Target[] }
  /** Says goodbye on all links; effects of later inputs are none. */
  | { readonly kind: 'leave-mesh' }
  | { readonly kind: 'connect'; readonly request: RequestId; readonly target: Target }
  | { readonly kind: 'ping'; readonly request: RequestId; readonly session: SessionId }
  /** Ends it, whatever the other side does with it; but not what links, services and circuits here need of it. */
  | { readonly kind: 'session-close'; readonly session: SessionId; readonly code: FaultCode }
  /** The user needs it no more: it ends once nothing here and nothing on the other side does. */
  | { readonly kind: 'session-release'; readonly session: SessionId }
  | { readonly kind: 'stream-open'; readonly request: RequestId; readonly session: SessionId; readonly subject: string }
  /** Chunks belong to the core from here on: the commander changes them no more. */
  | {
      readonly kind: 'stream-write'
      readonly session: SessionId
      readonly stream: StreamId
      readonly chunks: readonly Uint8Array[]
    }
  | { readonly kind: 'stream-end'; readonly session: SessionId; readonly stream: StreamId }
  /** Gives up both directions. `reset` is the application's code, 0 … 2^32 − 1. */
  | { readonly kind: 'stream-reset'; readonly session: SessionId; readonly stream: StreamId; readonly reset: number }
  /** The reader took `bytes`: credit flows back. */
  | { readonly kind: 'stream-consumed'; readonly session: SessionId; readonly stream: StreamId; readonly bytes: number }
  | { readonly kind: 'datagram-send'; readonly session: SessionId; readonly bytes: Uint8Array }
  /** The newest ref of a peer; answered by `peer-found`. */
  | { readonly kind: 'peer-find'; readonly request: RequestId; readonly peer: PeerId }
  /** Where a few public peers serve STUN, each on another host; answered by `helpers-found`. */
  | { readonly kind: 'helpers-find'; readonly request: RequestId }
  /** Members of a service, as the registry knows them now. */
  | { readonly kind: 'service-find'; readonly request: RequestId; readonly service: string }
  | { readonly kind: 'service-list'; readonly request: RequestId }
  | { readonly kind: 'service-join'; readonly request: RequestId; readonly service: string; readonly summary: string }
  | { readonly kind: 'service-leave'; readonly service: string }
  | {
      readonly kind: 'service-broadcast'
      readonly request: RequestId
      readonly service: string
      readonly bytes: Uint8Array
    }
