/**
 * A key that Node generated is never exported by `export()`. On Node 20 that stops the process for good where V8 collects, in
 * the midst of the export, what generated the key: a peer stood still after some tens of thousands of handshakes.
 */
import nodeCrypto, { KeyObject } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeCertificate, readCertificate } from '../paths/webrtc/dtls-certificate.node.ts'
import { nativeSuite } from './native-suite.node.ts'

const generate = nodeCrypto.generateKeyPairSync
let generated = 0

function replaceGeneration(replacement: unknown): void {
  Object.assign(nodeCrypto, { generateKeyPairSync: replacement })
  syncBuiltinESMExports()
}

function refuse(): never {
  throw new Error('a generated key was exported')
}

beforeAll(() => {
  replaceGeneration((...options: unknown[]) => {
    const pair: object = Reflect.apply(generate, nodeCrypto, options)
    generated += 1
    for (const half of Object.values(pair)) if (half instanceof KeyObject) half.export = refuse
    return pair
  })
})

afterAll(() => replaceGeneration(generate))

it('the key pairs of handshakes', () => {
  const before = generated
  const [ours, theirs] = [nativeSuite.dhKey(), nativeSuite.dhKey()]
  expect(generated).toBe(before + 2)
  expect(ours.agree(theirs.publicKey)).toEqual(theirs.agree(ours.publicKey))
})

it('the certificate of a WebRTC port', () => {
  const before = generated
  expect(readCertificate(makeCertificate())).not.toBeNull()
  expect(generated).toBe(before + 1)
})
