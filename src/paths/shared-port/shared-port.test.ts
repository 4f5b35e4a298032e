import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { closedPort, local, REPORT, rawTcp } from '../tcp/tcp-bench.fixtures.ts'
import { tcpDriver } from '../tcp/tcp-driver.node.ts'
import { wsDriver } from '../websocket/ws-driver.node.ts'
import { dial, frameOf, until, WireEndOfTest } from '../wire-contract.ts'
import { answerHttp } from './peer-page.ts'
import { openSharedPort, type SharedPort, type SharedPortOptions } from './shared-port.node.ts'

const ports: SharedPort[] = []
const ends: WireEndOfTest[] = []
const sockets: Socket[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) end.wire?.hangUp()
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const port of ports.splice(0)) await port.close()
})

async function open(more: Partial<SharedPortOptions> = {}): Promise<SharedPort> {
  const accept = (wire: WireEndOfTest['wire']) => {
    const end = new WireEndOfTest()
    end.wire = wire
    ends.push(end)
    return end
  }
  const opened = await openSharedPort({ host: '127.0.0.1', port: 0, accept, report: () => REPORT, ...more })
  if (!opened.ok) throw new Error(JSON.stringify(opened.fault))
  ports.push(opened.value)
  return opened.value
}

const get = (port: number, path: string, method = 'GET'): Promise<string> =>
  rawTcp(port, `${method} ${path} HTTP/1.1\r\nhost: x\r\n\r\n`, 'wait')

describe('the shared port', () => {
  it('takes TCP wires, WebSockets on any path and plain HTTP at once', async () => {
    const { port } = await open()
    const tcp = dial(tcpDriver(), local('tcp', port))
    const ws = dial(wsDriver(), { ...local('ws', port), extra: '/any/path?at=all' })
    tcp.send(frameOf(Uint8Array.of(1)))
    ws.send(frameOf(Uint8Array.of(2)))
    const page = await get(port, '/')
    await until(() => ends.length === 2 && ends.every(end => end.frames.length === 1))
    expect((await Promise.all(ends.map(end => end.opened))).map(about => about.transport).sort()).toEqual([
      'tcp',
      'websocket',
    ])
    expect(page).toMatch(/^HTTP\/1\.1 200 /)
    expect(page).toContain(REPORT.peer)
    expect(page).toContain(REPORT.ref)
    tcp.hangUp()
    ws.hangUp()
    await Promise.all([tcp.closed, ws.closed])
  })

  it('gives its health as JSON, 404 elsewhere, 405 for other methods', async () => {
    const { port } = await open()
    const health = await get(port, '/health?x=1')
    expect(JSON.parse(health.slice(health.indexOf('\r\n\r\n')))).toEqual(REPORT)
    expect(await get(port, '/etc/passwd')).toMatch(/^HTTP\/1\.1 404 /)
    expect(await get(port, '/', 'POST')).toMatch(/^HTTP\/1\.1 405 [\s\S]*allow: GET, HEAD/)
    expect(await get(port, '/', 'HEAD')).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n$/)
    expect(await get(port, '/x', 'get')).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('takes HTTP that comes byte by byte', async () => {
    const { port } = await open()
    const answer = new Promise<string>(resolve => {
      const socket = connect(port, '127.0.0.1')
      socket.setNoDelay(true)
      let text = ''
      socket.on('data', data => {
        text += data
      })
      socket.on('close', () => resolve(text))
      const bytes = 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n'
      let at = 0
      const next = (): void => {
        socket.write(bytes[at++]!)
        if (at < bytes.length) setTimeout(next, 1)
      }
      next()
    })
    expect(await answer).toMatch(/^HTTP\/1\.1 200 /)
  })

  it.each([
    ['sends nothing', ''],
    ['sends half an HTTP header', 'GET / HTTP/1.1\r\nhost:'],
    [
      'keeps its HTTP connection after a request that never ends',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n',
    ],
  ])('closes a socket that %s', async (_, bytes) => {
    const { port } = await open({ undecidedMs: 100 })
    await rawTcp(port, bytes, 'wait')
    expect(ends).toHaveLength(0)
  })

  it.each([
    ['TLS', Uint8Array.of(0x16, 3, 1)],
    ['an unknown byte', Uint8Array.of(0xff)],
    ['no HTTP', 'hello\r\n\r\n'],
    ['a header that is too long', `GET / HTTP/1.1\r\nx: ${'y'.repeat(9000)}\r\n\r\n`],
    ['an upgrade to something else', 'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n'],
  ])('closes a socket that starts with %s at once', async (_, bytes) => {
    const { port } = await open({ undecidedMs: 60_000 })
    await rawTcp(port, bytes, 'wait')
    expect(ends).toHaveLength(0)
  })

  it('answers newcomers while others open sockets and say nothing: the oldest of those give way', async () => {
    const { port } = await open({ undecidedMs: 60_000, undecidedMax: 8 })
    const silent = Array.from({ length: 40 }, () => connect(port, '127.0.0.1'))
    sockets.push(...silent)
    for (const socket of silent) socket.resume().on('error', () => {})
    await until(() => silent.filter(socket => socket.destroyed).length === 32)
    expect(await get(port, '/health')).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('keeps a wire that is silent after its first byte, since only the peer knows what to make of it', async () => {
    const { port } = await open({ undecidedMs: 50 })
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    socket.write(Uint8Array.of(0))
    await until(() => ends.length === 1)
    await new Promise(resolve => setTimeout(resolve, 150))
    expect(ends[0]?.closes).toBe(0)
  })

  it('listens on IPv6, and names IPv4 peers of a port for both families by their IPv4 address', async () => {
    const six = await open({ host: '::1' })
    const both = await open({ host: '::' })
    for (const [host, port] of [
      ['::1', six.port],
      ['::1', both.port],
      ['127.0.0.1', both.port],
    ] as const) {
      const end = dial(tcpDriver(), { scheme: 'tcp', host, port, extra: '' })
      end.send(frameOf(Uint8Array.of(1)))
      const before = ends.length
      await until(() => ends.length > before)
      const about = await ends[ends.length - 1]!.opened
      expect(about.remoteHost).toBe(host)
      expect(about.remote).toMatch(host === '::1' ? /^\[::1\]:\d+$/ : /^127\.0\.0\.1:\d+$/)
      end.hangUp()
      await end.closed
    }
  })

  it('is free again as soon as it is closed, while its wires stay open', async () => {
    const first = await open()
    const wire = dial(tcpDriver(), local('tcp', first.port))
    wire.send(frameOf(Uint8Array.of(1)))
    await until(() => ends.length === 1)
    await first.close()
    await open({ port: first.port })
    wire.send(frameOf(Uint8Array.of(2)))
    await until(() => ends[0]?.frames.length === 2)
    wire.hangUp()
    await wire.closed
  })

  it('says what it could not listen on', async () => {
    const taken = createServer()
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
    // reason: a server that listens on a port has an address with one.
    const { port } = taken.address() as AddressInfo
    const options = { host: '127.0.0.1', port, accept: () => new WireEndOfTest(), report: () => REPORT }
    expect(await openSharedPort(options)).toEqual({
      ok: false,
      fault: { code: 'port-in-use', detail: `127.0.0.1:${port}` },
    })
    taken.close()
    const elsewhere = await openSharedPort({ ...options, host: '192.0.2.1', port: await closedPort() })
    expect(elsewhere).toMatchObject({ ok: false, fault: { code: 'listen-failed' } })
    expect(elsewhere.ok ? '' : elsewhere.fault.detail).toContain('192.0.2.1')
  })
})

describe('the page of a peer', () => {
  it('shows no markup that the report holds', () => {
    const { body } = answerHttp('GET', '/', () => ({ ...REPORT, ref: `<script>'"&` }), null)
    expect(body).not.toContain('<script>')
    expect(body).toContain('&#60;script&#62;')
  })

  it('brings its script from this port alone, where there is one', () => {
    const { body, headers } = answerHttp('GET', '/', () => REPORT, 'peer()')
    expect(body).toContain('<script type="module" src="peer.js"></script>')
    expect(headers['content-security-policy']).toContain("script-src 'self'")
    expect(body).not.toMatch(/(src|href)="https?:/)
    expect(answerHttp('GET', '/peer.js', () => REPORT, 'peer()')).toMatchObject({ status: 200, body: 'peer()' })
    expect(answerHttp('GET', '/peer.js', () => REPORT, null).status).toBe(404)
  })
})
