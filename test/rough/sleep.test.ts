/** A peer whose machine slept, on real wires: its wall clock has jumped, as a laptop's has when the lid is opened. */
import { afterEach, expect, it } from 'vitest'
import { Mesh, type MeshOptions, WebmeshError } from '../../src/index.node.ts'
import { startMesh } from '../../src/mesh/mesh.ts'
import { nodeMeshPlatform } from '../../src/mesh/mesh-platform.node.ts'

const HOUR_MS = 3_600_000
const meshes: Mesh[] = []

afterEach(async () => {
  await Promise.all(meshes.splice(0).map(mesh => mesh.close()))
})

async function start(options: MeshOptions): Promise<Mesh> {
  const mesh = await Mesh.start(options)
  meshes.push(mesh)
  return mesh
}

/** One whose clock the test sets on. */
async function sleeper(options: MeshOptions): Promise<{ readonly mesh: Mesh; sleep(ms: number): void }> {
  let sleptMs = 0
  const platform = nodeMeshPlatform()
  const { clock } = platform
  const mesh = await startMesh({ ...platform, clock: { ...clock, wallNow: () => clock.wallNow() + sleptMs } }, options)
  meshes.push(mesh)
  return {
    mesh,
    sleep: ms => {
      sleptMs += ms
    },
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    return error instanceof WebmeshError ? error.code : String(error)
  }
}

it('streams go on within 5 s after an hour of sleep, where the other side waited, over a new path', async () => {
  const relay = await start({ listen: ['127.0.0.1:0'] })
  const server = await start({ listen: ['127.0.0.1:0'], join: [relay.ref], pathlessMs: 2 * HOUR_MS })
  server.handle('echo', async stream => {
    for await (const bytes of stream) await stream.write(bytes)
  })
  const { mesh, sleep } = await sleeper({ join: [relay.ref], pathlessMs: 2 * HOUR_MS })
  const session = await mesh.connect(server.ref)
  const stream = await session.open('echo')
  const echo = async (byte: number): Promise<void> => {
    await stream.write(Uint8Array.of(byte))
    expect(await stream.read()).toEqual(Uint8Array.of(byte))
  }
  await echo(1)
  const paths: string[] = []
  session.addEventListener('path', ({ path }) => paths.push(path.kind))
  sleep(HOUR_MS)
  const startedAt = performance.now()
  await expect.poll(() => paths, { timeout: 5_000 }).toContain('none')
  await echo(2)
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  expect(paths.at(-1)).not.toBe('none')
})

it('a stream fails with a code, at both ends, when there was no path for longer than it was to wait', async () => {
  const relay = await start({ listen: ['127.0.0.1:0'] })
  // Neither of them takes connections, nor negotiates any.
  const platform = { ...nodeMeshPlatform(), negotiators: () => [] }
  const [server, client] = await Promise.all([
    startMesh(platform, { join: [relay.ref], pathlessMs: 1_000 }),
    startMesh(platform, { join: [relay.ref], pathlessMs: 1_000 }),
  ])
  meshes.push(server, client)
  let [there, first] = ['nothing', 0]
  server.handle('hold', async stream => {
    there = await codeOf(
      (async () => {
        for await (const bytes of stream) first = bytes[0] ?? 0
      })(),
    )
  })
  const session = await client.connect(server.id)
  const stream = await session.open('hold')
  await stream.write(Uint8Array.of(7))
  await expect.poll(() => first).toBe(7)
  const reading = codeOf(stream.read())
  await relay.close()
  const startedAt = performance.now()
  expect(await reading).toBe('session-lost')
  await expect.poll(() => there, { timeout: 3_000 }).toBe('session-lost')
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  expect((await session.closed).code).toBe('session-lost')
})

it.each([999, -1, Number.NaN, 700_000_000, '5000'])('a wait of %s is refused', async pathlessMs => {
  // reason: what a program without types might give.
  expect(await codeOf(Mesh.start({ pathlessMs: pathlessMs as number }))).toBe('invalid-option')
})
