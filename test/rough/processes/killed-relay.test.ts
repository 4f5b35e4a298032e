/** Two peers behind firewalls talk over a relay, whose process is killed in mid-transfer: a change of path, and no more. */
import { createHash, randomBytes } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import type { Mesh } from '../../../src/index.node.ts'
import { startMesh } from '../../../src/mesh/mesh.ts'
import { nodeMeshPlatform } from '../../../src/mesh/mesh-platform.node.ts'
import { Victim } from './victim.fixtures.ts'

const CHUNK = randomBytes(65_536)
const CHUNKS = 3_000
/** By then so much has passed that the transfer is in full swing. */
const KILL_AT_CHUNK = 1_000
const GAP_MAX_MS = 1_000

const meshes: Mesh[] = []
const relays: Victim[] = []

afterEach(async () => {
  await Promise.all(meshes.splice(0).map(mesh => mesh.close()))
  await Promise.all(relays.splice(0).map(relay => relay.kill()))
})

/** It dials, and finds no wire through NATs: what reaches it comes over its links. */
async function hidden(): Promise<Mesh> {
  const join = relays.map(({ ref }) => ref)
  const mesh = await startMesh({ ...nodeMeshPlatform(), negotiators: () => [] }, { join })
  meshes.push(mesh)
  await expect.poll(() => mesh.status().links.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(relays.length)
  return mesh
}

it('bytes flow again within a second, and all of them arrive', async () => {
  relays.push(await Victim.start(), await Victim.start())
  const [a, b] = [await hidden(), await hidden()]
  const hash = createHash('sha256')
  let arrivedAt = 0
  let gapMs = 0
  let chunks = 0
  b.handle('take', async stream => {
    for await (const bytes of stream) {
      const now = performance.now()
      if (chunks > 0) gapMs = Math.max(gapMs, now - arrivedAt)
      arrivedAt = now
      chunks += bytes.length / CHUNK.length
      hash.update(bytes)
    }
    await stream.write(hash.digest())
    await stream.end()
  })
  const session = await a.connect(b.ref)
  const path = () => (session.path.kind === 'circuit' ? session.path.via[0] : session.path.kind)
  const first = relays.find(({ id }) => id === path())
  expect(first).toBeDefined()
  const stream = await session.open('take')
  const sent = createHash('sha256')
  for (let i = 0; i < CHUNKS; i += 1) {
    if (i === KILL_AT_CHUNK) {
      gapMs = 0
      void first?.kill()
    }
    await stream.write(CHUNK)
    sent.update(CHUNK)
  }
  await stream.end()
  const answer: Uint8Array[] = []
  for await (const bytes of stream) answer.push(bytes)
  expect(Buffer.concat(answer).equals(sent.digest())).toBe(true)
  expect(path()).toBe(relays.find(relay => relay !== first)?.id)
  expect(gapMs).toBeLessThan(GAP_MAX_MS)
}, 60_000)
