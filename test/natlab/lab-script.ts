/** What runs in a page of the lab. */
import { Mesh, type MeshOptions, WebmeshError } from '../../src/index.browser.ts'
import { type Call, labPeer } from './lab-calls.ts'

/** Within reach of the process that holds the browser. */
export interface LabScript {
  start(options: MeshOptions): Promise<{ readonly id: string; readonly ref: string }>
  answer(call: Call): Promise<unknown>
}

let answer: ((call: Call) => Promise<unknown>) | null = null

const script: LabScript = {
  async start(options) {
    const mesh = await Mesh.start(options)
    answer = labPeer(mesh)
    return { id: mesh.id, ref: mesh.ref }
  },
  async answer(call) {
    try {
      return await answer?.(call)
    } catch (error) {
      return { error: error instanceof WebmeshError ? `${error.code} ${error.detail ?? ''}`.trim() : String(error) }
    }
  },
}

Object.assign(globalThis, { script })
