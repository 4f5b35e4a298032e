/** The same through Webmesh, as a user would write it: against the package's public door. */
import { Mesh } from 'webmesh'
import { startHidden } from './hidden-peers.js'
import { holdIdlePeers } from './idle-peers.js'
import { rest } from './rest.js'

/** Until peers that have just started have nothing left to do. */
const SETTLE_MS = 50

/** @typedef {'write' | 'web'} Surface write() and the async iterator, or Web streams at both ends */

/** @type {Mesh | null} */
let mesh = null
/** @type {import('webmesh').Session | null} */
let session = null

export const meshCommands = {
  /**
   * @param {{ listen?: string[], join?: string[], capacity?: number }} options
   * @returns {Promise<string>} the ref
   */
  async meshStart(options) {
    return handleAll(await Mesh.start(options))
  },

  /**
   * A peer that finds no wire but those that it dials: its sessions with others of its kind stay on circuits.
   * @param {{ join: string[], listen?: string[], ports?: number[] }} options `ports`: the only ones that it can dial
   * @returns {Promise<string>} the ref
   */
  async hiddenStart({ ports, ...options }) {
    return handleAll(await startHidden(options, ports ?? null))
  },

  /**
   * Seconds of processor time that this process has used, and its memory.
   * @returns {{ cpuSeconds: number, rssBytes: number }}
   */
  usage() {
    const { user, system } = process.cpuUsage()
    return { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage().rss }
  },

  /** Circuits of others that this peer carries. */
  relayedCircuits() {
    return running().status().circuitsRelayed
  },

  meshId() {
    return running().id
  },

  /** Where it listens. */
  meshPort() {
    return Number(running().status().listening[0]?.split(':').at(-1))
  },

  /** The present ref: its rendezvous appear a moment after joining. */
  meshRef() {
    return running().ref
  },

  /**
   * Fresh peers, all started before the first connects; each is closed before the next one connects.
   * @param {{ ref: string, count: number, pauseMs: number }} options
   */
  async meshConnectsMs({ ref, count, pauseMs }) {
    const peers = await Promise.all(Array.from({ length: count }, () => Mesh.start()))
    /** @type {number[]} */
    const times = []
    await rest(SETTLE_MS)
    for (const fresh of peers) {
      await rest(pauseMs)
      const start = performance.now()
      const opened = await fresh.connect(ref)
      const stream = await opened.open('echo')
      await stream.write(Uint8Array.of(1))
      await stream.read()
      times.push(performance.now() - start)
      await fresh.close()
    }
    return times
  },

  /**
   * Opens the session that the following commands use.
   * @param {string} ref
   * @returns {Promise<string>} what its packets travel over
   */
  async meshConnect(ref) {
    session = await running().connect(ref)
    return session.path.kind
  },

  meshPath() {
    return opened().path.kind
  },

  /**
   * Seconds from the first write until the other side has said that it got all.
   * @param {{ surface: Surface, totalBytes: number, writeBytes: number }} options
   */
  async meshBulk({ surface, totalBytes, writeBytes }) {
    const stream = await opened().open(`sink-${surface}`)
    const data = new Uint8Array(writeBytes).fill(7)
    const start = performance.now()
    if (surface === 'web') {
      const writer = stream.writable.getWriter()
      for (let left = totalBytes; left > 0; left -= writeBytes) await writer.write(data)
      await writer.close()
    } else {
      for (let left = totalBytes; left > 0; left -= writeBytes) await stream.write(data)
      await stream.end()
    }
    const received = Number(await allText(stream))
    if (received !== totalBytes) throw new Error(`${received} of ${totalBytes} bytes arrived`)
    return (performance.now() - start) / 1000
  },

  /**
   * Microseconds of each round trip.
   * @param {{ count: number, bytes: number }} options
   */
  async meshRoundTrips({ count, bytes }) {
    const stream = await opened().open('echo')
    const data = new Uint8Array(bytes).fill(7)
    /** @type {number[]} */
    const times = []
    while (times.length < count) {
      const start = performance.now()
      await stream.write(data)
      for (let got = 0; got < bytes; ) {
        const chunk = await stream.read()
        if (chunk === null) throw new Error('the stream ended')
        got += chunk.length
      }
      times.push((performance.now() - start) * 1000)
    }
    await stream.end()
    return times
  },

  /**
   * Peers with identities of their own, each with a session that stays open and idle.
   * @param {{ ref: string, count: number }} options
   */
  async meshHold({ ref, count }) {
    await holdIdlePeers(ref, count)
  },

  /** How many sessions this peer has. */
  meshSessions() {
    return running().status().sessions
  },

  /** Bytes that this process refers to, after the garbage is gone: what V8 and the system keep for later is not in it. */
  async heldBytes() {
    await meshCommands.memoryBytes()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  },

  /** Bytes of this process, after the garbage is gone. */
  async memoryBytes() {
    for (let i = 0; i < 4; i += 1) {
      globalThis.gc?.()
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    return process.memoryUsage().rss
  },
}

/**
 * @param {Mesh} started
 * @returns {string} its ref
 */
function handleAll(started) {
  started.handle('echo', async stream => {
    for await (const chunk of stream) await stream.write(chunk)
  })
  started.handle('sink-write', async stream => {
    let bytes = 0
    for await (const chunk of stream) bytes += chunk.length
    await stream.write(new TextEncoder().encode(String(bytes)))
  })
  started.handle('sink-web', async stream => {
    let bytes = 0
    const reader = stream.readable.getReader()
    for (let next = await reader.read(); !next.done; next = await reader.read()) bytes += next.value.length
    await stream.write(new TextEncoder().encode(String(bytes)))
  })
  mesh = started
  return started.ref
}

function running() {
  if (mesh === null) throw new Error('no peer was started')
  return mesh
}

function opened() {
  if (session === null) throw new Error('no session was opened')
  return session
}

/** @param {AsyncIterable<Uint8Array>} stream */
async function allText(stream) {
  let text = ''
  for await (const chunk of stream) text += new TextDecoder().decode(chunk)
  return text
}
