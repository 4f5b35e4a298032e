/** What a victim runs: a peer that hashes what streams bring, and tells what it takes when asked. */
import { createHash } from 'node:crypto'
import { Mesh } from '../../../dist/index.node.js'

const mesh = await Mesh.start({ listen: ['127.0.0.1:0'] })
mesh.handle('hash', async stream => {
  const hash = createHash('sha256')
  for await (const bytes of stream) hash.update(bytes)
  await stream.write(hash.digest())
})
process.on('message', () => {
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const { sessions, links } = mesh.status()
  process.send?.({
    residentBytes: rss,
    heapBytes: heapUsed + external,
    processorMs: (user + system) / 1000,
    sessions,
    links: links.length,
  })
})
process.send?.({ id: mesh.id, ref: mesh.ref, port: Number(mesh.listening[0]?.split(':').pop()) })
