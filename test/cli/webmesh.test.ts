/** The command line from outside: processes on loopback, their output and exit codes. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect as connectSocket, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { killAll, type WebmeshProcess, webmesh } from './webmesh-process.fixtures.ts'

const folders: string[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'webmesh-cli-'))
  folders.push(folder)
  return folder
}

interface Ready {
  readonly peer: string
  readonly ref: string
  readonly listen: readonly string[]
}

async function up(...argv: string[]): Promise<{ process: WebmeshProcess; ready: Ready }> {
  const process = webmesh('up', '--json', ...argv)
  const { peer, ref, listen } = await process.event('ready')
  // reason: the shape is checked by the test of `up`.
  return { process, ready: { peer, ref, listen } as unknown as Ready }
}

async function listed(ref: string): Promise<string> {
  const list = webmesh('services', '--join', ref)
  expect(await list.exit()).toBe(0)
  return list.lines.join('\n')
}

afterEach(async () => {
  await killAll()
  await Promise.all(folders.splice(0).map(folder => rm(folder, { recursive: true, force: true })))
}, 20_000)

describe('usage', () => {
  const COMMANDS = ['up', 'doctor', 'id', 'ping', 'trace', 'peers', 'services', 'chat']

  it.each(COMMANDS)('%s has a help', async name => {
    const help = webmesh(name, '--help')
    expect(await help.exit()).toBe(0)
    expect(help.lines[0]).toMatch(new RegExp(`^Usage: webmesh ${name} `))
    expect(help.lines.join('\n')).toContain('--json')
  })

  it('lists the commands, and tells its version', async () => {
    const help = webmesh('--help')
    expect(await help.exit()).toBe(0)
    for (const name of COMMANDS) expect(help.lines.join('\n')).toMatch(new RegExp(`^ {2}${name} `, 'm'))
    const version = webmesh('--version')
    expect(await version.exit()).toBe(0)
    expect(version.lines).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/)])
  })

  const wrong: [string, string[]][] = [
    ['no command', []],
    ['an unknown command', ['sing']],
    ['an unknown option', ['up', '--lisen', '127.0.0.1:0']],
    ['an option without its value', ['up', '--listen']],
    ['a place that is none', ['up', '--listen', '4100']],
    ['no peer to ping', ['ping', '--join', 'tcp://127.0.0.1:1']],
    ['no way in', ['ping', 'ab'.repeat(32)]],
    ['no way in to ask for services', ['services']],
    ['a count that is no number', ['ping', 'ab'.repeat(32), '--join', 'tcp://127.0.0.1:1', '--count', 'many']],
    ['a ref that is none', ['services', '--join', 'webmesh:nonsense']],
    ['one argument too many', ['peers', 'a/1', 'b/1', '--join', 'tcp://127.0.0.1:1']],
    ['a count of links that is too small', ['up', '--capacity', '1']],
  ]
  it.each(wrong)('ends with 2 and one sentence: %s', async (_, argv) => {
    const process = webmesh(...argv)
    expect(await process.exit()).toBe(2)
    expect(process.lines).toEqual([])
    if (argv.length > 0) expect(process.stderr).toMatch(/^webmesh: [^\n]+\n$/)
  })

  it('tells machines of it by one object', async () => {
    const process = webmesh('services', '--json', '--join', 'webmesh:nonsense')
    expect(await process.exit()).toBe(2)
    expect(process.events).toEqual([{ event: 'error', code: 'invalid-ref', message: expect.stringContaining('ref') }])
    expect(process.stderr).toBe('')
  })
})

describe('failures', () => {
  it('end with 1 and one sentence, without a stack', async () => {
    const nobody = webmesh('services', '--join', 'tcp://127.0.0.1:1')
    expect(await nobody.exit()).toBe(1)
    expect(nobody.stderr).toMatch(/^webmesh: No peer let this one in [^\n]+\n$/)
  })

  it('name a port in use', async () => {
    const blocker = createServer()
    await new Promise<void>(resolve => blocker.listen(0, '127.0.0.1', resolve))
    const address = blocker.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const process = webmesh('up', '--json', '--listen', `127.0.0.1:${port}`)
    expect(await process.exit()).toBe(1)
    expect(process.events).toMatchObject([{ event: 'error', code: 'port-in-use' }])
    blocker.close()
  })

  it('of a store do not cost the identity: it is repaired, or refused as it is', async () => {
    const store = await newFolder()
    const first = webmesh('id', '--store', store)
    expect(await first.exit()).toBe(0)
    await rm(join(store, 'CURRENT'))
    const repaired = webmesh('id', '--store', store)
    expect(await repaired.exit()).toBe(0)
    expect(repaired.lines).toEqual(first.lines)
    for (const file of await readdir(store)) {
      if (/\.(ldb|log)$/.test(file)) await writeFile(join(store, file), 'these are no records of a store at all')
    }
    const beyond = webmesh('id', '--json', '--store', store)
    expect(await beyond.exit()).toBe(1)
    expect(beyond.events).toMatchObject([{ event: 'error', code: 'store-damaged' }])
  })

  it('name a store that is no folder', async () => {
    const file = join(await newFolder(), 'file')
    await writeFile(file, 'mine')
    const process = webmesh('id', '--json', '--store', file)
    expect(await process.exit()).toBe(1)
    expect(process.events).toMatchObject([{ event: 'error', code: 'store-failed' }])
    expect(await readFile(file, 'utf8')).toBe('mine')
  })
})

describe('webmesh id', () => {
  it('makes an identity once, and `up` has the same', async () => {
    const store = join(await newFolder(), 'new', 'store')
    const first = webmesh('id', '--store', store)
    expect(await first.exit()).toBe(0)
    expect(first.lines).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
    const second = webmesh('id', '--store', store, '--json')
    expect(await second.exit()).toBe(0)
    expect(second.events).toEqual([{ event: 'identity', peer: first.lines[0], store }])
    const { ready } = await up('--store', store)
    expect(ready.peer).toBe(first.lines[0])
    const third = webmesh('id', '--store', store, '--json')
    expect(await third.exit()).toBe(1)
    expect(third.events).toMatchObject([{ event: 'error', code: 'store-locked' }])
  })
})

describe('webmesh up', () => {
  it('says ready first, then links as they come and go, and ends politely', async () => {
    const { process: first, ready } = await up('--listen', '127.0.0.1:0')
    expect(first.events[0]).toEqual({
      event: 'ready',
      peer: expect.stringMatching(/^[0-9a-f]{64}$/),
      ref: expect.stringMatching(/^webmesh:[\w-]+$/),
      listen: [expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:\d+$/)],
    })
    const { process: second, ready: other } = await up('--join', ready.ref)
    expect(other.listen).toEqual([])
    await first.event('link', event => event.peer === other.peer)
    second.signal('SIGTERM')
    expect(await second.exit()).toBe(0)
    await first.event('unlink', event => event.peer === other.peer)
    first.signal('SIGINT')
    expect(await first.exit()).toBe(0)
    expect(first.stderr).toBe('')
  })

  it('tells people the command with which others join, and that command works', async () => {
    const first = webmesh('up', '--listen', '127.0.0.1:0')
    const command = await first.line(line => line.includes('webmesh up --join'))
    expect(first.lines.join('\n')).not.toContain('\u001b')
    const second = webmesh(...command.trim().split(' ').slice(1))
    await second.line(line => /^link\s/.test(line))
  })

  it('answers HTTP on its port, and closes garbage alone', async () => {
    const { process, ready } = await up('--listen', '127.0.0.1:0')
    const place = (ready.listen[0] ?? '').replace('tcp://', '')
    const health: unknown = await (await fetch(`http://${place}/health`)).json()
    expect(health).toMatchObject({ peer: ready.peer })
    expect(await (await fetch(`http://${place}/`)).text()).toContain('Webmesh')
    const [host = '', port = ''] = place.split(':')
    for (const garbage of [new Uint8Array(64), new Uint8Array(64).fill(255), new Uint8Array([0, 255, 255, 255, 0])]) {
      await new Promise<void>(resolve => {
        const socket = connectSocket(Number(port), host, () => socket.write(garbage))
        socket.on('error', () => {})
        socket.on('close', () => resolve())
        setTimeout(() => socket.destroy(), 300)
      })
    }
    const ping = webmesh('ping', ready.ref, '--count', '1')
    expect(await ping.exit()).toBe(0)
    process.signal('SIGTERM')
    expect(await process.exit()).toBe(0)
  })
})

describe('the others', () => {
  it('ping measures round trips by id and by ref, and tells the path', async () => {
    const { ready } = await up('--listen', '127.0.0.1:0')
    const byId = webmesh('ping', ready.peer, '--join', ready.ref, '--count', '2', '--interval', '10', '--json')
    expect(await byId.exit()).toBe(0)
    expect(byId.events).toMatchObject([
      { event: 'pong', peer: ready.peer, number: 1, path: { kind: 'wire', transport: 'tcp' } },
      { event: 'pong', peer: ready.peer, number: 2 },
      { event: 'done', peer: ready.peer, sent: 2, answered: 2 },
    ])
    const byRef = webmesh('ping', ready.ref, '--count', '1')
    expect(await byRef.exit()).toBe(0)
    expect(byRef.lines[0]).toMatch(/ms {2}over tcp 127\.0\.0\.1:\d+$/)
  })

  it('trace shows the way over another peer, and then the direct one through both sockets', async () => {
    const { ready } = await up('--listen', '127.0.0.1:0')
    const { ready: hidden } = await up('--join', ready.ref)
    const trace = webmesh('trace', hidden.peer, '--join', ready.ref, '--json')
    expect(await trace.exit()).toBe(0)
    expect(trace.events).toMatchObject([
      { event: 'path', peer: hidden.peer, path: { kind: 'circuit', via: [ready.peer] } },
      { event: 'path', path: { kind: 'wire', transport: 'udp' } },
      { event: 'done', direct: true },
    ])
  })

  it('ping goes over a circuit where neither can dial the other', async () => {
    const { ready: middle } = await up('--listen', '127.0.0.1:0')
    const { ready: hidden } = await up('--join', middle.ref)
    const ping = webmesh('ping', hidden.peer, '--join', middle.ref, '--count', '1', '--json')
    expect(await ping.exit()).toBe(0)
    expect(ping.events[0]).toMatchObject({ event: 'pong', path: { kind: 'circuit', via: [middle.peer] } })
  })

  it('peers and services show what is in the registry', async () => {
    const { ready: first } = await up('--listen', '127.0.0.1:0', '--service', 'echo.example/1')
    const { process: second, ready: other } = await up('--join', first.ref, '--service', 'echo.example/1')
    const watching = webmesh('peers', 'echo.example/1', '--join', first.ref, '--json')
    for (const peer of [first.peer, other.peer])
      await watching.event('member', event => event.peer === peer && event.present === true)
    // The list follows the members by a second or two.
    await expect.poll(() => listed(first.ref), { timeout: 15_000 }).toMatch(/^echo\.example\/1\t[12]\t$/)
    second.signal('SIGTERM')
    await watching.event('member', event => event.peer === other.peer && event.present === false)
    watching.signal('SIGINT')
    expect(await watching.exit()).toBe(0)
    const once = webmesh('peers', 'echo.example/1', '--join', first.ref, '--for', '0')
    expect(await once.exit()).toBe(0)
    expect(once.lines.map(line => line.split('\t')[0])).toEqual([first.peer])
  }, 40_000)

  it('chat carries lines both ways, and works in a pipe', async () => {
    const { ready } = await up('--listen', '127.0.0.1:0')
    const first = webmesh('chat', 'talk.example/1', '--join', ready.ref, '--json')
    await first.event('ready')
    const second = webmesh('chat', 'talk.example/1', '--join', ready.ref)
    second.endInput('hello\nworld \u001b[2J\n')
    await first.event('message', event => event.text === 'hello')
    await first.event('message', event => event.text === 'world \u001b[2J')
    expect(await second.exit()).toBe(0)
    const third = webmesh('chat', 'talk.example/1', '--join', ready.ref)
    await first.event('member', event => event.present === true)
    first.say('evil \u001b[2J\n')
    const heard = await third.line(line => line.includes('evil'))
    expect(heard).not.toContain('\u001b')
    expect(first.events.filter(event => event.event === 'message')).toHaveLength(2)
  }, 40_000)

  it('chat in a pipe says when nobody came', async () => {
    const { ready } = await up('--listen', '127.0.0.1:0')
    const alone = webmesh('chat', 'talk.example/1', '--join', ready.ref, '--wait', '0.5', '--json')
    alone.endInput('hello\n')
    expect(await alone.exit()).toBe(1)
    expect(alone.events.at(-1)).toMatchObject({ event: 'error', code: 'timeout' })
  })
})
