import { describe, expect, it } from 'vitest'
import { RelayPace } from './relay-pace.ts'

const FRAME = 65_600
const STEP_MS = 1

interface Connection {
  bytesPerMs: number
  roundTripMs: number
}

/**
 * A relay that always has frames to give, and a connection whose system takes them all at once: what is in it waits its turn.
 * Returns what arrived in each span, and the longest that a byte waited there.
 */
function relayOver(
  connection: Connection,
  spans: readonly { readonly ms: number; readonly change?: Partial<Connection> }[],
) {
  const pace = new RelayPace()
  const marks: { readonly behind: number; answeredAt: number | null }[] = []
  let [now, given, sent] = [0, 0, 0]
  const seen = spans.map(({ ms, change }) => {
    Object.assign(connection, change)
    const before = sent
    let waitedMs = 0
    for (const end = now + ms; now < end; now += STEP_MS) {
      sent = Math.min(given, sent + connection.bytesPerMs * STEP_MS)
      for (const mark of marks) if (mark.behind <= sent) mark.answeredAt ??= now + connection.roundTripMs
      while ((marks[0]?.answeredAt ?? Number.POSITIVE_INFINITY) <= now) {
        marks.shift()
        pace.onAnswered(now)
        if (pace.wantsMark) mark()
      }
      // A socket whose system takes megabytes holds no more than this back by itself.
      while (pace.room > 0 && given - sent < 4_000_000) {
        given += FRAME
        pace.onGiven(FRAME)
        if (pace.wantsMark) mark()
      }
      waitedMs = Math.max(waitedMs, (given - sent) / connection.bytesPerMs)
    }
    return { share: (sent - before) / (connection.bytesPerMs * ms), waitedMs }
  })
  function mark(): void {
    pace.onMarked(now)
    marks.push({ behind: given, answeredAt: null })
  }
  return seen
}

describe('the pace of what is relayed over a wire', () => {
  it.each([
    ['a slow uplink', 1_000, 40],
    ['a slow and far one', 500, 250],
    ['a good one', 8_000, 20],
    ['a fast one', 100_000, 2],
    ['loopback', 1_000_000, 1],
  ])('fills %s, and lets little wait in it', (_, bytesPerMs, roundTripMs) => {
    const [, later] = relayOver({ bytesPerMs, roundTripMs }, [{ ms: 4_000 }, { ms: 60_000 }])
    expect(later?.share).toBeGreaterThan(0.97)
    // What is on its way back and forth, the spare time, and what is added for frames and marks.
    expect(later?.waitedMs).toBeLessThan(2 * roundTripMs + 100 + (131_072 + 2 * FRAME) / bytesPerMs)
  })

  it('follows a connection that becomes faster, slower, nearer and farther', () => {
    const seen = relayOver({ bytesPerMs: 2_000, roundTripMs: 30 }, [
      { ms: 10_000 },
      { ms: 10_000, change: { roundTripMs: 300 } },
      { ms: 20_000 },
      { ms: 5_000, change: { bytesPerMs: 10_000 } },
      { ms: 20_000 },
      { ms: 20_000, change: { bytesPerMs: 500, roundTripMs: 30 } },
      { ms: 20_000 },
    ])
    // Once the change was seen.
    for (const i of [0, 2, 4, 6]) expect(seen[i]?.share, `span ${i}`).toBeGreaterThan(0.9)
    expect(seen[6]?.waitedMs).toBeLessThan(700)
  })

  it('begins anew where nobody will answer any more', () => {
    const pace = new RelayPace()
    const first = pace.room
    for (let i = 0; i < 10 && pace.room > 0; i += 1) pace.onGiven(FRAME)
    expect(pace.wantsMark).toBe(true)
    pace.onMarked(0)
    expect([pace.wantsMark, pace.room <= 0]).toEqual([false, true])
    pace.onMarkLost()
    expect(pace.room).toBe(first)
    // What comes late from before says nothing.
    pace.onAnswered(1_000)
    expect(pace.room).toBe(first)
  })
})
