/** Two peers and no service: a session, a stream with a subject, a round trip. Run: node examples/session.js */
import { Mesh } from 'webmesh'

const alice = await Mesh.start({ listen: ['127.0.0.1:0'] })
const bob = await Mesh.start({ join: [alice.ref] })
try {
  alice.handle('greeting', async (stream, from) => {
    await stream.write(new TextEncoder().encode(`hello, ${from.slice(0, 8)}`))
  })

  // A peer id alone is enough: the mesh finds the way.
  const session = await bob.connect(alice.id)
  const stream = await session.open('greeting')
  await stream.end()
  let greeting = ''
  for await (const chunk of stream) greeting += new TextDecoder().decode(chunk)
  console.log(greeting)

  const { roundTripMs, path } = await session.ping()
  console.log(`${roundTripMs.toFixed(2)} ms`, path)
} finally {
  await bob.close()
  await alice.close()
}
