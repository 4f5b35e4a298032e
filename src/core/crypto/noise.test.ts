import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NO_BYTES } from '../base/bytes.ts'
import { NoiseHandshake, type PatternName } from './noise.ts'
import { CipherState } from './noise-cipher.ts'
import { bytesOfHex, hexOf, SUITES, withEphemerals } from './suite.fixtures.ts'
import type { CipherName, CryptoSuite } from './suite.ts'

interface Vector {
  readonly protocol_name?: string
  readonly name?: string
  readonly init_prologue: string
  readonly init_static?: string
  readonly init_ephemeral: string
  readonly init_remote_static?: string
  readonly resp_prologue: string
  readonly resp_static?: string
  readonly resp_ephemeral: string
  readonly handshake_hash: string
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[]
}

const published: { sets: readonly { hash_before_last_message: boolean; vectors: readonly Vector[] }[] } = JSON.parse(
  readFileSync(new URL('../../../spec/vectors/noise.json', import.meta.url), 'utf8'),
)
const cases = published.sets.flatMap((set, i) =>
  set.vectors.flatMap(vector =>
    SUITES.map(
      ([suiteName, suite]) => [nameOf(vector), i, suiteName, set.hash_before_last_message, vector, suite] as const,
    ),
  ),
)

describe('published Noise vectors', () => {
  it.each(cases)('%s of set %i comes out the same with the %s suite', (_, __, ___, hashIsEarlier, vector, suite) => {
    const sides = [sideOf(vector, suite, true), sideOf(vector, suite, false)] as const
    let ciphers: { send: CipherState; receive: CipherState }[] | null = null
    vector.messages.forEach(({ payload, ciphertext }, i) => {
      const [writer, reader] = i % 2 === 0 ? sides : [sides[1], sides[0]]
      if (ciphers !== null) {
        const [from, to] = [ciphers[i % 2]!, ciphers[1 - (i % 2)]!]
        expect(hexOf(from.send.encryptWithAd(NO_BYTES, bytesOfHex(payload)))).toBe(ciphertext)
        expect(hexOf(to.receive.decryptWithAd(NO_BYTES, bytesOfHex(ciphertext)) ?? NO_BYTES)).toBe(payload)
        return
      }
      const hashBefore = hexOf(writer.handshakeHash)
      const message = writer.writeMessage(bytesOfHex(payload))
      expect(message.ok && hexOf(message.value)).toBe(ciphertext)
      const read = reader.readMessage(bytesOfHex(ciphertext))
      expect(read.ok && hexOf(read.value)).toBe(payload)
      expect(hexOf(reader.handshakeHash)).toBe(hexOf(writer.handshakeHash))
      if (!writer.finished) return
      expect(hashIsEarlier ? hashBefore : hexOf(writer.handshakeHash)).toBe(vector.handshake_hash)
      ciphers = sides.map(side => ({
        send: new CipherState(suite, cipherOf(vector), side.keys().sendKey),
        receive: new CipherState(suite, cipherOf(vector), side.keys().receiveKey),
      }))
    })
    expect(ciphers).not.toBeNull()
  })
})

describe.each(SUITES)('Noise with the %s suite', (_, suite) => {
  it.each<PatternName>(['NN', 'NK', 'KK', 'XX', 'IK'])('%s gives both sides the same keys', pattern => {
    const [initiator, responder] = pair(suite, pattern)
    const [writers, readers] = [
      [initiator, responder, initiator],
      [responder, initiator, responder],
    ]
    for (let i = 0; !initiator.finished; i += 1) {
      const message = writers[i]!.writeMessage(Uint8Array.of(i))
      const read = message.ok ? readers[i]!.readMessage(message.value) : message
      expect(read).toEqual({ ok: true, value: Uint8Array.of(i) })
    }
    const [a, b] = [initiator.keys(), responder.keys()]
    expect(a.sendKey).toEqual(b.receiveKey)
    expect(a.receiveKey).toEqual(b.sendKey)
    expect(initiator.handshakeHash).toEqual(responder.handshakeHash)
    expect(a.sendKey).not.toEqual(a.receiveKey)
  })

  it('refuses hostile messages with a fault, and stays failed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        const [, responder] = pair(suite, 'IK')
        const read = responder.readMessage(bytes)
        expect(!read.ok && read.fault.code).toBe('handshake-failed')
        expect(responder.readMessage(bytes).ok).toBe(false)
      }),
      { numRuns: 40 },
    )
  })

  it('refuses an ephemeral key of low order', () => {
    const [initiator] = pair(suite, 'NN')
    initiator.writeMessage(NO_BYTES)
    const read = initiator.readMessage(new Uint8Array(48))
    expect(!read.ok && read.fault.detail).toBe('a key of low order')
  })

  it('rekeys both ends alike', () => {
    const key = new Uint8Array(32).fill(5)
    const [send, receive] = [new CipherState(suite, 'aes-256-gcm', key), new CipherState(suite, 'aes-256-gcm', key)]
    const before = send.encryptWithAd(NO_BYTES, Uint8Array.of(1))
    send.rekey()
    receive.decryptWithAd(NO_BYTES, before)
    const after = send.encryptWithAd(NO_BYTES, Uint8Array.of(2))
    expect(receive.decryptWithAd(NO_BYTES, after)).toBeNull()
    receive.rekey()
    expect(receive.decryptWithAd(NO_BYTES, after)).toEqual(Uint8Array.of(2))
  })
})

function sideOf(vector: Vector, suite: CryptoSuite, initiator: boolean): NoiseHandshake {
  const secret = initiator ? vector.init_static : vector.resp_static
  return new NoiseHandshake({
    suite: withEphemerals(suite, [bytesOfHex(initiator ? vector.init_ephemeral : vector.resp_ephemeral)]),
    // reason: a vector whose pattern is not known fails the test.
    pattern: nameOf(vector).slice(6, 8) as PatternName,
    cipher: cipherOf(vector),
    initiator,
    prologue: bytesOfHex(initiator ? vector.init_prologue : vector.resp_prologue),
    localStatic: secret === undefined ? null : suite.dhKey(bytesOfHex(secret)),
    remoteStatic: initiator && vector.init_remote_static !== undefined ? bytesOfHex(vector.init_remote_static) : null,
  })
}

function nameOf(vector: Vector): string {
  return vector.protocol_name ?? vector.name ?? ''
}

function cipherOf(vector: Vector): CipherName {
  return nameOf(vector).includes('AESGCM') ? 'aes-256-gcm' : 'chacha20-poly1305'
}

function pair(suite: CryptoSuite, pattern: PatternName): [NoiseHandshake, NoiseHandshake] {
  const [a, b] = [suite.dhKey(), suite.dhKey()]
  const known = { initiator: pattern === 'KK', responder: pattern !== 'NN' && pattern !== 'XX' }
  const common = { suite, pattern, cipher: 'chacha20-poly1305', prologue: new Uint8Array(3) } as const
  return [
    new NoiseHandshake({
      ...common,
      initiator: true,
      localStatic: a,
      remoteStatic: known.responder ? b.publicKey : null,
    }),
    new NoiseHandshake({
      ...common,
      initiator: false,
      localStatic: b,
      remoteStatic: known.initiator ? a.publicKey : null,
    }),
  ]
}
