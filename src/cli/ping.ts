/** `webmesh ping`: round-trip times to any peer, and the path they took. */
import { WebmeshError } from '../index.node.ts'
import { type CliCall, type CliCommand, JOIN_OPTION, JSON_OPTION, neededWaysIn, STORE_OPTION } from './command.ts'
import { startJoined } from './joined-mesh.ts'
import { pathText, shortId } from './report.ts'
import { pause } from './waiting.ts'

export const ping: CliCommand = {
  name: 'ping',
  summary: 'round-trip times to any peer id or ref, and the path they took',
  usage: 'PEER --join REF [--count N]',
  operands: ['PEER'],
  options: {
    ...JSON_OPTION,
    ...STORE_OPTION,
    ...JOIN_OPTION,
    count: { type: 'string' },
    interval: { type: 'string' },
  },
  help: `Opens a session with PEER (an id of 64 hexadecimal digits, a ref, or an address like
tcp://host:4100) and measures round trips over it, encrypted and answered by the peer
itself. Says for each which path it took: a wire (transport and address) or a circuit
via other peers.

  --join REF       a way into the mesh; not needed where PEER is a ref or an address,
                   or the store remembers peers
  --count N        how many; 4 unless given
  --interval MS    the pause between them; 200 unless given
  --store DIR      use the identity and memory of this store
  --json           {"event":"pong","peer":…,"number":1,"roundTripMs":…,"path":{…}} each, then
                   {"event":"done","peer":…,"sent":…,"answered":…,"leastMs":…,"meanMs":…,"mostMs":…}

Ends with 0 if at least one was answered.`,

  async run({ flags, operands, report, signal }: CliCall): Promise<void> {
    const target = operands[0] ?? ''
    const count = flags.number('count', 1, true) ?? 4
    const intervalMs = flags.number('interval', 0, false) ?? 200
    const mesh = await startJoined({ store: flags.text('store'), join: neededWaysIn(flags, target), signal })
    try {
      const session = await mesh.connect(target, { signal })
      const { peer } = session
      const times: number[] = []
      let sent = 0
      while (sent < count && (sent === 0 || (await pause(intervalMs, signal)))) {
        sent += 1
        try {
          const { roundTripMs, path } = await session.ping({ signal })
          times.push(roundTripMs)
          const text = `${shortId(peer)}  ${String(sent).padStart(3)}  ${milliseconds(roundTripMs)}  ${pathText(path)}`
          report.event('pong', { peer, number: sent, roundTripMs, path }, text)
        } catch (error) {
          if (!(error instanceof WebmeshError && error.code === 'timeout')) throw error
          report.event('lost', { peer, number: sent }, `${shortId(peer)}  ${String(sent).padStart(3)}  no answer`)
        }
      }
      if (times.length === 0) throw new WebmeshError({ code: 'timeout', detail: `none of ${sent} was answered` })
      const leastMs = Math.min(...times)
      const mostMs = Math.max(...times)
      const meanMs = times.reduce((sum, time) => sum + time, 0) / times.length
      const text = `${times.length} of ${sent} answered; least ${milliseconds(leastMs)}, mean ${milliseconds(meanMs)}, most ${milliseconds(mostMs)}`
      report.event('done', { peer, sent, answered: times.length, leastMs, meanMs, mostMs }, text)
    } finally {
      await mesh.close()
    }
  },
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`
}
