/**
 * Makes a wire of an accepted socket. Only a socket that is constructed with `onread` reads into shared memory, and
 * `net.Server` constructs its own: the handle moves to a new socket. That is not documented, so it is tried once on a
 * connection to ourselves; where it fails, accepted sockets read by 'data'.
 */
import { type AddressInfo, createServer, Socket, type SocketConstructorOpts } from 'node:net'
import type { Acceptor } from '../wire-driver.ts'
import { TcpWire } from './tcp-wire.node.ts'

const PROBE_TIMEOUT_MS = 2_000

type OnRead = TcpWire['onread']

/** What is used of a socket's inner handle. */
interface Handle {
  reading: boolean
  readStop(): void
  useUserBuffer(buffer: Uint8Array): void
}

let probed: Promise<boolean> | null = null

/** Whether handles can be moved here; asked of the runtime once. */
export function canMoveHandles(): Promise<boolean> {
  probed ??= probe()
  return probed
}

/**
 * `first` are the bytes read so far. Called while the socket's 'data' is handled, so that none are on their way. Returns
 * the socket that lives on: the one given, or that which took its handle.
 */
export function wireOfAccepted(accepted: Socket, first: Uint8Array, accept: Acceptor, moveHandle: boolean): Socket {
  const wire = new TcpWire()
  const moved = moveHandle ? moveToOnRead(accepted, wire.onread) : null
  const socket = moved ?? accepted
  wire.attach(socket, accept(wire))
  wire.opened()
  wire.onData(first)
  if (moved === null) accepted.on('data', chunk => wire.onData(chunk))
  // Starts reading without waiting for a reader.
  else moved.read(0)
  return socket
}

function moveToOnRead(accepted: Socket, onread: OnRead): Socket | null {
  // reason: the handle is an inner field, which the probe has shown to be there.
  const inner = accepted as unknown as { _handle: Handle | null }
  const handle = inner._handle
  if (handle === null) return null
  handle.readStop()
  handle.reading = false
  inner._handle = null
  // reason: the options of the constructor lack `handle`, which net.Server itself gives.
  return new Socket({ handle, onread } as unknown as SocketConstructorOpts)
}

/** One byte to classify, one after the move, one back: as a real wire would be used. */
function probe(): Promise<boolean> {
  return new Promise(resolve => {
    const sockets: Socket[] = []
    const finish = (works: boolean): void => {
      clearTimeout(limit)
      for (const socket of sockets) socket.destroy()
      server.close()
      resolve(works)
    }
    const limit = setTimeout(() => finish(false), PROBE_TIMEOUT_MS)
    const server = createServer({ pauseOnConnect: true }, accepted => {
      sockets.push(accepted)
      accepted.once('data', () => {
        const memory = new Uint8Array(16)
        try {
          const moved = moveToOnRead(accepted, {
            buffer: () => memory,
            callback: bytesRead => {
              moved?.write(memory.slice(0, bytesRead))
              return true
            },
          })
          if (moved === null) return finish(false)
          sockets.push(moved)
          moved.on('error', () => finish(false))
          moved.read(0)
          client.write('2')
        } catch {
          finish(false)
        }
      })
      accepted.resume()
    })
    server.on('error', () => finish(false))
    const client = new Socket()
    sockets.push(client)
    client.on('error', () => finish(false))
    client.on('data', echo => finish(String(echo) === '2'))
    server.listen(0, '127.0.0.1', () => {
      // reason: a server that listens on a port has an address with one.
      connectTo(client, (server.address() as AddressInfo).port)
    })
  })
}

function connectTo(client: Socket, port: number): void {
  client.connect(port, '127.0.0.1', () => client.write('1'))
}
