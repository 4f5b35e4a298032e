/**
 * A listening port under bytes from anyone: only the wire that they came over closes. Throughout, a session over the
 * same port carries data, which must arrive whole; at the end the port answers, and memory and processor are at rest.
 */
import { createHash, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { PeerId } from '../../../src/core/base/peer-id.ts'
import { startHandshake } from '../../../src/core/session/handshake.ts'
import { nativeSuite as suite } from '../../../src/host/native-suite.node.ts'
import { Mesh, type Session } from '../../../src/index.node.ts'
import { type Usage, Victim } from './victim.fixtures.ts'

/** What an attack may leave behind: caches of the engine, freed pages that the system has not taken back. */
const LEFTOVER_BYTES = 128 * 1024 * 1024
/** What it may hold on to: nothing to speak of. */
const HELD_BYTES = 8 * 1024 * 1024
const CHUNK = randomBytes(65_536)

let victim: Victim
let client: Mesh
let session: Session
let resting: Usage
let stopTransfer: () => void = () => {}
let transfer: Promise<boolean>
const sockets = new Set<Socket>()

beforeAll(async () => {
  victim = await Victim.start()
  client = await Mesh.start({ join: [victim.ref] })
  session = await client.connect(victim.ref)
  await sendWhole(() => false, 64)
  resting = await victim.usage()
})

afterAll(async () => {
  await client?.close()
  await victim?.kill()
})

beforeEach(() => {
  let stopped = false
  stopTransfer = () => {
    stopped = true
  }
  transfer = sendWhole(() => stopped, 1_000)
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  stopTransfer()
  expect(await transfer).toBe(true)
  expect(await victim.health()).toMatchObject({ links: 1 })
  const { residentBytes, sessions } = await victim.usage()
  expect(sessions).toBe(1)
  expect(residentBytes - resting.residentBytes).toBeLessThan(LEFTOVER_BYTES)
  // Memory outside the heap goes with a later collection than what refers to it.
  await expect.poll(async () => (await victim.usage()).heapBytes - resting.heapBytes).toBeLessThan(HELD_BYTES)
  expect(victim.complaint()).toBe('')
})

/** Sends chunks over a stream of the session until told to stop; whether the other side got just those. */
async function sendWhole(stopped: () => boolean, chunksMax: number): Promise<boolean> {
  const stream = await session.open('hash')
  const hash = createHash('sha256')
  for (let i = 0; i < chunksMax && !(i > 8 && stopped()); i += 1) {
    await stream.write(CHUNK)
    hash.update(CHUNK)
    if (i % 16 === 15) await pause(5)
  }
  await stream.end()
  const answer: Uint8Array[] = []
  for await (const bytes of stream) answer.push(bytes)
  return Buffer.concat(answer).equals(hash.digest())
}

function pause(delayMs: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, delayMs))
}

function open(): Socket {
  const socket = connect(victim.port, '127.0.0.1')
  sockets.add(socket)
  return socket
    .on('error', () => {})
    .on('close', () => sockets.delete(socket))
    .resume()
}

/** Sends bytes; whether the other side closed within the time. */
async function closedAfter(bytes: Uint8Array | string, withinMs = 2_000): Promise<boolean> {
  const socket = open()
  socket.write(bytes)
  return Promise.race([
    new Promise<boolean>(resolve => socket.once('close', () => resolve(true))),
    pause(withinMs).then(() => false),
  ])
}

function frame(label: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length + 4, 0)
  head.writeUInt32BE(label, 4)
  return Buffer.concat([head, body])
}

it.each([
  ['zeros', Buffer.alloc(64)],
  ['bytes of all ones', Buffer.alloc(64, 255)],
  ['a frame over the limit', Buffer.from([0, 255, 255, 255, 0, 0, 0, 0])],
  ['a frame shorter than its label', Buffer.from([0, 0, 0, 2, 0, 0, 0, 0])],
  ['a greeting that is none', frame(0, randomBytes(200))],
  ['TLS', Buffer.from([0x16, 3, 1, 0, 200])],
  ['HTTP without a host', 'GET / HTTP/1.1\r\n\r\n'],
  ['HTTP of no version', 'FOO / HTTP/9.9\r\n\r\n'],
  ['a long HTTP header', `GET / HTTP/1.1\r\nhost: a\r\n${'a: b\r\n'.repeat(5_000)}\r\n`],
  ['a long HTTP target', `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`],
  ['a wrong HTTP chunk', 'GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
  ['a wish for a tunnel', 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['an upgrade without a key', 'GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'],
])('closes a wire over which comes: %s', async (_, bytes) => {
  expect(await closedAfter(bytes)).toBe(true)
})

it('closes a wire over which come handshakes of each kind that are none', async () => {
  for (const kind of [0, 1, 2, 3, 4, 5, 0x10, 0x20, 0xff]) {
    expect(await closedAfter(frame(0, Buffer.concat([Buffer.from([kind]), randomBytes(150)])))).toBe(true)
  }
})

it('takes random bytes, frames under random labels and requests by the thousand on one socket', async () => {
  for (let i = 0; i < 200; i += 1) {
    open().write(randomBytes(1 + i * 20))
    if (i % 20 === 19) await pause(20)
  }
  const frames = Array.from({ length: 300 }, (_, i) => frame(randomBytes(4).readUInt32BE(0), randomBytes(i * 5)))
  open().write(Buffer.concat(frames))
  open().write('GET /health HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(2_000))
  await pause(500)
})

it('takes connections that are reset half-way', async () => {
  for (let i = 0; i < 300; i += 1) {
    const socket = open()
    socket.once('connect', () => {
      socket.write(i % 3 === 0 ? Buffer.from([0, 0, 0, 50, 0]) : i % 3 === 1 ? 'GET / HT' : frame(0, randomBytes(150)))
      setTimeout(() => socket.resetAndDestroy(), i % 20)
    })
    if (i % 50 === 49) await pause(50)
  }
})

it('closes a thousand connections that say nothing, or never end what they begin, and answers others meanwhile', async () => {
  const slow = Array.from({ length: 20 }, () => open())
  for (const socket of slow) socket.write('GET / HTTP/1.1\r\n')
  const drip = setInterval(() => {
    for (const socket of slow) socket.write('x: y\r\n')
  }, 500)
  for (let i = 0; i < 1_000; i += 1) {
    const socket = open()
    if (i % 2 === 0) socket.write(Buffer.concat([Buffer.from([0, 1, 0, 0]), Buffer.alloc(i)]))
    if (i % 100 === 99) await pause(20)
  }
  await pause(300)
  expect(await victim.health()).toMatchObject({ links: 1 })
  await expect.poll(() => sockets.size, { timeout: 15_000, interval: 250 }).toBe(0)
  clearInterval(drip)
  expect(slow.every(socket => socket.destroyed)).toBe(true)
})

it.each<[string, (socket: WebSocket, wire: Socket) => void]>([
  ['text', socket => socket.send('hello')],
  ['a message over the limit', socket => socket.send(Buffer.alloc(4_000_000))],
  ['no frames', socket => socket.send(randomBytes(5_000).fill(255, 0, 4))],
  ['bytes that are no WebSocket', (_, wire) => wire.write(randomBytes(5_000).fill(255, 0, 4))],
  [
    'fragments without end',
    socket => {
      for (let i = 0; i < 50_000; i += 1) socket.send(Buffer.from([0]), { fin: false })
    },
  ],
])('closes a WebSocket that brings: %s', async (_, misbehave) => {
  const socket = new WebSocket(`ws://127.0.0.1:${victim.port}`)
  socket.on('error', () => {})
  const wire = new Promise<Socket>(resolve => socket.once('upgrade', response => resolve(response.socket)))
  socket.once('open', async () => misbehave(socket, await wire))
  const closed = await Promise.race([
    new Promise<boolean>(resolve => socket.once('close', () => resolve(true))),
    pause(5_000).then(() => false),
  ])
  socket.terminate()
  expect(closed).toBe(true)
})

it('takes the first message of a handshake said again five hundred times, each over a wire of its own', async () => {
  // Both handshakes: with whoever is there, and with a peer that is known.
  for (const remote of [null, session.peer]) {
    const greeting = greetingTo(remote)
    let answered = 0
    for (let i = 0; i < 500; i += 1) {
      open()
        .once('data', () => {
          answered += 1
        })
        .write(greeting)
      if (i % 25 === 24) await pause(50)
    }
    await expect.poll(() => answered, { timeout: 5_000 }).toBe(500)
    // They are not believed, and do not keep others out.
    const newcomer = await Mesh.start({ join: [victim.ref] })
    expect((await newcomer.ping(victim.ref)).roundTripsMs).toHaveLength(1)
    await newcomer.close()
    for (const socket of sockets) socket.destroy()
  }
  await expect.poll(async () => (await victim.usage()).sessions, { timeout: 5_000 }).toBe(1)
})

it('is at rest again', async () => {
  stopTransfer()
  expect(await transfer).toBe(true)
  const before = await victim.usage()
  await pause(2_000)
  const after = await victim.usage()
  expect(after.processorMs - before.processorMs).toBeLessThan(400)
})

/** What a peer sends first: to the victim by its id (IK), or to whoever answers (XX). */
function greetingTo(remote: PeerId | null): Buffer {
  const identity = suite.identity(randomBytes(32))
  const started = startHandshake({ suite, identity, remote, localLabel: 7 })
  if (!started.ok) throw new Error(started.fault.code)
  return frame(0, started.value.packet)
}
