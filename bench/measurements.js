/**
 * What is measured: each function starts its own processes and gives the rows of the table that it fills. Plain TCP and
 * Webmesh take turns, and a ratio is that of two neighbours in time, since a shared machine changes speed by the minute.
 */
import { median, ratioOfPairs } from './figures.js'
import { quietMachine } from './quiet.js'
import { circuits, relayed, shares, stopped } from './relay-measurements.js'

/**
 * @typedef {import('./processes.js').Processes} Processes
 * @typedef {{
 *   what: string,
 *   unit: string,
 *   plain: number,
 *   mesh: number,
 *   ratio: number,
 *   target: string,
 *   reached: boolean,
 *   note?: string,
 * }} Row
 * @typedef {{ processes: Processes, rounds: number, node24: boolean }} Setting
 */

const BULK_BYTES = 256 * 1024 * 1024
const BULK_WRITE_BYTES = 65_536
const MESSAGES = 250_000
const MESSAGE_BYTES = 1_024
const ROUND_TRIPS = 2_000
const ROUND_TRIP_BYTES = 64
/** In each round. */
const CONNECTS = 20
const CONNECT_PAUSE_MS = 5
/** Until the code of both sides is compiled; what the very first takes is told beside. */
const CONNECTS_BEFORE = 60
/** While the first are opened V8 grows its heap for young objects, once and for all. */
const IDLE_FIRST = 2_000
const IDLE_MORE = 2_000
/** Node 20's limit. Node 24 lets them grow with what is allocated, to 64 MiB and more, however many sessions there are. */
const YOUNG_OBJECTS = ['--max-semi-space-size=16']

/** @type {Record<string, (setting: Setting) => Promise<Row[]>>} */
export const MEASUREMENTS = {
  connect,
  bulk,
  messages,
  'round-trip': roundTrip,
  memory,
  relayed,
  circuits,
  stopped,
  shares,
}

/** @param {Setting} setting */
async function connect({ processes, rounds }) {
  const { client, port, ref } = await pair(processes, 'connect')
  const [firstPlain] = await client.call('plainConnectsMs', { port, count: 1, pauseMs: 0 })
  const [firstMesh] = await client.call('meshConnectsMs', { ref, count: 1, pauseMs: 0 })
  /** @type {number[]} */
  const plain = []
  /** @type {number[]} */
  const mesh = []
  /** @type {number[]} */
  const afterPause = []
  await client.call('meshConnectsMs', { ref, count: CONNECTS_BEFORE, pauseMs: 0 })
  for (let i = 0; i < rounds; i += 1) {
    await quietMachine()
    plain.push(...(await client.call('plainConnectsMs', { port, count: CONNECTS, pauseMs: 0 })))
    mesh.push(...(await client.call('meshConnectsMs', { ref, count: CONNECTS, pauseMs: 0 })))
    afterPause.push(...(await client.call('meshConnectsMs', { ref, count: CONNECTS, pauseMs: CONNECT_PAUSE_MS })))
  }
  const warm = median(mesh)
  const first = `the first in each process: ${firstPlain.toFixed(1)} ms plain, ${firstMesh.toFixed(1)} ms Webmesh`
  const paused = `after ${CONNECT_PAUSE_MS} ms in which the processors slept: ${median(afterPause).toFixed(1)} ms`
  return [
    {
      what: 'connect and first echoed byte, known PeerRef, fresh peer',
      unit: 'ms',
      plain: median(plain),
      mesh: warm,
      ratio: ratioOfPairs(mesh, plain),
      target: 'under 3 ms',
      reached: warm < 3,
      note: `${first}; ${paused}`,
    },
  ]
}

/** @param {Setting} setting */
async function bulk({ processes, rounds, node24 }) {
  const figures = await oneWay(processes, 'bulk', rounds, BULK_BYTES, BULK_WRITE_BYTES)
  const amount = BULK_BYTES / 1e6
  return [
    share('bulk, one stream, write() and async iteration', 'MB/s', amount, figures.write, node24 ? 0.6 : 0.45),
    share('bulk, one stream, Web streams', 'MB/s', amount, figures.web, node24 ? 0.45 : 0.35),
  ]
}

/** @param {Setting} setting */
async function messages({ processes, rounds }) {
  const figures = await oneWay(processes, 'messages', rounds, MESSAGES * MESSAGE_BYTES, MESSAGE_BYTES)
  return [
    atLeast('1 KiB messages one way, write()', '/s', MESSAGES, figures.write, 200_000),
    atLeast('1 KiB messages one way, Web streams', '/s', MESSAGES, figures.web, 110_000),
  ]
}

/** @param {Setting} setting */
async function roundTrip({ processes, rounds }) {
  const { server, client, port, ref } = await pair(processes, 'round-trip')
  await client.call('meshConnect', ref)
  const options = { port, count: ROUND_TRIPS, bytes: ROUND_TRIP_BYTES }
  const measure = async () => {
    /** @type {{ plain: number[], mesh: number[] }} */
    const times = { plain: [], mesh: [] }
    await client.call('plainRoundTrips', options)
    await client.call('meshRoundTrips', options)
    for (let i = 0; i < rounds; i += 1) {
      await quietMachine()
      times.plain.push(median(await client.call('plainRoundTrips', options)))
      times.mesh.push(median(await client.call('meshRoundTrips', options)))
    }
    const more = median(times.mesh.map((time, i) => time - (times.plain[i] ?? 0)))
    return { ...times, more }
  }
  const free = await measure()
  // To wake the other core costs a virtual machine up to 50 µs, and whether it has to differs between the two.
  const pinned = [server, client].every(side => side.useCores('0'))
  const alike = pinned ? await measure() : free
  const elsewhere = `${median(free.plain).toFixed(0)} µs and ${median(free.mesh).toFixed(0)} µs`
  return [
    {
      what: `64-byte round trip on an open stream, p50${pinned ? ', both processes on one core' : ''}`,
      unit: 'µs',
      plain: median(alike.plain),
      mesh: median(alike.mesh),
      ratio: ratioOfPairs(alike.mesh, alike.plain),
      target: 'plain + 70 µs',
      reached: alike.more <= 70,
      note: `Webmesh takes ${alike.more.toFixed(0)} µs more; on cores of the system's choice: ${elsewhere}`,
    },
  ]
}

/** @param {Setting} setting */
async function memory({ processes }) {
  const { server: plainServer, client: plainClient, port } = await pair(processes, 'memory-plain', YOUNG_OBJECTS)
  const plain = await growth(plainServer, count => plainClient.call('plainHold', { port, count }))
  const { server, client, ref } = await pair(processes, 'memory-mesh', YOUNG_OBJECTS)
  const mesh = await growth(server, count => client.call('meshHold', { ref, count }))
  const sessions = await server.call('meshSessions')
  if (sessions < IDLE_FIRST + IDLE_MORE) throw new Error(`only ${sessions} sessions are open`)
  return [
    {
      what: 'server memory (RSS) per idle connected session',
      unit: 'KiB',
      plain: plain.more,
      mesh: mesh.more,
      ratio: mesh.more / plain.more,
      target: 'at most 20 KiB',
      reached: mesh.more <= 20,
      note:
        `${IDLE_MORE} sessions of as many identities beside ${IDLE_FIRST}; over all of them, with what V8's heap grew ` +
        `once: ${mesh.all.toFixed(1)} KiB, plain ${plain.all.toFixed(1)} KiB; both with at most 16 MiB for young objects`,
    },
  ]
}

/** @typedef {{ plain: number[], mesh: number[] }} Figures seconds of each round */

/**
 * @param {Processes} processes
 * @param {string} name
 * @param {number} rounds
 * @param {number} totalBytes
 * @param {number} writeBytes
 */
async function oneWay(processes, name, rounds, totalBytes, writeBytes) {
  const { client, port, ref } = await pair(processes, name)
  await client.call('meshConnect', ref)
  const warmUp = { port, totalBytes: totalBytes / 4, writeBytes }
  await client.call('plainBulk', warmUp)
  for (const surface of SURFACES) await client.call('meshBulk', { ...warmUp, surface })
  const figures = { write: noFigures(), web: noFigures() }
  for (let i = 0; i < rounds; i += 1) {
    for (const surface of SURFACES) {
      await quietMachine()
      const options = { port, totalBytes, writeBytes, surface }
      figures[surface].plain.push(await client.call('plainBulk', options))
      figures[surface].mesh.push(await client.call('meshBulk', options))
    }
  }
  return figures
}

const SURFACES = /** @type {const} */ (['write', 'web'])

/** @returns {Figures} */
function noFigures() {
  return { plain: [], mesh: [] }
}

/**
 * A server and a client, each in a process of its own, and each with a peer.
 * @param {Processes} processes
 * @param {string} name
 * @param {string[]} execArgv options for V8, of the server
 */
async function pair(processes, name, execArgv = []) {
  await processes.endAll()
  const server = processes.start(`${name}-server`, execArgv)
  const client = processes.start(`${name}-client`)
  const port = await server.call('plainListen')
  const ref = await server.call('meshStart', { listen: ['127.0.0.1:0'] })
  await client.call('meshStart', {})
  return { server, client, port, ref }
}

/**
 * KiB of the server for each connection: of those that come after the first, and of all.
 * @param {import('./processes.js').Side} server
 * @param {(count: number) => Promise<void>} hold
 */
async function growth(server, hold) {
  const start = await server.call('memoryBytes')
  await hold(IDLE_FIRST)
  const before = await server.call('memoryBytes')
  await hold(IDLE_MORE)
  const after = await server.call('memoryBytes')
  return { more: (after - before) / IDLE_MORE / 1024, all: (after - start) / (IDLE_FIRST + IDLE_MORE) / 1024 }
}

/**
 * @param {string} what
 * @param {string} unit
 * @param {number} amount of the unit in a round
 * @param {Figures} figures
 * @param {number} least of what plain TCP reaches
 * @returns {Row}
 */
function share(what, unit, amount, figures, least) {
  const ratio = ratioOfPairs(figures.plain, figures.mesh)
  const plain = amount / median(figures.plain)
  const mesh = amount / median(figures.mesh)
  return { what, unit, plain, mesh, ratio, target: `at least ${least * 100} %`, reached: ratio >= least }
}

/**
 * @param {string} what
 * @param {string} unit
 * @param {number} amount
 * @param {Figures} figures
 * @param {number} least
 * @returns {Row}
 */
function atLeast(what, unit, amount, figures, least) {
  const row = share(what, unit, amount, figures, 0)
  return { ...row, target: `at least ${least.toLocaleString('en')}`, reached: row.mesh >= least }
}
