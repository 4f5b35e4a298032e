/** A program of the package's user while it runs: what it prints, its end, and its certain death with the test. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'

const WAIT_MS = 30_000

export class UserProgram {
  stderr = ''
  private readonly name: string
  private readonly child: ChildProcessWithoutNullStreams
  private readonly ended: Promise<number | null>
  private stdout = ''
  private onChange: (() => void) | null = null

  constructor(argv: readonly string[], folder: string) {
    this.name = argv.join(' ')
    this.child = spawn(process.execPath, argv, { cwd: folder, stdio: 'pipe' })
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.onChange?.()
    })
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.child.stdin.on('error', () => {})
    this.ended = new Promise(resolve => this.child.on('close', resolve))
  }

  /** What stands behind `mark` on the first line that has it, printed already or still to come. */
  async after(mark: string): Promise<string> {
    const found = new Promise<string>(resolve => {
      const look = (): void => {
        const line = this.stdout
          .split('\n')
          .slice(0, -1)
          .find(candidate => candidate.includes(mark))
        if (line !== undefined) resolve(line.slice(line.indexOf(mark) + mark.length))
      }
      this.onChange = look
      look()
    })
    return this.inTime(found, `did not print "${mark}"`)
  }

  say(text: string): void {
    this.child.stdin.write(text)
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  exit(): Promise<number | null> {
    return this.inTime(this.ended, 'did not end')
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }

  private inTime<T>(promise: Promise<T>, otherwise: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.name} ${otherwise}\nstdout:\n${this.stdout}\nstderr:\n${this.stderr}`)),
        WAIT_MS,
      )
    })
    return Promise.race([promise, late]).finally(() => clearTimeout(timer))
  }
}
