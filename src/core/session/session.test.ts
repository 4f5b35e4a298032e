import { describe, expect, it } from 'vitest'
import { concatBytes, encodeUtf8, equalBytes } from '../base/bytes.ts'
import type { Fault } from '../base/fault.ts'
import { invariant } from '../base/invariant.ts'
import { Rng } from '../base/rng.ts'
import type { StreamId } from '../input.ts'
import {
  ACKNOWLEDGE_UNASKED_BYTES,
  ACKNOWLEDGE_UNASKED_PACKETS,
  CONTROL_QUEUE_BYTES_MAX,
  CREDIT_STEPS,
  SESSION_WINDOW_BYTES,
  STREAM_QUEUE_HIGH_BYTES,
  STREAM_QUEUE_LOW_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_OPEN_MAX,
  UNACKNOWLEDGED_BYTES_MAX,
} from '../limits.ts'
import { Turn } from '../turn.ts'
import { BARE_PACKET_KIND, PACKET_KIND } from './packet-protection.ts'
import { type End, type MemoryPath, Pair, pair, pattern } from './session.fixtures.ts'
import type { Session } from './session.ts'
import { closeFrame } from './session-frames.ts'

function opened(result: StreamId | Fault): StreamId {
  invariant(typeof result === 'number', 'a stream opens')
  return result
}

function openWith(turn: Turn, session: Session, bytes: Uint8Array): StreamId {
  const stream = opened(session.openStream(turn, 'test'))
  session.writeStream(turn, stream, [bytes])
  return stream
}

function expectSilence(...ends: End[]): void {
  for (const end of ends) {
    expect(end.session.idle).toBe(true)
    expect(end.session.nextWake()).toBeNull()
    expect(end.fault).toBeNull()
  }
}

describe('a session over a perfect path', () => {
  it('carries a stream both ways and forgets it when both directions ended', () => {
    const two = pair()
    two.step(two.a, (turn, session) => {
      const stream = openWith(turn, session, pattern(3_000_000))
      session.endStream(turn, stream)
      session.writeStream(turn, stream, [pattern(5)])
    })
    two.run()
    expect(equalBytes(two.b.received(0), pattern(3_000_000))).toBe(true)
    expect(two.b.events[0]).toMatchObject({ kind: 'stream-inbound', stream: 0, subject: 'test' })
    expect(two.b.kinds().at(-1)).toBe('stream-ended')
    expect(two.a.session.openStreams).toBe(1)
    two.step(two.b, (turn, session) => {
      session.writeStream(turn, 0, [pattern(100, 9)])
      session.endStream(turn, 0)
    })
    two.run()
    expect(two.a.received(0)).toEqual(pattern(100, 9))
    expect([two.a.session.openStreams, two.b.session.openStreams]).toEqual([0, 0])
    expectSilence(two.a, two.b)
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
    expectSilence(two.a, two.b)
    expect(two.b.session.confirmed).toBe(true)
  })

  it('falls silent after each exchange within a few packets', () => {
    const two = pair()
    two.run()
    const before = two.packetsCarried
    two.step(two.a, (turn, session) => session.sendMessage(turn, 1, pattern(10)))
    two.run()
    // The message; its acknowledgement waits for something to ride on.
    expect(two.packetsCarried - before).toBe(1)
    expectSilence(two.a, two.b)
  })

  it('acknowledges by itself what nothing answers, once it is more than a little', () => {
    const two = pair()
    two.run()
    const before = two.packetsCarried
    for (let i = 0; i <= ACKNOWLEDGE_UNASKED_PACKETS; i += 1) {
      two.step(two.a, (turn, session) => session.sendMessage(turn, 1, pattern(10)))
      two.run()
      expectSilence(two.a, two.b)
    }
    expect(two.packetsCarried - before).toBe(ACKNOWLEDGE_UNASKED_PACKETS + 2)
    two.step(two.a, (turn, session) => session.sendMessage(turn, 1, pattern(ACKNOWLEDGE_UNASKED_BYTES)))
    two.run()
    expect(two.packetsCarried - before).toBe(ACKNOWLEDGE_UNASKED_PACKETS + 4)
    expectSilence(two.a, two.b)
  })

  it('asks for life over a wire so that nothing is left to be acknowledged', () => {
    const two = pair()
    for (const end of [two.a, two.b]) two.step(end, (turn, session) => session.sendMessage(turn, 1, pattern(10)))
    two.run()
    two.step(two.a, (turn, session) => session.askForLife(turn))
    two.run()
    two.step(two.b, (turn, session) => session.askForLife(turn))
    two.run()
    expectSilence(two.a, two.b)
    for (const end of [two.a, two.b]) {
      const before = two.packetsCarried
      two.step(end, (turn, session) => session.askForLife(turn))
      two.run()
      expect(two.packetsCarried - before).toBe(2)
      expect(end.session.path?.heardAt).toBe(two.now)
    }
    // Over another path the announcement of it goes, and nothing again.
    const before = two.packetsCarried
    const second = two.line({ delayMs: 5 })
    two.step(two.a, (turn, session) => session.usePath(turn, second))
    two.run()
    expect(two.packetsCarried - before).toBe(1)
  })

  it('delivers once what was not acknowledged when the path changed', () => {
    const two = pair()
    two.run()
    two.step(two.a, (turn, session) => session.sendMessage(turn, 1, pattern(10)))
    two.run()
    expect(two.b.messages.length).toBe(1)
    const second = two.line({ delayMs: 5 })
    two.step(two.a, (turn, session) => session.usePath(turn, second))
    two.run()
    two.step(two.b, (turn, session) => session.sendMessage(turn, 1, pattern(11)))
    two.run()
    expect([two.a.messages.length, two.b.messages.length]).toEqual([1, 1])
    expectSilence(two.a, two.b)
  })

  it('answers within the same packet what is answered at once', () => {
    const two = pair()
    two.run()
    const before = two.packetsCarried
    two.step(two.a, (turn, session) => session.ping(turn, 1))
    two.run()
    // Ping, pong with acknowledgement.
    expect(two.packetsCarried - before).toBe(2)
  })

  it('sends a datagram at once or not at all', () => {
    const two = pair({ delayMs: 10, roomBytes: 2_000 })
    two.run()
    two.step(two.a, (turn, session) => {
      expect(session.sendDatagram(turn, pattern(1_201))).toBe(false)
      expect(session.sendDatagram(turn, pattern(1_200))).toBe(true)
      expect(session.sendDatagram(turn, pattern(1_200))).toBe(true)
      expect(session.sendDatagram(turn, pattern(1_200))).toBe(false)
    })
    two.run()
    expect(two.b.events).toMatchObject([
      { kind: 'datagram', bytes: pattern(1_200) },
      { kind: 'datagram', bytes: pattern(1_200) },
    ])
    expectSilence(two.a, two.b)
    two.step(two.a, (turn, session) => {
      session.usePath(turn, null)
      expect(session.sendDatagram(turn, pattern(1))).toBe(false)
    })
  })

  it('keeps no more messages than its bound', () => {
    const two = new Pair()
    let taken = 0
    two.step(two.a, (turn, session) => {
      while (session.sendMessage(turn, 1, pattern(1_000))) taken += 1
    })
    expect(taken * 1_000).toBeLessThan(CONTROL_QUEUE_BYTES_MAX + 2_000)
    expect(taken * 1_000).toBeGreaterThan(CONTROL_QUEUE_BYTES_MAX * 0.8)
  })
})

describe('streams', () => {
  it('fail on the other side when one side resets them, and later writes are ignored', () => {
    const two = pair()
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(500)))
    two.run()
    two.step(two.b, (turn, session) => session.resetStream(turn, 0, 4_000_000_000))
    two.step(two.a, (turn, session) => session.writeStream(turn, 0, [pattern(10)]))
    two.run()
    expect(two.a.events.slice(2)).toEqual([
      { kind: 'stream-failed', session: 1, stream: 0, fault: { code: 'stream-reset' }, reset: 4_000_000_000 },
    ])
    two.step(two.a, (turn, session) => {
      session.writeStream(turn, 0, [pattern(10)])
      session.endStream(turn, 0)
      session.resetStream(turn, 0, 1)
    })
    two.run()
    expect(two.a.events.length).toBe(3)
    expect([two.a.session.openStreams, two.b.session.openStreams]).toEqual([0, 0])
    expectSilence(two.a, two.b)
  })

  it('that were reset before they left are never heard of', () => {
    const two = new Pair()
    two.step(two.a, (turn, session) => {
      session.resetStream(turn, openWith(turn, session, pattern(9)), 1)
      session.endStream(turn, openWith(turn, session, pattern(7)))
    })
    const line = two.line({ delayMs: 1 })
    two.step(two.b, (turn, session) => session.usePath(turn, line.twin))
    two.step(two.a, (turn, session) => session.usePath(turn, line))
    two.run()
    expect(two.b.kinds()).toEqual(['stream-inbound', 'stream-data', 'stream-ended'])
    expect(two.b.received(2)).toEqual(pattern(7))
  })

  it('share the path: a small one is not held up by a bulk one', () => {
    const two = pair({ delayMs: 5, roomBytes: 100_000 })
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(2_000_000)))
    two.run(two.now + 6)
    two.step(two.a, (turn, session) => session.endStream(turn, openWith(turn, session, pattern(20_000))))
    const before = two.b.received(0).length
    for (let ms = 0; ms < 200 && two.b.received(2).length < 20_000; ms += 1) two.run(two.now + 1)
    expect(two.b.received(0).length - before).toBeLessThan(300_000)
    two.run()
    expect(two.b.received(0).length).toBe(2_000_000)
  })

  it('get equal shares while all have data', () => {
    const two = pair({ delayMs: 1, roomBytes: 200_000 })
    two.step(two.a, (turn, session) => {
      for (let i = 0; i < 4; i += 1) openWith(turn, session, pattern(1_000_000))
    })
    two.run(two.now + 8)
    const shares = [0, 2, 4, 6].map(stream => two.b.received(stream).length)
    expect(Math.min(...shares)).toBeGreaterThan(0)
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThan(70_000)
  })

  it('tell their writer when a queue above the high mark falls to the low one, and when nothing is left', () => {
    const two = pair({ delayMs: 10, roomBytes: 50_000 })
    const drained = (): number[] =>
      two.a.events.map(event => (event.kind === 'stream-drained' ? event.queuedBytes : Number.NaN))
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(STREAM_QUEUE_HIGH_BYTES - 100_000)))
    expect(drained()).toEqual([])
    two.run()
    expect(drained()).toEqual([0])
    two.step(two.a, (turn, session) => session.writeStream(turn, 0, [pattern(STREAM_QUEUE_HIGH_BYTES + 200_000)]))
    two.run()
    expect(drained().length).toBe(3)
    expect(drained()[1]).toBeGreaterThan(0)
    expect(drained()[1]).toBeLessThanOrEqual(STREAM_QUEUE_LOW_BYTES)
    expect(drained()[2]).toBe(0)
  })

  it('are bounded in number on either side, and free places are used again', () => {
    const two = pair()
    two.step(two.a, (turn, session) => {
      for (let i = 0; i < STREAMS_OPEN_MAX; i += 1) opened(session.openStream(turn, ''))
      expect(session.openStream(turn, '')).toMatchObject({ code: 'overloaded' })
    })
    two.run()
    two.step(two.a, (turn, session) => {
      session.resetStream(turn, 0, 0)
      opened(session.openStream(turn, ''))
      expect(session.openStream(turn, '')).toMatchObject({ code: 'overloaded' })
    })
    two.step(two.b, (turn, session) => opened(session.openStream(turn, '')))
    two.run()
    expect(two.b.fault).toBeNull()
    expect(two.b.session.openStreams).toBe(STREAMS_OPEN_MAX + 1)
  })

  it('refuse a subject that is too long', () => {
    const two = pair()
    two.step(two.a, (turn, session) => {
      expect(session.openStream(turn, 'é'.repeat(65))).toMatchObject({ code: 'invalid-option', got: 130 })
      opened(session.openStream(turn, 'é'.repeat(64)))
    })
    two.run()
    expect(two.b.events[0]).toMatchObject({ subject: 'é'.repeat(64) })
  })
})

describe('credit', () => {
  it('stops a stream whose reader stopped, and not the others', () => {
    const two = pair()
    two.reads = false
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(STREAM_WINDOW_BYTES + 1_000_000)))
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(1_000)))
    two.run()
    expect(two.b.received(0).length).toBe(STREAM_WINDOW_BYTES)
    expect(two.b.received(2).length).toBe(1_000)
    expect(two.a.session.nextWake()).toBeNull()
    two.step(two.b, (turn, session) => session.consumeStream(turn, 0, STREAM_WINDOW_BYTES / CREDIT_STEPS - 1))
    two.run()
    expect(two.b.received(0).length).toBe(STREAM_WINDOW_BYTES)
    two.step(two.b, (turn, session) => session.consumeStream(turn, 0, 1))
    two.run()
    expect(two.b.received(0).length).toBe(STREAM_WINDOW_BYTES + 1_000_000)
  })

  it('bounds what all streams of a session may hold unread, and comes back when they are reset', () => {
    const two = pair()
    two.reads = false
    const streams: StreamId[] = []
    two.step(two.a, (turn, session) => {
      for (let i = 0; i < 6; i += 1) streams.push(openWith(turn, session, pattern(SESSION_WINDOW_BYTES / 4)))
    })
    two.run()
    const total = (): number => streams.reduce((sum, stream) => sum + two.b.received(stream).length, 0)
    expect(total()).toBe(SESSION_WINDOW_BYTES)
    // An opening and an end need no credit.
    two.step(two.a, (turn, session) => session.endStream(turn, opened(session.openStream(turn, 'empty'))))
    two.run()
    expect(two.b.kinds().at(-1)).toBe('stream-ended')
    two.step(two.b, (turn, session) => {
      for (const stream of streams.slice(0, 3)) session.resetStream(turn, stream, 0)
    })
    two.run()
    for (const stream of streams.slice(3)) expect(two.b.received(stream).length).toBe(SESSION_WINDOW_BYTES / 4)
    expect(two.b.fault).toBeNull()
  })

  it('is not lost with streams that end before they are read', () => {
    const two = pair()
    two.reads = false
    for (let round = 0; round < 12; round += 1) {
      two.step(two.a, (turn, session) => session.endStream(turn, openWith(turn, session, pattern(1_000_000))))
      two.run()
      const stream = round * 2
      two.step(two.b, (turn, session) => session.endStream(turn, stream))
      two.run()
      expect(two.b.session.openStreams).toBe(1)
      two.step(two.b, (turn, session) => session.consumeStream(turn, stream, 1_000_000))
      expect(two.b.session.openStreams).toBe(0)
    }
    two.run()
    expect(two.b.received(22).length).toBe(1_000_000)
    expectSilence(two.a, two.b)
  })
})

describe('a change of path', () => {
  it('loses nothing that was under way, and the other side follows', () => {
    const two = pair({ delayMs: 30, roomBytes: 400_000 })
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(1_500_000)))
    two.run(two.now + 40)
    two.step(two.b, (turn, session) => session.writeStream(turn, 0, [pattern(900_000, 3)]))
    two.run(two.now + 15)
    // reason: the first line is the path of both.
    const first = two.a.session.path as ReturnType<Pair['line']>
    first.cut()
    two.step(two.a, (turn, session) => session.usePath(turn, null))
    two.run(two.now + 100)
    expect(two.a.session.nextWake()).toBeNull()
    const second = two.line({ delayMs: 5 })
    two.step(two.a, (turn, session) => session.usePath(turn, second))
    two.run()
    expect(two.b.session.path).toBe(second.twin)
    expect(equalBytes(two.b.received(0), pattern(1_500_000))).toBe(true)
    expect(equalBytes(two.a.received(0), pattern(900_000, 3))).toBe(true)
  })

  it('sends again what went missing over a wire, once the other side has waited for it a while', () => {
    const two = pair({ delayMs: 5 })
    two.run()
    // reason: the first line is the path of both.
    const line = two.a.session.path as ReturnType<Pair['line']>
    const send = line.send.bind(line)
    let missed = 0
    line.send = (turn, label, header, rest) => {
      missed += 1
      if (missed !== 1) send(turn, label, header, rest)
    }
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(300_000)))
    two.run()
    expect(missed).toBeGreaterThan(1)
    expect(equalBytes(two.b.received(0), pattern(300_000))).toBe(true)
    expect(two.a.session.nextWake()).toBeNull()
  })

  it.each(['a', 'b'] as const)('sends again the last that went missing over a wire when %s asks for life', asker => {
    const two = pair({ delayMs: 5 })
    two.run()
    // reason: the first line is the path of both.
    const line = two.a.session.path as ReturnType<Pair['line']>
    const { send } = line
    line.send = () => {}
    two.step(two.a, (turn, session) => session.sendMessage(turn, 1, pattern(10)))
    line.send = send
    two.run()
    expect(two.b.messages).toEqual([])
    two.step(two[asker], (turn, session) => session.askForLife(turn))
    two.run()
    expect(two.b.messages).toEqual([{ channel: 1, bytes: pattern(10) }])
  })

  it('is told even when there is nothing else to send', () => {
    const two = pair()
    two.run()
    const second = two.line({ delayMs: 5 })
    two.step(two.a, (turn, session) => session.usePath(turn, second))
    two.run()
    expect(two.b.session.path).toBe(second.twin)
    expectSilence(two.a, two.b)
  })

  it('is told over a path that loses most packets', () => {
    const two = pair({ delayMs: 10 }, new Rng(5))
    two.run()
    const second = two.line({ delayMs: 5, lossShare: 0.7, reliable: false })
    two.step(two.a, (turn, session) => session.usePath(turn, second))
    two.run()
    expect(two.b.session.path).toBe(second.twin)
    expectSilence(two.a, two.b)
  })

  it('is made by the opening side when it has no path and a packet comes over one', () => {
    const two = pair()
    two.run()
    two.step(two.a, (turn, session) => {
      session.usePath(turn, null)
      session.sendMessage(turn, 1, pattern(4))
    })
    const second = two.line({ delayMs: 5 })
    two.step(two.b, (turn, session) => session.usePath(turn, second.twin))
    two.step(two.b, (turn, session) => session.sendMessage(turn, 1, pattern(3)))
    two.run()
    expect(two.a.session.path).toBe(second)
    expect([two.a.messages.length, two.b.messages.length]).toEqual([1, 1])
    expectSilence(two.a, two.b)
  })

  it('is not made by the opening side because of where packets come from', () => {
    const two = pair()
    two.run()
    const path = two.a.session.path
    const second = two.line({ delayMs: 5 })
    two.step(two.b, (turn, session) => session.usePath(turn, second.twin))
    two.step(two.b, (turn, session) => session.sendMessage(turn, 1, pattern(3)))
    two.run()
    expect(two.a.messages.length).toBe(1)
    expect(two.a.session.path).toBe(path)
    expect(second.heardAt).toBeGreaterThan(path?.heardAt ?? 0)
  })
})

describe('a path that encrypts by itself', () => {
  const shielded = { delayMs: 10, shields: true }

  it('carries packets that are not sealed, both ways', () => {
    const two = pair(shielded)
    two.step(two.a, (turn, session) => {
      const stream = session.openStream(turn, 'x')
      session.writeStream(turn, stream as number, [pattern(300_000)])
      session.sendDatagram(turn, pattern(9))
    })
    two.step(two.b, (turn, session) => session.sendMessage(turn, 1, pattern(3)))
    two.run()
    expect(equalBytes(two.b.received(0), pattern(300_000))).toBe(true)
    expect(two.b.events.some(event => event.kind === 'datagram')).toBe(true)
    expect(two.a.messages).toEqual([{ channel: 1, bytes: pattern(3) }])
    for (const end of [two.a, two.b]) {
      const { kindsSent } = end.session.path as MemoryPath
      expect(kindsSent.length).toBeGreaterThan(1)
      expect(new Set(kindsSent)).toEqual(new Set([BARE_PACKET_KIND]))
    }
  })

  it.each([
    { name: 'a wire', next: { delayMs: 3 } },
    { name: 'a circuit', next: { delayMs: 30, reliable: false, flightBytesMax: 100_000 } },
  ])('that dies leaves what it carried to be sealed for $name', ({ next }) => {
    const two = pair(shielded)
    two.run()
    two.step(two.a, (turn, session) => {
      const stream = session.openStream(turn, 'x')
      session.writeStream(turn, stream as number, [pattern(2_000_000)])
    })
    two.step(two.b, (turn, session) => session.sendMessage(turn, 1, pattern(5)))
    two.run(two.now + 12)
    const first = two.a.session.path as MemoryPath
    first.cut()
    const second = two.line(next)
    two.step(two.a, (turn, session) => session.usePath(turn, second))
    two.run()
    expect(equalBytes(two.b.received(0), pattern(2_000_000))).toBe(true)
    expect(two.a.messages).toHaveLength(1)
    expect(new Set(second.kindsSent)).toEqual(new Set([PACKET_KIND]))
    // And back: what waits sealed goes on as it is.
    two.step(two.a, (turn, session) => session.sendMessage(turn, 1, pattern(6)))
    const third = two.line(shielded)
    two.step(two.a, (turn, session) => session.usePath(turn, third))
    two.run()
    expect(two.b.messages).toHaveLength(1)
    expect(new Set(third.kindsSent)).toEqual(new Set([PACKET_KIND, BARE_PACKET_KIND]))
    expect([two.a.fault, two.b.fault]).toEqual([null, null])
  })

  it('is the only one over which they are taken', () => {
    const two = pair(shielded)
    two.run()
    const bare = concatBytes(Uint8Array.of(BARE_PACKET_KIND, 0, 0, 0, 0, 1, 0, 0), closeFrame('closed'))
    const open = two.line({ delayMs: 10 })
    two.step(two.b, (turn, session) => session.receive(turn, bare, open.twin))
    expect([two.b.closedBy, two.b.session.opened]).toEqual([null, false])
    two.step(two.b, (turn, session) => session.receive(turn, bare, session.path!))
    expect(two.b.closedBy).toBe('closed')
  })
})

describe('the question whether a path carries', () => {
  it('is answered over the same path, and moves nothing', () => {
    const two = pair({ delayMs: 40 })
    const other = two.line({ delayMs: 10 })
    const before = [two.a.session.path, two.b.session.path]
    for (const [asker, asked] of [
      [two.a, two.b],
      [two.b, two.a],
    ] as const) {
      const [here, there] = asker === two.a ? [other, other.twin] : [other.twin, other]
      two.step(asker, (turn, session) => {
        session.askPath(turn, here, 7, false)
        // What is sent later over the path in use must not make the question a late one.
        session.sendMessage(turn, 1, pattern(10))
      })
      two.run()
      expect(asked.pathsAsked.at(-1)).toEqual({ path: there, urgent: false })
      expect(asker.pathsAnswered.at(-1)).toEqual({ path: here, token: 7 })
    }
    expect([two.a.session.path, two.b.session.path]).toEqual(before)
    expectSilence(two.a, two.b)
  })

  it('over a path that leads nowhere disturbs nothing', () => {
    const two = pair({ delayMs: 10 })
    const nowhere = two.line({ delayMs: 10 })
    nowhere.cut()
    nowhere.open = true
    two.step(two.a, (turn, session) => {
      session.askPath(turn, nowhere, 1, true)
      openWith(turn, session, pattern(300_000))
    })
    two.run()
    expect(two.b.received(0).length).toBe(300_000)
    expect(two.a.pathsAnswered).toEqual([])
  })

  it('gives a path to a side that has none', () => {
    for (const name of ['a', 'b'] as const) {
      const two = pair({ delayMs: 10 })
      two.run()
      const other = two.line({ delayMs: 10 })
      const without = two[name]
      const asker = name === 'a' ? two.b : two.a
      const [here, there] = name === 'a' ? [other.twin, other] : [other, other.twin]
      two.step(without, (turn, session) => session.usePath(turn, null))
      two.step(asker, (turn, session) => session.askPath(turn, here, 1, true))
      two.run()
      expect(without.session.path).toBe(there)
      expect(without.pathsAsked).toEqual([{ path: there, urgent: true }])
    }
  })
})

describe('a path that drops', () => {
  it('is repaired without waiting for a timeout where later packets arrive', () => {
    const two = pair({ delayMs: 50, reliable: false, lossShare: 0.02 }, new Rng(11))
    const start = two.now
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(8_000_000)))
    two.run()
    expect(two.b.received(0).length).toBe(8_000_000)
    expect(two.now - start).toBeLessThan(3_000)
  })

  it('sends at once what is missing when it is heard again, however long it was silent', () => {
    for (const silentMs of [1_000, 3_000, 8_000, 30_000]) {
      const options = { delayMs: 50, reliable: false, lossShare: 0 }
      const two = pair(options, new Rng(3))
      const write = (bytes: Uint8Array): void =>
        two.step(two.a, (turn, session) => session.writeStream(turn, 0, [bytes]))
      two.step(two.a, (turn, session) => opened(session.openStream(turn, 'test')))
      write(pattern(10))
      two.run(two.now + 1_000)
      options.lossShare = 1
      write(pattern(20_000, 10))
      two.run(two.now + silentMs)
      options.lossShare = 0
      two.step(two.b, (turn, session) => session.sendMessage(turn, 1, pattern(10)))
      two.run(two.now + 500)
      expect(two.b.received(0).length, `${silentMs} ms`).toBe(20_010)
    }
  })

  it('tells the round trip of what is acknowledged over it', () => {
    const two = pair({ delayMs: 10, reliable: false })
    expect(two.a.session.roundTripMs).toBeNull()
    two.step(two.a, (turn, session) => session.ping(turn, 1))
    two.run()
    expect(two.a.session.roundTripMs).toBe(20)
    const other = two.line({ delayMs: 30, reliable: false })
    two.step(two.a, (turn, session) => session.usePath(turn, other))
    expect(two.a.session.roundTripMs).toBeNull()
    two.run()
    expect(two.a.session.roundTripMs).toBe(60)
  })

  it('never carries more unacknowledged bytes than it allows', () => {
    const two = pair({ delayMs: 50, reliable: false, flightBytesMax: 200_000, roomBytes: 10_000_000 })
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(1_000_000)))
    // reason: the first line is the path of both.
    const path = two.a.session.path as ReturnType<Pair['line']>
    for (let ms = 0; ms < 2_000; ms += 10) {
      two.run(two.now + 10)
      expect(path.underWayBytes).toBeLessThan(200_000 + 66_000)
    }
    expect(two.b.received(0).length).toBe(1_000_000)
  })

  it('is tried ever more rarely when it is dead', () => {
    const two = pair({ delayMs: 10, reliable: false })
    two.run()
    // reason: the first line is the path of both.
    const path = two.a.session.path as ReturnType<Pair['line']>
    const before = path.packetsSent
    two.step(two.a, (turn, session) => {
      path.twin.open = true
      session.sendMessage(turn, 1, pattern(5))
    })
    two.b.session.abandon(new Turn(two.now, 0), { code: 'wire-lost' })
    two.run(two.now + 30_000)
    expect(path.packetsSent - before).toBeLessThan(24)
    expect(path.packetsSent - before).toBeGreaterThan(8)
  })
})

describe('memory', () => {
  it('of a large packet is spent when it is acknowledged, and not before', () => {
    const two = pair({ delayMs: 10 })
    two.reads = true
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(1_000_000)))
    expect(two.spentBytes).toBe(0)
    two.run()
    expect(two.spentBytes).toBeGreaterThan(900_000)
    expect(two.b.received(0).length).toBe(1_000_000)
  })

  it('of sealed packets is bounded while nothing is acknowledged', () => {
    const two = pair({ delayMs: 1_000, roomBytes: 1_000_000_000, flightBytesMax: 1_000_000_000 })
    two.reads = false
    two.step(two.a, (turn, session) => {
      for (let i = 0; i < 8; i += 1) openWith(turn, session, pattern(4_000_000))
      for (let i = 0; i < 5_000; i += 1) session.ping(turn, i)
    })
    for (let i = 0; i < 2_000; i += 1) two.step(two.a, (turn, session) => session.sendMessage(turn, 1, pattern(5)))
    // reason: the first line is the path of both.
    const path = two.a.session.path as ReturnType<Pair['line']>
    expect(path.underWayBytes).toBeLessThan(UNACKNOWLEDGED_BYTES_MAX + 70_000)
    expect(path.packetsSent).toBeLessThan(1_100)
  })
})

describe('the end', () => {
  it('reaches the other side with its code, and fails the streams of both', () => {
    const two = pair()
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(10)))
    two.run()
    two.step(two.a, (turn, session) => session.close(turn, 'session-replaced'))
    two.run()
    expect(two.b.closedBy).toBe('session-replaced')
    for (const end of [two.a, two.b]) {
      expect(end.events.at(-1)).toMatchObject({ kind: 'stream-failed', fault: { code: 'session-replaced' } })
      expect(end.session.nextWake()).toBeNull()
      expect(end.session.openStream).toBeTypeOf('function')
    }
    two.step(two.a, (turn, session) => {
      expect(session.openStream(turn, '')).toEqual({ code: 'closed' })
      expect(session.sendMessage(turn, 1, pattern(1))).toBe(false)
      session.writeStream(turn, 0, [pattern(1)])
      session.ping(turn, 1)
      session.close(turn, 'closed')
    })
    two.run()
  })

  it('can come without a word', () => {
    const two = pair()
    two.step(two.a, (turn, session) => openWith(turn, session, pattern(10)))
    two.run()
    const before = two.packetsCarried
    two.step(two.a, (turn, session) => session.abandon(turn, { code: 'session-lost', detail: 'no path' }))
    two.run()
    expect(two.packetsCarried).toBe(before)
    expect(two.a.events.at(-1)).toMatchObject({
      kind: 'stream-failed',
      fault: { code: 'session-lost', detail: 'no path' },
    })
  })
})
