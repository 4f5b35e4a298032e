/** `webmesh services`: the services in the registry. */
import { type CliCall, type CliCommand, JOIN_OPTION, JSON_OPTION, neededWaysIn, STORE_OPTION } from './command.ts'
import { startJoined } from './joined-mesh.ts'
import { harmless } from './report.ts'

export const services: CliCommand = {
  name: 'services',
  summary: 'the services in the registry',
  usage: '--join REF',
  operands: [],
  options: { ...JSON_OPTION, ...STORE_OPTION, ...JOIN_OPTION },
  help: `Prints the services in the registry and ends: name, number of members, summary, with tabs
between them.

  --join REF    a way into the mesh
  --store DIR   use the identity and memory of this store
  --json        {"event":"service","service":…,"members":…,"summary":…} each`,

  async run({ flags, report, signal }: CliCall): Promise<void> {
    const mesh = await startJoined({ store: flags.text('store'), join: neededWaysIn(flags), signal })
    try {
      const found = await mesh.services({ signal })
      for (const { service, members, summary } of found) {
        report.event('service', { service, members, summary }, `${service}\t${members}\t${harmless(summary)}`)
      }
      if (found.length === 0) report.note('The registry has no services yet.')
    } finally {
      await mesh.close()
    }
  },
}
