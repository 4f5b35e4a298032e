/** A survey by real sockets: honest peers, one that lies, one that is silent. */
import { createSocket, type Socket } from 'node:dgram'
import { afterEach, expect, it } from 'vitest'
import type { Address } from '../../core/base/address.ts'
import { answerTo } from './stun.ts'
import { UdpHost } from './udp-host.node.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map(close => close()))
})

function peer(host: string): { readonly host: UdpHost; readonly address: Address } {
  const own = new UdpHost({ host })
  open.push(() => own.close())
  return { host: own, address: { scheme: 'udp', host, port: own.port ?? 0, extra: '' } }
}

async function server(host: string, answer: (request: Uint8Array) => Uint8Array | null): Promise<Address> {
  const socket: Socket = createSocket('udp4')
  socket.on('message', (bytes, from) => {
    const told = answer(bytes)
    if (told !== null) socket.send(told, from.port, from.address)
  })
  await new Promise<void>(resolve => socket.bind(0, host, resolve))
  open.push(() => new Promise<void>(resolve => socket.close(() => resolve())))
  return { scheme: 'udp', host, port: socket.address().port, extra: '' }
}

it('believes what most of several peers tell, not the one that lies', async () => {
  const { host } = peer('127.0.0.1')
  const honest = [peer('127.0.0.2').address, peer('127.0.0.3').address]
  const liar = await server('127.0.0.4', request => answerTo(request, { host: '9.9.9.9', port: 9 }))
  const survey = await host.survey([liar, ...honest])
  expect(survey).toMatchObject({ kind: 'none', ipv4: '127.0.0.1', askedPeers: 3, answeredPeers: 3 })
})

it('knows nothing by one peer, nor by one that is honest and one that lies', async () => {
  const { host } = peer('127.0.0.1')
  const honest = peer('127.0.0.2').address
  const liar = await server('127.0.0.4', request => answerTo(request, { host: '9.9.9.9', port: 9 }))
  expect(await host.survey([honest])).toMatchObject({ kind: 'unknown', ipv4: null, answeredPeers: 1 })
  expect(await host.survey([honest, liar])).toMatchObject({ kind: 'unknown', ipv4: null, answeredPeers: 2 })
})

it('counts whom it asked in vain, and ends', async () => {
  const { host } = peer('127.0.0.1')
  const silent = await server('127.0.0.5', () => null)
  expect(await host.survey([silent])).toMatchObject({ kind: 'unknown', askedPeers: 1, answeredPeers: 0 })
  expect(await host.survey([])).toMatchObject({ kind: 'unknown', askedPeers: 0, answeredPeers: 0 })
})
