/** What a stranger, or an authenticated peer that means ill, can send: it never throws, and never grows what is bounded. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter, concatBytes, writeU48 } from '../base/bytes.ts'
import type { Fault } from '../base/fault.ts'
import {
  ANSWER_QUEUE_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_HELD_MAX,
  STREAMS_OPEN_MAX,
} from '../limits.ts'
import { Turn } from '../turn.ts'
import { PACKET_HEADER_BYTES, PACKET_KIND } from './packet-protection.ts'
import { End, type MemoryPath, Pair, PlainProtection, pattern } from './session.fixtures.ts'
import * as frames from './session-frames.ts'

/** Seals whatever it likes for the side that accepts sessions. */
class Attacker {
  readonly pair = new Pair()
  readonly end: End = this.pair.b
  private readonly protection = new PlainProtection()
  private readonly path: MemoryPath = this.pair.line({ delayMs: 1 }).twin
  private number = 0
  private sequence = 0

  constructor(hasPath = true) {
    this.pair.reads = false
    if (hasPath) this.pair.step(this.end, (turn, session) => session.usePath(turn, this.path))
  }

  ordered(...pieces: Uint8Array[]): Fault | null {
    this.sequence += 1
    return this.raw(concatBytes(new ByteWriter().varint(this.sequence).finish(), ...pieces))
  }

  loose(...pieces: Uint8Array[]): Fault | null {
    return this.raw(concatBytes(Uint8Array.of(0), ...pieces))
  }

  raw(plaintext: Uint8Array): Fault | null {
    const header = new Uint8Array(PACKET_HEADER_BYTES)
    header[0] = PACKET_KIND
    writeU48(header, 1, this.number)
    return this.packet(concatBytes(header, ...this.protection.seal(this.number++, header, [plaintext])))
  }

  packet(bytes: Uint8Array): Fault | null {
    const turn = new Turn(this.pair.now, 0)
    const fault = this.end.session.receive(turn, bytes, this.path)
    for (const effect of turn.effects) if (effect.kind === 'event') this.end.events.push(effect.event)
    return fault
  }
}

const subject = new Uint8Array(0)

function data(stream: number, length: number): Uint8Array {
  return new ByteWriter(length + 12).u8(frames.FRAME_STREAM_DATA).varint(stream).sized(new Uint8Array(length)).finish()
}

describe('packets that are not the other side’s', () => {
  it('are dropped, whatever their bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        const end = new End('b')
        const path = new Pair().line({ delayMs: 1 })
        const turn = new Turn(5, 0)
        expect(end.session.receive(turn, bytes, path)).toBeNull()
        expect(end.session.receive(turn, concatBytes(Uint8Array.of(PACKET_KIND), bytes), path)).toBeNull()
        expect(end.session.opened).toBe(false)
        expect(end.session.confirmed).toBe(false)
        expect(path.heardAt).toBe(0)
        expect(turn.effects).toEqual([])
      }),
    )
  })

  it('are dropped when they are replayed', () => {
    const attacker = new Attacker()
    const header = Uint8Array.of(PACKET_KIND, 0, 0, 0, 0, 0, 9)
    for (const first of [0, 1]) {
      const plaintext = concatBytes(Uint8Array.of(first), frames.closeFrame('closed').subarray(0, 0))
      const whole = concatBytes(plaintext, first === 0 ? datagram(3) : frames.messageFrame(1, pattern(3)))
      const packet = concatBytes(header, ...new PlainProtection().seal(9, header, [whole]))
      for (let i = 0; i < 3; i += 1) expect(attacker.packet(packet)).toBeNull()
      header[6] = 10
    }
    expect(attacker.end.kinds()).toEqual(['datagram'])
  })
})

function datagram(length: number): Uint8Array {
  return new ByteWriter().u8(frames.FRAME_DATAGRAM).sized(pattern(length)).finish()
}

describe('frames', () => {
  it('of any bytes are taken or are a fault, and never throw', () => {
    const number = fc.oneof(fc.nat(12), fc.maxSafeNat())
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc
        .tuple(fc.nat(15), number, number, fc.uint8Array({ maxLength: 20 }))
        .map(([kind, first, second, rest]) =>
          new ByteWriter().u8(kind).varint(first).varint(second).raw(rest).finish(),
        ),
      fc.tuple(fc.nat(12), fc.nat(40)).map(([stream, length]) => data(stream, length)),
      fc.nat(12).map(stream => frames.streamOpenFrame(stream, subject)),
      fc.nat(12).map(stream => frames.streamEndFrame(stream)),
      fc.nat(12).map(stream => frames.streamResetFrame(stream, 7)),
      fc.tuple(fc.nat(12), number).map(([stream, offset]) => frames.streamCreditFrame(stream, offset)),
      number.map(offset => frames.sessionCreditFrame(offset)),
      number.map(next => frames.acknowledgeFrame(next, 0, [])),
      fc.nat(4).map(next => frames.acknowledgeFrame(next, 3, [next + 1, next + 2])),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.array(frame, { maxLength: 6 })), { maxLength: 12 }), packets => {
        const attacker = new Attacker()
        attacker.pair.step(attacker.end, (turn, session) => {
          const stream = session.openStream(turn, 'own')
          if (typeof stream === 'number') session.writeStream(turn, stream, [pattern(100_000)])
        })
        for (const [way, pieces] of packets) {
          const fault =
            way === 0
              ? attacker.loose(...pieces)
              : way === 1
                ? attacker.raw(concatBytes(...pieces))
                : attacker.ordered(...pieces)
          attacker.pair.step(attacker.end, (turn, session) => {
            session.consumeStream(turn, 0, 10)
            session.onWake(turn)
          })
          if (fault !== null) break
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it.each<[string, Uint8Array]>([
    ['of an unknown kind', Uint8Array.of(0x7f)],
    ['cut short', Uint8Array.of(frames.FRAME_PING, 1, 2)],
    ['for a stream never opened', data(0, 1)],
    ['that end a stream never opened', frames.streamEndFrame(0)],
    ['that reset a stream of ours never opened', frames.streamResetFrame(1, 0)],
    ['that open a stream of ours', frames.streamOpenFrame(1, subject)],
    ['that open a stream beyond all numbers', frames.streamOpenFrame(2 ** 52, subject)],
    ['that acknowledge what was never sent', frames.acknowledgeFrame(1, 0, [])],
    ['that hold what was never sent', frames.acknowledgeFrame(0, 0, [1, 2])],
    ['with a message over its bound', frames.messageFrame(1, new Uint8Array(MESSAGE_BYTES_MAX + 1))],
    ['with a subject over its bound', frames.streamOpenFrame(0, new Uint8Array(129).fill(97))],
    ['with a subject that is no text', frames.streamOpenFrame(0, Uint8Array.of(0xff))],
  ])('%s are malformed', (_name, frame) => {
    expect(new Attacker().ordered(frame)).toMatchObject({ code: 'malformed' })
  })

  it('of loose pings are answered while the path has room, and pile up nowhere', () => {
    const attacker = new Attacker()
    for (let i = 0; i < 20_000; i += 1) expect(attacker.loose(frames.tokenFrame(frames.FRAME_PING, i))).toBeNull()
    expect(attacker.end.session.idle).toBe(true)
  })

  it('that must arrive are malformed in a loose packet', () => {
    expect(new Attacker().loose(frames.messageFrame(1, pattern(2)))).toMatchObject({ code: 'malformed' })
  })

  it('for a stream that is gone are ignored', () => {
    const attacker = new Attacker()
    attacker.ordered(frames.streamOpenFrame(0, subject))
    attacker.pair.step(attacker.end, (turn, session) => session.resetStream(turn, 0, 1))
    const late = [data(0, 9), frames.streamEndFrame(0), frames.streamResetFrame(0, 1), frames.streamCreditFrame(0, 9)]
    for (const frame of late) expect(attacker.ordered(frame)).toBeNull()
    expect(attacker.end.kinds()).toEqual(['stream-inbound'])
  })

  it('after the end of a stream are malformed', () => {
    const attacker = new Attacker()
    attacker.ordered(frames.streamOpenFrame(0, subject), frames.streamEndFrame(0))
    expect(attacker.ordered(data(0, 1))).toMatchObject({ code: 'malformed' })
  })
})

describe('bounds', () => {
  it('break the session that exceeds the credit of a stream', () => {
    const attacker = new Attacker()
    attacker.ordered(frames.streamOpenFrame(0, subject))
    for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += 65_536) expect(attacker.ordered(data(0, 65_536))).toBeNull()
    expect(attacker.ordered(data(0, 1))).toMatchObject({ code: 'flow-control-broken', limit: STREAM_WINDOW_BYTES })
  })

  it('break the session that exceeds its own credit', () => {
    const attacker = new Attacker()
    for (let stream = 0; stream < 10; stream += 2) attacker.ordered(frames.streamOpenFrame(stream, subject))
    for (let sent = 0; sent < SESSION_WINDOW_BYTES; sent += 65_536)
      expect(attacker.ordered(data(Math.floor(sent / STREAM_WINDOW_BYTES) * 2, 65_536))).toBeNull()
    expect(attacker.ordered(data(8, 1))).toMatchObject({ code: 'flow-control-broken', limit: SESSION_WINDOW_BYTES })
  })

  it('break the session that opens too many streams', () => {
    const attacker = new Attacker()
    for (let i = 0; i < STREAMS_OPEN_MAX; i += 1)
      expect(attacker.ordered(frames.streamOpenFrame(i * 2, subject))).toBeNull()
    expect(attacker.ordered(frames.streamOpenFrame(600, subject))).toMatchObject({ code: 'overloaded' })
  })

  it('refuse streams while too many ended ones wait for their reader', () => {
    const attacker = new Attacker(false)
    let refused = 0
    for (let i = 0; i < STREAMS_HELD_MAX + 5; i += 1) {
      const stream = i * 2
      expect(attacker.ordered(frames.streamOpenFrame(stream, subject), data(stream, 1))).toBeNull()
      expect(attacker.ordered(frames.streamEndFrame(stream))).toBeNull()
      if (attacker.end.session.openStreams < i + 1) refused += 1
      // Our side ends and sends, so that the stream no longer counts as open.
      attacker.pair.step(attacker.end, (turn, session) => session.endStream(turn, stream))
      if (i % 100 === 99) attacker.pair.step(attacker.end, (turn, session) => session.flush(turn))
      if (i === 0) attacker.pair.step(attacker.end, (turn, session) => session.flush(turn))
    }
    expect(attacker.end.session.openStreams).toBe(STREAMS_HELD_MAX)
    expect(refused).toBe(5)
  })

  it('end the session that asks for more answers than it takes', () => {
    const attacker = new Attacker()
    const path = attacker.end.session.path
    attacker.pair.step(attacker.end, (turn, session) => session.usePath(turn, null))
    expect(path).not.toBeNull()
    let pings = 0
    // Nothing is flushed in between, as if the path had no room.
    while (attacker.ordered(frames.tokenFrame(frames.FRAME_PING, 1)) === null) pings += 1
    expect(pings).toBeLessThan(ANSWER_QUEUE_BYTES_MAX / 64)
    expect(pings).toBeGreaterThan(1_000)
  })
})
