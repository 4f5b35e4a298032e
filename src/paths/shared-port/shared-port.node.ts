/**
 * One listening TCP port for all (spec 3.5). The first byte tells: zero is a frame's length, so the socket is a wire; a
 * letter is an HTTP method, and HTTP is upgraded to a WebSocket wire or answered with a page. What sends nothing, or is
 * slow to make up its mind, is closed.
 */
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { fail, ok, type Result } from '../../core/base/fault.ts'
import { canMoveHandles, wireOfAccepted } from '../tcp/accepted-socket.node.ts'
import { plainHost } from '../tcp/tcp-wire.node.ts'
import { MESSAGE_BYTES_MAX } from '../websocket/message-packing.ts'
import { WsWire } from '../websocket/ws-wire.node.ts'
import type { Acceptor } from '../wire-driver.ts'
import { answerHttp, type PeerReport } from './peer-page.ts'
import { SourceCount } from './source-count.ts'

/** From accepting a socket until it is a wire, or its HTTP request is answered. */
const UNDECIDED_MS = 10_000
/** Sockets that are no wires yet. Beyond it the oldest gives way: whoever means it speaks at once. */
const UNDECIDED_MAX = 1_024
/** All sockets of one source: many peers may sit behind one NAT. */
const SOCKETS_PER_SOURCE_MAX = 256
const HTTP_HEADER_BYTES_MAX = 8_192
const BACKLOG = 1_024

export interface SharedPortOptions {
  readonly host: string
  readonly port: number
  readonly accept: Acceptor
  readonly report: () => PeerReport
  /** Tests shorten it. */
  readonly undecidedMs?: number
  readonly undecidedMax?: number
  /** False reads accepted sockets by 'data' even where `onread` works. */
  readonly moveHandles?: boolean
}

export interface SharedPort {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/** Faults: 'port-in-use', 'listen-failed'; `detail` says what was tried. */
export async function openSharedPort(options: SharedPortOptions): Promise<Result<SharedPort>> {
  const moveHandles = (options.moveHandles ?? true) && (await canMoveHandles())
  const { accept } = options
  /** With the timer that ends each. */
  const undecided = new Map<Socket, NodeJS.Timeout>()
  const sources = new SourceCount(SOCKETS_PER_SOURCE_MAX)

  const http = createHttpServer({ maxHeaderSize: HTTP_HEADER_BYTES_MAX }, (request, response) =>
    respond(request, response, options.report),
  )
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX })
  http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    webSockets.handleUpgrade(request, socket, head, upgraded => {
      settle(socket)
      const wire = new WsWire(upgraded, accept)
      wire.opened(plainHost(socket.remoteAddress ?? ''), socket.remotePort ?? 0)
    })
  })

  function settle(socket: Socket): void {
    clearTimeout(undecided.get(socket))
    undecided.delete(socket)
  }

  function decide(socket: Socket, host: string, first: Buffer): void {
    const byte = first[0]!
    if (byte === 0) {
      settle(socket)
      const wireSocket = wireOfAccepted(socket, first, accept, moveHandles)
      if (wireSocket !== socket) wireSocket.once('close', () => sources.leave(host))
    } else if (isLetter(byte)) {
      socket.pause()
      socket.unshift(first)
      http.emit('connection', socket)
      socket.resume()
    } else socket.destroy()
  }

  const server = createServer({ pauseOnConnect: true, noDelay: true }, socket => {
    const host = plainHost(socket.remoteAddress ?? '')
    if (!sources.enter(host)) {
      socket.destroy()
      return
    }
    if (undecided.size >= (options.undecidedMax ?? UNDECIDED_MAX)) {
      const [oldest] = undecided.keys()
      if (oldest !== undefined) {
        settle(oldest)
        oldest.destroy()
      }
    }
    const limit = setTimeout(() => socket.destroy(), options.undecidedMs ?? UNDECIDED_MS)
    undecided.set(socket, limit)
    socket.on('error', ignore)
    socket.once('close', () => {
      settle(socket)
      sources.leave(host)
    })
    socket.once('data', first => decide(socket, host, first))
    socket.resume()
  })

  const listened = await listen(server, options.host, options.port)
  if (!listened.ok) return listened
  return ok({
    host: listened.value.address,
    port: listened.value.port,
    async close() {
      // Its callback waits for wires too, which stay open; the port itself is free at once.
      server.close()
      for (const socket of undecided.keys()) socket.destroy()
      await new Promise(resolve => setImmediate(resolve))
    },
  })
}

function listen(server: ReturnType<typeof createServer>, host: string, port: number): Promise<Result<AddressInfo>> {
  return new Promise(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const tried = `${host}:${port}`
      if (error.code === 'EADDRINUSE') resolve(fail({ code: 'port-in-use', detail: tried }))
      else resolve(fail({ code: 'listen-failed', detail: `${tried}: ${error.code ?? error.message}` }))
    })
    server.listen({ host, port, backlog: BACKLOG }, () => {
      // Later errors are of single accepts (too many open files): the next one may succeed.
      server.on('error', ignore)
      // reason: a server that listens on a port has an address with one.
      resolve(ok(server.address() as AddressInfo))
    })
  })
}

function respond(request: IncomingMessage, response: ServerResponse, report: () => PeerReport): void {
  const { status, headers, body } = answerHttp(request.method ?? '', request.url ?? '', report, pageScript())
  request.resume()
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  response.end(request.method === 'HEAD' ? undefined : body)
}

let script: string | null | undefined

/** The page's script as the build made it (`src/page/peer-app.ts` and what it needs in one); null where there is none. */
function pageScript(): string | null {
  if (script === undefined) {
    try {
      script = readFileSync(new URL('../../page/peer.js', import.meta.url), 'utf8')
    } catch {
      script = null
    }
  }
  return script
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
}

/** An error of a socket is followed by 'close', which is what counts. */
function ignore(): void {}
