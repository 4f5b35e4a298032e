/** All that a peer can ask of the world. A step's effects are carried out in order, sends before events. */
import type { Address } from './base/address.ts'
import type { Fault, FaultCode } from './base/fault.ts'
import type { PeerId } from './base/peer-id.ts'
import type { PeerRef } from './crypto/peer-ref.ts'
import type { LoadId, NegotiatedTransport, RequestId, SessionId, StreamId, WireId } from './input.ts'

export type Effect =
  | { readonly kind: 'dial'; readonly wire: WireId; readonly address: Address }
  /**
   * Prepare a wire through NATs, answered by `wire-described`, or by `wire-closed`, with `not-supported` where the NATs are
   * known to leave no way. The answerer is told what the offerer's host said, and opens; it is the wire's acceptor.
   */
  | {
      readonly kind: 'negotiate'
      readonly wire: WireId
      readonly transport: NegotiatedTransport
      readonly role: 'offerer' | 'answerer'
      readonly remote: Uint8Array | null
      /** Where public peers serve STUN. */
      readonly helpers: readonly Address[]
    }
  /** To the offerer: what the answerer's host said. Open, as its dialler. */
  | { readonly kind: 'negotiated'; readonly wire: WireId; readonly remote: Uint8Array }
  /** One or more whole frames as a list of buffers (writev). `bytes` is their sum; the host reports it back by `wire-writable`. */
  | { readonly kind: 'send'; readonly wire: WireId; readonly buffers: readonly Uint8Array[]; readonly bytes: number }
  /** Memory of sealed packets that is not sent again: once the writes under way are over, the host may free it. */
  | { readonly kind: 'spent'; readonly buffers: readonly Uint8Array[] }
  | { readonly kind: 'hang-up'; readonly wire: WireId; readonly code: FaultCode }
  /** Null deletes. Keys are path-like: `ref/…`, `record/…`, `self/…`. */
  | { readonly kind: 'save'; readonly key: string; readonly value: Uint8Array | null }
  /** All entries whose key starts with `prefix`; answered by `loaded`. */
  | { readonly kind: 'load'; readonly load: LoadId; readonly prefix: string }
  | { readonly kind: 'event'; readonly event: PeerEvent }

/** How a session's packets travel now. */
export type PathView =
  | { readonly kind: 'wire'; readonly transport: string; readonly remote: string }
  /** Over other peers, nearest first (as they name themselves). */
  | { readonly kind: 'circuit'; readonly via: readonly PeerId[] }
  | { readonly kind: 'none' }

export interface ServiceEntry {
  readonly service: string
  readonly summary: string
  readonly members: number
}

export type PeerEvent =
  | { readonly kind: 'failed'; readonly request: RequestId; readonly fault: Fault }
  /** This peer has left, as it was told to: nothing more will come from it. */
  | { readonly kind: 'left' }
  /** This peer's own ref changed. */
  | { readonly kind: 'self'; readonly ref: PeerRef }
  /** Nobody is heard any more, or many links were lost at once: the network may have changed outside of this machine. */
  | { readonly kind: 'unheard' }
  | { readonly kind: 'joined'; readonly request: RequestId; readonly through: PeerId }
  | { readonly kind: 'link-up'; readonly peer: PeerId; readonly role: string; readonly path: PathView }
  | { readonly kind: 'link-down'; readonly peer: PeerId; readonly fault: Fault }
  | {
      readonly kind: 'connected'
      readonly request: RequestId
      readonly session: SessionId
      readonly peer: PeerId
      readonly path: PathView
    }
  /** In milliseconds of the clock that `step` is given: as fine as the host makes it. */
  | { readonly kind: 'ponged'; readonly request: RequestId; readonly roundTripMs: number; readonly path: PathView }
  | { readonly kind: 'path'; readonly session: SessionId; readonly path: PathView }
  | { readonly kind: 'session-closed'; readonly session: SessionId; readonly peer: PeerId; readonly fault: Fault }
  | {
      readonly kind: 'stream-opened'
      readonly request: RequestId
      readonly session: SessionId
      readonly stream: StreamId
    }
  | {
      readonly kind: 'stream-inbound'
      readonly session: SessionId
      readonly peer: PeerId
      readonly stream: StreamId
      readonly subject: string
    }
  | {
      readonly kind: 'stream-data'
      readonly session: SessionId
      readonly stream: StreamId
      readonly chunks: readonly Uint8Array[]
    }
  /** The other side ended its direction. */
  | { readonly kind: 'stream-ended'; readonly session: SessionId; readonly stream: StreamId }
  | {
      readonly kind: 'stream-failed'
      readonly session: SessionId
      readonly stream: StreamId
      readonly fault: Fault
      readonly reset: number
    }
  /**
   * What was queued by `stream-write` and is not yet sealed fell to `queuedBytes`: sent whenever nothing is left (the
   * chunks are no longer read from then on), and when a queue that passed its high mark falls to the low one.
   */
  | {
      readonly kind: 'stream-drained'
      readonly session: SessionId
      readonly stream: StreamId
      readonly queuedBytes: number
    }
  | { readonly kind: 'datagram'; readonly session: SessionId; readonly peer: PeerId; readonly bytes: Uint8Array }
  | { readonly kind: 'peer-found'; readonly request: RequestId; readonly ref: PeerRef }
  | { readonly kind: 'helpers-found'; readonly request: RequestId; readonly helpers: readonly Address[] }
  | { readonly kind: 'service-found'; readonly request: RequestId; readonly members: readonly PeerRef[] }
  | { readonly kind: 'service-listed'; readonly request: RequestId; readonly services: readonly ServiceEntry[] }
  | { readonly kind: 'service-joined'; readonly request: RequestId; readonly service: string }
  | {
      readonly kind: 'member'
      readonly service: string
      readonly peer: PeerId
      readonly ref: PeerRef | null
      readonly present: boolean
    }
  | { readonly kind: 'message'; readonly service: string; readonly from: PeerId; readonly bytes: Uint8Array }
  /** The broadcast left for the `neighbours` members next in the tree. */
  | { readonly kind: 'broadcast-sent'; readonly request: RequestId; readonly neighbours: number }
