import { describe, expect, it } from 'vitest'
import { wireContract } from '../wire-contract.ts'
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
