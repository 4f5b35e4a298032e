/** The shape of one command of `webmesh`, and how it fails: wrong usage ends with 2, anything else with 1. */
import type { ParseArgsConfig } from 'node:util'
import { excerpt, type Report } from './report.ts'

export interface CliCommand {
  readonly name: string
  /** One line, for the list of commands. */
  readonly summary: string
  /** Runs until the user wants an end: an interrupt is no failure. */
  readonly endless?: boolean
  /** What `webmesh NAME --help` prints below its usage line. */
  readonly help: string
  /** What stands after the name in the usage line. */
  readonly usage: string
  readonly options: NonNullable<ParseArgsConfig['options']>
  /** Names of the arguments without dashes, all needed. */
  readonly operands: readonly string[]
  /** Throws UsageError or WebmeshError; resolves when done. The signal says that the user wants it to end. */
  run(call: CliCall): Promise<void>
}

export interface CliCall {
  readonly flags: Flags
  readonly operands: readonly string[]
  readonly report: Report
  readonly signal: AbortSignal
  readonly stdin: NodeJS.ReadStream
}

/** The parsed options of a call, read with their type. */
export class Flags {
  private readonly values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>) {
    this.values = values
  }

  has(name: string): boolean {
    return this.values[name] === true
  }

  text(name: string): string | undefined {
    const value = this.values[name]
    return typeof value === 'string' ? value : undefined
  }

  list(name: string): readonly string[] {
    const value = this.values[name]
    return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
  }

  /** A number from `least` to `most`; UsageError where it is none. */
  number(name: string, least: number, whole: boolean, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
      const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`
      throw new UsageError(`--${name} takes a ${whole ? 'whole ' : ''}number ${range}, not "${excerpt(text)}"`)
    }
    return value
  }
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What a command set out to do turned out not to be so: it ends with 1 and this sentence. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
}

/** As CommandFailed, where the output has said all there is to say. */
export class FailureTold extends Error {
  override readonly name = 'FailureTold'
}

/** What was typed is wrong, rather than what happened. */
export const TYPED_WRONG: ReadonlySet<string> = new Set([
  'invalid-ref',
  'invalid-address',
  'invalid-peer-id',
  'invalid-service-name',
  'invalid-option',
  'ref-forged',
])

/** Options that several commands take. */
export const JSON_OPTION = { json: { type: 'boolean' } } as const
export const STORE_OPTION = { store: { type: 'string' } } as const
export const JOIN_OPTION = { join: { type: 'string', multiple: true } } as const

/** Ways in for a command that is of no use alone. */
export function neededWaysIn(flags: Flags, alsoWayIn?: string): readonly string[] {
  const waysIn = [...flags.list('join')]
  if (alsoWayIn?.startsWith('webmesh:') || alsoWayIn?.includes('://')) waysIn.push(alsoWayIn)
  if (waysIn.length === 0 && flags.text('store') === undefined)
    throw new UsageError('give a way into the mesh: --join REF, or --store DIR of a peer that was in it before')
  return waysIn
}
