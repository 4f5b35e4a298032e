/**
 * Which cipher seals a session's packets (spec 4.1.5): the initiator lists its own, best first, and the responder names
 * the one. Both are inside the handshake's transcript, so nobody between them can change the choice.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { CipherName, CryptoSuite } from '../crypto/suite.ts'

const NUMBERS: Record<CipherName, number> = { 'chacha20-poly1305': 1, 'aes-256-gcm': 2 }
const OFFERED_MAX = 8

/** `count u8 | numbers u8 …`, best first. */
export function writeOffer(writer: ByteWriter, suite: CryptoSuite): ByteWriter {
  writer.u8(suite.ciphers.length)
  for (const cipher of suite.ciphers) writer.u8(NUMBERS[cipher])
  return writer
}

/**
 * AES-256-GCM where both sides like it best (both have it native), else ChaCha20-Poly1305, which everyone has. Null where
 * the list is ill-formed; unknown numbers are passed over, so that newer peers can offer newer ciphers.
 */
export function chooseCipher(suite: CryptoSuite, reader: ByteReader): CipherName | null {
  const count = reader.u8()
  const offered = reader.raw(count)
  if (reader.failed || count < 1 || count > OFFERED_MAX) return null
  return offered[0] === NUMBERS['aes-256-gcm'] && prefersGcm(suite) ? 'aes-256-gcm' : 'chacha20-poly1305'
}

export function writeChoice(writer: ByteWriter, cipher: CipherName): ByteWriter {
  return writer.u8(NUMBERS[cipher])
}

/** Null where the choice is not one that the rule allows after our offer. */
export function readChoice(suite: CryptoSuite, reader: ByteReader): CipherName | null {
  const number = reader.u8()
  if (number === NUMBERS['chacha20-poly1305']) return 'chacha20-poly1305'
  return number === NUMBERS['aes-256-gcm'] && prefersGcm(suite) ? 'aes-256-gcm' : null
}

function prefersGcm(suite: CryptoSuite): boolean {
  return suite.ciphers[0] === 'aes-256-gcm'
}
