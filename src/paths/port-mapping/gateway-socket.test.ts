/** Questions to real sockets: one that loses datagrams, one that tells nonsense, one that is not the gateway. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { afterEach, expect, it } from 'vitest'
import { GatewaySocket } from './gateway-socket.node.ts'

const open: (() => void)[] = []

afterEach(() => {
  for (const close of open.splice(0)) close()
})

async function server(onAsked: (socket: Socket, bytes: Buffer, from: RemoteInfo) => void): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (bytes, from) => onAsked(socket, bytes, from))
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  open.push(() => socket.close())
  return socket.address().port
}

async function asker(port: number): Promise<GatewaySocket> {
  const socket = await GatewaySocket.open('127.0.0.1', port, undefined)
  if (socket === null) throw new Error('no way to loopback')
  open.push(() => socket.close())
  return socket
}

const QUESTION = Uint8Array.of(1)
const readsYes = (bytes: Uint8Array): string | null => (bytes[0] === 7 ? 'yes' : null)

it('asks again where a datagram was lost', async () => {
  let asked = 0
  const port = await server((socket, _, from) => {
    asked += 1
    if (asked === 2) socket.send(Uint8Array.of(7), from.port, from.address)
  })
  const socket = await asker(port)
  expect(socket.ownHost).toBe('127.0.0.1')
  expect(await socket.ask(QUESTION, readsYes)).toBe('yes')
  expect(asked).toBe(2)
})

it('waits for an answer that can be read, and hears nobody else', async () => {
  const stranger = createSocket('udp4')
  await new Promise<void>(resolve => stranger.bind(0, '127.0.0.1', resolve))
  open.push(() => stranger.close())
  const heard: number[] = []
  const port = await server((socket, _, from) => {
    stranger.send(Uint8Array.of(9), from.port, from.address, () => {
      socket.send(Uint8Array.of(5), from.port, from.address, () => {
        socket.send(Uint8Array.of(7), from.port, from.address)
      })
    })
  })
  const socket = await asker(port)
  const answer = await socket.ask(QUESTION, bytes => {
    heard.push(bytes[0]!)
    return readsYes(bytes)
  })
  expect(answer).toBe('yes')
  expect(heard).toEqual([5, 7])
})

it('knows at once where nobody listens, and when it is closed', async () => {
  const port = await server(() => {})
  const waiting = await asker(port)
  const startedAt = performance.now()
  const asked = waiting.ask(QUESTION, readsYes)
  waiting.close()
  expect(await asked).toBeNull()
  expect(await waiting.ask(QUESTION, readsYes)).toBeNull()
  for (const close of open.splice(0)) close()
  expect(await (await asker(port)).ask(QUESTION, readsYes)).toBeNull()
  expect(performance.now() - startedAt).toBeLessThan(1_500)
})

it('gives up on one that is silent', async () => {
  const socket = await asker(await server(() => {}))
  expect(await socket.ask(QUESTION, readsYes)).toBeNull()
})

it('opens none to where no way leads', async () => {
  expect(await GatewaySocket.open('127.0.0.1', 9, '203.0.113.77')).toBeNull()
})
