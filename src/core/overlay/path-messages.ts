/**
 * The messages by which two peers agree on a wire through their NATs, over the session that they have already (spec 5.9),
 * and on its end (5.10): channel 4 of a session. What a host tells the other one is opaque here: candidates of a socket, or
 * an SDP.
 *
 *   number  message        fields
 *   1       path-offer     id u32, transport u8 (0 udp, 1 webrtc), description sized
 *   2       path-answer    id u32: the offer's, description sized
 *   3       path-refuse    id u32: the offer's, reason u8 (0 transport, 1 busy, 2 failed, 3 needless)
 *   4       path-withdraw  id u32: the sender's offer
 *   5       session-unneeded
 *   6       session-needed
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { fail, ok, type Result } from '../base/fault.ts'
import { NEGOTIATED_TRANSPORTS } from '../crypto/peer-ref.ts'
import type { NegotiatedTransport } from '../input.ts'
import { PATH_DESCRIPTION_BYTES_MAX } from '../limits.ts'

/**
 * Why an offer is not taken: by this transport there is no way to this peer, too many offers or wires, the host could not, a
 * wire is there.
 */
export type PathRefusal = 'transport' | 'busy' | 'failed' | 'needless'

export type PathMessage =
  | {
      readonly kind: 'path-offer'
      readonly id: number
      /** Null: one of a later version. */
      readonly transport: NegotiatedTransport | null
      readonly description: Uint8Array
    }
  | { readonly kind: 'path-answer'; readonly id: number; readonly description: Uint8Array }
  | { readonly kind: 'path-refuse'; readonly id: number; readonly reason: PathRefusal }
  | { readonly kind: 'path-withdraw'; readonly id: number }
  /** The sender needs the session no more: whoever reads it ends it, or answers that it needs it. */
  | { readonly kind: 'session-unneeded' }
  | { readonly kind: 'session-needed' }

/** Those of the negotiation of a wire. */
export type OfferMessage = Exclude<PathMessage, { kind: 'session-unneeded' | 'session-needed' }>

const OFFER = 1
const ANSWER = 2
const REFUSE = 3
const WITHDRAW = 4
const UNNEEDED = 5
const NEEDED = 6

const REFUSALS: readonly PathRefusal[] = ['transport', 'busy', 'failed', 'needless']
const UNKNOWN_TRANSPORT = 255

export function encodePathMessage(message: PathMessage): Uint8Array {
  switch (message.kind) {
    case 'path-offer': {
      const { id, transport, description } = message
      const number = transport === null ? UNKNOWN_TRANSPORT : NEGOTIATED_TRANSPORTS.indexOf(transport)
      return new ByteWriter(8 + description.length).u8(OFFER).u32(id).u8(number).sized(description).finish()
    }
    case 'path-answer': {
      const { id, description } = message
      return new ByteWriter(7 + description.length).u8(ANSWER).u32(id).sized(description).finish()
    }
    case 'path-refuse':
      return new ByteWriter().u8(REFUSE).u32(message.id).u8(REFUSALS.indexOf(message.reason)).finish()
    case 'path-withdraw':
      return new ByteWriter().u8(WITHDRAW).u32(message.id).finish()
    case 'session-unneeded':
      return Uint8Array.of(UNNEEDED)
    case 'session-needed':
      return Uint8Array.of(NEEDED)
  }
}

export function decodePathMessage(bytes: Uint8Array): Result<PathMessage> {
  const reader = new ByteReader(bytes)
  const number = reader.u8()
  const id = number < UNNEEDED ? reader.u32() : 0
  let message: PathMessage | null = null
  if (number === OFFER || number === ANSWER) {
    const transport = number === OFFER ? (NEGOTIATED_TRANSPORTS[reader.u8()] ?? null) : null
    const length = reader.varint()
    if (!reader.failed && length > PATH_DESCRIPTION_BYTES_MAX) {
      return fail({
        code: 'message-too-large',
        detail: 'description',
        got: length,
        limit: PATH_DESCRIPTION_BYTES_MAX,
      })
    }
    const description = reader.raw(length)
    message =
      number === OFFER ? { kind: 'path-offer', id, transport, description } : { kind: 'path-answer', id, description }
  } else if (number === REFUSE) {
    // Reasons of later versions read as `failed`.
    message = { kind: 'path-refuse', id, reason: REFUSALS[reader.u8()] ?? 'failed' }
  } else if (number === WITHDRAW) {
    message = { kind: 'path-withdraw', id }
  } else if (number === UNNEEDED) {
    message = { kind: 'session-unneeded' }
  } else if (number === NEEDED) {
    message = { kind: 'session-needed' }
  }
  if (message === null || !reader.finished) return fail({ code: 'malformed', detail: 'path message', got: number })
  return ok(message)
}
