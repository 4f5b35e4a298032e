/** The browser's driver over the `ws` package, which has the browser's interface; browsers themselves: test/browser. */
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket as WsPackage } from 'ws'
import { addressText } from '../../core/base/address.ts'
import { closedPort, local, mutePort, sharedPortPlace } from '../tcp/tcp-bench.fixtures.ts'
import { dial, wireContract } from '../wire-contract.ts'
import { webSocketDriver } from './websocket-driver.browser.ts'

Object.assign(globalThis, { WebSocket: WsPackage })

wireContract('WebSocket in the browser', {
  driver: webSocketDriver,
  listen: accept => sharedPortPlace('ws', accept),
  closedPlace: async () => local('ws', await closedPort()),
  async silentPlace() {
    const { port, close } = await mutePort()
    return { address: local('ws', port), close }
  },
  sendRaw: (address, bytes, then) =>
    new Promise(resolve => {
      const socket = new WsPackage(addressText(address))
      socket.on('open', () => {
        socket.send(bytes)
        if (then === 'end') socket.close(1000)
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve())
    }),
})

describe('a page that came over https', () => {
  afterEach(() => {
    Reflect.deleteProperty(globalThis, 'location')
  })

  it('does not offer to dial ws://, which browsers block as mixed content', () => {
    expect(webSocketDriver().schemes).toEqual(['wss', 'ws'])
    Object.assign(globalThis, { location: { protocol: 'https:' } })
    expect(webSocketDriver().schemes).toEqual(['wss'])
  })
})

it('a dial that the browser refuses at once ends in a fault, not in a throw', async () => {
  const end = dial(webSocketDriver(), { scheme: 'ws', host: 'no such host', port: 1, extra: '' })
  expect(end.closes).toBe(0)
  expect((await end.closed).code).toBe('dial-failed')
})
