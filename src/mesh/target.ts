/** Whom a user may name, in whatever form is at hand, and what that is to the core. */
import { addressText, parseAddress } from '../core/base/address.ts'
import { type Fault, fail, ok, type Result } from '../core/base/fault.ts'
import type { WallTime } from '../core/base/instant.ts'
import { bytesOfPeerId, type PeerId, parsePeerId } from '../core/base/peer-id.ts'
import { isSigned, type PeerRef, parseRefText, readClaimedRef } from '../core/crypto/peer-ref.ts'
import type { CryptoSuite } from '../core/crypto/suite.ts'
import type { Target } from '../core/input.ts'
import { parseServiceName } from '../core/registry/service-name.ts'
import { WebmeshError } from './webmesh-error.ts'

/**
 * A peer: its id (64 hexadecimal digits), its ref as text (`webmesh:…`) or as an object, an address where it can be
 * dialled (`tcp://host:port`: then it is whoever answers there), or what `discover()` and `find()` give.
 */
export type PeerLike = PeerId | string | PeerRef | { readonly peer: PeerId; readonly ref?: PeerRef | null }

/** The name as the core takes it. Errors: `invalid-service-name`. */
export function serviceNameOf(name: unknown): string {
  const text = typeof name === 'string' ? name : String(name)
  if (parseServiceName(text).ok) return text
  throw new WebmeshError({ code: 'invalid-service-name', detail: `"${text.slice(0, 80)}"` })
}

/**
 * What is claimed of where the peer is: the signature of a ref is not checked here.
 * Faults: `invalid-peer-id`, `invalid-ref`, `ref-expired`, `version-mismatch`, `invalid-address`.
 */
export function targetOf(suite: CryptoSuite, now: WallTime, peer: unknown): Result<Target> {
  if (typeof peer === 'string') return targetOfText(suite, now, peer)
  if (typeof peer !== 'object' || peer === null)
    return fail({ code: 'invalid-peer-id', detail: 'a peer is named by its id, its ref or an address' })
  if ('bytes' in peer && peer.bytes instanceof Uint8Array) {
    const ref = readClaimedRef(suite, peer.bytes, now)
    return ref.ok ? ok({ kind: 'ref', ref: ref.value }) : ref
  }
  if ('ref' in peer && peer.ref !== null && peer.ref !== undefined) return targetOf(suite, now, peer.ref)
  if ('peer' in peer && typeof peer.peer === 'string') return targetOfId(suite, peer.peer)
  return fail({ code: 'invalid-peer-id', detail: 'the object given has neither a peer nor a ref' })
}

/** `ref-forged` where the target is a ref that its peer has not signed. */
export function targetFault(suite: CryptoSuite, target: Target): Fault | null {
  return target.kind === 'ref' && !isSigned(suite, target.ref) ? { code: 'ref-forged' } : null
}

/** Enough of it to be told from others. */
export function targetText(target: Target): string {
  if (target.kind === 'address') return addressText(target.address)
  const { peer, addresses } = target.kind === 'ref' ? target.ref : { peer: target.peer, addresses: [] }
  const place = addresses[0] === undefined ? '' : ` at ${addressText(addresses[0])}`
  return `peer ${peer.slice(0, 8)}${place}`
}

function targetOfText(suite: CryptoSuite, now: WallTime, text: string): Result<Target> {
  const trimmed = text.trim()
  if (trimmed.startsWith('webmesh:')) {
    const ref = parseRefText(suite, trimmed, now, readClaimedRef)
    return ref.ok ? ok({ kind: 'ref', ref: ref.value }) : ref
  }
  if (trimmed.includes('://')) {
    const address = parseAddress(trimmed)
    return address.ok ? ok({ kind: 'address', address: address.value }) : address
  }
  return targetOfId(suite, trimmed)
}

/** Half of all texts of 64 digits are no key: nobody can have them. */
function targetOfId(suite: CryptoSuite, text: string): Result<Target> {
  const peer = parsePeerId(text)
  if (!peer.ok) return peer
  if (suite.dhPublicKeyOf(bytesOfPeerId(peer.value)) === null)
    return fail({ code: 'invalid-peer-id', detail: `${peer.value.slice(0, 8)}… is nobody's: check each digit` })
  return ok({ kind: 'peer', peer: peer.value })
}
