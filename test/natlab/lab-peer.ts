/** One peer of the lab, in its own process and namespace: told what to do by lines of JSON, one answer for each. */
import { createInterface } from 'node:readline'
import { Mesh, type PathView, WebmeshError } from '../../src/index.node.ts'
import type { Meeting, Met } from './meeting.ts'

const say = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`)
const mesh = await Mesh.start(JSON.parse(process.argv[2] ?? '{}'))
mesh.handle('echo', async stream => {
  for await (const chunk of stream) await stream.write(chunk)
})
say({ id: mesh.id, ref: mesh.ref })

function nameOf(path: PathView): string {
  return path.kind === 'wire' ? path.transport : path.kind
}

async function meet({ peer, bytes, patienceMs }: Meeting): Promise<Met> {
  const started = performance.now()
  const since = (): number => Math.round(performance.now() - started)
  const session = await mesh.connect(peer)
  const stream = await session.open('echo')
  const sent = new Uint8Array(bytes).map((_, i) => (i * 31 + (i >> 8)) & 255)
  let firstMs: number | null = null
  const back = (async () => {
    let at = 0
    for await (const chunk of stream) {
      firstMs ??= since()
      if (!chunk.every((byte, i) => byte === sent[at + i])) return false
      at += chunk.length
    }
    return at === bytes
  })()
  await stream.write(sent)
  await stream.end()
  const same = await back
  while (session.path.kind !== 'wire' && since() < patienceMs) await new Promise(resolve => setTimeout(resolve, 20))
  return { same, firstMs, path: nameOf(session.path), directMs: session.path.kind === 'wire' ? since() : null }
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    // reason: the lab asks nothing else.
    say(await meet(JSON.parse(line) as Meeting))
  } catch (error) {
    say({ error: error instanceof WebmeshError ? error.code : String(error) })
  }
}
await mesh.close()
process.exit(0)
