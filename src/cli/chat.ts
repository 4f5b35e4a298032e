/** `webmesh chat`: lines of standard input to all members of a service, and theirs to standard output. */
import { createInterface } from 'node:readline'
import { Mesh, type Service, WebmeshError } from '../index.node.ts'
import { serviceNameOf } from '../mesh/target.ts'
import { type CliCall, type CliCommand, JOIN_OPTION, JSON_OPTION, neededWaysIn, STORE_OPTION } from './command.ts'
import { startJoined } from './joined-mesh.ts'
import { harmless, type Report, shortId } from './report.ts'
import { pause } from './waiting.ts'

const WAIT_SECONDS = 10
const STAY_SECONDS = 1
/** Most members are linked this long after they are found. */
const SETTLE_MS = 300
/** A member that was found is linked within this. */
const LINK_MS = 3_000

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
    const name = serviceNameOf(operands[0])
    const waitMs = (flags.number('wait', 0, false) ?? WAIT_SECONDS) * 1000
    const stayMs = (flags.number('stay', 0, false) ?? STAY_SECONDS) * 1000
    const listen = flags.list('listen')
    const options = { store: flags.text('store'), listen, signal }
    // One that listens may be the first: the others come to it.
    const mesh =
      listen.length > 0
        ? await Mesh.start({ ...options, join: flags.list('join') })
        : await startJoined({ ...options, join: neededWaysIn(flags) })
    try {
      const service = await mesh.join(name, { signal })
      listenTo(service, report)
      report.event('ready', { peer: mesh.id, service: service.name }, null)
      report.note(report.paint('dim', `You are ${shortId(mesh.id)} in ${service.name}. End with Ctrl-D.`))
      let reached = true
      let first = true
      for await (const line of linesOf(stdin, signal)) {
        // A person sees that nobody is there, and types again; a pipe cannot.
        if (first && !stdin.isTTY) {
          await someMember(service, waitMs, signal)
          // Lines that go before the first link catch up with later ones, but out of their order.
          await pause(SETTLE_MS, signal)
        }
        first = false
        const { neighbours } = await service.broadcast(new TextEncoder().encode(line), { signal })
        reached = neighbours > 0
        report.event('sent', { neighbours }, null)
        if (!reached && service.members.length === 0) report.note('Nobody else is here yet.')
      }
      // A line that has found no neighbour yet goes out when one is linked.
      await pause(reached ? stayMs : Math.max(stayMs, LINK_MS), signal)
      await service.leave()
    } finally {
      await mesh.close()
    }
  },
}

/** Waits for a first other member; an error where none comes in time. */
async function someMember(service: Service, waitMs: number, signal: AbortSignal): Promise<void> {
  const timeout = AbortSignal.timeout(waitMs)
  try {
    for await (const _member of service.discover({ signal: AbortSignal.any([signal, timeout]) })) return
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error
    throw new WebmeshError({ code: 'timeout', detail: `no other member of ${service.name} appeared` })
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
