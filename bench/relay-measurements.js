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
const IDLE_PEERS = 56
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
  const before = await memory()
  await crowd.call('crowdConnectAll')
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
      reached: each <= 4 && count > (IDLE_PEERS * IDLE_PEERS) / 4,
      note: `${count} circuits beside the ${before.circuits} that ${IDLE_PEERS} peers had among themselves before`,
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
  await sender.call('crowdFlood', { ref: await receiver.call('crowdRef'), writeBytes: WRITE_BYTES })
  // Until all that a busy relay keeps for its reads is there: it is no circuit's.
  await pause(2_000)
  const before = await relay.call('memoryBytes')
  receiver.signal('SIGSTOP')
  let most = before
  for (let at = 0; at < STOPPED_MS; at += STOPPED_LOOK_MS) {
    await pause(STOPPED_LOOK_MS)
    most = Math.max(most, await relay.call('memoryBytes'))
  }
  receiver.signal('SIGCONT')
  const [first] = await receiver.call('crowdReceived')
  await pause(3_000)
  const [later] = await receiver.call('crowdReceived')
  await processes.endAll()
  const more = (most - before) / KIB
  return [
    {
      what: `memory (RSS) of a relay before a receiver that stopped, at most within ${STOPPED_MS / 1_000} s`,
      unit: 'KiB more',
      plain: Number.NaN,
      mesh: more,
      ratio: Number.NaN,
      target: 'under 1,024 KiB',
      reached: more < KIB && later[1] > first[1],
      note: `when the receiver goes on, ${((later[1] - first[1]) / 3e6).toFixed(0)} MB/s arrive`,
    },
  ]
}

/** @param {Setting} setting */
export async function shares({ processes }) {
  const relay = processes.start('shares-relay')
  const second = processes.start('shares-second-relay')
  const receiver = processes.start('shares-receiver')
  const one = processes.start('shares-one')
  const crowd = processes.start('shares-crowd')
  const way = await relay.call('meshStart', { listen: ['127.0.0.1:0'] })
  const waySecond = await second.call('meshStart', { listen: ['127.0.0.1:0'], join: [way] })
  const [port, portSecond] = [await relay.call('meshPort'), await second.call('meshPort')]
  const slow = await receiver.call('plainSlowProxy', { target: port, bytesPerSecond: SLOW_BYTES_PER_SECOND })
  await receiver.call('crowdStart', { join: `tcp://127.0.0.1:${slow}`, ports: [slow], count: 1 })
  const [lone] = await one.call('crowdStart', { join: way, ports: [port], count: 1 })
  await crowd.call('crowdStart', { join: waySecond, ports: [portSecond], count: CROWD })
  const ref = await receiver.call('crowdRef')
  await Promise.all([one, crowd].map(side => side.call('crowdFlood', { ref, writeBytes: WRITE_BYTES })))
  await pause(SLOW_WARM_MS)
  const look = async () => {
    /** @type {Map<string, number>} */
    const received = new Map(await receiver.call('crowdReceived'))
    let all = 0
    for (const bytes of received.values()) all += bytes
    const sent = (await one.call('crowdSentBytes')) + (await crowd.call('crowdSentBytes'))
    return { lone: received.get(lone) ?? 0, all, sent }
  }
  const before = await look()
  await pause(SLOW_MS)
  const after = await look()
  await processes.endAll()
  const all = after.all - before.all
  const share = (after.lone - before.lone) / all
  const sent = (after.sent - before.sent) / all
  return [
    {
      what: `share of a slow wire that one circuit of a source has beside ${CROWD} of another`,
      unit: '',
      plain: Number.NaN,
      mesh: share,
      ratio: Number.NaN,
      target: 'about a half (0.4 to 0.6)',
      reached: share >= 0.4 && share <= 0.6,
      note: `${(all / SLOW_MS / 1e3).toFixed(1)} of ${SLOW_BYTES_PER_SECOND / 1e6} MB/s arrived`,
    },
    {
      what: `bytes that those ${CROWD + 1} senders sent for each that arrived`,
      unit: '',
      plain: Number.NaN,
      mesh: sent,
      ratio: Number.NaN,
      target: 'at most 1.1',
      reached: sent <= 1.1,
    },
  ]
}
