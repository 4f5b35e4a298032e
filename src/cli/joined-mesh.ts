/** A mesh that is in: for commands that are of no use alone. With a store and no way in, its remembered peers are the way. */
import { Mesh, WebmeshError } from '../index.node.ts'
import type { MeshOptions } from '../mesh/mesh-options.ts'
import { pause } from './waiting.ts'

/** The store has told by then whom it remembers. */
const LOAD_MS = 1_000
/** Some remembered peer has answered by then, or probably none will. */
const FIRST_LINK_MS = 6_000
const LOOK_MS = 20

export async function startJoined(options: MeshOptions & { readonly signal: AbortSignal }): Promise<Mesh> {
  const mesh = await Mesh.start(options)
  const { signal } = options
  const startedAt = performance.now()
  for (;;) {
    const { links, rememberedPeers } = mesh.status()
    if (links.length > 0) return mesh
    const waitedMs = performance.now() - startedAt
    if (waitedMs > FIRST_LINK_MS || (waitedMs > LOAD_MS && rememberedPeers === 0)) {
      const tried = rememberedPeers === 0 ? 'the store remembers no peers' : 'none of the remembered peers answered'
      await mesh.close()
      throw new WebmeshError({ code: 'no-way-in', detail: tried })
    }
    if (!(await pause(LOOK_MS, signal))) {
      await mesh.close()
      throw new WebmeshError({ code: 'aborted', detail: 'interrupted' })
    }
  }
}
