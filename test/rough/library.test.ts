/** Rough but lawful use of the library: much, at once, given up half-way, or never read. */
import { createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Mesh, type MeshStream, type Session, WebmeshError } from '../../src/index.node.ts'
import type { HandlerErrorEvent } from '../../src/mesh/mesh-events.ts'

const meshes: Mesh[] = []
const servers: Server[] = []

afterEach(async () => {
  await Promise.all(meshes.splice(0).map(mesh => mesh.close()))
  for (const server of servers.splice(0)) server.close()
})

async function start(options: Parameters<typeof Mesh.start>[0] = {}): Promise<Mesh> {
  const mesh = await Mesh.start(options)
  meshes.push(mesh)
  return mesh
}

/** Two peers with a session, of which the first answers streams of some subjects. */
async function pair(): Promise<{ a: Mesh; b: Mesh; session: Session }> {
  const a = await start({ listen: ['127.0.0.1:0'] })
  const b = await start({ join: [a.ref] })
  a.handle('echo', async stream => {
    for await (const bytes of stream) await stream.write(bytes)
  })
  a.handle('hold', () => {})
  return { a, b, session: await b.connect(a.ref) }
}

async function echo(session: Session): Promise<void> {
  const stream = await session.open('echo')
  await stream.write(new Uint8Array(100))
  await stream.end()
  let got = 0
  for await (const bytes of stream) got += bytes.length
  expect(got).toBe(100)
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    return error instanceof WebmeshError ? error.code : String(error)
  }
}

function pause(delayMs: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, delayMs))
}

/** An address that takes connections and says nothing. */
async function muteAddress(): Promise<string> {
  const server = createServer(socket => socket.on('error', () => {}).resume())
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return `tcp://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
}

describe('sessions', () => {
  it('are opened and closed a thousand times without any left', async () => {
    const { a, b } = await pair()
    for (let i = 0; i < 1_000; i += 1) {
      const session = await b.connect(a.ref)
      if (i % 10 === 0) await echo(session)
      session.close()
    }
    await expect.poll(() => [a.status().sessions, b.status().sessions]).toEqual([1, 1])
    expect(await codeOf((await b.connect(a.ref)).ping())).toBe('none')
  })

  it('of a hundred peers that come and go leave none behind', async () => {
    const a = await start({ listen: ['127.0.0.1:0'] })
    for (let i = 0; i < 100; i += 1) {
      const passing = await Mesh.start()
      await (await passing.connect(a.ref)).ping()
      await passing.close()
    }
    await expect.poll(() => a.status().sessions).toBe(0)
    expect(a.status().links).toEqual([])
  })

  it('of two peers in one process, opened by both at once, are one', async () => {
    const a = await start({ listen: ['127.0.0.1:0'] })
    const b = await start({ listen: ['127.0.0.1:0'] })
    const [there, back] = await Promise.all([a.connect(b.ref), b.connect(a.ref)])
    expect([there.peer, back.peer]).toEqual([b.id, a.id])
    await Promise.all([a.ping(b.id), b.ping(a.id)])
    await expect.poll(() => [a.status().sessions, b.status().sessions], { timeout: 8_000 }).toEqual([1, 1])
  })
})

describe('streams', () => {
  it('are opened a thousand times one after another, and two hundred at once', async () => {
    const { session } = await pair()
    for (let i = 0; i < 1_000; i += 1) await echo(session)
    await Promise.all(Array.from({ length: 200 }, () => echo(session)))
  })

  it('beyond the limit are refused, and those within it unharmed', async () => {
    const { session } = await pair()
    const outcomes = await Promise.all(Array.from({ length: 400 }, () => codeOf(echo(session))))
    expect(outcomes.filter(code => code === 'none')).toHaveLength(256)
    expect(outcomes.filter(code => code === 'overloaded')).toHaveLength(144)
    await echo(session)
  })

  it('that nobody reads hold their writer back, and not the other streams', async () => {
    const { session } = await pair()
    const stuck = await session.open('hold')
    let accepted = 0
    const writing = codeOf(
      (async () => {
        for (;;) {
          await stuck.write(new Uint8Array(65_536))
          accepted += 65_536
        }
      })(),
    )
    await pause(700)
    const before = accepted
    await pause(300)
    expect(accepted).toBe(before)
    expect(accepted).toBeLessThan(8 * 2 ** 20)
    await echo(session)
    session.close()
    expect(await writing).toBe('closed')
  })
})

describe('a mesh that is closed', () => {
  it('ends what is busy with a code, on both sides, at once', async () => {
    const { a, b, session } = await pair()
    let there = ''
    a.handle('take', async stream => {
      there = await codeOf(
        (async () => {
          for await (const _bytes of stream);
        })(),
      )
    })
    const stream = await session.open('take')
    const writing = codeOf(
      (async () => {
        for (;;) await stream.write(new Uint8Array(65_536))
      })(),
    )
    const reading = codeOf(stream.read())
    await pause(100)
    const startedAt = performance.now()
    await b.close()
    expect(performance.now() - startedAt).toBeLessThan(1_500)
    expect([await writing, await reading, (await session.closed).code]).toEqual(['closed', 'closed', 'closed'])
    await expect.poll(() => there).toBe('closed')
    const attempts = [
      () => b.connect(a.ref),
      () => b.join('a/1'),
      () => b.find('a/1'),
      () => b.services(),
      () => session.open(),
      () => session.ping(),
    ]
    for (const attempt of attempts) expect(await codeOf(attempt())).toBe('closed')
    expect(await codeOf(b.close())).toBe('none')
  })
})

describe('an AbortSignal', () => {
  it('ends each wait with aborted, and nothing else', async () => {
    const { a, b, session } = await pair()
    const mute = await muteAddress()
    const service = await b.join('abort.example/1')
    const aborted = AbortSignal.abort()
    const soon = (): AbortSignal => AbortSignal.timeout(100)
    const held = await session.open('hold')
    const waits: [string, () => Promise<unknown>][] = [
      ['start', () => Mesh.start({ signal: aborted })],
      ['start at a mute way in', () => Mesh.start({ join: [mute], signal: soon() })],
      ['connect', () => b.connect(a.ref, { signal: aborted })],
      ['connect to a mute address', () => b.connect(mute, { signal: soon() })],
      ['join', () => b.join('other.example/1', { signal: aborted })],
      ['find', () => b.find('abort.example/1', { signal: aborted })],
      ['services', () => b.services({ signal: aborted })],
      ['open', () => session.open('echo', { signal: aborted })],
      ['ping', () => session.ping({ signal: aborted })],
      ['many pings', () => b.ping(a.id, { count: 1_000, signal: soon() })],
      ['discover', () => first(service.discover({ signal: soon() }))],
      ['broadcast', () => service.broadcast(new Uint8Array(1), { signal: aborted })],
      ['read', () => held.read({ signal: soon() })],
      ['write', () => writeOn(held, AbortSignal.timeout(500))],
    ]
    for (const [name, wait] of waits) expect(await codeOf(wait()), name).toBe('aborted')
    await echo(session)
    expect(b.status().services.map(({ service: name }) => name)).toEqual(['abort.example/1'])
  })
})

async function first(members: AsyncIterable<unknown>): Promise<void> {
  for await (const _member of members) return
}

async function writeOn(stream: MeshStream, signal: AbortSignal): Promise<never> {
  for (;;) await stream.write(new Uint8Array(65_536), { signal })
}

describe('handlers', () => {
  it('that fail cost their stream alone, and are told of', async () => {
    const { a, session } = await pair()
    const failures: unknown[] = []
    a.addEventListener('handlererror', (event: HandlerErrorEvent) => {
      event.preventDefault()
      failures.push(event.error)
    })
    const error = new Error('mine')
    a.handle('throws', () => {
      throw error
    })
    a.handle('rejects', () => Promise.reject(error))
    a.handle('rejects with nothing', () => Promise.reject())
    for (const subject of ['throws', 'rejects', 'rejects with nothing']) {
      const stream = await session.open(subject)
      expect(await codeOf(stream.read())).toBe('stream-reset')
    }
    expect(failures).toEqual([error, error, undefined])
    expect(await codeOf((await session.open('unheard of')).read())).toBe('no-such-service')
    await echo(session)
  })

  it('that return something else than a promise keep their stream', async () => {
    const { a, session } = await pair()
    const held: MeshStream[] = []
    // reason: what a short arrow function returns is not what its author thinks of.
    a.handle('push', ((stream: MeshStream) => held.push(stream)) as unknown as (stream: MeshStream) => void)
    const stream = await session.open('push')
    await expect.poll(() => held.length).toBe(1)
    await held[0]?.write(Uint8Array.of(7))
    expect(await stream.read()).toEqual(Uint8Array.of(7))
  })
})

describe('a newcomer', () => {
  it('finds members and services in its first moments', async () => {
    const { a, b } = await pair()
    for (const mesh of [a, b]) await mesh.join('first.example/1')
    await expect.poll(async () => (await b.find('first.example/1')).length, { timeout: 10_000 }).toBeGreaterThan(0)
    for (let i = 0; i < 20; i += 1) {
      const newcomer = await Mesh.start({ join: [a.ref] })
      const [members, services] = await Promise.all([newcomer.find('first.example/1'), newcomer.services()])
      expect([members.length > 0, services.length]).toEqual([true, 1])
      await newcomer.close()
    }
  })
})

describe('a broadcast', () => {
  it('right after the join reaches those who are members already', async () => {
    const { a, b } = await pair()
    const c = await start({ join: [a.ref] })
    const got: string[] = []
    for (const [name, mesh] of [
      ['a', a],
      ['b', b],
    ] as const) {
      const service = await mesh.join('news.example/1')
      service.addEventListener('message', ({ data }) => got.push(`${name} ${data.length}`))
    }
    const service = await c.join('news.example/1')
    await service.broadcast(new Uint8Array(7))
    await expect.poll(() => got.sort(), { timeout: 10_000 }).toEqual(['a 7', 'b 7'])
    // reason: what a program without types might give.
    for (const [bytes, code] of [
      [new Uint8Array(20_000), 'message-too-large'],
      ['text', 'invalid-option'],
    ] as const)
      expect(await codeOf(service.broadcast(bytes as Uint8Array))).toBe(code)
  })
})

describe('arguments of the wrong kind', () => {
  it('are refused with a code wherever they are given', async () => {
    const { a, b, session } = await pair()
    // reason: what a program without types might give.
    const wrong = <T>(value: unknown): T => value as T
    for (const peer of [
      undefined,
      null,
      5,
      '',
      {},
      [],
      Symbol('x'),
      { peer: 5 },
      { ref: {} },
      'x'.repeat(100_000),
      'ab'.repeat(32),
    ])
      expect(await codeOf(b.connect(wrong(peer)))).toBe('invalid-peer-id')
    for (const name of [undefined, null, 5, {}, Symbol('x'), 'Chat/1'])
      expect(await codeOf(b.join(wrong(name)))).toBe('invalid-service-name')
    for (const options of [
      null,
      5,
      'x',
      [],
      { foo: 1 },
      { listen: 'x' },
      { listen: [5] },
      { join: 'x' },
      { store: 5 },
      { signal: 5 },
      { capacity: '5' },
      { relays: 1 },
    ])
      expect(await codeOf(Mesh.start(wrong(options)))).toBe('invalid-option')
    const held = await session.open('hold')
    const others: (() => Promise<unknown>)[] = [
      () => b.join('a.example/1', { summary: wrong(5) }),
      () => b.join('a.example/1', { summary: 'x'.repeat(10_000) }),
      () => b.connect(a.ref, { signal: wrong({}) }),
      () => b.find('a.example/1', { signal: wrong({}) }),
      () => b.services({ signal: wrong('now') }),
      () => b.ping(a.id, { count: 0 }),
      () => b.ping(a.id, { count: 2, intervalMs: Number.NaN }),
      () => session.open('x'.repeat(1_000)),
      () => held.write(wrong('text')),
    ]
    for (const attempt of others) expect(await codeOf(attempt())).toBe('invalid-option')
    expect(() => b.handle('x', wrong(5))).toThrow(WebmeshError)
    expect(() => b.handle(wrong(5), null)).toThrow(WebmeshError)
    await echo(session)
  })
})
