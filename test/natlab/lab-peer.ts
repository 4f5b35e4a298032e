/** One peer of the lab, in its own process and namespace: told what to do by lines of JSON, one answer for each. */
import { createInterface } from 'node:readline'
import { addressText } from '../../src/core/base/address.ts'
import { Mesh, WebmeshError } from '../../src/index.node.ts'
import { type Call, labPeer } from './lab-calls.ts'

const say = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`)
const mesh = await Mesh.start(JSON.parse(process.argv[2] ?? '{}'))
const answer = labPeer(mesh)
say({ id: mesh.id, ref: mesh.ref, addresses: mesh.peerRef.addresses.map(addressText) })

for await (const line of createInterface({ input: process.stdin })) {
  try {
    // reason: the lab asks nothing else.
    say(await answer(JSON.parse(line) as Call))
  } catch (error) {
    say({ error: error instanceof WebmeshError ? `${error.code} ${error.detail ?? ''}`.trim() : String(error) })
  }
}
await mesh.close()
process.exit(0)
