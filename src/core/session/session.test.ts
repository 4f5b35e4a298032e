import { describe, expect, it } from 'vitest'
import { encodeUtf8, equalBytes } from '../base/bytes.ts'
import type { Fault } from '../base/fault.ts'
import { invariant } from '../base/invariant.ts'
import type { StreamId } from '../input.ts'
import type { Turn } from '../turn.ts'
import { pair, pattern } from './session.fixtures.ts'
import type { Session } from './session.ts'

function opened(result: StreamId | Fault): StreamId {
  invariant(typeof result === 'number', 'a stream opens')
  return result
}

function openWith(turn: Turn, session: Session, bytes: Uint8Array): StreamId {
  const stream = opened(session.openStream(turn, 'test'))
  session.writeStream(turn, stream, [bytes])
  return stream
}

describe('a session over a perfect path', () => {
  it('carries a stream both ways and forgets it when both directions ended', () => {
    const two = pair()
    two.step(two.a, (turn, session) => {
      const stream = openWith(turn, session, pattern(3_000_000))
      session.endStream(turn, stream)
    })
    two.run()
    expect(equalBytes(two.b.received(0), pattern(3_000_000))).toBe(true)
    expect(two.b.events[0]).toMatchObject({ kind: 'stream-inbound', stream: 0, subject: 'test' })
    expect(two.b.kinds().at(-1)).toBe('stream-ended')
    two.step(two.b, (turn, session) => {
      session.writeStream(turn, 0, [pattern(100, 9)])
      session.endStream(turn, 0)
    })
    two.run()
    expect(two.a.received(0)).toEqual(pattern(100, 9))
    for (const end of [two.a, two.b]) {
      expect(end.session.openStreams).toBe(0)
      expect(end.session.idle).toBe(true)
      expect(end.session.nextWake()).toBeNull()
    }
  })

  it('delivers messages in order and answers pings', () => {
    const two = pair()
    two.step(two.a, (turn, session) => {
      for (let i = 0; i < 50; i += 1) session.sendMessage(turn, 1, encodeUtf8(`message ${i}`))
      session.ping(turn, 77)
    })
    two.run()
    expect(two.b.messages.map(message => new TextDecoder().decode(message.bytes))).toEqual(
      Array.from({ length: 50 }, (_, i) => `message ${i}`),
    )
    expect(two.a.pongs).toEqual([{ token: 77, roundTripMs: 20 }])
    expect(two.a.session.idle && two.b.session.idle).toBe(true)
    expect(two.a.session.roundTripMs).toBe(20)
  })
})
