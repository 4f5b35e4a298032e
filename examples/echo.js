/** A service whose members answer streams: what comes in goes back. Run: node examples/echo.js */
import { Mesh } from 'webmesh'

// In life these two run on different machines; only the ref passes between them.
const server = await Mesh.start({ listen: ['127.0.0.1:0'] })
const client = await Mesh.start({ join: [server.ref] })
try {
  const offered = await server.join('echo.example/1', { summary: 'gives back what it gets' })
  offered.handle(async stream => {
    for await (const chunk of stream) await stream.write(chunk)
  })

  const echo = await client.join('echo.example/1')
  for await (const member of echo.discover({ signal: AbortSignal.timeout(10_000) })) {
    const stream = await echo.open(member)
    await stream.write(new TextEncoder().encode('hello, hello'))
    await stream.end()
    console.log(`${member.peer.slice(0, 8)} says: ${await new Response(stream.readable).text()}`)
    break
  }
} finally {
  await client.close()
  await server.close()
}
