/** Many hidden peers in one process, and a receiver that tells from whom it got how much. */
import { Turn } from '../dist/core/turn.js'
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

  /** Their refs, as they are now. */
  crowdRefs() {
    return peers.map(mesh => mesh.ref)
  },

  /**
   * Every peer here opens circuits to every other, without sessions over them: they stand for ten seconds.
   * @param {{ relay: string, each: number }} options
   */
  crowdCircuits({ relay, each }) {
    for (const mesh of peers) {
      // reason: no more than one circuit to a peer is ever opened through the package's door.
      const { loop } = /** @type {any} */ (mesh)
      const turn = new Turn(loop.now, Date.now())
      for (const other of peers) {
        if (other === mesh) continue
        for (let i = 0; i < each; i += 1) loop.peer.connector.circuits.begin(turn, other.id, relay, true)
      }
      loop.input({ kind: 'wake' })
    }
  },

  /** @param {string} ref */
  async crowdConnect(ref) {
    for (const mesh of peers) await mesh.connect(ref)
  },

  /**
   * The first peer here sends to each of `refs` without end.
   * @param {{ refs: string[], writeBytes: number }} options
   */
  async crowdFlood({ refs, writeBytes }) {
    const data = new Uint8Array(writeBytes).fill(7)
    for (const ref of refs) {
      const session = await peers[0]?.connect(ref)
      if (session === undefined) throw new Error('no peer was started')
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
