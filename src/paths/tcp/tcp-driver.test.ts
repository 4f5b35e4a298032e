import { createHash } from 'node:crypto'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { dial, frameOf, until, WireEndOfTest, wireContract } from '../wire-contract.ts'
import { canMoveHandles } from './accepted-socket.node.ts'
import { closedPort, deafPort, local, rawTcp, sharedPortPlace } from './tcp-bench.fixtures.ts'
import { tcpDriver } from './tcp-driver.node.ts'

for (const moveHandles of [true, false]) {
  wireContract(
    `TCP (${moveHandles ? 'accepted sockets read into shared memory' : "accepted sockets read by 'data'"})`,
    {
      driver: tcpDriver,
      listen: accept => sharedPortPlace('tcp', accept, { moveHandles }),
      closedPlace: async () => local('tcp', await closedPort()),
      async silentPlace() {
        const { port, close } = await deafPort()
        return { address: local('tcp', port), close }
      },
      async sendRaw(address, bytes, then) {
        await rawTcp(address.port, bytes, then)
      },
    },
  )
}

describe('accepted sockets', () => {
  it('can be moved to shared memory on this runtime', async () => {
    expect(await canMoveHandles()).toBe(true)
  })
})

describe('relayed slices of what was read', () => {
  it('are intact at a reader that starts reading only when much is queued for it', async () => {
    const frames = 1500
    const bodyOf = (i: number): Uint8Array => new Uint8Array(20_000).fill(1 + (i % 255))
    let slow: Socket | null = null
    const hash = createHash('sha256')
    let received = 0
    const slowServer = createServer({ pauseOnConnect: true }, socket => {
      slow = socket
      socket.on('data', data => {
        received += data.length
        hash.update(data)
      })
      socket.pause()
    })
    await new Promise<void>(resolve => slowServer.listen(0, '127.0.0.1', resolve))
    // reason: a server that listens on a port has an address with one.
    const out = dial(tcpDriver(), local('tcp', (slowServer.address() as AddressInfo).port))
    await out.opened

    let relayed = 0
    const relay = new WireEndOfTest()
    relay.onEach = bytes => {
      relayed += bytes.length
      out.send(bytes)
    }
    const place = await sharedPortPlace('tcp', wire => {
      relay.wire = wire
      return relay
    })
    const source = dial(tcpDriver(), place.address)
    const expected = createHash('sha256')
    let sent = 0
    for (let i = 0; i < frames; i += 1) {
      const frame = frameOf(bodyOf(i))
      expected.update(frame)
      sent += source.send(frame)
    }
    await until(() => relayed === sent && slow !== null)
    expect(out.written).toBeLessThan(sent)
    // reason: `until` waited for it; the compiler cannot see the assignment in the callback.
    ;(slow as unknown as Socket).resume()
    await until(() => received === sent)
    expect(hash.digest('hex')).toBe(expected.digest('hex'))
    await until(() => out.written === sent)

    source.wire?.hangUp()
    out.wire?.hangUp()
    await Promise.all([source.closed, out.closed, relay.closed])
    slowServer.close()
    await place.close()
  })
})
