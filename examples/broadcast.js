/** Three members of a service; one says something to all. Run: node examples/broadcast.js */
import { Mesh } from 'webmesh'

const first = await Mesh.start({ listen: ['127.0.0.1:0'] })
const second = await Mesh.start({ join: [first.ref] })
const third = await Mesh.start({ join: [first.ref] })
try {
  const names = new Map([first, second, third].map((mesh, index) => [mesh.id, `peer ${index + 1}`]))
  const news = await Promise.all([first, second, third].map(mesh => mesh.join('news.example/1')))

  const heard = news.slice(0, 2).map(
    (service, index) =>
      new Promise(resolve => {
        service.addEventListener('message', ({ from, data }) => {
          console.log(`peer ${index + 1} hears ${names.get(from)}: ${new TextDecoder().decode(data)}`)
          resolve(undefined)
        })
      }),
  )
  // The third has nobody to talk to before it knows a member.
  for await (const member of news[2]?.discover({ signal: AbortSignal.timeout(10_000) }) ?? []) {
    console.log(`peer 3 found ${names.get(member.peer)}`)
    break
  }
  await news[2]?.broadcast(new TextEncoder().encode('good morning'))
  await Promise.all(heard)
} finally {
  await Promise.all([third.close(), second.close()])
  await first.close()
}
