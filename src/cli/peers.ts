/** `webmesh peers`: the members of a service as they appear, seen from outside it. */
import { addressText } from '../core/base/address.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import { refText } from '../core/crypto/peer-ref.ts'
import type { Member } from '../index.node.ts'
import { serviceNameOf } from '../mesh/target.ts'
import { type CliCall, type CliCommand, JOIN_OPTION, JSON_OPTION, neededWaysIn, STORE_OPTION } from './command.ts'
import { startJoined } from './joined-mesh.ts'
import { pause } from './waiting.ts'

/** The registry is asked this often: members appear within it, and go when their records expire or are withdrawn. */
const ASK_INTERVAL_MS = 1_000

export const peers: CliCommand = {
  name: 'peers',
  summary: 'the members of a service as they appear',
  endless: true,
  usage: 'SERVICE --join REF [--for SECONDS]',
  operands: ['SERVICE'],
  options: { ...JSON_OPTION, ...STORE_OPTION, ...JOIN_OPTION, for: { type: 'string' } },
  help: `Prints the members of SERVICE (name/major, like chat.example/1), one a line: the peer id,
then the addresses it can be dialled at, if any. Goes on with those that appear, until
interrupted. It only looks: it does not become a member.

  --join REF       a way into the mesh
  --for SECONDS    end after this long; 0 prints those known now
  --store DIR      use the identity and memory of this store
  --json           {"event":"member","service":…,"peer":…,"present":true,"ref":…} each, and
                   with "present":false when one goes

In a pipe: webmesh peers chat.example/1 --join REF --for 0 | cut -f1`,

  async run({ flags, operands, report, signal }: CliCall): Promise<void> {
    const service = serviceNameOf(operands[0])
    const seconds = flags.number('for', 0, false) ?? Number.POSITIVE_INFINITY
    const mesh = await startJoined({ store: flags.text('store'), join: neededWaysIn(flags), signal })
    try {
      const endAt = performance.now() + seconds * 1000
      let known = new Map<PeerId, Member>()
      for (;;) {
        const found = new Map((await mesh.find(service, { signal })).map(member => [member.peer, member]))
        for (const [peer, member] of found) {
          if (known.has(peer)) continue
          const ref = member.ref === null ? null : refText(member.ref)
          report.event('member', { service, peer, present: true, ref }, `${peer}\t${addressesText(member)}`)
        }
        for (const peer of known.keys()) {
          if (found.has(peer)) continue
          report.event('member', { service, peer, present: false, ref: null }, null)
          if (report.terminal) report.note(report.paint('dim', `${peer}\tgone`))
        }
        known = found
        const leftMs = endAt - performance.now()
        if (leftMs <= 0 || !(await pause(Math.min(ASK_INTERVAL_MS, leftMs), signal))) return
      }
    } finally {
      await mesh.close()
    }
  },
}

function addressesText({ ref }: Member): string {
  const addresses = ref?.addresses ?? []
  return addresses.length === 0 ? 'through other peers' : addresses.map(addressText).join(' ')
}
