import { createSocket } from 'node:dgram'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { addressText } from '../core/base/address.ts'
import { Mesh, type MeshOptions, type MeshStream, refText, type Service } from '../index.node.ts'

const running: Mesh[] = []
const folders: string[] = []

async function start(options: MeshOptions = {}): Promise<Mesh> {
  const mesh = await Mesh.start(options)
  running.push(mesh)
  return mesh
}

/** One that takes connections, and others that only dial, all joined through it. */
async function meshOf(count: number): Promise<Mesh[]> {
  const first = await start({ listen: ['127.0.0.1:0'] })
  const others = await Promise.all(Array.from({ length: count - 1 }, () => start({ join: [first.ref] })))
  return [first, ...others]
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'webmesh-mesh-'))
  folders.push(folder)
  return folder
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index]
  if (item === undefined) throw new Error(`nothing at ${index}`)
  return item
}

/** Where it takes WebRTC, or nothing. */
function webRtcAddress(mesh: Mesh): string {
  const address = mesh.peerRef.addresses.find(({ scheme }) => scheme === 'webrtc')
  return address === undefined ? '' : addressText(address)
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function allOf(stream: MeshStream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += textOf(chunk)
  return text
}

const soon = (): AbortSignal => AbortSignal.timeout(10_000)

afterEach(async () => {
  await Promise.all(running.splice(0).map(mesh => mesh.close()))
  await Promise.all(folders.splice(0).map(folder => rm(folder, { recursive: true, force: true })))
})

describe('starting', () => {
  it('is done at once without a way in, and says where it listens', async () => {
    const mesh = await start({ listen: ['127.0.0.1:0'] })
    expect(mesh.id).toMatch(/^[0-9a-f]{64}$/)
    expect(mesh.ref).toMatch(/^webmesh:/)
    expect(mesh.listening).toEqual([expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:\d+$/)])
    expect(mesh.peerRef.addresses.map(address => address.scheme)).toEqual(['tcp', 'ws', 'webrtc', 'udp'])
    expect(mesh.status()).toMatchObject({ peer: mesh.id, links: [], sessions: 0, warnings: [] })
    expect(mesh.status().nat).toEqual({ kind: 'unknown', ipv4: null, ipv6: null, askedPeers: 0, answeredPeers: 0 })
    expect(mesh.status().portMapping).toEqual({ kind: 'off', why: 'loopback' })
  })

  it('says why no port is mapped', async () => {
    const why = async (options: MeshOptions): Promise<unknown> => (await start(options)).status().portMapping
    expect(await why({})).toEqual({ kind: 'off', why: 'not-listening' })
    expect(await why({ listen: ['127.0.0.1:0'], portMapping: false })).toEqual({ kind: 'off', why: 'switched-off' })
    const announce = ['tcp://my.example:4100']
    expect(await why({ listen: ['127.0.0.1:0'], announce })).toEqual({ kind: 'off', why: 'announce-given' })
  })

  it('takes WebRTC on the UDP port of the same number, and shows the same certificate after a restart', async () => {
    const store = await newFolder()
    const first = await start({ listen: ['127.0.0.1:0'], store })
    const { port } = new URL(first.listening[0] ?? '')
    const address = webRtcAddress(first)
    expect(address).toMatch(new RegExp(`^webrtc://127\\.0\\.0\\.1:${port}/[\\w-]{43}$`))
    await first.close()
    const second = await start({ listen: [`127.0.0.1:${port}`], store })
    expect(webRtcAddress(second)).toBe(address)
    const other = await start({ listen: ['127.0.0.1:0'] })
    expect(webRtcAddress(other).slice(-43)).not.toBe(address.slice(-43))
  })

  it('takes WebRTC on another UDP port where that one is taken, where it is told to, or nowhere', async () => {
    const taken = createSocket('udp4')
    await new Promise<void>(resolve => taken.bind(0, '127.0.0.1', resolve))
    const { port } = taken.address()
    const beside = await start({ listen: [`127.0.0.1:${port}`] })
    expect(beside.listening).toEqual([`tcp://127.0.0.1:${port}`])
    expect(webRtcAddress(beside)).not.toContain(`:${port}/`)
    taken.close()
    const told = await start({ listen: ['127.0.0.1:0'], webrtcPort: port })
    expect(webRtcAddress(told)).toContain(`:${port}/`)
    const without = await start({ listen: ['127.0.0.1:0'], webrtcPort: false })
    expect(webRtcAddress(without)).toBe('')
  })

  it('announces WebRTC at another place with its own certificate, and says where it cannot', async () => {
    const announce = ['webrtc://203.0.113.5:4100', 'tcp://203.0.113.5:4100']
    const mesh = await start({ listen: ['127.0.0.1:0'], announce })
    expect(webRtcAddress(mesh)).toMatch(/^webrtc:\/\/203\.0\.113\.5:4100\/[\w-]{43}$/)
    const without = await start({ listen: ['127.0.0.1:0'], announce, webrtcPort: false })
    expect(without.peerRef.addresses.map(addressText)).toEqual(['tcp://203.0.113.5:4100'])
    expect(without.status().warnings).toEqual([expect.objectContaining({ code: 'listen-failed' })])
  })

  it('joins by a ref, by a ref object and by an address alone', async () => {
    const first = await start({ listen: ['127.0.0.1:0'] })
    for (const way of [first.ref, first.peerRef, at(first.listening, 0)]) {
      const mesh = await start({ join: [way] })
      expect(mesh.status().links.map(link => link.peer)).toContain(first.id)
    }
  })

  it('keeps its identity in its store, and makes another where it has none', async () => {
    const store = await newFolder()
    const first = await start({ store })
    await first.close()
    const again = await start({ store })
    expect(again.id).toBe(first.id)
    expect((await start()).id).not.toBe(first.id)
  })

  it('comes back through the peers that its store remembers', async () => {
    const store = await newFolder()
    const first = await start({ listen: ['127.0.0.1:0'] })
    const before = await start({ store, join: [first.ref] })
    await before.close()
    const after = await start({ store })
    await expect.poll(() => after.status().links.map(link => link.peer), { timeout: 10_000 }).toContain(first.id)
  })

  it('forgets the peers that its store remembers where they are to be no way in, and keeps its identity', async () => {
    const store = await newFolder()
    const first = await start({ listen: ['127.0.0.1:0'] })
    const before = await start({ store, join: [first.ref] })
    await before.close()
    const elsewhere = Mesh.start({ store, remembered: false, join: ['tcp://127.0.0.1:1'] })
    await expect(elsewhere).rejects.toMatchObject({ code: 'no-way-in' })
    const apart = await start({ store, remembered: false })
    expect(apart.id).toBe(before.id)
    await new Promise(resolve => setTimeout(resolve, 1_000))
    expect(apart.status()).toMatchObject({ links: [], rememberedPeers: 0 })
    await apart.close()
    const after = await start({ store })
    await new Promise(resolve => setTimeout(resolve, 1_000))
    expect(after.status()).toMatchObject({ links: [], rememberedPeers: 0 })
  })

  it('says which port is in use, and leaves nothing open', async () => {
    const blocker = createServer()
    await new Promise<void>(resolve => blocker.listen(0, '127.0.0.1', resolve))
    const address = blocker.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const store = await newFolder()
    const failing = Mesh.start({ store, listen: ['127.0.0.1:0', `127.0.0.1:${port}`] })
    await expect(failing).rejects.toMatchObject({ name: 'WebmeshError', code: 'port-in-use' })
    blocker.close()
    // The store is free again.
    await start({ store })
  })

  it('says why no way in worked', async () => {
    const gone = await start({ listen: ['127.0.0.1:0'] })
    const { ref } = gone
    await gone.close()
    await expect(Mesh.start({ join: [ref] })).rejects.toMatchObject({ code: 'no-way-in' })
  })

  it('refuses a store that another peer has', async () => {
    const store = await newFolder()
    await start({ store })
    await expect(Mesh.start({ store })).rejects.toMatchObject({ code: 'store-locked' })
  })

  it('can be given up', async () => {
    const silent = createServer()
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const starting = Mesh.start({ join: [`tcp://127.0.0.1:${port}`], signal: AbortSignal.timeout(50) })
    await expect(starting).rejects.toMatchObject({ code: 'aborted' })
    silent.close()
  })
})

describe('a session', () => {
  it('is opened by a peer id alone, and carries streams both ways', async () => {
    const [first, second, third] = await meshOf(3)
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were started')
    third.handle('upper', async stream => {
      for await (const chunk of stream) await stream.write(bytesOf(textOf(chunk).toUpperCase()))
    })
    const session = await second.connect(third.id, { signal: soon() })
    expect(session.peer).toBe(third.id)
    // Neither listens: the path is a circuit over the first.
    expect(session.path).toEqual({ kind: 'circuit', via: [first.id] })
    const stream = await session.open('upper')
    await stream.write(bytesOf('hello'))
    await stream.end()
    expect(await allOf(stream)).toBe('HELLO')
    await stream.closed
    const { roundTripMs, path } = await session.ping({ signal: soon() })
    expect(roundTripMs).toBeGreaterThan(0)
    expect(path.kind).toBe('circuit')
  })

  it('carries megabytes whole, in large and small writes, by iterator and Web streams', async () => {
    const [first, second] = await meshOf(2)
    if (first === undefined || second === undefined) throw new Error('two were started')
    const total = 8 * 1024 * 1024
    const sums = new Map<string, Promise<[number, number]>>()
    const sumOf = async (chunks: AsyncIterable<Uint8Array>): Promise<[number, number]> => {
      let length = 0
      let sum = 0
      for await (const chunk of chunks) {
        for (let i = 0; i < chunk.length; i += 1) sum = (sum + (((length + i) % 251) ^ (chunk[i] ?? 0))) % 65_536
        length += chunk.length
      }
      return [length, sum]
    }
    first.handle('lean', stream => {
      sums.set('lean', sumOf(stream))
    })
    first.handle('web', stream => {
      sums.set('web', sumOf(stream.readable))
    })
    const session = await second.connect(first.id)
    for (const subject of ['lean', 'web']) {
      const stream = await session.open(subject)
      const writer = subject === 'web' ? stream.writable.getWriter() : null
      const reused = new Uint8Array(65_536)
      let at = 0
      for (let size = 1; at < total; size = (size * 7) % 65_521) {
        const chunk = reused.subarray(0, Math.min(size, total - at))
        for (let i = 0; i < chunk.length; i += 1) chunk[i] = (at + i) % 251
        at += chunk.length
        // Awaited: the bytes may be changed again, as the next turn does.
        if (writer === null) await stream.write(chunk)
        else await writer.write(chunk)
      }
      if (writer === null) await stream.end()
      else await writer.close()
      await expect.poll(() => sums.get(subject), { timeout: 10_000 }).toBeDefined()
      expect(await sums.get(subject)).toEqual([total, 0])
    }
  })

  it('tells an opener that nobody knows its subject', async () => {
    const [first, second] = await meshOf(2)
    if (first === undefined || second === undefined) throw new Error('two were started')
    const stream = await (await second.connect(first.id)).open('nothing')
    await expect(stream.read({ signal: soon() })).rejects.toMatchObject({ code: 'no-such-service', detail: 'nothing' })
    await expect(stream.closed).rejects.toMatchObject({ code: 'no-such-service' })
  })

  it('resets the stream of a handler that fails, and reports it', async () => {
    const [first, second] = await meshOf(2)
    if (first === undefined || second === undefined) throw new Error('two were started')
    const reported = new Promise(resolve => {
      first.addEventListener('handlererror', event => {
        event.preventDefault()
        resolve(event.error)
      })
    })
    first.handle('bad', async () => {
      throw new Error('my mistake')
    })
    const stream = await (await second.connect(first.id)).open('bad')
    await expect(stream.read({ signal: soon() })).rejects.toMatchObject({ code: 'stream-reset' })
    expect(await reported).toMatchObject({ message: 'my mistake' })
  })

  it('carries datagrams', async () => {
    const [first, second] = await meshOf(2)
    if (first === undefined || second === undefined) throw new Error('two were started')
    const received = new Promise(resolve => {
      first.addEventListener('datagram', ({ data, from }) => resolve([textOf(data), from]))
    })
    const session = await second.connect(first.id)
    session.sendDatagram(bytesOf('ping'))
    expect(await received).toEqual(['ping', second.id])
  })

  it('fails its streams when the other peer goes, and says that it ended', async () => {
    const [first, second] = await meshOf(2)
    if (first === undefined || second === undefined) throw new Error('two were started')
    first.handle('wait', stream => void stream.closed.catch(() => {}))
    const session = await second.connect(first.id)
    const stream = await session.open('wait')
    const closed = new Promise(resolve => session.addEventListener('close', resolve))
    const read = stream.read({ signal: soon() })
    await first.close()
    await expect(read).rejects.toMatchObject({ name: 'WebmeshError' })
    await closed
    expect(await session.closed).toMatchObject({ name: 'WebmeshError' })
    await expect(session.open()).rejects.toMatchObject({ name: 'WebmeshError' })
  })

  it('is not opened to a peer that does not exist, to itself, or to what is no peer', async () => {
    const [first, second] = await meshOf(2)
    if (first === undefined || second === undefined) throw new Error('two were started')
    const nobody = 'ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c'
    await expect(second.connect(nobody, { signal: AbortSignal.timeout(30_000) })).rejects.toMatchObject({
      code: 'peer-unreachable',
    })
    // No point of the curve: nobody can have it.
    await expect(second.connect('ab'.repeat(32))).rejects.toMatchObject({ code: 'invalid-peer-id' })
    await expect(second.connect(second.id)).rejects.toMatchObject({ code: 'self-connect' })
    await expect(second.connect('nobody')).rejects.toMatchObject({ code: 'invalid-peer-id' })
    await expect(second.connect('webmesh:x')).rejects.toMatchObject({ code: 'invalid-ref' })
  }, 40_000)
})

describe('looking for a peer', () => {
  it('finds the newest ref of any peer by its id, also of one that takes no connections', async () => {
    const [first, second, third] = await meshOf(3)
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were started')
    const found = await second.findPeer(third.id, { signal: soon() })
    expect(found.peer).toBe(third.id)
    // Its ref changes while it settles on its rendezvous: each new one is found too.
    const isNewest = async (): Promise<boolean> => refText(await second.findPeer(third.id)) === third.ref
    await expect.poll(isNewest, { timeout: 5_000 }).toBe(true)
    await expect(second.findPeer('ab'.repeat(32), { signal: soon() })).rejects.toMatchObject({
      code: 'peer-unreachable',
    })
    await expect(second.findPeer('nobody')).rejects.toMatchObject({ code: 'invalid-peer-id' })
  })

  it('finds the ref of a peer that is away, from those next to its place', async () => {
    const [first, second, third] = await meshOf(3)
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were started')
    const { id } = third
    await third.close()
    expect((await second.findPeer(id, { signal: soon() })).peer).toBe(id)
  })
})

describe('a service', () => {
  async function joined(count: number): Promise<{ meshes: Mesh[]; services: Service[] }> {
    const meshes = await meshOf(count)
    const services = await Promise.all(meshes.map(mesh => mesh.join('chat.example/1', { summary: 'talk' })))
    return { meshes, services }
  }

  it('lets its members find each other, talk and hear a broadcast', async () => {
    const { meshes, services } = await joined(4)
    for (const service of services) {
      const found = new Set<string>()
      for await (const member of service.discover({ signal: soon() })) {
        found.add(member.peer)
        if (found.size === 3) break
      }
    }
    at(services, 3).handle(async (stream, from) => {
      await stream.write(bytesOf(`hello ${from}`))
    })
    const stream = await at(services, 2).open(at(meshes, 3).id, { signal: soon() })
    expect(await allOf(stream)).toBe(`hello ${at(meshes, 2).id}`)

    const heard = services.slice(0, 3).map(
      service =>
        new Promise<string>(resolve => {
          service.addEventListener('message', ({ data, from }) => resolve(`${from} ${textOf(data)}`))
        }),
    )
    await at(services, 3).broadcast(bytesOf('all'))
    expect(await Promise.all(heard)).toEqual(Array(3).fill(`${at(meshes, 3).id} all`))

    const outsider = await start({ join: [at(meshes, 0).ref] })
    await expect
      .poll(async () => (await outsider.find('chat.example/1')).map(member => member.peer).sort(), { timeout: 10_000 })
      .toEqual(meshes.map(mesh => mesh.id).sort())
    await expect
      .poll(() => outsider.services(), { timeout: 10_000 })
      .toMatchObject([{ service: 'chat.example/1', summary: 'talk' }])
  }, 30_000)

  it('keeps streams that come before the handler, and refuses them where none comes', async () => {
    const { meshes, services } = await joined(2)
    const early = await at(services, 1).open(at(meshes, 0).id)
    await early.write(bytesOf('early'))
    await new Promise(resolve => setTimeout(resolve, 100))
    at(services, 0).handle(async stream => {
      for await (const chunk of stream) await stream.write(chunk)
    })
    await early.end()
    expect(await allOf(early)).toBe('early')
    at(services, 0).handle(null)
    const late = await at(services, 1).open(at(meshes, 0).id)
    await expect(late.read({ signal: soon() })).rejects.toMatchObject({ code: 'no-such-service' })
  })

  it('ends discoveries and sends no more when it is left; joining twice is one membership', async () => {
    const { meshes, services } = await joined(2)
    const service = at(services, 0)
    expect(await at(meshes, 0).join('chat.example/1')).toBe(service)
    const gone = new Promise<void>(resolve => {
      at(services, 1).addEventListener('member', ({ present }) => {
        if (!present) resolve()
      })
    })
    await expect.poll(() => at(services, 1).members.length, { timeout: 10_000 }).toBe(1)
    const seen: string[] = []
    const discovering = (async () => {
      for await (const member of service.discover()) seen.push(member.peer)
    })()
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1)
    await service.leave()
    await discovering
    await expect(service.broadcast(bytesOf('x'))).rejects.toMatchObject({ code: 'closed' })
    await gone
    expect(await at(meshes, 0).join('chat.example/1')).not.toBe(service)
  })

  it('has a name with a major version', async () => {
    const [mesh] = await meshOf(1)
    await expect(mesh?.join('chat')).rejects.toMatchObject({ code: 'invalid-service-name' })
    // It can be tried again.
    await mesh?.join('chat/1')
  })
})

describe('closing', () => {
  it('rejects what still waits, and is silent the second time', async () => {
    const [first, second] = await meshOf(2)
    if (first === undefined || second === undefined) throw new Error('two were started')
    const service = await second.join('chat.example/1')
    const refused = expect(second.connect('cd'.repeat(32))).rejects.toMatchObject({ code: 'closed' })
    const discovering = (async () => {
      for await (const _member of service.discover()) throw new Error('nobody else is a member')
    })()
    await second.close()
    await second.close()
    await refused
    await discovering
    await expect(second.find('chat.example/1')).rejects.toMatchObject({ code: 'closed' })
  })
})
