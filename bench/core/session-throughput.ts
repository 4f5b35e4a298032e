/**
 * What the session layer itself can carry, in one process, without sockets: two sessions with real ciphers hand each
 * other packets in memory. Prints figures; run it with
 * `npx esbuild bench/core/session-throughput.ts --bundle --platform=node --format=esm | node --input-type=module`.
 */

import { concatBytes } from '../../src/core/base/bytes.ts'
import { peerIdOfBytes } from '../../src/core/base/peer-id.ts'
import { PacketCipher } from '../../src/core/crypto/packet-cipher.ts'
import type { PeerEvent } from '../../src/core/effect.ts'
import { FRAME_HEADER_BYTES, type Path } from '../../src/core/session/path.ts'
import { Session } from '../../src/core/session/session.ts'
import type { SessionOwner } from '../../src/core/session/session-owner.ts'
import { Turn } from '../../src/core/turn.ts'
import { nativeSuite } from '../../src/host/native-suite.node.ts'

class Side implements SessionOwner, Path {
  heardAt = 0
  readonly open = true
  readonly reliable = true
  readonly remoteHost = null
  readonly flightBytesMax = 16_777_216
  readonly session: Session
  readonly paths = this
  dirty = false
  queued: Uint8Array[][] = []
  queuedBytes = 0
  receivedBytes = 0
  packets = 0

  constructor(initiator: boolean, sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.session = new Session({
      id: 1,
      peer: peerIdOfBytes(new Uint8Array(32)),
      initiator,
      remoteLabel: 1,
      protection: new PacketCipher(nativeSuite, 'aes-256-gcm', sendKey, receiveKey),
      owner: this,
    })
  }

  onMessage(): void {}
  onPong(): void {}
  onAsked(): void {}
  onAnswered(): void {}
  onSilent(): void {}
  onHeardAgain(): void {}
  onRemoteClose(): void {}
  onDirty(): void {
    this.dirty = true
  }

  shields(): boolean {
    return false
  }

  room(): number {
    return 1_048_576 - this.queuedBytes
  }

  send(_turn: Turn, _label: number, header: Uint8Array, rest: readonly Uint8Array[]): void {
    this.queued.push([header, ...rest])
    for (const buffer of rest) this.queuedBytes += buffer.length
    this.packets += 1
  }

  view(): { kind: 'none' } {
    return { kind: 'none' }
  }

  /** The reader takes what comes at once. */
  take(event: PeerEvent, turn: Turn): void {
    if (event.kind !== 'stream-data') return
    let bytes = 0
    for (const chunk of event.chunks) bytes += chunk.length
    this.receivedBytes += bytes
    this.session.consumeStream(turn, event.stream, bytes)
  }

  finish(turn: Turn): void {
    for (const effect of turn.effects) if (effect.kind === 'event') this.take(effect.event, turn)
    if (!this.dirty) return
    this.dirty = false
    this.session.flush(turn)
  }
}

function connect(): { a: Side; b: Side } {
  const key = new Uint8Array(32).fill(1)
  const other = new Uint8Array(32).fill(2)
  const a = new Side(true, key, other)
  const b = new Side(false, other, key)
  const turn = new Turn(0, 0)
  b.session.usePath(turn, b)
  a.session.usePath(turn, a)
  a.finish(turn)
  return { a, b }
}

/** Everything queued by one side arrives at the other, some packets a step, as from a socket's read. */
function pump(from: Side, to: Side, now: number): void {
  const { queued } = from
  if (queued.length === 0) return
  from.queued = []
  from.queuedBytes = 0
  const turn = new Turn(now, 0)
  for (const buffers of queued) {
    // A socket's bytes lie in one piece: what the kernel does for free on a wire costs a copy here.
    const packet = concatBytes(...buffers).subarray(FRAME_HEADER_BYTES)
    const fault = to.session.receive(turn, packet, to)
    if (fault !== null) throw new Error(JSON.stringify(fault))
  }
  to.finish(turn)
}

function measure(name: string, chunkBytes: number, chunksAWrite: number, totalBytes: number): void {
  const { a, b } = connect()
  const chunks = Array.from({ length: chunksAWrite }, () => new Uint8Array(chunkBytes).fill(7))
  const opening = new Turn(0, 0)
  const stream = a.session.openStream(opening, 'bench')
  if (typeof stream !== 'number') throw new Error(stream.code)
  let written = 0
  let rounds = 0
  const cpu = process.cpuUsage()
  const start = performance.now()
  while (b.receivedBytes < totalBytes) {
    const now = performance.now() - start
    const turn = new Turn(now, 0)
    while (written < totalBytes && written - b.receivedBytes < 1_048_576) {
      a.session.writeStream(turn, stream, chunks)
      written += chunkBytes * chunksAWrite
    }
    a.session.flush(turn)
    pump(a, b, now)
    pump(b, a, now)
    rounds += 1
  }
  const elapsed = (performance.now() - start) / 1_000
  const used = process.cpuUsage(cpu)
  const messages = totalBytes / chunkBytes
  console.log(
    `${name}: ${(totalBytes / elapsed / 1e6).toFixed(0)} MB/s, ${(messages / elapsed / 1e3).toFixed(0)} thousand/s, ` +
      `${(((used.user + used.system) / 1e6 / totalBytes) * 1e9).toFixed(2)} CPU s/GB, ` +
      `${a.packets} + ${b.packets} packets, ${rounds} rounds`,
  )
}

function idleBytes(): void {
  const key = new Uint8Array(32)
  const protection = new PacketCipher(nativeSuite, 'aes-256-gcm', key, key)
  const owner = new Side(true, key, key)
  const count = 20_000
  const kept: Session[] = []
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < count; i += 1) {
    const options = { id: i, peer: owner.session.peer, initiator: true, remoteLabel: i, owner, protection }
    kept.push(new Session(options))
  }
  globalThis.gc?.()
  console.log(`idle session without its cipher: ${((process.memoryUsage().heapUsed - before) / count).toFixed(0)} B`)
  if (kept.length !== count) throw new Error('kept')
}

for (let round = 0; round < 3; round += 1) {
  measure('64 KiB writes', 65_536, 1, 1_000_000_000)
  measure('1 KiB writes, 64 at once', 1_024, 64, 500_000_000)
  measure('1 KiB writes, one by one', 1_024, 1, 500_000_000)
  measure('64 B writes, 16 at once', 64, 16, 30_000_000)
}
idleBytes()
