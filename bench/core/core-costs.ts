/**
 * What the core costs where a large simulation spends its time: time and allocated bytes of one step of a peer, by what
 * the step was for. A mesh grows, rests, then looks for peers; every step of every peer is measured, nothing of the
 * simulator is. Run with `npm run bench:core`.
 */
import { getHeapStatistics } from 'node:v8'
import type { Input } from '../../src/core/input.ts'
import { Overlay } from '../../src/core/overlay/overlay.ts'
import { createPeer } from '../../src/core/peer.ts'
import type { Peer, PeerOptions } from '../../src/core/peer-options.ts'
import { World } from '../../src/sim/world.ts'

const HELP = `bench:core: time and allocated bytes of the core, by what a step of a peer was for.

  npm run bench:core                    a table, for 60 peers
  npm run bench:core -- --peers 200     another size
  npm run bench:core -- --json          one object instead of the table
  npm run bench:core -- --help          this text

Bytes are exact and repeat to a few per cent: look at them for growth. Times depend on the machine: compare runs made
in turn. Buffers are the bytes of typed arrays that do not lie on the heap.`

interface Row {
  readonly what: string
  steps: number
  micros: number
  heapBytes: number
  bufferBytes: number
  /** Steps in which the garbage collector ran: their bytes are not counted. */
  uncounted: number
}

/** What looking costs by itself. */
const LOOK_HEAP_BYTES = lookHeapBytes()

/** What the overlay was told in the present step; its kinds are those on the wire. */
const told: string[] = []
let rows: Map<string, Row> | null = null

main(process.argv.slice(2))

function main(flags: readonly string[]): void {
  if (flags.includes('--help')) {
    console.log(HELP)
    return
  }
  const peers = flags.includes('--peers') ? Number(flags[flags.indexOf('--peers') + 1]) : 60
  if (!Number.isInteger(peers) || peers < 10 || peers > 5_000) throw new Error('--peers is a whole number, 10 to 5000')
  hearMessages()
  // The first run is for the compiler.
  measure(1, Math.min(peers, 60))
  const table = measure(2, peers)
  if (flags.includes('--json')) console.log(JSON.stringify({ peers, rows: table.map(perStep) }))
  else print(peers, table)
}

function measure(seed: number, peers: number): Row[] {
  const world = new World({ seed, make: measuredPeer })
  const joining = new Map<string, Row>()
  rows = joining
  const first = world.add({ public: true })
  for (let i = 1; i < peers; i += 1) {
    world.add({ public: i % 2 === 0, capacity: i % 20 === 0 ? 256 : i % 3 === 0 ? 24 : 12 }).join(first)
    world.run(50)
  }
  world.run(10_000)
  const join = sum('a join, all that all peers do for it', joining.values(), peers - 1)
  rows = new Map()
  world.run(60_000)
  const idle = new Map<string, Row>()
  rows = idle
  world.run(60_000)
  const second = sum('an idle peer, a second of it', idle.values(), peers * 60)
  const searching = new Map<string, Row>()
  rows = searching
  for (let i = 0; i < 20 * peers; i += 1) {
    const [from, to] = world.rng.sample(world.nodes, 2)
    if (from === undefined || to === undefined) break
    from.ask(request => ({ kind: 'peer-find', request, peer: to.id }))
    world.run(10)
  }
  world.run(5_000)
  rows = null
  return [
    join,
    second,
    renamed('a tick of an idle peer', idle.get('wake')),
    renamed('a gossip message, taken and perhaps answered', idle.get('gossip')),
    renamed('a routed request at a hop', searching.get('route')),
    renamed('its answer at a hop', searching.get('route-answer')),
    renamed('a packet without a message', idle.get('packet')),
  ]
}

/** A step is for the message in its packet, where it holds one. */
function measuredPeer(options: PeerOptions): Peer {
  const peer = createPeer(options)
  return {
    step: (now, input) => {
      told.length = 0
      const before = getHeapStatistics()
      const startedAt = performance.now()
      const effects = peer.step(now, input)
      const micros = (performance.now() - startedAt) * 1_000
      const after = getHeapStatistics()
      note(
        purposeOf(input),
        micros,
        after.used_heap_size - before.used_heap_size - LOOK_HEAP_BYTES,
        after.external_memory - before.external_memory,
      )
      return effects
    },
    nextWake: () => peer.nextWake(),
    snapshot: () => peer.snapshot(),
  }
}

function lookHeapBytes(): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 1_000; i += 1) {
    const before = getHeapStatistics()
    const startedAt = performance.now()
    const micros = performance.now() - startedAt
    const after = getHeapStatistics()
    const bytes = after.used_heap_size - before.used_heap_size
    if (micros >= 0 && bytes >= 0 && bytes < least) least = bytes
  }
  return least
}

function purposeOf(input: Input): string {
  if (input.kind !== 'wire-bytes') return input.kind
  return told.length === 0 ? 'packet' : told.length === 1 ? (told[0] ?? '') : 'several'
}

function note(what: string, micros: number, heapBytes: number, bufferBytes: number): void {
  if (rows === null) return
  let row = rows.get(what)
  if (row === undefined) {
    row = { what, steps: 0, micros: 0, heapBytes: 0, bufferBytes: 0, uncounted: 0 }
    rows.set(what, row)
  }
  row.steps += 1
  row.micros += micros
  if (heapBytes < 0 || bufferBytes < 0) {
    row.uncounted += 1
    return
  }
  row.heapBytes += heapBytes
  row.bufferBytes += bufferBytes
}

function hearMessages(): void {
  const { onMessage } = Overlay.prototype
  Overlay.prototype.onMessage = function (turn, contact, message) {
    told.push(message.kind)
    return onMessage.call(this, turn, contact, message)
  }
}

function sum(what: string, parts: Iterable<Row>, count: number): Row {
  const whole: Row = { what, steps: count, micros: 0, heapBytes: 0, bufferBytes: 0, uncounted: 0 }
  for (const part of parts) {
    whole.micros += part.micros
    whole.heapBytes += part.heapBytes
    whole.bufferBytes += part.bufferBytes
  }
  return whole
}

function renamed(what: string, row: Row | undefined): Row {
  if (row === undefined) throw new Error(`the run had no step of this kind: ${what}`)
  return { ...row, what }
}

function perStep(row: Row): { what: string; count: number; micros: number; heapBytes: number; bufferBytes: number } {
  const { what, steps, micros, heapBytes, bufferBytes } = row
  const counted = steps - row.uncounted
  return {
    what,
    count: steps,
    micros: Number((micros / steps).toFixed(1)),
    heapBytes: Math.round(heapBytes / counted),
    bufferBytes: Math.round(bufferBytes / counted),
  }
}

function print(peers: number, table: readonly Row[]): void {
  console.log(`The core, with ${peers} peers and the simulator's cryptography, per:\n`)
  console.log(
    `${''.padEnd(46)}${['count', 'µs', 'heap bytes', 'buffer bytes'].map(head => head.padStart(14)).join('')}`,
  )
  for (const row of table) {
    const { what, count, micros, heapBytes, bufferBytes } = perStep(row)
    const cells = [String(count), micros.toFixed(1), String(heapBytes), String(bufferBytes)]
    console.log(what.padEnd(46) + cells.map(cell => cell.padStart(14)).join(''))
  }
}
