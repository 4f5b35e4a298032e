/** Says every now and then how far something long has come; nothing where it is soon over. */
import { progressText, remainingMs } from '../sim/report-text.ts'
import type { Progress } from '../sim/scenario.ts'
import type { Report } from './report.ts'

const SILENT_MS = 2_000
const TERMINAL_GAP_MS = 250
const JSON_GAP_MS = 2_000
const LOG_GAP_MS = 10_000

export class ProgressReport {
  private readonly report: Report
  private readonly startedAt = performance.now()
  private readonly gapMs: number
  /** Ticks by itself, so that the time goes on where the run takes long over one thing. */
  private readonly timer: NodeJS.Timeout
  private latest: Progress | null = null
  private toldAt = Number.NEGATIVE_INFINITY

  constructor(report: Report) {
    this.report = report
    this.gapMs = report.json ? JSON_GAP_MS : report.progressTerminal ? TERMINAL_GAP_MS : LOG_GAP_MS
    this.timer = setInterval(() => this.tick(), TERMINAL_GAP_MS)
  }

  take(progress: Progress): void {
    this.latest = progress
    this.tick()
  }

  /** May be called again. */
  end(): void {
    clearInterval(this.timer)
    if (this.toldAt > 0 && !this.report.json) this.report.clearProgress()
  }

  private tick(): void {
    const now = performance.now()
    const elapsedMs = now - this.startedAt
    if (this.latest === null || elapsedMs < SILENT_MS || now - this.toldAt < this.gapMs) return
    this.toldAt = now
    const { phase, done, live } = this.latest
    if (!this.report.json) this.report.progress(progressText(phase, done, live, elapsedMs))
    else {
      const leftMs = done > 0 ? Math.round(remainingMs(done, elapsedMs)) : null
      this.report.event('progress', { phase, done, live, leftMs }, null)
    }
  }
}
