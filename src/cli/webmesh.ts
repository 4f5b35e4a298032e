#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
/** The command line: finds the command, reads its arguments, and turns what happens into output and an exit code. */
import { messageOf } from '../core/base/fault.ts'
import { WebmeshError } from '../mesh/webmesh-error.ts'
import { chat } from './chat.ts'
import { type CliCommand, CommandFailed, FailureTold, Flags, TYPED_WRONG, UsageError } from './command.ts'
import { demo } from './demo.ts'
import { doctor } from './doctor.ts'
import { id } from './id.ts'
import { peers } from './peers.ts'
import { ping } from './ping.ts'
import { excerpt, Report } from './report.ts'
import { services } from './services.ts'
import { sim } from './sim.ts'
import { trace } from './trace.ts'
import { up } from './up.ts'

const COMMANDS: readonly CliCommand[] = [up, doctor, id, ping, trace, peers, services, chat, demo, sim]

const DONE = 0
const FAILED = 1
const WRONG_USAGE = 2

/** After this the process ends even if something still holds it. */
const EXIT_PATIENCE_MS = 3_000

async function main(argv: readonly string[]): Promise<number> {
  const json = argv.includes('--json')
  const report = new Report({ json, stdout: process.stdout, stderr: process.stderr, environment: process.env })
  const [name, ...rest] = argv
  if (name === undefined) {
    process.stderr.write(overview())
    return WRONG_USAGE
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const about = COMMANDS.find(command => command.name === rest[0])
    if (about === undefined && rest[0] !== undefined && !rest[0].startsWith('-')) return unknownCommand(report, rest[0])
    process.stdout.write(about === undefined ? overview() : helpOf(about))
    return DONE
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version()}\n`)
    return DONE
  }
  const command = COMMANDS.find(candidate => candidate.name === name)
  if (command === undefined) return unknownCommand(report, name)
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(helpOf(command))
    return DONE
  }
  const interrupt = interruptSignal()
  try {
    const { flags, operands } = readArguments(command, rest)
    await command.run({ flags, operands, report, signal: interrupt, stdin: process.stdin })
    return DONE
  } catch (error) {
    if (error instanceof UsageError) {
      report.error('usage', `${error.message}; see webmesh ${command.name} --help`)
      return WRONG_USAGE
    }
    if (error instanceof CommandFailed) {
      report.error('failed', error.message)
      return FAILED
    }
    if (error instanceof FailureTold) return FAILED
    // A fault of this program shows its stack: that is what a report of it needs.
    if (!(error instanceof WebmeshError)) throw error
    if (error.code === 'aborted' && interrupt.aborted) return command.endless === true ? DONE : FAILED
    report.error(error.code, error.message)
    return TYPED_WRONG.has(error.code) ? WRONG_USAGE : FAILED
  }
}

function unknownCommand(report: Report, name: string): number {
  const problem = name.startsWith('-')
    ? `a command comes first, not "${excerpt(name)}"`
    : `there is no command "${excerpt(name)}"`
  report.error('usage', `${problem}; see webmesh --help`)
  return WRONG_USAGE
}

function readArguments(command: CliCommand, argv: readonly string[]): { flags: Flags; operands: readonly string[] } {
  let parsed: { values: Record<string, unknown>; positionals: string[] }
  try {
    parsed = parseArgs({ args: [...argv], options: command.options, allowPositionals: true, strict: true })
  } catch (error) {
    // Node's first sentence says which option; the rest explains its own parser.
    const message = messageOf(error)
    const [first = message] = message.split(/\. |\n/)
    throw new UsageError(excerpt(first.replace(/\.$/, '')))
  }
  const { values, positionals } = parsed
  const missing = command.operands[positionals.length]
  if (missing !== undefined) throw new UsageError(`${missing} is missing`)
  const extra = positionals[command.operands.length]
  if (extra !== undefined) throw new UsageError(`"${excerpt(extra)}" is one argument too many`)
  return { flags: new Flags(values), operands: positionals }
}

/** Aborted by the first Ctrl-C, SIGTERM, or when nobody reads the output any more; a second Ctrl-C ends at once. */
function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(FAILED)
    controller.abort(new Error('interrupted'))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.stdout.on('error', error => {
    if ('code' in error && error.code === 'EPIPE') controller.abort(new Error('the output was closed'))
    else throw error
  })
  return controller.signal
}

function overview(): string {
  const lines = COMMANDS.map(command => `  ${command.name.padEnd(10)}${command.summary}`)
  return `webmesh: a shared overlay network for decentralized services

Usage: webmesh COMMAND [options]

${lines.join('\n')}

  webmesh demo             what it is, in half a minute
  webmesh COMMAND --help   what a command takes and prints
  webmesh --version        the version

Commands print text for people, and one JSON object a line with --json. They end with
0 when done, 1 when it failed, 2 when used wrongly.
`
}

function helpOf(command: CliCommand): string {
  return `Usage: webmesh ${command.name} ${command.usage}\n\n${command.help}\n`
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  // reason: the package's own file; it is shipped with this one.
  return (JSON.parse(text) as { version: string }).version
}

process.exitCode = await main(process.argv.slice(2))
process.stdin.unref?.()
setTimeout(() => process.exit(), EXIT_PATIENCE_MS).unref()
