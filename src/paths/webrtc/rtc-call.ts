/**
 * WebRTC to an address, without signalling (spec 3.6): each end makes up what the other would have told. The caller knows host, port
 * and the certificate's hash from the address, and tells its own ICE password in the user name that it chooses for the other end,
 * which travels in each of its STUN requests. The called end does not know the caller's certificate before DTLS shows it: the
 * handshake of the session is bound to both.
 */
import { type Address, certificateHashOf } from '../../core/base/address.ts'
import { concatBytes } from '../../core/base/bytes.ts'
import type { RtcDescription } from './rtc-description.ts'

/** Names this way of calling, so that another can be told from it. */
const PREFIX = 'webmesh1'
const CALLED = /^webmesh1([A-Za-z0-9+/]{22,128})$/
const CALLER = /^[A-Za-z0-9+/]{4,64}$/
const NO_HASH = new Uint8Array(32)

/** What the end at an address would answer to a caller with this password. */
export function calledAt(address: Address, callerPwd: string): RtcDescription {
  const { host, port } = address
  const candidates = [{ kind: 'host' as const, host, port }]
  return { ufrag: PREFIX + callerPwd, pwd: callerPwd, certificateHash: certificateHashOf(address), candidates }
}

/** Who calls, by the two user names of a STUN request: what it would have offered. Null where it is no such call. */
export function callerOf(callerUfrag: string, calledUfrag: string): RtcDescription | null {
  const pwd = CALLED.exec(calledUfrag)?.[1]
  if (pwd === undefined || !CALLER.test(callerUfrag)) return null
  return { ufrag: callerUfrag, pwd, certificateHash: NO_HASH, candidates: [] }
}

/** What both ends see of the connection: the hashes of the caller's certificate and of the called end's. */
export function bindingOf(callerHash: Uint8Array, calledHash: Uint8Array): Uint8Array {
  return concatBytes(callerHash, calledHash)
}
