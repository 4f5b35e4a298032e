/** `webmesh chat`: lines of standard input to all members of a service, and theirs to standard output. */
import { createInterface } from 'node:readline'
import { Mesh, type Service, WebmeshError } from '../index.node.ts'
import { type CliCall, type CliCommand, JOIN_OPTION, JSON_OPTION, neededWaysIn, STORE_OPTION } from './command.ts'
import { harmless, type Report, shortId } from './report.ts'
import { pause } from './waiting.ts'

const WAIT_SECONDS = 10
const STAY_SECONDS = 1
/** How often a line that found nobody is tried again. */
const RETRY_MS = 200

export const chat: CliCommand = {
  name: 'chat',
  summary: 'broadcast lines of standard input to a service, print those of others',
  endless: true,
  usage: 'SERVICE --join REF [--wait SECONDS] [--stay SECONDS]',
  operands: ['SERVICE'],
  options: {
    ...JSON_OPTION,
    ...STORE_OPTION,
    ...JOIN_OPTION,
    listen: { type: 'string', multiple: true },
    wait: { type: 'string' },
    stay: { type: 'string' },
  },
  help: `Joins SERVICE (name/major, like chat.example/1), broadcasts each line of standard input to
its members, and prints their lines with the peer that sent them. Works in a pipe:

  echo hello | webmesh chat chat.example/1 --join REF

  --join REF           a way into the mesh
  --wait SECONDS       how long a piped line waits for a first other member; ${WAIT_SECONDS} unless
                       given. If nobody came by then, it ends with 1.
  --stay SECONDS       how long to stay for answers after standard input ended; ${STAY_SECONDS} unless given
  --listen HOST:PORT   take connections there
  --store DIR          use the identity and memory of this store
  --json               {"event":"ready","peer":…,"service":…}, then
                       {"event":"message","from":…,"text":…}, {"event":"sent","neighbours":…} and
                       {"event":"member","peer":…,"present":…}`,

  async run(call: CliCall): Promise<void> {
    const { flags, operands, report, signal, stdin } = call
    const waitMs = (flags.number('wait', 0, false) ?? WAIT_SECONDS) * 1000
    const stayMs = (flags.number('stay', 0, false) ?? STAY_SECONDS) * 1000
    const mesh = await Mesh.start({
      store: flags.text('store'),
      listen: flags.list('listen'),
      join: flags.list('listen').length > 0 ? flags.list('join') : neededWaysIn(flags),
      signal,
    })
    try {
      const service = await mesh.join(operands[0] ?? '', { signal })
      listenTo(service, report)
      report.event('ready', { peer: mesh.id, service: service.name }, null)
      report.note(report.paint('dim', `You are ${shortId(mesh.id)} in ${service.name}. End with Ctrl-D.`))
      // A person sees that nobody is there, and types again; a pipe cannot.
      const patienceMs = stdin.isTTY ? 0 : waitMs
      let firstSendEndsAt: number | null = null
      for await (const line of linesOf(stdin, signal)) {
        firstSendEndsAt ??= performance.now() + patienceMs
        await send(service, line, firstSendEndsAt, call)
      }
      await pause(stayMs, signal)
      await service.leave()
    } finally {
      await mesh.close()
    }
  },
}

/** Broadcasts one line. While it reaches nobody it is tried again: it has not left. */
async function send(service: Service, line: string, endAt: number, { report, signal, stdin }: CliCall): Promise<void> {
  const bytes = new TextEncoder().encode(line)
  for (;;) {
    const { neighbours } = await service.broadcast(bytes, { signal })
    if (neighbours > 0) {
      report.event('sent', { neighbours }, null)
      return
    }
    const leftMs = endAt - performance.now()
    if (leftMs > 0) await pause(Math.min(RETRY_MS, leftMs), signal)
    else if (stdin.isTTY) {
      report.note('Nobody else is here yet.')
      return
    } else {
      throw new WebmeshError({ code: 'timeout', detail: `no other member of ${service.name} appeared` })
    }
  }
}

function listenTo(service: Service, report: Report): void {
  service.addEventListener('message', ({ from, data }) => {
    const text = new TextDecoder().decode(data)
    report.event('message', { from, text }, `${report.paint('green', shortId(from))}  ${harmless(text)}`)
  })
  const say = (peer: Mesh['id'], present: boolean): void => {
    report.event('member', { peer, present }, null)
    report.note(report.paint('dim', `${shortId(peer)} ${present ? 'is here' : 'went'}`))
  }
  for (const { peer } of service.members) say(peer, true)
  service.addEventListener('member', ({ peer, present }) => say(peer, present))
}

/** Lines until the input ends or the user wants an end. */
async function* linesOf(stdin: NodeJS.ReadStream, signal: AbortSignal): AsyncGenerator<string> {
  const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })
  const close = (): void => lines.close()
  signal.addEventListener('abort', close)
  try {
    for await (const line of lines) yield line
  } finally {
    signal.removeEventListener('abort', close)
    lines.close()
  }
}
