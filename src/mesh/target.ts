/** Whom a user may name, in whatever form is at hand, and what that is to the core. */
import { parseAddress } from '../core/base/address.ts'
import { fail, ok, type Result } from '../core/base/fault.ts'
import type { WallTime } from '../core/base/instant.ts'
import { type PeerId, parsePeerId } from '../core/base/peer-id.ts'
import { type PeerRef, parseRefText, readPeerRef } from '../core/crypto/peer-ref.ts'
import type { CryptoSuite } from '../core/crypto/suite.ts'
import type { Target } from '../core/input.ts'

/**
 * A peer: its id (64 hexadecimal digits), its ref as text (`webmesh:…`) or as an object, an address where it can be
 * dialled (`tcp://host:port`: then it is whoever answers there), or what `discover()` and `find()` give.
 */
export type PeerLike = PeerId | string | PeerRef | { readonly peer: PeerId; readonly ref?: PeerRef | null }

/** Faults: `invalid-peer-id`, `invalid-ref`, `ref-forged`, `ref-expired`, `version-mismatch`, `invalid-address`. */
export function targetOf(suite: CryptoSuite, now: WallTime, peer: unknown): Result<Target> {
  if (typeof peer === 'string') return targetOfText(suite, now, peer)
  if (typeof peer !== 'object' || peer === null)
    return fail({ code: 'invalid-peer-id', detail: 'a peer is named by its id, its ref or an address' })
  if ('bytes' in peer && peer.bytes instanceof Uint8Array) {
    const ref = readPeerRef(suite, peer.bytes, now)
    return ref.ok ? ok({ kind: 'ref', ref: ref.value }) : ref
  }
  if ('ref' in peer && peer.ref !== null && peer.ref !== undefined) return targetOf(suite, now, peer.ref)
  if ('peer' in peer && typeof peer.peer === 'string') return targetOfId(peer.peer)
  return fail({ code: 'invalid-peer-id', detail: 'the object given has neither a peer nor a ref' })
}

function targetOfText(suite: CryptoSuite, now: WallTime, text: string): Result<Target> {
  const trimmed = text.trim()
  if (trimmed.startsWith('webmesh:')) {
    const ref = parseRefText(suite, trimmed, now)
    return ref.ok ? ok({ kind: 'ref', ref: ref.value }) : ref
  }
  if (trimmed.includes('://')) {
    const address = parseAddress(trimmed)
    return address.ok ? ok({ kind: 'address', address: address.value }) : address
  }
  return targetOfId(trimmed)
}

function targetOfId(text: string): Result<Target> {
  const peer = parsePeerId(text)
  return peer.ok ? ok({ kind: 'peer', peer: peer.value }) : peer
}
