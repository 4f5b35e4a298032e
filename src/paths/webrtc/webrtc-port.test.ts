/** A port that takes WebRTC, under packets from anyone. With a real caller: test/browser/webrtc-call.test.ts. */
import { createHmac } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { afterEach, describe, expect, it } from 'vitest'
import { CALLS_OPENING_MAX, CALLS_OPENING_PER_SOURCE_MAX, CALLS_PER_SECOND_MAX } from '../../core/limits.ts'
import { until, WireEndOfTest } from '../wire-contract.ts'
import { makeCertificate, readCertificate } from './dtls-certificate.node.ts'
import { openWebRtcPort, type WebRtcPort } from './webrtc-port.node.ts'

const certificate = readCertificate(makeCertificate())!
const PWD = 'abcdefghijklmnopqrstuv'

const ports: WebRtcPort[] = []
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close()
  for (const port of ports.splice(0)) await port.close()
})

async function open(host = '127.0.0.1', port = 0, openingMs = 10_000): Promise<WebRtcPort> {
  const opened = await openWebRtcPort({ host, port, certificate, accept: () => new WireEndOfTest(), openingMs })
  if (opened === null) throw new Error('no port')
  ports.push(opened)
  return opened
}

async function socketAt(host: string): Promise<Socket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  sockets.push(socket)
  await new Promise<void>(resolve => socket.bind(0, host, resolve))
  return socket
}

/** A Binding request as ICE makes it (RFC 8489, 8445), by somebody who knows all that a stranger may. */
function stun(username: string, pwd = PWD): Buffer {
  const name = Buffer.from(username)
  const padded = Buffer.alloc(Math.ceil(name.length / 4) * 4)
  name.copy(padded)
  const head = Buffer.alloc(24)
  head.writeUInt16BE(1, 0)
  // With the integrity attribute, which covers all before it.
  head.writeUInt16BE(4 + padded.length + 24, 2)
  head.writeUInt32BE(0x2112a442, 4)
  head.write('transaction.', 8)
  head.writeUInt16BE(6, 20)
  head.writeUInt16BE(name.length, 22)
  const covered = Buffer.concat([head, padded])
  const integrity = createHmac('sha1', pwd).update(covered).digest()
  return Buffer.concat([covered, Buffer.of(0, 8, 0, 20), integrity])
}

function call(i: number): Buffer {
  const pwd = PWD + String(i).padStart(6, '0')
  return stun(`webmesh1${pwd}:page`, pwd)
}

describe('a port that takes WebRTC', () => {
  it('begins few connections for one source, whatever it sends, and one for one call', async () => {
    const port = await open()
    for (let i = 0; i < 20; i += 1) {
      const socket = await socketAt('127.0.0.1')
      for (let n = 0; n < 2; n += 1) socket.send(call(i), port.port, '127.0.0.1')
    }
    await until(() => port.counts.refused === 2 * (20 - CALLS_OPENING_PER_SOURCE_MAX))
    expect(port.counts.opening).toBe(CALLS_OPENING_PER_SOURCE_MAX)
    expect(port.counts.open).toBe(0)
  })

  it('answers a stranger with few packets, and lets go of what comes to nothing', async () => {
    const port = await open('127.0.0.1', 0, 1_000)
    const socket = await socketAt('127.0.0.1')
    const places = await Promise.all([1, 2, 3, 4, 5, 6].map(() => socketAt('127.0.0.1')))
    let answers = 0
    socket.on('message', () => {
      answers += 1
    })
    socket.send(call(1), port.port, '127.0.0.1')
    // The same call from more places than a caller has.
    for (const place of places) place.send(call(1), port.port, '127.0.0.1')
    await until(() => port.counts.opening === 1)
    await until(() => port.counts.opening === 0)
    expect(answers).toBeGreaterThan(0)
    expect(answers).toBeLessThan(12)
    // It is over, whoever goes on asking.
    socket.send(call(1), port.port, '127.0.0.1')
    socket.send(call(2), port.port, '127.0.0.1')
    const other = await socketAt('127.0.0.1')
    other.send(call(2), port.port, '127.0.0.1')
    await until(() => port.counts.opening === 1)
    expect(port.counts).toEqual({ opening: 1, open: 0, refused: 0 })
  })

  it('takes another call from a place whose call has just ended', async () => {
    const port = await open('127.0.0.1', 0, 200)
    const socket = await socketAt('127.0.0.1')
    for (const i of [1, 2]) {
      socket.send(call(i), port.port, '127.0.0.1')
      await until(() => port.counts.opening === 1)
      await until(() => port.counts.opening === 0)
    }
    expect(port.counts.refused).toBe(0)
  })

  it('forwards nothing for a call that it does not know', async () => {
    const port = await open()
    const socket = await socketAt('127.0.0.1')
    for (const bytes of [Buffer.alloc(1_200, 22), Buffer.of(22, 254, 253)]) socket.send(bytes, port.port, '127.0.0.1')
    socket.send(call(3), port.port, '127.0.0.1')
    await until(() => port.counts.opening === 1)
  })

  it('begins so many in a second in all, and no more at once than may be', async () => {
    const port = await open()
    for (let i = 4; i < 200; i += 1) {
      const socket = await socketAt(`127.0.0.${i >> 1}`)
      socket.send(call(i), port.port, '127.0.0.1')
    }
    await until(() => port.counts.opening + port.counts.refused >= 190)
    // Two seconds may have begun meanwhile.
    expect(port.counts.opening).toBeLessThanOrEqual(3 * CALLS_PER_SECOND_MAX)
    expect(port.counts.opening).toBeLessThanOrEqual(CALLS_OPENING_MAX)
    expect(port.counts.opening).toBeGreaterThanOrEqual(CALLS_PER_SECOND_MAX)
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.alloc(100, 0xa5)],
    ['STUN without a user name', stun('')],
    ['the user names of another protocol', stun('libp2p+webrtc+v1/abcdefghijklmnopqrstuvwxyz:abcd')],
    ['a password that is too short', stun('webmesh1abc:page')],
    ['a line break in a name', stun(`webmesh1${PWD}:pa\r\na=x`)],
    ['an own name without the other', stun(`webmesh1${PWD}`)],
  ])('begins none for %s, and goes on', async (_, bytes) => {
    const port = await open()
    const socket = await socketAt('127.0.0.1')
    socket.send(bytes, port.port, '127.0.0.1')
    socket.send(call(1), port.port, '127.0.0.1')
    await until(() => port.counts.opening === 1)
    expect(port.counts).toEqual({ opening: 1, open: 0, refused: 0 })
  })

  it('takes the port that it is told, and another one where that is taken', async () => {
    const first = await open()
    const second = await open('127.0.0.1', first.port)
    expect(second.port).not.toBe(first.port)
    await first.close()
    const third = await open('127.0.0.1', first.port)
    expect(third.port).toBe(first.port)
  })

  it('listens on both families where it is to', async () => {
    const port = await open('::')
    for (const [i, host] of ['127.0.0.1', '::1'].entries()) {
      const socket = await socketAt(host)
      socket.send(call(i), port.port, host)
      await until(() => port.counts.opening === i + 1)
    }
  })
})
