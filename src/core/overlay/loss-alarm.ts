/** Mass failure is when a good part of the links is lost within seconds: then a peer dials hard for a while (spec 5.8). */
import type { Instant } from '../base/instant.ts'
import { ALARM_LOST_MIN, ALARM_LOST_SHARE, ALARM_MS, ALARM_WINDOW_MS } from '../limits.ts'

export class LossAlarm {
  /** When the first of the losses came that were an alarm last; `-Infinity` before any. Whoever was heard of since has survived them. */
  startedAt: Instant = Number.NEGATIVE_INFINITY
  private lostAt: Instant[] = []
  private until: Instant = 0

  isOn(now: Instant): boolean {
    return now < this.until
  }

  /** A link was lost; `left` are still there. True where that begins an alarm. */
  onLost(now: Instant, left: number): boolean {
    this.lostAt = this.lostAt.filter(at => now - at < ALARM_WINDOW_MS)
    this.lostAt.push(now)
    const lost = this.lostAt.length
    if (lost < ALARM_LOST_MIN || lost < (left + lost) * ALARM_LOST_SHARE) return false
    const begins = !this.isOn(now)
    if (begins) this.startedAt = this.lostAt[0] ?? now
    this.until = now + ALARM_MS
    return begins
  }
}
