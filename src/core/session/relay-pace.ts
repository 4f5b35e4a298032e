/**
 * How many bytes of others a relay lets be under way over one wire. What the systems at its two ends take, and never tell of, is
 * megabytes on a slow connection: there frames have no turns any more, and the relay's own pings wait for seconds. Marks, which
 * are pings among the frames, tell what has arrived and when. As much may be under way as arrives in the round trip of the empty
 * connection and a tenth of a second more (after BBR: Cardwell and others 2016).
 */
import type { Instant } from '../base/instant.ts'
import {
  RELAY_MARK_BYTES_MIN,
  RELAY_MARKS_MAX,
  RELAY_PACE_BYTES_FIRST,
  RELAY_PACE_BYTES_MIN,
  RELAY_PACE_EMPTY_MS,
  RELAY_PACE_RATES,
  RELAY_PACE_SPARE_MS,
} from '../limits.ts'

interface Mark {
  /** All that was given to the wire before it. */
  readonly given: number
  readonly at: Instant
  /** How much was known to have arrived then, and since when. */
  readonly arrived: number
  readonly arrivedAt: Instant
  /** Whether as much was under way then as might be: what arrives until the answer says how fast the connection is. */
  readonly full: boolean
}

export class RelayPace {
  private given = 0
  /** Of `given`, how much had arrived when the last mark was answered. */
  private arrived = 0
  private arrivedAt: Instant | null = null
  /** Those whose answers are awaited, in order. */
  private marks: Mark[] = []
  /** Bytes a millisecond, as measured last, and which of them is the next to be replaced. */
  private rates: number[] = []
  private nextRate = 0
  private limit = RELAY_PACE_BYTES_FIRST
  /** Round trip of the empty connection, and when it was seen: from time to time it is emptied to see it again. */
  private roundTripMs = Number.POSITIVE_INFINITY
  private roundTripAt: Instant = 0
  private emptyingSince: Instant | null = null

  /** Bytes of others that the wire may be given now. */
  get room(): number {
    return this.limit - (this.given - this.arrived)
  }

  /** Whether a mark is to follow, behind all that was given. */
  get wantsMark(): boolean {
    const since = this.given - (this.marks.at(-1)?.given ?? this.arrived)
    return since >= Math.max(RELAY_MARK_BYTES_MIN, this.limit / 8) && this.marks.length < RELAY_MARKS_MAX
  }

  onGiven(bytes: number): void {
    this.given += bytes
  }

  onMarked(now: Instant): void {
    const { given, arrived, arrivedAt, limit } = this
    this.marks.push({ given, at: now, arrived, arrivedAt: arrivedAt ?? now, full: given - arrived >= limit / 2 })
  }

  /** The first of the marks that are under way was answered. */
  onAnswered(now: Instant): void {
    const mark = this.marks.shift()
    if (mark === undefined) return
    this.learnRate((mark.given - mark.arrived) / Math.max(1, now - mark.arrivedAt), mark.full)
    this.learnRoundTrip(now - mark.at, mark, now)
    this.arrived = mark.given
    this.arrivedAt = now
    const rate = Math.max(...this.rates)
    this.limit =
      this.emptyingSince === null
        ? rate * (this.roundTripMs + RELAY_PACE_SPARE_MS) + RELAY_PACE_BYTES_MIN
        : // What was thought to be the round trip may have been half a queue.
          Math.max(RELAY_MARK_BYTES_MIN, (rate * this.roundTripMs) / 2)
  }

  /** Nobody will answer the marks any more: all begins anew. */
  onMarkLost(): void {
    this.marks = []
    this.rates = []
    this.limit = RELAY_PACE_BYTES_FIRST
    this.arrived = this.given
    this.arrivedAt = null
  }

  /** Where less was to be sent than might have been, only what is faster says something. */
  private learnRate(rate: number, full: boolean): void {
    if (!full && this.rates.length > 0 && rate <= Math.max(...this.rates)) return
    this.rates[this.nextRate] = rate
    this.nextRate = (this.nextRate + 1) % RELAY_PACE_RATES
  }

  private learnRoundTrip(delayMs: number, mark: Mark, now: Instant): void {
    const isEmptied = this.emptyingSince !== null && mark.at > this.emptyingSince
    if (isEmptied || delayMs <= this.roundTripMs) {
      this.roundTripMs = delayMs
      this.roundTripAt = now
      this.emptyingSince = null
    } else if (now - this.roundTripAt >= RELAY_PACE_EMPTY_MS) {
      this.emptyingSince ??= now
    }
  }
}
