/** Many hidden peers in one process, and a receiver that tells from whom it got how much. */
import { sentBytes, startHidden } from './hidden-peers.js'

/** @typedef {Awaited<ReturnType<typeof startHidden>>} Mesh */

/** @type {Mesh[]} */
const peers = []
/** By the peer that sent them. @type {Map<string, number>} */
const received = new Map()

export const crowdCommands = {
  /**
   * @param {{ join: string, ports: number[] | null, count: number }} options
   * @returns {Promise<string[]>} their ids
   */
  async crowdStart({ join, ports, count }) {
    for (let i = 0; i < count; i += 1) {
      const mesh = await startHidden({ join: [join] }, ports)
      mesh.handle('flood', async (stream, from) => {
        for await (const chunk of stream) received.set(from, (received.get(from) ?? 0) + chunk.length)
      })
      peers.push(mesh)
    }
    return peers.map(mesh => mesh.id)
  },

  /** The ref of the first, as it is now. */
  crowdRef() {
    return peers[0]?.ref
  },

  /** Every peer here opens a session with every other. */
  async crowdConnectAll() {
    for (const [i, mesh] of peers.entries()) {
      for (const other of peers.slice(i + 1)) await mesh.connect(other.ref)
    }
  },

  /**
   * Every peer here sends to `ref` without end.
   * @param {{ ref: string, writeBytes: number }} options
   */
  async crowdFlood({ ref, writeBytes }) {
    const data = new Uint8Array(writeBytes).fill(7)
    for (const mesh of peers) {
      const session = await mesh.connect(ref)
      if (session.path.kind !== 'circuit') throw new Error(`a path is a ${session.path.kind}`)
      const stream = await session.open('flood')
      const more = async () => {
        for (;;) await stream.write(data)
      }
      more().catch(() => {})
    }
  },

  /** @returns {[string, number][]} */
  crowdReceived() {
    return [...received]
  },

  crowdSentBytes() {
    return sentBytes()
  },
}
