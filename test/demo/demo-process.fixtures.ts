/** A running `webmesh demo --json`: its events as they come, the processes that it names, its end. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/webmesh.js', import.meta.url))

/** What the demo promises. */
export const DEMO_LIMIT_MS = 30_000
const GONE_WITHIN_MS = 5_000
const LOOK_AGAIN_MS = 50

export type DemoEvent = Readonly<Record<string, unknown>> & { readonly event: string }

export interface DemoEnd {
  readonly code: number | null
  readonly tookMs: number
}

export class DemoProcess {
  readonly events: DemoEvent[] = []
  readonly ended: Promise<DemoEnd>
  stderr = ''
  private readonly child: ChildProcessByStdio<null, Readable, Readable>
  private partial = ''
  private waiting: { readonly name: string; readonly count: number; readonly resolve: () => void } | null = null

  constructor() {
    const startedAt = performance.now()
    this.child = spawn(process.execPath, [PROGRAM, 'demo', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => this.onOutput(text))
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    const limit = setTimeout(() => this.child.kill('SIGKILL'), 2 * DEMO_LIMIT_MS)
    this.ended = new Promise(resolve => {
      this.child.on('close', code => {
        clearTimeout(limit)
        resolve({ code, tookMs: performance.now() - startedAt })
      })
    })
  }

  all(event: string): DemoEvent[] {
    return this.events.filter(candidate => candidate.event === event)
  }

  /** Waits until an event came `count` times; an error where the demo ends before. */
  async until(name: string, count: number): Promise<void> {
    if (this.all(name).length >= count) return
    const came = new Promise<void>(resolve => {
      this.waiting = { name, count, resolve }
    })
    const over = this.ended.then(() => {
      throw new Error(`the demo ended before it told "${name}" ${count} times: ${this.stderr}`)
    })
    await Promise.race([came, over])
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** The processes of all peers told of so far. */
  get peerPids(): number[] {
    return this.events.map(({ pid }) => pid).filter(pid => typeof pid === 'number')
  }

  /** Those of them that still run after a while. */
  async lingering(): Promise<number[]> {
    const giveUpAt = performance.now() + GONE_WITHIN_MS
    for (;;) {
      const left = this.peerPids.filter(isRunning)
      if (left.length === 0 || performance.now() > giveUpAt) return left
      await new Promise(resolve => setTimeout(resolve, LOOK_AGAIN_MS))
    }
  }

  /** For `afterEach`: nothing outlives its test. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
    for (const pid of this.peerPids) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  }

  private onOutput(text: string): void {
    const lines = (this.partial + text).split('\n')
    this.partial = lines.pop() ?? ''
    // reason: what is in an event is compared by the tests.
    for (const line of lines) this.events.push(JSON.parse(line) as DemoEvent)
    const { waiting } = this
    if (waiting !== null && this.all(waiting.name).length >= waiting.count) waiting.resolve()
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  if (process.platform !== 'linux') return true
  try {
    // Ended, but not yet collected by whoever inherited it: its state stands behind its name in brackets.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
