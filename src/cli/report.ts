/** What a command says: one JSON object a line for machines, text with colours on a terminal for people. */
import { WriteStream } from 'node:tty'
import type { PeerId } from '../core/base/peer-id.ts'
import type { PathView } from '../core/effect.ts'

export type Colour = 'green' | 'yellow' | 'red' | 'dim' | 'bold'

const CODES: Record<Colour, string> = { green: '32', yellow: '33', red: '31', dim: '2', bold: '1' }

export interface ReportOptions {
  readonly json: boolean
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly environment: Readonly<Record<string, string | undefined>>
}

export class Report {
  readonly json: boolean
  /** Whether a person is looking at the output. */
  readonly terminal: boolean
  /** Whether a line of progress can be replaced by the next. */
  readonly progressTerminal: boolean
  private readonly options: ReportOptions
  private readonly colours: boolean

  constructor(options: ReportOptions) {
    this.options = options
    this.json = options.json
    this.terminal = options.stdout instanceof WriteStream
    this.progressTerminal = options.stderr instanceof WriteStream
    // https://no-color.org: set and not empty means no colours.
    this.colours = this.terminal && !options.environment.NO_COLOR && options.environment.TERM !== 'dumb'
  }

  /** A fact: `fields` as JSON, or `text` for people (null where they need not know). */
  event(event: string, fields: Readonly<Record<string, unknown>>, text: string | null): void {
    if (this.json) this.options.stdout.write(`${JSON.stringify({ event, ...fields })}\n`)
    else if (text !== null) this.options.stdout.write(`${text}\n`)
  }

  /** A remark beside the output, for people only. */
  note(text: string): void {
    if (!this.json) this.options.stderr.write(`${text}\n`)
  }

  /** How long something takes: a line that the next one replaces on a terminal, and a line of its own in a log. */
  progress(text: string): void {
    const { stderr } = this.options
    if (!(stderr instanceof WriteStream)) {
      stderr.write(`${text}\n`)
      return
    }
    // A terminal that does not know its width says 0.
    const columns = stderr.columns > 0 ? stderr.columns : 80
    stderr.write(`\r\x1b[K${text.slice(0, columns - 1)}`)
  }

  /** Takes the progress line away, where there is one. */
  clearProgress(): void {
    if (this.options.stderr instanceof WriteStream) this.options.stderr.write('\r\x1b[K')
  }

  /** One sentence, without a stack. */
  error(code: string, message: string): void {
    if (this.json) this.options.stdout.write(`${JSON.stringify({ event: 'error', code, message })}\n`)
    else this.options.stderr.write(`webmesh: ${harmless(message)}\n`)
  }

  paint(colour: Colour, text: string): string {
    return this.colours ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text
  }
}

/** Enough of a peer id to tell peers apart at a glance. */
export function shortId(peer: PeerId): string {
  return peer.slice(0, 8)
}

/** `over tcp 127.0.0.1:4100`, `via 1234abcd, 5678cdef`. */
export function pathText(path: PathView): string {
  if (path.kind === 'wire') return `over ${path.transport} ${path.remote}`
  if (path.kind === 'circuit') return `via ${path.via.map(shortId).join(', ')}`
  return 'no path'
}

/** The start of what was typed, to be told of it. */
export function excerpt(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** Text of a stranger, fit for a terminal: control characters could move the cursor or worse. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}
