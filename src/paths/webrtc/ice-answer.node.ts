/**
 * What a called end answers to the checks of its caller (RFC 8445 section 7.3.1), with the place that the caller comes from in it.
 * The library sees a lane on loopback instead and says so; Firefox takes such an answer for none.
 */
import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { bindingSuccess, isBindingSuccess, type SocketAddress, transactionOf, withAttribute } from '../udp/stun.ts'

const MESSAGE_INTEGRITY = 0x0008
const FINGERPRINT = 0x8028
const FINGERPRINT_MASK = 0x5354554e

/** The answer in `bytes` as `place` is to see it, by the password of the called end; null where it is none. */
export function answerAsSeen(bytes: Uint8Array, place: SocketAddress, password: string): Uint8Array | null {
  const answer = isBindingSuccess(bytes) ? bindingSuccess(transactionOf(bytes), place) : null
  return answer === null ? null : withIntegrity(answer, password)
}

/** A message with what proves that its sender knows the password, and what tells it from other protocols (RFC 8489, 14.5, 14.7). */
export function withIntegrity(message: Uint8Array, password: string): Uint8Array {
  const whole = withAttribute(message, MESSAGE_INTEGRITY, 20, content =>
    createHmac('sha1', password).update(content).digest(),
  )
  return withAttribute(whole, FINGERPRINT, 4, content => {
    const check = Buffer.alloc(4)
    check.writeUInt32BE((crc32(content) ^ FINGERPRINT_MASK) >>> 0)
    return check
  })
}
