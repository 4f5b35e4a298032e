/** Says every now and then how far something long has come; nothing where it is soon over. */
import { type ProgressMark, progressText, remainingMs } from '../sim/report-text.ts'
import type { Progress } from '../sim/scenario.ts'
import type { Report } from './report.ts'

const SILENT_MS = 2_000
const TERMINAL_GAP_MS = 250
const JSON_GAP_MS = 2_000
const LOG_GAP_MS = 10_000
const MARKS_MAX = 2_000

export class ProgressReport {
  private readonly report: Report
  private readonly startedAt = performance.now()
  private readonly gapMs: number
  /** Ticks by itself, so that the time goes on where the run takes long over one thing. */
  private readonly timer: NodeJS.Timeout
  private latest: Progress | null = null
  private marks: ProgressMark[] = []
  private toldAt = Number.NEGATIVE_INFINITY

  constructor(report: Report) {
    this.report = report
    this.gapMs = report.json ? JSON_GAP_MS : report.progressTerminal ? TERMINAL_GAP_MS : LOG_GAP_MS
    this.timer = setInterval(() => this.tick(), TERMINAL_GAP_MS)
  }

  take(progress: Progress): void {
    this.latest = progress
    this.marks.push({ atMs: performance.now() - this.startedAt, done: progress.done })
    // Every other one will do.
    if (this.marks.length >= MARKS_MAX) this.marks = this.marks.filter((_, index) => index % 2 === 1)
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
    const leftMs = remainingMs(this.marks)
    if (!this.report.json) this.report.progress(progressText(phase, done, live, leftMs))
    else {
      const rounded = leftMs === null ? null : Math.round(leftMs)
      this.report.event('progress', { phase, done, live, leftMs: rounded }, null)
    }
  }
}
