/** A peer in a process of its own, to be attacked: what it takes of memory and processor is its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('./victim-program.js', import.meta.url))
const LIBRARY = fileURLToPath(new URL('../../../dist/index.node.js', import.meta.url))

export interface Usage {
  readonly residentBytes: number
  readonly heapBytes: number
  readonly processorMs: number
  readonly sessions: number
  readonly links: number
}

export class Victim {
  readonly id: string
  readonly ref: string
  readonly port: number
  private readonly child: ChildProcess
  private stderr = ''

  private constructor(child: ChildProcess, id: string, ref: string, port: number) {
    this.id = id
    this.child = child
    this.ref = ref
    this.port = port
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
  }

  static async start(): Promise<Victim> {
    if (!existsSync(LIBRARY)) throw new Error('dist/index.node.js is missing: npm run build makes it')
    const child = spawn(process.execPath, ['--expose-gc', PROGRAM], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    const [ready] = await once(child, 'message')
    return new Victim(child, ready.id, ready.ref, ready.port)
  }

  /** Empty while all is well: what it wrote to standard error, or how it ended. */
  complaint(): string {
    return this.child.exitCode === null ? this.stderr : `exit ${this.child.exitCode}: ${this.stderr}`
  }

  async usage(): Promise<Usage> {
    this.child.send('usage')
    const [usage] = await once(this.child, 'message')
    return usage
  }

  async health(): Promise<{ readonly peer: string; readonly links: number }> {
    const response = await fetch(`http://127.0.0.1:${this.port}/health`, { signal: AbortSignal.timeout(10_000) })
    // reason: the caller compares what is in it.
    return (await response.json()) as { peer: string; links: number }
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGKILL')
    await once(this.child, 'exit')
  }
}
