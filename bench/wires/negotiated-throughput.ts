/**
 * Bulk over negotiated wires beside the libraries that carry them, in turns, both ends in this process on loopback: framing,
 * copies and flow control are what a wire adds. Ends with 1 where a wire has less than the share that is wanted of it.
 *
 *   npm run bench:wires -- [MEGABYTES] [ROUNDS]
 */
import nodeDataChannel from 'node-datachannel'
import Udx from 'udx-native'
import { writeU32 } from '../../src/core/base/bytes.ts'
import { WIRE_QUEUE_BYTES_MAX } from '../../src/core/limits.ts'
import type { NegotiatedSink, NegotiatedWire, Negotiator } from '../../src/paths/negotiator.ts'
import { UdpNegotiator } from '../../src/paths/udp/udp-negotiator.node.ts'
import { webRtcNegotiator } from '../../src/paths/webrtc/webrtc.node.ts'

const [megabytes = 64, rounds = 5] = process.argv.slice(2).map(Number)
const TOTAL = megabytes * 1_000_000
const CHUNK = 65_536
const SHARE_WANTED = 0.8
const HIGH = 1_048_576
const LOW = 262_144
const HOST = '127.0.0.1'

type Deferred = { readonly promise: Promise<void>; readonly resolve: () => void }

function deferred(): Deferred {
  let resolve = (): void => {}
  const promise = new Promise<void>(done => {
    resolve = done
  })
  return { promise, resolve }
}

async function bareUdx(): Promise<number> {
  const udx = new Udx()
  const [a, b] = [udx.createSocket(), udx.createSocket()]
  a.bind(0, HOST)
  b.bind(0, HOST)
  const [from, to] = [udx.createStream(1), udx.createStream(2)]
  from.connect(a, 2, b.address()!.port, HOST)
  to.connect(b, 1, a.address()!.port, HOST)
  const arrived = deferred()
  let received = 0
  to.on('data', bytes => {
    received += bytes.length
    if (received >= TOTAL) arrived.resolve()
  })
  const started = performance.now()
  const chunk = Buffer.alloc(CHUNK)
  for (let sent = 0; sent < TOTAL; sent += CHUNK) {
    if (!from.write(chunk)) await new Promise<void>(resolve => from.once('drain', resolve))
  }
  await arrived.promise
  const seconds = (performance.now() - started) / 1_000
  for (const stream of [from, to]) stream.destroy()
  await Promise.all([a.close(), b.close()])
  return megabytes / seconds
}

/** A process that ends after the collector took one of these crashes; those of our wires do not (seen with 12 of them). */
const kept: unknown[] = []

async function bareDataChannel(): Promise<number> {
  const make = (name: string) =>
    new nodeDataChannel.PeerConnection(name, { iceServers: [], disableAutoNegotiation: true, bindAddress: HOST })
  const gathered = (one: ReturnType<typeof make>): Promise<void> =>
    new Promise(resolve => one.onGatheringStateChange(state => state === 'complete' && resolve()))
  const [a, b] = [make('a'), make('b')]
  const channels = [a, b].map(one => one.createDataChannel('', { negotiated: true, id: 0 }))
  const [from, to] = channels as [(typeof channels)[number], (typeof channels)[number]]
  const open = Promise.all(channels.map(channel => new Promise<void>(resolve => channel.onOpen(resolve))))
  const offered = gathered(a)
  a.setLocalDescription('offer')
  await offered
  b.setRemoteDescription(a.localDescription()!.sdp, 'offer')
  const answered = gathered(b)
  b.setLocalDescription('answer')
  await answered
  a.setRemoteDescription(b.localDescription()!.sdp, 'answer')
  await open
  const arrived = deferred()
  let received = 0
  to.onMessage(message => {
    received += (message as Buffer).length
    if (received >= TOTAL) arrived.resolve()
  })
  from.setBufferedAmountLowThreshold(LOW)
  const started = performance.now()
  const chunk = Buffer.alloc(CHUNK)
  for (let sent = 0; sent < TOTAL; sent += CHUNK) {
    from.sendMessageBinary(chunk)
    if (from.bufferedAmount() < HIGH) continue
    await new Promise<void>(resolve => from.onBufferedAmountLow(resolve))
  }
  await arrived.promise
  const seconds = (performance.now() - started) / 1_000
  for (const one of [...channels, a, b]) one.close()
  kept.push(...channels, a, b)
  return megabytes / seconds
}

class End implements NegotiatedSink {
  readonly described: Promise<Uint8Array>
  readonly opened = deferred()
  readonly closed = deferred()
  readonly arrived = deferred()
  received = 0
  written = 0
  onRoom: () => void = () => {}
  private resolveDescribed: (description: Uint8Array) => void = () => {}

  constructor() {
    this.described = new Promise(resolve => {
      this.resolveDescribed = resolve
    })
  }
  onDescribed(description: Uint8Array): void {
    this.resolveDescribed(description)
  }
  onOpen(): void {
    this.opened.resolve()
  }
  onFrames(bytes: Uint8Array): void {
    this.received += bytes.length
    if (this.received >= TOTAL) this.arrived.resolve()
  }
  onWritten(bytes: number): void {
    this.written += bytes
    this.onRoom()
  }
  onClosed(): void {
    this.closed.resolve()
  }
}

/** As the core uses a wire: whole frames, no more under way than it allows. */
async function wire(offerer: Negotiator, answerer: Negotiator): Promise<number> {
  const [one, other] = [new End(), new End()]
  const from: NegotiatedWire = offerer.prepare(null, [], one)
  answerer.prepare(await one.described, [], other)
  from.proceed(await other.described)
  await Promise.all([one.opened.promise, other.opened.promise])
  const started = performance.now()
  const frame = new Uint8Array(CHUNK)
  writeU32(frame, 0, CHUNK - 4)
  for (let sent = 0; sent < TOTAL; ) {
    from.send([frame], CHUNK)
    sent += CHUNK
    while (sent - one.written >= WIRE_QUEUE_BYTES_MAX)
      await new Promise<void>(resolve => {
        one.onRoom = resolve
      })
  }
  await other.arrived.promise
  const seconds = (performance.now() - started) / 1_000
  from.hangUp()
  await Promise.all([one.closed.promise, other.closed.promise])
  return megabytes / seconds
}

function udpAtLoopback(): UdpNegotiator {
  const negotiator = new UdpNegotiator()
  negotiator.serve(HOST, 0)
  return negotiator
}

const udp = [udpAtLoopback(), udpAtLoopback()] as const
const webRtc = [webRtcNegotiator({ host: HOST }), webRtcNegotiator({ host: HOST })] as const
const contests = [
  { name: 'punched UDP', bare: bareUdx, ours: () => wire(...udp) },
  { name: 'WebRTC', bare: bareDataChannel, ours: () => wire(...webRtc) },
]
let missed = 0
for (const { name, bare, ours } of contests) {
  const ratios: number[] = []
  const speeds: [number, number][] = []
  for (let round = 0; round < rounds; round += 1) {
    const [library, own] = [await bare(), await ours()]
    ratios.push(own / library)
    speeds.push([library, own])
  }
  ratios.sort((a, b) => a - b)
  const median = ratios[ratios.length >> 1]!
  if (median < SHARE_WANTED) missed += 1
  const shown = speeds.map(([library, own]) => `${library.toFixed(0)}/${own.toFixed(0)}`).join(' ')
  console.log(`${name}: ${median.toFixed(2)} of the bare library (at least ${SHARE_WANTED}); MB/s bare/wire: ${shown}`)
}
for (const negotiator of [...udp, ...webRtc]) await negotiator.close()
process.exitCode = missed === 0 ? 0 : 1
