/**
 * A broadcast: what one member says to all, signed by it, so that no member on the way can change it or speak in
 * another's name (spec 7.3). Its id is its origin and number; the numbers of one origin grow, by its wall clock.
 *
 *   signed: 'webmesh-broadcast1' | SHA-256 of the service's name | content u8 | sequence u48 | payload
 *   id: first 8 bytes of the origin | sequence u48
 */
import { ByteWriter, encodeUtf8 } from '../base/bytes.ts'
import { hexOfBytes } from '../base/hex.ts'
import { bytesOfPeerId, type PeerId } from '../base/peer-id.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'

/** `member-here`: the origin joined, its ref is the payload. `member-left`: it leaves. */
export type BroadcastContent = 'payload' | 'member-here' | 'member-left'

export interface Broadcast {
  readonly content: BroadcastContent
  readonly origin: PeerId
  readonly sequence: number
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

/** 28 hexadecimal digits: 16 of the origin, 12 of the sequence. */
export type MessageId = string

export const MESSAGE_ID_BYTES = 14
const ORIGIN_DIGITS = 16

const CONTENTS: readonly BroadcastContent[] = ['payload', 'member-here', 'member-left']
const CONTEXT = encodeUtf8('webmesh-broadcast1')

export function signBroadcast(
  identity: Identity,
  serviceHash: Uint8Array,
  content: BroadcastContent,
  sequence: number,
  payload: Uint8Array,
): Broadcast {
  const signature = identity.sign(signedPart(serviceHash, content, sequence, payload))
  return { content, origin: identity.peer, sequence, payload, signature }
}

export function broadcastIsAuthentic(suite: CryptoSuite, serviceHash: Uint8Array, broadcast: Broadcast): boolean {
  const { content, origin, sequence, payload, signature } = broadcast
  return suite.verify(bytesOfPeerId(origin), signedPart(serviceHash, content, sequence, payload), signature)
}

export function messageIdOf(broadcast: Broadcast): MessageId {
  return broadcast.origin.slice(0, ORIGIN_DIGITS) + broadcast.sequence.toString(16).padStart(12, '0')
}

/** The part of an id that all messages of one origin share, and the part by which they are numbered. */
export function splitMessageId(id: MessageId): { readonly origin: string; readonly sequence: number } {
  return { origin: id.slice(0, ORIGIN_DIGITS), sequence: Number.parseInt(id.slice(ORIGIN_DIGITS), 16) }
}

export function messageIdOfBytes(bytes: Uint8Array): MessageId {
  return hexOfBytes(bytes, MESSAGE_ID_BYTES)
}

export function codeOfContent(content: BroadcastContent): number {
  return CONTENTS.indexOf(content)
}

export function contentOfCode(code: number): BroadcastContent | null {
  return CONTENTS[code] ?? null
}

function signedPart(
  serviceHash: Uint8Array,
  content: BroadcastContent,
  sequence: number,
  payload: Uint8Array,
): Uint8Array {
  return new ByteWriter(CONTEXT.length + 40 + payload.length)
    .raw(CONTEXT)
    .raw(serviceHash)
    .u8(codeOfContent(content))
    .u48(sequence)
    .raw(payload)
    .finish()
}
