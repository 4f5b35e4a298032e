/** Peers that relay, or do not, over real sockets: two that dial only, and one or two that they joined through. */
import { afterEach, describe, expect, it } from 'vitest'
import { Mesh, WebmeshError } from '../index.node.ts'
import { startMesh } from './mesh.ts'
import type { MeshOptions } from './mesh-options.ts'
import { nodeMeshPlatform } from './mesh-platform.node.ts'

const BYTES_PER_SECOND = 2_000_000
const BYTES = 4_000_000

const running: Mesh[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map(mesh => mesh.close()))
})

async function relay(relays: MeshOptions['relays'], join: readonly string[] = []): Promise<Mesh> {
  const mesh = await Mesh.start({ listen: ['127.0.0.1:0'], relays, join })
  running.push(mesh)
  return mesh
}

/** It finds no wires through NATs. */
async function hidden(...relays: readonly Mesh[]): Promise<Mesh> {
  const platform = { ...nodeMeshPlatform(), negotiators: () => [] }
  const mesh = await startMesh(platform, { join: relays.map(({ ref }) => ref) })
  running.push(mesh)
  await expect.poll(() => mesh.status().links.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(relays.length)
  return mesh
}

describe('a peer told not to relay', () => {
  it('says so in its ref, carries no circuit, and others find another way', async () => {
    const silent = await relay(false)
    const willing = await relay(true, [silent.ref])
    const [a, b] = [await hidden(silent, willing), await hidden(silent, willing)]
    const session = await a.connect(b.ref)
    expect(session.path).toEqual({ kind: 'circuit', via: [willing.id] })
    expect(silent.status().circuitsRelayed).toBe(0)
    expect(a.status().links.map(link => link.peer)).toContain(silent.id)
  })

  it('is no way to a peer that has no other', async () => {
    const silent = await relay(false)
    const [a, b] = [await hidden(silent), await hidden(silent)]
    const fault = await a.connect(b.ref).then(
      () => null,
      error => error,
    )
    expect(fault).toBeInstanceOf(WebmeshError)
    expect(fault.code).toBe('peer-unreachable')
    expect(silent.status().circuitsRelayed).toBe(0)
  }, 30_000)
})

describe('a budget of bytes', () => {
  it('is what a relay passes on in a second, and all comes whole', async () => {
    const slow = await relay({ bytesPerSecond: BYTES_PER_SECOND })
    const [a, b] = [await hidden(slow), await hidden(slow)]
    let got = 0
    b.handle('take', async stream => {
      for await (const chunk of stream) got += chunk.length
      await stream.end()
    })
    const session = await a.connect(b.ref)
    const stream = await session.open('take')
    const start = performance.now()
    await stream.write(new Uint8Array(BYTES))
    await stream.end()
    for await (const _ of stream) throw new Error('nothing is sent back')
    const seconds = (performance.now() - start) / 1_000
    expect(got).toBe(BYTES)
    // A burst at the start is allowed.
    expect(seconds).toBeGreaterThan((0.8 * BYTES) / BYTES_PER_SECOND)
  }, 30_000)
})
