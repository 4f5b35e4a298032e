/** One peer of the lab, in its own process and namespace: told what to do by lines of JSON, one answer for each. */
import { createInterface } from 'node:readline'
import { Mesh } from '../../dist/index.node.js'

const say = message => process.stdout.write(`${JSON.stringify(message)}\n`)
const mesh = await Mesh.start(JSON.parse(process.argv[2] ?? '{}'))
mesh.handle('echo', async stream => {
  for await (const chunk of stream) await stream.write(chunk)
})
say({ id: mesh.id, ref: mesh.ref })

const pathOf = ({ path }) => (path.kind === 'wire' ? path.transport : path.kind)

const calls = {
  async status() {
    const { links } = mesh.status()
    return { links: links.length, ref: mesh.ref }
  },
  /** Bytes there and back, by peer id alone; then how long it takes until the path is a wire. */
  async meet({ peer, bytes, patienceMs }) {
    const started = performance.now()
    const since = () => Math.round(performance.now() - started)
    const session = await mesh.connect(peer)
    const stream = await session.open('echo')
    const sent = new Uint8Array(bytes).map((_, i) => (i * 31 + (i >> 8)) & 255)
    let firstMs = null
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
    const doneMs = since()
    while (pathOf(session) !== 'none' && session.path.kind !== 'wire' && since() < patienceMs)
      await new Promise(resolve => setTimeout(resolve, 20))
    return { same, firstMs, doneMs, path: pathOf(session), directMs: session.path.kind === 'wire' ? since() : null }
  },
  async leave() {
    await mesh.close()
    return {}
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...given } = JSON.parse(line)
  try {
    say(await calls[call](given))
  } catch (error) {
    say({ error: error.code ?? String(error) })
  }
  if (call === 'leave') break
}
process.exit(0)
