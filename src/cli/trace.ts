/** `webmesh trace`: how a peer is reached, from the first byte over others until the path is the best there is. */
import { type PathView, WebmeshError } from '../index.node.ts'
import { type CliCall, type CliCommand, JOIN_OPTION, JSON_OPTION, neededWaysIn, STORE_OPTION } from './command.ts'
import { startJoined } from './joined-mesh.ts'
import { pathText, shortId } from './report.ts'
import { pause } from './waiting.ts'

/** Negotiated wires are given up by then, sprayed ports included. */
const PATIENCE_SECONDS = 12
const LOOK_MS = 20

export const trace: CliCommand = {
  name: 'trace',
  summary: 'how a peer is reached, and how its path changes until it is direct',
  usage: 'PEER --join REF [--seconds S]',
  operands: ['PEER'],
  options: { ...JSON_OPTION, ...STORE_OPTION, ...JOIN_OPTION, seconds: { type: 'string' } },
  help: `Opens a session with PEER and prints each path that it takes, since when, and its round
trip: first over other peers, then, where addresses or the NATs between let it, directly
by TCP, WebSocket, punched UDP or WebRTC.

  --join REF       a way into the mesh; not needed where PEER is a ref or an address,
                   or the store remembers peers
  --seconds S      how long to wait for a direct path; ${PATIENCE_SECONDS} unless given
  --store DIR      use the identity and memory of this store
  --json           {"event":"path","peer":…,"atMs":…,"roundTripMs":…,"path":{…}} for each, then
                   {"event":"done","peer":…,"direct":true,"path":{…}}

Ends with 0 if the peer was reached, directly or not.`,

  async run({ flags, operands, report, signal }: CliCall): Promise<void> {
    const target = operands[0] ?? ''
    const seconds = flags.number('seconds', 0, false) ?? PATIENCE_SECONDS
    const mesh = await startJoined({ store: flags.text('store'), join: neededWaysIn(flags, target), signal })
    try {
      const startedAt = performance.now()
      const session = await mesh.connect(target, { signal })
      const { peer } = session
      let told = ''
      const tell = async (path: PathView): Promise<void> => {
        const atMs = Math.round(performance.now() - startedAt)
        told = pathText(path)
        const roundTripMs = await session.ping({ signal }).then(
          pong => pong.roundTripMs,
          (error: unknown) => {
            if (!(error instanceof WebmeshError) || error.code === 'aborted') throw error
            return null
          },
        )
        const trip = roundTripMs === null ? 'no answer' : `${roundTripMs.toFixed(1)} ms`
        const text = `${shortId(peer)}  ${(atMs / 1_000).toFixed(2).padStart(6)} s  ${told}, round trip ${trip}`
        report.event('path', { peer, atMs, roundTripMs, path }, text)
      }
      await tell(session.path)
      while (session.path.kind !== 'wire' && performance.now() - startedAt < seconds * 1_000) {
        if (!(await pause(LOOK_MS, signal))) break
        if (pathText(session.path) !== told) await tell(session.path)
      }
      const direct = session.path.kind === 'wire'
      const text = direct ? 'direct' : `not direct: what it sends goes ${pathText(session.path)}`
      report.event('done', { peer, direct, path: session.path }, text)
    } finally {
      await mesh.close()
    }
  },
}
