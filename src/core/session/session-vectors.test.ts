/** Each frame's bytes are those of spec/vectors/session.json, both ways. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ByteWriter, concatBytes } from '../base/bytes.ts'
import { Turn } from '../turn.ts'
import { packetContent } from './packet-content.ts'
import { type End, PlainProtection, pair, pattern } from './session.fixtures.ts'
import * as frames from './session-frames.ts'
import { Stream } from './stream.ts'

interface Vector {
  readonly name: string
  readonly plaintext: string
}

// reason: the file is ours.
const { vectors } = JSON.parse(
  readFileSync(new URL('../../../spec/vectors/session.json', import.meta.url), 'utf8'),
) as { vectors: Vector[] }

function hex(...pieces: Uint8Array[]): string {
  return Buffer.from(concatBytes(...pieces)).toString('hex')
}

function order(sequence: number | null): Uint8Array {
  return new ByteWriter().varint(sequence === null ? 0 : sequence + 1).finish()
}

function streamData(id: number, bytes: Uint8Array): Uint8Array {
  const stream = new Stream(id, null)
  stream.push([bytes])
  stream.cut(bytes.length, packetContent)
  return concatBytes(...packetContent.take())
}

/** What this implementation writes, by the names of the vectors. */
const WRITTEN: Record<string, string> = {
  'here and a ping, sequence number 0': hex(order(0), frames.hereFrame(), frames.tokenFrame(0x01, 0x01020304)),
  'a pong, sequence number 1': hex(order(1), frames.tokenFrame(0x02, 0xfffefdfc)),
  'a message of 5 bytes on channel 2, sequence number 2': hex(order(2), frames.messageFrame(2, pattern(5))),
  'stream 0 opened with subject "chat.example/1", 3 bytes, its end; sequence number 3': hex(
    order(3),
    frames.streamOpenFrame(0, Buffer.from('chat.example/1')),
    streamData(0, pattern(3)),
    frames.streamEndFrame(0),
  ),
  'stream 300 opened without subject and 200 bytes, sequence number 4': hex(
    order(4),
    frames.streamOpenFrame(300, new Uint8Array(0)),
    streamData(300, pattern(200)),
  ),
  'credit of stream 300 to 3,145,728 and of the session to 12,582,912, sequence number 5': hex(
    order(5),
    frames.streamCreditFrame(300, 3_145_728),
    frames.sessionCreditFrame(12_582_912),
  ),
  'stream 300 reset with code 4,000,000,000, sequence number 6': hex(
    order(6),
    frames.streamResetFrame(300, 4_000_000_000),
  ),
  'stream 1 refused, sequence number 7': hex(order(7), frames.streamRefuseFrame(1)),
  'loose: next is 1, 7 ms ago': hex(order(null), frames.acknowledgeFrame(1, 7, [])),
  'loose: next is 1, held are 2 and 4 to 5': hex(order(null), frames.acknowledgeFrame(1, 0, [2, 3, 4, 6])),
  'loose: a datagram of 4 bytes': hex(order(null), Uint8Array.of(0x06), Uint8Array.of(4), pattern(4)),
  'loose: whether this path carries, urgently, token 0x01020304': hex(
    order(null),
    frames.pathAskFrame(0x01020304, true),
  ),
  'loose: it does, token 0x01020304': hex(order(null), frames.pathAnswerFrame(0x01020304)),
  'loose: close with code session-replaced': hex(order(null), frames.closeFrame('session-replaced')),
}

describe('the vectors of sessions', () => {
  it('are what is written', () => {
    expect(Object.fromEntries(vectors.map(vector => [vector.name, vector.plaintext]))).toEqual(WRITTEN)
  })

  it('are understood', () => {
    const two = pair({ delayMs: 1_000_000 })
    const b: End = two.b
    two.step(b, (turn, session) => {
      session.openStream(turn, '')
      for (let i = 0; i < 6; i += 1) {
        session.sendMessage(turn, 1, pattern(1))
        session.flush(turn)
      }
    })
    const protection = new PlainProtection()
    for (const [number, vector] of vectors.entries()) {
      const header = Uint8Array.of(0x10, 0, 0, 0, 0, 0, number)
      const sealed = protection.seal(number, header, [Buffer.from(vector.plaintext, 'hex')])
      const turn = new Turn(two.now, 0)
      // reason: the pair's line is its path.
      expect(b.session.receive(turn, concatBytes(header, ...sealed), b.session.path!), vector.name).toBeNull()
      for (const effect of turn.effects) if (effect.kind === 'event') b.events.push(effect.event)
    }
    expect(b.messages).toEqual([{ channel: 2, bytes: pattern(5) }])
    expect(b.pathsAsked).toMatchObject([{ urgent: true }])
    expect(b.pathsAnswered).toMatchObject([{ token: 0x01020304 }])
    expect(b.closedBy).toBe('session-replaced')
    expect(b.events.filter(event => event.kind !== 'stream-drained')).toMatchObject([
      { kind: 'stream-inbound', stream: 0, subject: 'chat.example/1' },
      { kind: 'stream-data', stream: 0, chunks: [pattern(3)] },
      { kind: 'stream-ended', stream: 0 },
      { kind: 'stream-inbound', stream: 300, subject: '' },
      { kind: 'stream-data', stream: 300, chunks: [pattern(200)] },
      { kind: 'stream-failed', stream: 300, fault: { code: 'stream-reset' }, reset: 4_000_000_000 },
      { kind: 'stream-failed', stream: 1, fault: { code: 'overloaded' } },
      { kind: 'datagram', bytes: pattern(4) },
      { kind: 'stream-failed', stream: 0, fault: { code: 'session-replaced' } },
    ])
  })
})
