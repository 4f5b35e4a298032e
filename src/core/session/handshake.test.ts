import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Result } from '../base/fault.ts'
import type { PeerId } from '../base/peer-id.ts'
import { PacketCipher } from '../crypto/packet-cipher.ts'
import {
  bytesOfHex,
  hexOf,
  nativeSuite,
  nobleSuite,
  SUITES,
  testIdentity,
  withEphemerals,
} from '../crypto/suite.fixtures.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import {
  type Answer,
  answerHandshake,
  continueHandshake,
  type Established,
  type HandshakeState,
  PacketKind,
  startHandshake,
} from './handshake.ts'

const A_LABEL = 0x01020304
const B_LABEL = 0xf0f1f2f3

interface Side {
  readonly suite: CryptoSuite
  readonly identity: Identity
  readonly binding?: Uint8Array
}

const PAIRS: readonly (readonly [string, CryptoSuite, CryptoSuite])[] = [
  ['native, native', nativeSuite, nativeSuite],
  ['native, noble', nativeSuite, nobleSuite],
  ['noble, native', nobleSuite, nativeSuite],
  ['noble, noble', nobleSuite, nobleSuite],
]

describe.each(PAIRS)('handshake between %s', (_, suiteA, suiteB) => {
  const a = sideOf(suiteA, 1)
  const b = sideOf(suiteB, 2)

  it.each(['IK', 'XX'] as const)('%s proves both and gives them the same session', pattern => {
    const { ofA, ofB } = run(a, b, pattern === 'IK' ? b.identity.peer : null)
    expect(ofA).toMatchObject({ peer: b.identity.peer, initiator: true, localLabel: A_LABEL, remoteLabel: B_LABEL })
    expect(ofB).toMatchObject({ peer: a.identity.peer, initiator: false, localLabel: B_LABEL, remoteLabel: A_LABEL })
    expect(ofA.sendKey).toEqual(ofB.receiveKey)
    expect(ofA.receiveKey).toEqual(ofB.sendKey)
    expect(ofA.handshakeHash).toEqual(ofB.handshakeHash)
    expect(ofA.cipher).toBe(ofB.cipher)
    const native = suiteA === nativeSuite && suiteB === nativeSuite
    expect(ofA.cipher).toBe(native ? 'aes-256-gcm' : 'chacha20-poly1305')
    const sealed = new PacketCipher(a.suite, ofA.cipher, ofA.sendKey, ofA.receiveKey).seal(0, bytesOfHex('10'), [
      bytesOfHex('abcd'),
    ])
    const opened = new PacketCipher(b.suite, ofB.cipher, ofB.sendKey, ofB.receiveKey).open(
      0,
      bytesOfHex('10'),
      sealed[0]!,
    )
    expect(opened).toEqual(bytesOfHex('abcd'))
  })
})

describe.each(SUITES)('handshake with the %s suite', (_, suite) => {
  const a = sideOf(suite, 1)
  const b = sideOf(suite, 2)
  const c = sideOf(suite, 3)

  it('will not call itself, by id or by address', () => {
    expect(codeOf(start(a, a.identity.peer))).toBe('self-connect')
    const started = valueIn(start(a, null))
    const answer = waiting(valueIn(answerTo(a, started.packet)))
    expect(codeOf(next(a, started.state, answer.reply))).toBe('self-connect')
  })

  it('tells a peer that is called by the name of another', () => {
    expect(codeOf(answerTo(c, valueIn(start(a, b.identity.peer)).packet))).toBe('wrong-peer')
  })

  it('refuses a call by the mirror image of its own key, which has the same X25519 key', () => {
    const mirrored = b.identity.publicKey.slice()
    mirrored[31]! ^= 0x80
    // reason: 64 hexadecimal digits.
    const started = start(a, hexOf(mirrored) as PeerId)
    expect(suite.dhPublicKeyOf(mirrored)).toEqual(b.identity.dhKey.publicKey)
    expect(codeOf(answerTo(b, valueIn(started).packet))).toBe('handshake-failed')
  })

  it('refuses an id that is no key', () => {
    // reason: 64 hexadecimal digits.
    expect(codeOf(start(a, '02'.repeat(32) as PeerId))).toBe('invalid-peer-id')
    // reason: 64 hexadecimal digits: a point of low order.
    expect(codeOf(start(a, `ec${'ff'.repeat(30)}7f` as PeerId))).toBe('invalid-peer-id')
  })

  it('refuses an initiator that shows an identity whose key it does not have', () => {
    const liar: Side = { suite, identity: { ...identityView(a.identity), publicKey: c.identity.publicKey } }
    expect(codeOf(answerTo(b, valueIn(start(liar, b.identity.peer)).packet))).toBe('handshake-failed')
    const started = valueIn(start(liar, null))
    const answer = waiting(valueIn(answerTo(b, started.packet)))
    const finish = valueIn(next(liar, started.state, answer.reply))
    expect(codeOf(next(b, answer.state, finish.reply!))).toBe('handshake-failed')
  })

  it('refuses a responder that shows an identity whose key it does not have', () => {
    const liar: Side = { suite, identity: { ...identityView(b.identity), publicKey: c.identity.publicKey } }
    const started = valueIn(start(a, null))
    const answer = waiting(valueIn(answerTo(liar, started.packet)))
    expect(codeOf(next(a, started.state, answer.reply))).toBe('handshake-failed')
  })

  it('names another version before it reads on', () => {
    for (const remote of [b.identity.peer, null]) {
      const packet = valueIn(start(a, remote)).packet.slice()
      packet[1] = 2
      expect(answerTo(b, packet)).toEqual({ ok: false, fault: { code: 'version-mismatch', got: 2, limit: 1 } })
      expect(codeOf(answerTo(b, packet.subarray(0, 2)))).toBe('version-mismatch')
    }
  })

  it('refuses label 0, which stands for no session', () => {
    const packet = valueIn(startHandshake({ ...a, remote: null, localLabel: 0 })).packet
    expect(codeOf(answerTo(b, packet))).toBe('malformed')
  })

  it('gives a replayed message 1 of IK no keys that were used before', () => {
    const { packet } = valueIn(start(a, b.identity.peer))
    const [first, second] = [valueIn(answerTo(b, packet)), valueIn(answerTo(b, packet))]
    expect(established(first).receiveKey).not.toEqual(established(second).receiveKey)
  })

  it('takes hostile packets without a throw', () => {
    const kinds = fc.constantFrom<number>(...Object.values(PacketKind))
    const header = fc.constantFrom('', '0100000001', `0100000001${hexOf(b.identity.publicKey.subarray(0, 4))}`)
    fc.assert(
      fc.property(kinds, header, fc.uint8Array({ maxLength: 180 }), (kind, head, bytes) => {
        const packet = bytesOfHex(`${kind.toString(16).padStart(2, '0')}${head}${hexOf(bytes)}`)
        const answer = answerTo(b, packet)
        // Message 1 of XX is plain text: only that can be a good one by chance.
        if (kind !== PacketKind.xx1) expect(answer.ok).toBe(false)
        for (const remote of [b.identity.peer, null]) {
          expect(next(a, valueIn(start(a, remote)).state, packet).ok).toBe(false)
        }
      }),
      { numRuns: 30 },
    )
    expect(codeOf(answerTo(b, new Uint8Array(0)))).toBe('malformed')
    expect(codeOf(next(a, valueIn(start(a, null)).state, new Uint8Array(0)))).toBe('malformed')
  })
})

describe('a handshake of which a byte is changed on the way', () => {
  const a = sideOf(nativeSuite, 1)
  const b = sideOf(nativeSuite, 2)

  it.each([1, 2])('fails at message %i of IK, whichever byte it is', message => {
    const length = message === 1 ? valueIn(start(a, b.identity.peer)).packet.length : 54
    for (let at = 0; at < length; at += 1) {
      const started = valueIn(start(a, b.identity.peer))
      const answer = answerTo(b, message === 1 ? flipped(started.packet, at) : started.packet)
      if (message === 1) expect(answer.ok).toBe(false)
      else expect(next(a, started.state, flipped(valueIn(answer).reply, at)).ok).toBe(false)
    }
  })

  it.each([1, 2, 3])('fails with message %i of XX at the latest by message 3, whichever byte it is', message => {
    const lengths = [41, 134, 97]
    for (let at = 0; at < lengths[message - 1]!; at += 1) {
      const started = valueIn(start(a, null))
      const answer = answerTo(b, message === 1 ? flipped(started.packet, at) : started.packet)
      if (!answer.ok) continue
      const { reply, state } = waiting(answer.value)
      const finish = next(a, started.state, message === 2 ? flipped(reply, at) : reply)
      if (message < 3) {
        expect(finish.ok).toBe(false)
        continue
      }
      expect(next(b, state, flipped(valueIn(finish).reply!, at)).ok).toBe(false)
    }
  })
})

describe('a handshake that is bound to what it runs over', () => {
  const binding = new Uint8Array(64).fill(7)
  const a = { ...sideOf(nativeSuite, 1), binding }
  const b = { ...sideOf(nativeSuite, 2), binding }

  it.each(['IK', 'XX'] as const)('%s stands where both see the same, and is another session than without', pattern => {
    const remote = pattern === 'IK' ? b.identity.peer : null
    const { ofA, ofB } = run(a, b, remote)
    expect(ofA.handshakeHash).toEqual(ofB.handshakeHash)
  })

  // As with somebody in between who ends the transport on one side, and hands on what is said over another.
  it.each([
    ['another', new Uint8Array(64).fill(8)],
    ['nothing', undefined],
    ['a part', binding.subarray(1)],
  ])('fails in either pattern where the other side sees %s', (_, other) => {
    const { binding: __, ...bare } = b
    const elsewhere = other === undefined ? bare : { ...b, binding: other }
    expect(codeOf(answerTo(elsewhere, valueIn(start(a, b.identity.peer)).packet))).toBe('handshake-failed')
    const started = valueIn(start(a, null))
    const { reply } = valueIn(answerTo(elsewhere, started.packet))
    expect(codeOf(next(a, started.state, reply))).toBe('handshake-failed')
  })
})

describe('handshake vectors (our own: spec/vectors/handshake.json)', () => {
  const file: { vectors: readonly HandshakeVector[] } = JSON.parse(
    readFileSync(new URL('../../../spec/vectors/handshake.json', import.meta.url), 'utf8'),
  )
  const cases = file.vectors.flatMap(vector =>
    SUITES.map(([name, suite]) => [vector.name, name, vector, suite] as const),
  )

  it.each(cases)('%s comes out with the %s suite', (_, __, vector, suite) => {
    expect(makeVector(suite, vector)).toEqual(vector)
  })
})

// ---- vectors ----

interface HandshakeVector {
  readonly name: string
  readonly pattern: string
  readonly initiator_seed: string
  readonly initiator_ephemeral: string
  readonly initiator_label: number
  readonly initiator_ciphers: CryptoSuite['ciphers']
  readonly responder_seed: string
  readonly responder_ephemeral: string
  readonly responder_label: number
  readonly responder_ciphers: CryptoSuite['ciphers']
  readonly binding?: string
  readonly messages: readonly string[]
  readonly cipher: string
  readonly initiator_send_key: string
  readonly responder_send_key: string
  readonly handshake_hash: string
  readonly first_packet: { readonly header: string; readonly plaintext: string; readonly sealed: string }
}

/** The vector that the suite makes of the given vector's keys and labels. */
function makeVector(suite: CryptoSuite, given: HandshakeVector): HandshakeVector {
  const bound = given.binding === undefined ? {} : { binding: bytesOfHex(given.binding) }
  const a: Side = {
    ...bound,
    suite: { ...withEphemerals(suite, [bytesOfHex(given.initiator_ephemeral)]), ciphers: given.initiator_ciphers },
    identity: suite.identity(bytesOfHex(given.initiator_seed)),
  }
  const b: Side = {
    ...bound,
    suite: { ...withEphemerals(suite, [bytesOfHex(given.responder_ephemeral)]), ciphers: given.responder_ciphers },
    identity: suite.identity(bytesOfHex(given.responder_seed)),
  }
  const { ofA, messages } = run(a, b, given.pattern === 'IK' ? b.identity.peer : null, given)
  const header = bytesOfHex(given.first_packet.header)
  const plaintext = bytesOfHex(given.first_packet.plaintext)
  const sealed = new PacketCipher(suite, ofA.cipher, ofA.sendKey, ofA.receiveKey).seal(0, header, [plaintext])
  return {
    ...given,
    messages: messages.map(hexOf),
    cipher: ofA.cipher,
    initiator_send_key: hexOf(ofA.sendKey),
    responder_send_key: hexOf(ofA.receiveKey),
    handshake_hash: hexOf(ofA.handshakeHash),
    first_packet: { ...given.first_packet, sealed: hexOf(sealed[0]!) },
  }
}

// ---- two sides ----

function sideOf(suite: CryptoSuite, byte: number): Side {
  return { suite, identity: testIdentity(suite, byte) }
}

function identityView(identity: Identity): Identity {
  return { peer: identity.peer, publicKey: identity.publicKey, dhKey: identity.dhKey, sign: m => identity.sign(m) }
}

function start(side: Side, remote: PeerId | null) {
  return startHandshake({ ...side, remote, localLabel: A_LABEL })
}

function answerTo(side: Side, packet: Uint8Array): Result<Answer> {
  return answerHandshake({ ...side, packet, localLabel: B_LABEL })
}

function next(side: Side, state: HandshakeState, packet: Uint8Array) {
  return continueHandshake({ ...side, state, packet })
}

function run(
  a: Side,
  b: Side,
  remote: PeerId | null,
  labels: { initiator_label: number; responder_label: number } = { initiator_label: A_LABEL, responder_label: B_LABEL },
): { ofA: Established; ofB: Established; messages: Uint8Array[] } {
  const started = valueIn(startHandshake({ ...a, remote, localLabel: labels.initiator_label }))
  const answer = valueIn(answerHandshake({ ...b, packet: started.packet, localLabel: labels.responder_label }))
  expect(answer.remoteLabel).toBe(labels.initiator_label)
  const finish = valueIn(next(a, started.state, answer.reply))
  const messages = [started.packet, answer.reply]
  if (answer.kind === 'established') {
    expect(finish.reply).toBeNull()
    return { ofA: finish.established, ofB: answer.established, messages }
  }
  messages.push(finish.reply!)
  const end = valueIn(next(b, answer.state, finish.reply!))
  expect(end.reply).toBeNull()
  return { ofA: finish.established, ofB: end.established, messages }
}

function flipped(packet: Uint8Array, at: number): Uint8Array {
  const changed = packet.slice()
  changed[at]! ^= 0x01
  return changed
}

function valueIn<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`fault ${result.fault.code} ${result.fault.detail ?? ''}`)
  return result.value
}

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'no fault' : result.fault.code
}

function waiting(answer: Answer): Answer & { kind: 'waiting' } {
  if (answer.kind !== 'waiting') throw new Error('XX waits for message 3')
  return answer
}

function established(answer: Answer): Established {
  if (answer.kind !== 'established') throw new Error('IK is established at once')
  return answer.established
}
