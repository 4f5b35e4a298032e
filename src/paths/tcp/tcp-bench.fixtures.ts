/** What the tests of TCP and WebSocket wires share: places where nothing listens, nothing answers, or raw bytes go. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { Address, AddressScheme } from '../../core/base/address.ts'
import { openSharedPort, type SharedPortOptions } from '../shared-port/shared-port.node.ts'
import type { Place } from '../wire-contract.ts'
import type { Acceptor } from '../wire-driver.ts'

export const REPORT = {
  peer: 'ab'.repeat(32),
  ref: 'webmesh:AQ',
  otherRefs: [],
  links: 3,
  estimatedPeers: 40,
  uptimeSeconds: 7,
}

export async function sharedPortPlace(
  scheme: AddressScheme,
  accept: Acceptor,
  more: Partial<SharedPortOptions> = {},
): Promise<Place> {
  const opened = await openSharedPort({ host: '127.0.0.1', port: 0, accept, report: () => REPORT, ...more })
  if (!opened.ok) throw new Error(JSON.stringify(opened.fault))
  return { address: local(scheme, opened.value.port), close: () => opened.value.close() }
}

export function local(scheme: AddressScheme, port: number): Address {
  return { scheme, host: '127.0.0.1', port, extra: '' }
}

/** A port that was free a moment ago. */
export function closedPort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      // reason: a server that listens on a port has an address with one.
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** A port whose queue of connections is full and never emptied: further attempts are not answered. */
export async function deafPort(): Promise<{ port: number; close(): Promise<void> }> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const server = require('node:net').createServer()
     server.listen(0, '127.0.0.1', 1, () => {
       parentPort.postMessage(server.address().port)
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
     })`,
    { eval: true },
  )
  const port = await new Promise<number>(resolve => worker.once('message', resolve))
  const fillers: Socket[] = []
  for (let i = 0; i < 4; i += 1) {
    const filler = connect(port, '127.0.0.1')
    filler.on('error', () => {})
    fillers.push(filler)
  }
  await new Promise(resolve => setTimeout(resolve, 50))
  return {
    port,
    async close() {
      for (const filler of fillers) filler.destroy()
      await worker.terminate()
    },
  }
}

/** A port that takes connections and says nothing. */
export function mutePort(): Promise<{ port: number; close(): Promise<void> }> {
  return new Promise(resolve => {
    const sockets: Socket[] = []
    const server = createServer(socket => sockets.push(socket))
    server.listen(0, '127.0.0.1', () => {
      // reason: a server that listens on a port has an address with one.
      const { port } = server.address() as AddressInfo
      resolve({
        port,
        async close() {
          for (const socket of sockets) socket.destroy()
          server.close()
        },
      })
    })
  })
}

/** Writes to the port and resolves with what came back when the other side closed. */
export function rawTcp(port: number, bytes: Uint8Array | string, then: 'wait' | 'end'): Promise<string> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let answer = ''
    socket.on('data', data => {
      answer += data
    })
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(answer))
    if (then === 'end') socket.end(bytes)
    else if (bytes.length > 0) socket.write(bytes)
  })
}
