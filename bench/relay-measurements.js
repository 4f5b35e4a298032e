/**
 * What a relay costs and gives, each beside a plain TCP proxy where there is something to compare: throughput and
 * processor time, memory of idle circuits and of one whose receiver stopped, shares of a slow wire.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { median, ratioOfPairs } from './figures.js'
import { quietMachine } from './quiet.js'

/** @typedef {import('./measurements.js').Setting} Setting */
/** @typedef {import('./measurements.js').Row} Row */

const RELAYED_BYTES = 256 * 1024 * 1024
const WRITE_BYTES = 65_536
/** Of the proxy's throughput. */
const SHARE_WANTED = 0.7
const IDLE_PEERS = 8
const IDLE_CIRCUITS_EACH = 70
const IDLE_OPENING_MS = 2_000
const STOPPED_MS = 10_000
const STOPPED_LOOK_MS = 250
const SLOW_BYTES_PER_SECOND = 8_000_000
const SLOW_WARM_MS = 3_000
const SLOW_MS = 10_000
const CROWD = 20
const KIB = 1_024

/** @param {Setting} setting */
export async function relayed({ processes, rounds }) {
  const relay = processes.start('relayed-relay')
  const proxy = processes.start('relayed-proxy')
  const receiver = processes.start('relayed-receiver')
  const sender = processes.start('relayed-sender')
  const way = await relay.call('meshStart', { listen: ['127.0.0.1:0'] })
  const proxyPort = await proxy.call('plainProxy', await receiver.call('plainListen'))
  await receiver.call('hiddenStart', { join: [way] })
  await sender.call('hiddenStart', { join: [way] })
  await sender.call('meshConnect', await receiver.call('meshRef'))
  const total = { totalBytes: RELAYED_BYTES, writeBytes: WRITE_BYTES, surface: 'write', port: proxyPort }
  /** @type {{ plain: number[], mesh: number[], plainCpu: number[], meshCpu: number[] }} */
  const seen = { plain: [], mesh: [], plainCpu: [], meshCpu: [] }
  /**
   * @param {import('./processes.js').Side} between
   * @param {string} command
   * @returns {Promise<[number, number]>} seconds, and those of the processor of the one between
   */
  const measure = async (between, command) => {
    const before = await between.call('usage')
    const seconds = await sender.call(command, total)
    const after = await between.call('usage')
    return [seconds, after.cpuSeconds - before.cpuSeconds]
  }
  for (let i = -1; i < rounds; i += 1) {
    await quietMachine()
    const [plain, plainCpu] = await measure(proxy, 'plainBulk')
    const [mesh, meshCpu] = await measure(relay, 'meshBulk')
    if (i < 0) continue
    seen.plain.push(plain)
    seen.mesh.push(mesh)
    seen.plainCpu.push(plainCpu)
    seen.meshCpu.push(meshCpu)
    const path = await sender.call('meshPath')
    if (path !== 'circuit') throw new Error(`the session is not relayed, its path is a ${path}`)
  }
  await processes.endAll()
  const ratio = ratioOfPairs(seen.plain, seen.mesh)
  const cpuRatio = ratioOfPairs(seen.meshCpu, seen.plainCpu)
  const gigabytes = RELAYED_BYTES / 1e9
  return [
    {
      what: 'bulk relayed over one peer, against a proxy made with pipe',
      unit: 'MB/s',
      plain: RELAYED_BYTES / 1e6 / median(seen.plain),
      mesh: RELAYED_BYTES / 1e6 / median(seen.mesh),
      ratio,
      target: `at least ${SHARE_WANTED * 100} %`,
      reached: ratio >= SHARE_WANTED,
    },
    {
      what: "the relay's own processor time for a GB, against that proxy's",
      unit: 's',
      plain: median(seen.plainCpu) / gigabytes,
      mesh: median(seen.meshCpu) / gigabytes,
      ratio: cpuRatio,
      target: "at most the proxy's",
      reached: cpuRatio <= 1,
    },
  ]
}

/** @param {Setting} setting */
export async function circuits({ processes }) {
  const relay = processes.start('circuits-relay', ['--max-semi-space-size=16'])
  const crowd = processes.start('circuits-crowd')
  const way = await relay.call('meshStart', { listen: ['127.0.0.1:0'], capacity: 256 })
  await crowd.call('crowdStart', { join: way, ports: null, count: IDLE_PEERS })
  await pause(3_000)
  const memory = async () => ({
    bytes: await relay.call('memoryBytes'),
    circuits: await relay.call('relayedCircuits'),
  })
  const half = { relay: await relay.call('meshId'), each: IDLE_CIRCUITS_EACH / 2 }
  // While the first are opened V8 grows its heap for young objects, once and for all.
  await crowd.call('crowdCircuits', half)
  await pause(IDLE_OPENING_MS)
  const before = await memory()
  await crowd.call('crowdCircuits', half)
  await pause(IDLE_OPENING_MS)
  const after = await memory()
  await processes.endAll()
  const count = after.circuits - before.circuits
  const each = (after.bytes - before.bytes) / count / KIB
  return [
    {
      what: 'memory (RSS) of a relay for each idle circuit',
      unit: 'KiB',
      plain: Number.NaN,
      mesh: each,
      ratio: Number.NaN,
      target: 'at most 4 KiB',
      reached: each <= 4 && count > 1_500,
      note: `${count} circuits beside ${before.circuits}`,
    },
  ]
}

/** @param {Setting} setting */
export async function stopped({ processes }) {
  const relay = processes.start('stopped-relay', ['--max-semi-space-size=16'])
  const receiver = processes.start('stopped-receiver')
  const sender = processes.start('stopped-sender')
  const way = await relay.call('meshStart', { listen: ['127.0.0.1:0'] })
  await receiver.call('crowdStart', { join: way, ports: null, count: 1 })
  await sender.call('crowdStart', { join: way, ports: null, count: 1 })
  const refs = await receiver.call('crowdRefs')
  await sender.call('crowdConnect', refs[0])
  await pause(1_000)
  const before = await relay.call('memoryBytes')
  const heldBefore = await relay.call('heldBytes')
  receiver.signal('SIGSTOP')
  await sender.call('crowdFlood', { refs, writeBytes: WRITE_BYTES })
  /** @type {number[]} */
  const looked = []
  /** @type {number[]} */
  const held = []
  for (const start = performance.now(); performance.now() - start < STOPPED_MS; ) {
    await pause(STOPPED_LOOK_MS)
    looked.push(await relay.call('memoryBytes'))
    held.push(await relay.call('heldBytes'))
  }
  const most = Math.max(...looked)
  receiver.signal('SIGCONT')
  await pause(1_000)
  const first = await receiver.call('crowdReceived')
  await pause(3_000)
  const later = await receiver.call('crowdReceived')
  await processes.endAll()
  const more = Math.max(most - before, Math.max(...held) - heldBefore) / KIB
  const arrived = (later[0]?.[1] ?? 0) - (first[0]?.[1] ?? 0)
  return [
    {
      what: `memory of a relay before a receiver that stopped, at most within ${STOPPED_MS / 1_000} s`,
      unit: 'KiB more',
      plain: Number.NaN,
      mesh: more,
      ratio: Number.NaN,
      target: 'under 1,024 KiB',
      reached: more < KIB && arrived > 0,
      note:
        `the larger of what the system and what V8 say; in use ${middle(held, heldBefore)}, resident ` +
        `${middle(looked, before)} in the middle; when the receiver goes on, ${(arrived / 3e6).toFixed(0)} MB/s arrive`,
    },
  ]
}

/** @param {Setting} setting */
export async function shares({ processes }) {
  const wire = await sharesOfWire(processes)
  const budget = await sharesOfBudget(processes)
  const rate = `${SLOW_BYTES_PER_SECOND / 1e6} MB/s`
  return [
    shareRow(`a wire of ${rate}`, wire),
    sentRow(`a wire of ${rate}`, wire),
    shareRow(`a relay's budget of ${rate}`, budget),
    sentRow(`a relay's budget of ${rate}`, budget),
  ]
}

/** @typedef {{ share: number, sent: number, bytesPerSecond: number }} Contest */

/**
 * @param {readonly number[]} looked
 * @param {number} before
 */
function middle(looked, before) {
  return `${(((looked[looked.length >> 1] ?? before) - before) / KIB).toFixed(0)} KiB more`
}

/**
 * Two sources before a relay, one slow wire behind it to another relay, and the receivers behind that one.
 * @param {import('./processes.js').Processes} processes
 */
async function sharesOfWire(processes) {
  const relay = processes.start('shares-relay')
  const beyond = processes.start('shares-beyond')
  const receivers = processes.start('shares-receivers')
  const way = await relay.call('meshStart', { listen: ['127.0.0.1:0'] })
  const port = await relay.call('meshPort')
  const slow = await receivers.call('plainSlowProxy', { target: port, bytesPerSecond: SLOW_BYTES_PER_SECOND })
  const places = { listen: ['127.0.0.1:0'], join: [`tcp://127.0.0.1:${slow}`], ports: [slow] }
  const wayBeyond = await beyond.call('hiddenStart', places)
  const ports = [await beyond.call('meshPort')]
  await receivers.call('crowdStart', { join: wayBeyond, ports, count: CROWD + 1 })
  return contest(processes, receivers, way, port)
}

/** @param {import('./processes.js').Processes} processes */
async function sharesOfBudget(processes) {
  const relay = processes.start('budget-relay')
  const receivers = processes.start('budget-receivers')
  const relays = { bytesPerSecond: SLOW_BYTES_PER_SECOND }
  const way = await relay.call('meshStart', { listen: ['127.0.0.1:0'], capacity: 64, relays })
  const port = await relay.call('meshPort')
  await receivers.call('crowdStart', { join: way, ports: [port], count: CROWD + 1 })
  return contest(processes, receivers, way, port)
}

/**
 * One source sends to the first receiver, another one to each of the others.
 * @param {import('./processes.js').Processes} processes
 * @param {import('./processes.js').Side} receivers
 * @param {string} way
 * @param {number} port
 * @returns {Promise<Contest>}
 */
async function contest(processes, receivers, way, port) {
  const one = processes.start('shares-one')
  const many = processes.start('shares-many')
  const [lone] = await one.call('crowdStart', { join: way, ports: [port], count: 1 })
  await many.call('crowdStart', { join: way, ports: [port], count: 1 })
  const [first, ...others] = await receivers.call('crowdRefs')
  await one.call('crowdFlood', { refs: [first], writeBytes: WRITE_BYTES })
  await many.call('crowdFlood', { refs: others, writeBytes: WRITE_BYTES })
  await pause(SLOW_WARM_MS)
  const look = async () => {
    /** @type {Map<string, number>} */
    const received = new Map(await receivers.call('crowdReceived'))
    let all = 0
    for (const bytes of received.values()) all += bytes
    const sent = (await one.call('crowdSentBytes')) + (await many.call('crowdSentBytes'))
    return { lone: received.get(lone) ?? 0, all, sent }
  }
  const before = await look()
  await pause(SLOW_MS)
  const after = await look()
  await processes.endAll()
  const all = after.all - before.all
  return {
    share: (after.lone - before.lone) / all,
    sent: (after.sent - before.sent) / all,
    bytesPerSecond: (all / SLOW_MS) * 1e3,
  }
}

/**
 * @param {string} of
 * @param {Contest} contest
 * @returns {Row}
 */
function shareRow(of, { share, bytesPerSecond }) {
  return {
    what: `share of ${of} that a source with one stream has beside one with ${CROWD}`,
    unit: '',
    plain: Number.NaN,
    mesh: share,
    ratio: Number.NaN,
    target: 'about a half (0.4 to 0.6)',
    reached: share >= 0.4 && share <= 0.6,
    note: `${(bytesPerSecond / 1e6).toFixed(1)} MB/s arrived`,
  }
}

/**
 * @param {string} over
 * @param {Contest} contest
 * @returns {Row}
 */
function sentRow(over, { sent }) {
  return {
    what: `bytes that those two sent over ${over} for each that arrived`,
    unit: '',
    plain: Number.NaN,
    mesh: sent,
    ratio: Number.NaN,
    target: 'at most 1.1',
    reached: sent <= 1.1,
  }
}
