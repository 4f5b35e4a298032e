/** So much and no more within each stretch of time. */
export class Allowance {
  private readonly count: number
  private readonly windowMs: number
  private left = 0
  private since = Number.NEGATIVE_INFINITY

  constructor(count: number, windowMs: number) {
    this.count = count
    this.windowMs = windowMs
  }

  /** Whether one more is allowed now; it counts then. */
  take(now: number): boolean {
    if (now - this.since >= this.windowMs) {
      this.since = now
      this.left = this.count
    }
    this.left -= 1
    return this.left >= 0
  }
}
