/** Ways in that need no ref at hand: over HTTP from a real port, and over DNS from a real server (dnsmasq) on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Mesh, type MeshOptions } from '../../src/index.node.ts'

const DNSMASQ = '/usr/sbin/dnsmasq'
const noDnsmasq = existsSync(DNSMASQ) ? null : `there is no ${DNSMASQ}: apt-get install dnsmasq-base`
// Where there is none a user is told once and goes on; CI installs it and must not pass without.
const skip = noDnsmasq !== null && process.env.CI === undefined
if (skip) console.warn(`tests of DNS are skipped: ${noDnsmasq}`)

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(options: MeshOptions): Promise<Mesh> {
  const mesh = await Mesh.start(options)
  cleanups.push(() => mesh.close())
  return mesh
}

async function openPeer(): Promise<{ readonly mesh: Mesh; readonly origin: string }> {
  const mesh = await start({ listen: ['127.0.0.1:0'] })
  return { mesh, origin: mesh.listening[0]?.replace('tcp://', 'http://') ?? '' }
}

/** A web server that answers as told. */
async function serve(status: number, body: string | null): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(status)
    if (body !== null) response.end(body)
    else {
      const endless = setInterval(() => response.write('x'.repeat(65_536)), 1)
      response.on('close', () => clearInterval(endless))
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  // reason: a server that listens on a port has an address with one.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function failing(join: readonly string[]): Promise<string> {
  const error = await Mesh.start({ join }).then(
    () => null,
    (thrown: { code?: string; message?: string }) => thrown,
  )
  expect(error?.code).toBe('no-way-in')
  return error?.message ?? ''
}

describe('a URL as a way in', () => {
  it('is every port of a peer', async () => {
    const { mesh, origin } = await openPeer()
    const joined = await start({ join: [`${origin}/refs.json`] })
    expect(joined.status().links.map(link => link.peer)).toContain(mesh.id)
  })

  it('lists other ways in beside its own: it may be gone when they are needed', async () => {
    const { mesh, origin } = await openPeer()
    const other = await start({ listen: ['127.0.0.1:0'], join: [mesh.ref] })
    const listed = async (): Promise<unknown> => (await fetch(`${origin}/refs.json`)).json()
    await expect.poll(listed, { timeout: 10_000 }).toEqual({ refs: [mesh.ref, other.ref] })
  })

  it('is any web server that lists refs, whatever else it lists', async () => {
    const { mesh } = await openPeer()
    const url = await serve(200, JSON.stringify({ refs: [7, 'nonsense', `${mesh.ref}x`, mesh.ref], more: true }))
    const joined = await start({ join: [url] })
    expect(joined.status().links).toHaveLength(1)
  })

  it.each([
    ['answers 404', 404, '{}', /answers 404/],
    ['serves no JSON', 200, '<html>', /no JSON/],
    ['lists nothing', 200, '{"refs":"webmesh:x"}', /no list "refs"/],
    ['lists no ref', 200, '{"refs":["hello"]}', /no ref that can be used/],
    ['never ends', 200, null, /more than 262144 bytes/],
  ] as const)('that %s is named with what is wrong', async (_, status, body, why) => {
    expect(await failing([await serve(status, body)])).toMatch(why)
  })

  it('that does not work leaves the others to work', async () => {
    const { mesh } = await openPeer()
    const broken = await serve(500, '')
    const joined = await start({ join: [broken, 'http://127.0.0.1:9/refs.json', mesh.ref] })
    expect(joined.status().links).toHaveLength(1)
  })
})

describe.skipIf(skip)('a DNS name as a way in', () => {
  async function dnsServer(records: Readonly<Record<string, string>>): Promise<string> {
    // A TXT record's strings hold 255 bytes each.
    const texts = Object.entries(records).map(
      ([name, text]) => `--txt-record=${name},${(text.match(/.{1,200}/g) ?? []).join(',')}`,
    )
    const flags = ['--no-daemon', '--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--listen-address=127.0.0.1']
    // It takes the port for TCP as well, where a peer of a test beside this one may listen.
    for (let tries = 1; ; tries += 1) {
      const port = await freeUdpPort()
      const child: ChildProcess = spawn(DNSMASQ, [...flags, '--bind-interfaces', `--port=${port}`, ...texts], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      cleanups.push(() => child.kill('SIGKILL'))
      const endedWith = await new Promise<number | null>(resolve => {
        child.stderr?.on('data', (text: Buffer) => text.toString().includes('started') && resolve(null))
        child.on('exit', code => resolve(code ?? -1))
      })
      if (endedWith === null) return `127.0.0.1:${port}`
      if (endedWith !== PORT_TAKEN || tries === 5) throw new Error(`dnsmasq ended with ${endedWith}`)
    }
  }

  it('leads in by the refs in its TXT records', async () => {
    const { mesh } = await openPeer()
    const server = await dnsServer({ 'peers.example': mesh.ref })
    const joined = await start({ join: [`dns://${server}/peers.example`] })
    expect(joined.status().links.map(link => link.peer)).toContain(mesh.id)
  })

  it('without such records, or without an answer, says so', async () => {
    const server = await dnsServer({ 'other.example': 'v=spf1 -all' })
    expect(await failing([`dns://${server}/other.example`])).toMatch(/no ref that can be used/)
    expect(await failing([`dns://${server}/missing.example`])).toMatch(/dns:missing.example/)
    expect(await failing([`dns://127.0.0.1:${await freeUdpPort()}/peers.example`])).toMatch(/dns:peers.example/)
  })
})

it.each(['dns:', 'dns:a b', 'dns://host', 'https://', 'http://[/'])(
  '"%s" is refused before anything is asked',
  async text => {
    await expect(Mesh.start({ join: [text] })).rejects.toMatchObject({ code: 'invalid-address' })
  },
)

/** dnsmasq's word for it. */
const PORT_TAKEN = 2

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>(resolve => socket.close(() => resolve()))
  return port
}
