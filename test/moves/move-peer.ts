/** One peer of the moves, in its own process and namespace: told what to do by lines of JSON, says what happens in lines of JSON. */
import { createInterface } from 'node:readline'
import type { PathView } from '../../src/index.node.ts'
import { startMesh } from '../../src/mesh/mesh.ts'
import { nodeMeshPlatform } from '../../src/mesh/mesh-platform.node.ts'
import { codeOf, send, take } from './transfer.ts'

const { transports, ...options } = JSON.parse(process.argv[2] ?? '{}')
const say = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`)
const platform = nodeMeshPlatform()
const mesh = await startMesh(
  {
    ...platform,
    negotiators: () => platform.negotiators().filter(({ transport }) => transports?.includes(transport) !== false),
  },
  options,
)
let taken = 0
mesh.handle('take', async stream => {
  taken = 0
  const arrival = await take(stream, bytes => {
    taken += bytes
  })
  say({ event: 'arrived', ...arrival })
})
mesh.addEventListener('self', event =>
  say({ event: 'self', sequence: event.peerRef.sequence, addresses: event.peerRef.addresses }),
)
say({ event: 'ready', id: mesh.id, ref: mesh.ref })

function nameOf(path: PathView): string {
  return path.kind === 'wire' ? path.transport : path.kind
}

interface Order {
  readonly to: string
  readonly bytes: number
  /** The transport to wait for before anything is sent. */
  readonly over: string
}

async function transfer({ to, bytes, over }: Order): Promise<void> {
  const session = await mesh.connect(to)
  const startedAt = performance.now()
  session.addEventListener('path', ({ path }) =>
    say({ event: 'path', path: nameOf(path), atMs: Math.round(performance.now() - startedAt) }),
  )
  session.closed.then(error => say({ event: 'closed', code: error.code }))
  while (nameOf(session.path) !== over) await new Promise(resolve => setTimeout(resolve, 20))
  say({ event: 'begins' })
  const stream = await session.open('take')
  const sent = await send(stream, bytes).then(
    hash => ({ hash, ended: 'end' }),
    (error: unknown) => ({ hash: '', ended: codeOf(error) }),
  )
  say({ event: 'sent', ...sent, path: nameOf(session.path) })
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  if (order.ask === 'taken') say({ event: 'taken', bytes: taken })
  else transfer(order).catch((error: unknown) => say({ event: 'sent', hash: '', ended: codeOf(error), path: 'none' }))
}
await mesh.close()
process.exit(0)
