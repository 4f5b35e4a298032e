/** A `webmesh` process under test: its lines as they come, its end, and its certain death with the test. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/webmesh.js', import.meta.url))
const WAIT_MS = 15_000

const running = new Set<WebmeshProcess>()

export function webmesh(...argv: string[]): WebmeshProcess {
  return started(argv, [])
}

/** Bound by the rights of files and folders, which root is not: another user might not even read the program. */
export function webmeshBoundByRights(...argv: string[]): WebmeshProcess {
  const asRoot = ['setpriv', '--bounding-set', '-dac_override,-dac_read_search']
  return started(argv, process.getuid?.() === 0 ? asRoot : [])
}

/** In a network namespace, as the NAT lab makes them. */
export function webmeshIn(namespace: string, ...argv: string[]): WebmeshProcess {
  return started(argv, ['ip', 'netns', 'exec', namespace])
}

function started(argv: readonly string[], launcher: readonly string[]): WebmeshProcess {
  if (!existsSync(PROGRAM)) throw new Error('dist/cli/webmesh.js is missing: npm run build makes it')
  const process = new WebmeshProcess(argv, launcher)
  running.add(process)
  return process
}

/** For `afterEach`: no process outlives its test. */
export async function killAll(): Promise<void> {
  await Promise.all([...running].map(started => started.kill()))
  running.clear()
}

export class WebmeshProcess {
  readonly argv: readonly string[]
  readonly lines: string[] = []
  stderr = ''
  private readonly child: ChildProcessWithoutNullStreams
  private readonly ended: Promise<number | null>
  private partial = ''
  private onChange: (() => void) | null = null
  private over = false

  /** `launcher`: a program and its arguments that start the command in its own place. */
  constructor(argv: readonly string[], launcher: readonly string[]) {
    this.argv = argv
    const [program = process.execPath, ...rest] = [...launcher, process.execPath, PROGRAM, ...argv]
    this.child = spawn(program, rest, { stdio: 'pipe' })
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.partial + text).split('\n')
      this.partial = lines.pop() ?? ''
      this.lines.push(...lines)
      this.onChange?.()
    })
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.onChange?.()
    })
    this.child.stdin.on('error', () => {})
    this.ended = new Promise(resolve => {
      this.child.on('close', code => {
        this.over = true
        resolve(code)
        this.onChange?.()
      })
    })
  }

  /** The JSON objects printed so far. */
  get events(): Record<string, unknown>[] {
    // reason: JSON.parse gives any; the tests compare what is in it.
    return this.lines.map(line => JSON.parse(line) as Record<string, unknown>)
  }

  say(text: string): void {
    this.child.stdin.write(text)
  }

  endInput(text = ''): void {
    this.child.stdin.end(text)
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** The first line that fits, printed already or still to come. */
  async line(fits: (line: string) => boolean): Promise<string> {
    return this.until(() => this.lines.find(fits))
  }

  async event(
    name: string,
    fits: (event: Record<string, unknown>) => boolean = () => true,
  ): Promise<Record<string, unknown>> {
    return this.until(() => this.events.find(event => event.event === name && fits(event)))
  }

  /** Its exit code. */
  async exit(): Promise<number | null> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.complaint('did not end')), WAIT_MS)
    })
    return Promise.race([this.ended, late]).finally(() => clearTimeout(timer))
  }

  async kill(): Promise<void> {
    if (!this.over) this.child.kill('SIGKILL')
    await this.ended
  }

  private until<T>(look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer)
        this.onChange = null
        act()
      }
      const timer = setTimeout(() => finish(() => reject(this.complaint('did not print it in time'))), WAIT_MS)
      const check = (): void => {
        const found = look()
        if (found !== undefined) finish(() => resolve(found))
        else if (this.over) finish(() => reject(this.complaint('ended without printing it')))
      }
      this.onChange = check
      check()
    })
  }

  private complaint(what: string): Error {
    const said = `stdout:\n${this.lines.join('\n')}\nstderr:\n${this.stderr}`
    return new Error(`webmesh ${this.argv.join(' ')} ${what}\n${said}`)
  }
}
