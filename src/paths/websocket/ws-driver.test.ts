import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { addressText } from '../../core/base/address.ts'
import { closedPort, local, mutePort, sharedPortPlace } from '../tcp/tcp-bench.fixtures.ts'
import { WireEndOfTest, wireContract } from '../wire-contract.ts'
import { wsDriver } from './ws-driver.node.ts'

wireContract('WebSocket', {
  driver: wsDriver,
  listen: accept => sharedPortPlace('ws', accept),
  closedPlace: async () => local('ws', await closedPort()),
  async silentPlace() {
    const { port, close } = await mutePort()
    return { address: local('ws', port), close }
  },
  sendRaw: (address, bytes, then) =>
    new Promise(resolve => {
      const socket = new WebSocket(addressText(address))
      socket.on('open', () => {
        socket.send(bytes)
        if (then === 'end') socket.close(1000)
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve())
    }),
})

it.each([
  ['a text message', 'malformed', (socket: WebSocket) => socket.send('hello')],
  ['a message above the limit', 'frame-too-large', (socket: WebSocket) => socket.send(new Uint8Array(1_048_577))],
] as const)('a WebSocket that sends %s is closed', async (_, code, act) => {
  const end = new WireEndOfTest()
  const place = await sharedPortPlace('ws', wire => {
    end.wire = wire
    return end
  })
  const socket = new WebSocket(addressText(place.address))
  socket.on('error', () => {})
  socket.on('open', () => act(socket))
  expect((await end.closed).code).toBe(code)
  await place.close()
})
