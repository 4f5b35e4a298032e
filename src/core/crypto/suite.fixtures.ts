/** Both real suites, for tests that must hold on either, and small makers that such tests share. */
import { gcm } from '@noble/ciphers/aes.js'
import { nativeSuite } from '../../host/native-suite.node.ts'
import { createNobleSuite } from './noble-suite.ts'
import type { CryptoSuite, Identity } from './suite.ts'

export { nativeSuite }

export const nobleSuite: CryptoSuite = createNobleSuite(length => nativeSuite.randomBytes(length), gcm)

export const SUITES: readonly (readonly [name: string, suite: CryptoSuite])[] = [
  ['native', nativeSuite],
  ['noble', nobleSuite],
]

/** The suite, except that its next fresh X25519 keys are those of the given secrets. */
export function withEphemerals(suite: CryptoSuite, secrets: readonly Uint8Array[]): CryptoSuite {
  const left = [...secrets]
  return { ...suite, dhKey: secret => suite.dhKey(secret ?? left.shift()) }
}

/** An identity whose seed is 32 times the same byte. */
export function testIdentity(suite: CryptoSuite, byte: number): Identity {
  return suite.identity(new Uint8Array(32).fill(byte))
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

export function bytesOfHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
