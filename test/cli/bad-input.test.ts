/**
 * What the command line makes of what is wrong: one sentence on standard error, or with --json one object on standard
 * output; never a stack, never both; 2 where it was typed wrong, 1 where it went wrong.
 */
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { signPeerRef } from '../../src/core/crypto/peer-ref.ts'
import { nativeSuite } from '../../src/host/native-suite.node.ts'
import { Mesh } from '../../src/index.node.ts'
import { killAll, webmesh, webmeshBoundByRights } from './webmesh-process.fixtures.ts'

const DAY_MS = 86_400_000
/** Somebody, but nobody in the mesh. */
const NOBODY = nativeSuite.identity(new Uint8Array(32).fill(7)).peer

let meshes: Mesh[] = []
let ref = ''
let root = ''
const servers: Server[] = []

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'webmesh-bad-'))
  const first = await Mesh.start({ listen: ['127.0.0.1:0'] })
  ref = first.ref
  meshes = [first, await Mesh.start({ join: [ref] }), await Mesh.start({ listen: ['127.0.0.1:0'], join: [ref] })]
})

afterEach(killAll)

afterAll(async () => {
  for (const server of servers) server.close()
  await Promise.all(meshes.map(mesh => mesh.close()))
  await rm(root, { recursive: true, force: true })
})

/** Runs a command twice, for people and for machines; checks the form of both complaints. */
async function complaint(argv: string[]): Promise<{ exit: number | null; code: unknown; message: string }> {
  const forPeople = webmesh(...argv)
  const forMachines = webmesh(...argv, '--json')
  const [exit, exitToo] = await Promise.all([forPeople.exit(), forMachines.exit()])
  expect(exitToo).toBe(exit)
  expect(forPeople.lines).toEqual([])
  expect(forPeople.stderr).toMatch(/^webmesh: [^\n]{10,1000}\n$/)
  expect(forPeople.stderr).not.toMatch(/\n\s+at |node:internal|\.js:\d+/)
  expect(forMachines.stderr).toBe('')
  expect(forMachines.events).toEqual([{ event: 'error', code: expect.any(String), message: expect.any(String) }])
  const [event] = forMachines.events
  return { exit, code: event?.code, message: forPeople.stderr.slice('webmesh: '.length, -1) }
}

/** A port on which something else than a peer answers. */
async function other(answer: (socket: import('node:net').Socket) => void): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    answer(socket)
  })
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // reason: a server that listens on a port has an address with one.
  return (server.address() as AddressInfo).port
}

function changed(at: number): string {
  const bytes = Buffer.from(ref.slice(8), 'base64url')
  const place = at < 0 ? bytes.length + at : at
  bytes[place] = (bytes[place] ?? 0) ^ 1
  return `webmesh:${bytes.toString('base64url')}`
}

function expiredRef(): string {
  const made = signPeerRef(nativeSuite, nativeSuite.identity(nativeSuite.randomBytes(32)), {
    sequence: Date.now() - 9 * DAY_MS,
    expires: Date.now() - DAY_MS,
    capacity: 24,
    relays: true,
    addresses: [],
    rendezvous: [],
  })
  return `webmesh:${Buffer.from(made.bytes).toString('base64url')}`
}

describe('a ref', () => {
  it.each<[string, () => string, number, string, RegExp]>([
    ['cut short', () => ref.slice(0, -10), 2, 'invalid-ref', /incomplete or damaged.*copy the whole text/],
    ['with a wrong letter', () => `${ref.slice(0, 40)}!${ref.slice(41)}`, 2, 'invalid-ref', /characters/],
    ['of nothing', () => 'webmesh:', 2, 'invalid-ref', /copy the whole text/],
    ['that is no ref', () => 'example.org', 2, 'invalid-ref', /"example.org" is neither a ref nor an address/],
    ['that is but an id', () => NOBODY, 2, 'invalid-ref', /a peer id alone is no way in/],
    ['changed within', () => changed(-70), 2, 'ref-forged', /signature/],
    ['with a changed signature', () => changed(-3), 2, 'ref-forged', /ask its owner/],
    ['of another version', () => changed(0), 1, 'version-mismatch', /update the older/],
    ['that has expired', expiredRef, 1, 'ref-expired', /ask the peer for its present one/],
    ['a hundred thousand letters long', () => `webmesh:${'A'.repeat(100_000)}`, 2, 'invalid-ref', /limit/],
  ])('%s', async (_, make, exit, code, message) => {
    expect(await complaint(['services', '--join', make()])).toEqual({
      exit,
      code,
      message: expect.stringMatching(message),
    })
  })
})

describe('a way in', () => {
  it.each<[string, () => Promise<string>, RegExp, number]>([
    ['where nobody listens', async () => 'tcp://127.0.0.1:1', /\(tcp:\/\/127.0.0.1:1: nobody listens there\)/, 5_000],
    ['without a host of that name', async () => 'tcp://webmesh.invalid:1', /no host of that name|looked up/, 6_000],
    [
      'where HTTP answers',
      async () => `tcp://127.0.0.1:${await other(s => s.write('HTTP/1.1 400 Bad\r\n\r\n'))}`,
      /no Webmesh peer/,
      5_000,
    ],
    [
      'where a WebSocket is refused',
      async () => `ws://127.0.0.1:${await other(s => s.end('HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n'))}`,
      /HTTP 404/,
      5_000,
    ],
    ['that hangs up', async () => `tcp://127.0.0.1:${await other(s => s.end())}`, /hung up|cut/, 5_000],
    [
      'that takes the connection and says nothing',
      async () => `tcp://127.0.0.1:${await other(s => s.pause())}`,
      /no answer came/,
      12_000,
    ],
  ])('%s', async (_, make, message, withinMs) => {
    const way = await make()
    const startedAt = performance.now()
    const { exit, code, message: said } = await complaint(['services', '--join', way])
    expect({ exit, code, said }).toEqual({ exit: 1, code: 'no-way-in', said: expect.stringMatching(message) })
    expect(performance.now() - startedAt).toBeLessThan(withinMs)
  })

  it('that works is enough, whatever the others are', async () => {
    const mute = `tcp://127.0.0.1:${await other(socket => socket.pause())}`
    const list = webmesh('services', '--join', mute, '--join', 'tcp://127.0.0.1:1', '--join', ref)
    expect(await list.exit()).toBe(0)
  })

  it('that a store should remember, but does not', async () => {
    const alone = webmesh('services', '--store', join(root, 'forgetful'), '--json')
    expect(await alone.exit()).toBe(1)
    expect(alone.events).toMatchObject([{ code: 'no-way-in', message: expect.stringContaining('remembers no peers') }])
  })
})

describe('a peer', () => {
  it('that does not exist is told of within seconds', async () => {
    const startedAt = performance.now()
    const { exit, code, message } = await complaint(['ping', NOBODY, '--join', ref])
    expect({ exit, code }).toEqual({ exit: 1, code: 'peer-unreachable' })
    expect(message).toContain('give its ref instead')
    expect(performance.now() - startedAt).toBeLessThan(14_000)
  })

  it('that is this one', async () => {
    const store = join(root, 'own')
    const own = webmesh('id', '--store', store)
    expect(await own.exit()).toBe(0)
    const ping = webmesh('ping', own.lines[0] ?? '', '--join', ref, '--store', store, '--json')
    expect(await ping.exit()).toBe(1)
    expect(ping.events).toMatchObject([{ event: 'error', code: 'self-connect' }])
  })

  it('that is named by no id, or by one that is no key', async () => {
    expect(await complaint(['ping', 'ab'.repeat(32), '--join', ref])).toMatchObject({
      exit: 2,
      code: 'invalid-peer-id',
    })
    expect(await complaint(['ping', 'xyz', '--join', ref])).toMatchObject({ exit: 2, code: 'invalid-peer-id' })
  })
})

describe('a name of a service', () => {
  const NAMES = ['chat', 'Chat.example/1', 'chat/x', 'chat/1/2', 'chat example/1', 'chät/1', '', 'x'.repeat(100_000)]

  it.each(NAMES)('may not be "%.20s"', async name => {
    expect(await complaint(['peers', name, '--join', ref])).toEqual({
      exit: 2,
      code: 'invalid-service-name',
      message: expect.stringMatching(/^This is no service name \("[^"]{0,80}"\): write [^:]*like chat\.example\/1\.$/),
    })
  })

  it('is looked at before anything is dialled or started', async () => {
    for (const argv of [
      ['chat', 'Bad', '--join', 'tcp://127.0.0.1:1'],
      ['up', '--listen', '127.0.0.1:0', '--service', 'Bad'],
    ])
      expect(await complaint(argv)).toMatchObject({ exit: 2, code: 'invalid-service-name' })
  })

  it('is shown without what would move the cursor', async () => {
    const { message } = await complaint(['peers', 'a\u001b[31m\u0007/1', '--join', ref])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(message).not.toMatch(/[\u0000-\u001f]/)
  })
})

describe('usage', () => {
  const LONG = 'x'.repeat(100_000)
  it.each<[string, string[], RegExp]>([
    ['an option before the command', ['--join', 'x', 'services'], /a command comes first, not "--join"/],
    ['a command that is none', [LONG], /there is no command "x{60}…"/],
    ['help of a command that is none', ['help', 'sing'], /there is no command "sing"/],
    ['a long option', ['up', `--${LONG}`], /Unknown option/],
    ['an option without its value', ['up', '--store', '--listen'], /'--store' argument is ambiguous; see/],
    [
      'a long number',
      ['ping', NOBODY, '--count', LONG, '--join', 'x'],
      /--count takes a whole number from 1, not "x{60}…"/,
    ],
    ['too few links', ['up', '--capacity', '3'], /from 4 to 4096, not "3"/],
    ['a budget of nothing', ['up', '--relay-rate', '0'], /--relay-rate takes a whole number from 1, not "0"/],
    ['too many rendezvous', ['up', '--rendezvous', '5'], /--rendezvous takes a whole number from 1 to 4, not "5"/],
    ['a long argument too many', ['peers', 'a/1', LONG, '--join', 'x'], /"x{60}…" is one argument too many/],
    ['a port too high', ['up', '--listen', '127.0.0.1:70000'], /"127.0.0.1:70000" is no place to listen/],
    ['IPv6 without brackets', ['up', '--listen', '::1:0'], /\[::\]:0/],
    ['a place of a hundred thousand letters', ['up', '--listen', LONG], /no place to listen/],
    ['a folder without a name', ['id', '--store', ''], /--store takes a folder/],
    [
      'too many ways in',
      ['services', ...Array.from({ length: 300 }, () => ['--join', 'tcp://a:1']).flat()],
      /limit 256/,
    ],
    ['an announced address that is none', ['up', '--announce', 'here'], /no address \(here\)/],
  ])('%s ends with 2', async (_, argv, message) => {
    const { exit, message: said } = await complaint(argv)
    expect({ exit, said }).toEqual({ exit: 2, said: expect.stringMatching(message) })
  })

  it.each<[string, RegExp]>([
    ['192.0.2.7:0', /this machine has no such address/],
    ['webmesh.invalid:0', /no host of that name|looked up/],
  ])('an address to listen on that is not of this machine ends with 1: %s', async (place, message) => {
    expect(await complaint(['up', '--listen', place])).toEqual({
      exit: 1,
      code: 'listen-failed',
      message: expect.stringMatching(message),
    })
  })
})

describe('a store', () => {
  it('that lies in a file, in a system folder, or has too long a name', async () => {
    const file = join(root, 'file')
    await writeFile(file, 'mine')
    for (const place of [file, join(file, 'below'), '/proc/webmesh', join(root, 'x'.repeat(300))])
      expect(await complaint(['id', '--store', place])).toMatchObject({ exit: 1, code: 'store-failed' })
  })

  it('that may not be written', async () => {
    const folder = join(root, 'read-only')
    await mkdir(folder)
    await chmod(folder, 0o555)
    const tried = webmeshBoundByRights('id', '--store', join(folder, 'store'), '--json')
    expect(await tried.exit()).toBe(1)
    expect(tried.events).toMatchObject([{ code: 'store-failed', message: expect.stringContaining('not permitted') }])
  })

  it('that lost its identity to damage gets no new one, however often it is tried', async () => {
    const store = join(root, 'damaged')
    expect(await webmesh('id', '--store', store).exit()).toBe(0)
    for (const file of await readdir(store)) {
      if (/\.(ldb|log)$/.test(file)) await writeFile(join(store, file), 'these are no records of a store at all')
    }
    for (let i = 0; i < 3; i += 1) {
      const tried = webmesh('up', '--json', '--store', store)
      expect(await tried.exit()).toBe(1)
      expect(tried.events).toMatchObject([{ event: 'error', code: 'store-damaged' }])
    }
  })
})
