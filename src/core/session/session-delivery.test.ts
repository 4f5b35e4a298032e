/** Whatever a network does to packets, and however paths change: each stream's bytes arrive whole, in order, once. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { equalBytes } from '../base/bytes.ts'
import { Rng } from '../base/rng.ts'
import type { StreamId } from '../input.ts'
import { type End, type MemoryPath, type NetworkOptions, Pair, pattern } from './session.fixtures.ts'

interface Written {
  readonly from: End
  readonly to: End
  readonly stream: StreamId
  readonly chunks: Uint8Array[]
}

const network = fc.record({
  delayMs: fc.integer({ min: 0, max: 120 }),
  jitterMs: fc.integer({ min: 0, max: 80 }),
  lossShare: fc.constantFrom(0, 0.01, 0.1, 0.4),
  doubleShare: fc.constantFrom(0, 0.2),
  reliable: fc.constant(false),
  flightBytesMax: fc.constantFrom(20_000, 200_000, 4_000_000),
  roomBytes: fc.constantFrom(1, 100_000, 1_000_000),
})
const wire = fc.record({
  delayMs: fc.integer({ min: 0, max: 50 }),
  roomBytes: fc.constantFrom(1, 300_000),
  shields: fc.boolean(),
})
const line: fc.Arbitrary<NetworkOptions> = fc.oneof(network, wire)

const scenario = fc.record({
  seed: fc.integer(),
  flushesAmid: fc.boolean(),
  lines: fc.array(line, { minLength: 1, maxLength: 5 }),
  /** For each line but the first: how long the one before was in use, and whether it dies then. */
  dies: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  lastsMs: fc.array(fc.integer({ min: 0, max: 600 }), { minLength: 5, maxLength: 5 }),
  gaps: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
})

/** Whether the other side lives was asked, and the timeout came, every 600 ms: it never found room on a path that carries one packet. */
const IN_STEP = {
  seed: -2147483643,
  flushesAmid: false,
  lines: [
    {
      delayMs: 114,
      jitterMs: 5,
      lossShare: 0.1,
      doubleShare: 0.2,
      reliable: false,
      flightBytesMax: 4_000_000,
      roomBytes: 1,
    },
  ],
  dies: [false, false, false, false, false],
  lastsMs: [115, 0, 0, 0, 0],
  gaps: [false, false, false, false, false],
}

describe('delivery', () => {
  it('is whole, in order and once, over lossy lines and through changes of path', () => {
    fc.assert(
      fc.property(scenario, ({ seed, flushesAmid, lines, dies, lastsMs, gaps }) => {
        const rng = new Rng(seed)
        const two = new Pair(rng)
        for (const end of [two.a, two.b]) end.flushesAmid = flushesAmid
        const written: Written[] = []
        const messages: [number, number] = [0, 0]
        let present: MemoryPath | null = null
        for (const [at, options] of lines.entries()) {
          const next: MemoryPath = two.line(options)
          if (present !== null) {
            if (dies[at]) present.cut()
            if (gaps[at]) {
              two.step(two.a, (turn, session) => session.usePath(turn, null))
              write(two, rng, written, messages)
              two.run(two.now + 30)
            }
          } else two.step(two.b, (turn, session) => session.usePath(turn, next.twin))
          present = next
          two.step(two.a, (turn, session) => session.usePath(turn, next))
          write(two, rng, written, messages)
          two.run(two.now + lastsMs[at]!)
          write(two, rng, written, messages)
        }
        // The last line heals, as any part of a network must in the end.
        two.heal()
        two.run()
        for (const { from, to, stream, chunks } of written) {
          const sent = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
          const got = to.received(stream)
          expect(got.length).toBe(sent)
          let place = 0
          for (const chunk of chunks) {
            expect(equalBytes(chunk, got.subarray(place, place + chunk.length))).toBe(true)
            place += chunk.length
          }
          const ends = to.events.filter(event => event.kind === 'stream-ended' && event.stream === stream)
          expect(ends.length).toBe(1)
          expect(from.fault).toBeNull()
        }
        for (const [at, end] of [two.b, two.a].entries()) {
          expect(end.messages.map(message => message.channel)).toEqual(
            Array.from({ length: messages[at]! }, (_, i) => i % 200),
          )
          expect(end.session.openStreams).toBe(0)
          expect(end.session.idle).toBe(true)
          expect(end.session.nextWake()).toBeNull()
        }
      }),
      { numRuns: 200, examples: [[IN_STEP]] },
    )
  }, 60_000)
})

/** Each side opens streams, writes on all, and ends both directions of each; and sends messages. */
function write(two: Pair, rng: Rng, written: Written[], messages: [number, number]): void {
  for (const [at, from] of [two.a, two.b].entries()) {
    const to = from === two.a ? two.b : two.a
    two.step(from, (turn, session) => {
      for (let count = rng.below(3); count > 0; count -= 1) {
        if (session.sendMessage(turn, messages[at]! % 200, pattern(rng.below(2_000)))) messages[at]! += 1
      }
      for (let count = rng.below(3); count > 0; count -= 1) {
        const stream = session.openStream(turn, 'x')
        if (typeof stream !== 'number') throw new Error(`no stream: ${JSON.stringify([stream, from.fault, to.fault])}`)
        const chunks: Uint8Array[] = []
        for (let k = rng.below(5); k > 0; k -= 1)
          chunks.push(pattern(rng.below(4) === 0 ? rng.below(90_000) : rng.below(400), rng.below(256)))
        session.writeStream(turn, stream, chunks)
        session.endStream(turn, stream)
        written.push({ from, to, stream, chunks })
      }
      // The other's streams that are known here: end our direction, so that they can be forgotten.
      for (const event of from.events) if (event.kind === 'stream-inbound') session.endStream(turn, event.stream)
    })
  }
}
