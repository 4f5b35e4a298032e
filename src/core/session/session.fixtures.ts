/**
 * Two sessions over a network of our own, in virtual time: perfect, or one that loses, doubles and delays. Packets are
 * sealed by something that costs nothing but notices each changed byte and each number used twice.
 */
import { concatBytes, NO_BYTES } from '../base/bytes.ts'
import type { Fault, FaultCode } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import { invariant } from '../base/invariant.ts'
import { type PeerId, peerIdOfBytes } from '../base/peer-id.ts'
import type { Rng } from '../base/rng.ts'
import type { PathView, PeerEvent } from '../effect.ts'
import type { SessionId, StreamId } from '../input.ts'
import { Turn } from '../turn.ts'
import { PACKET_KIND, type PacketProtection } from './packet-protection.ts'
import { FRAME_HEADER_BYTES, type Path } from './path.ts'
import { Session } from './session.ts'
import type { SessionOwner } from './session-owner.ts'

const TAG_BYTES = 16
const SESSION: SessionId = 1

/** A checksum for a tag. */
export class PlainProtection implements PacketProtection {
  unusedNumber = 0

  seal(number: number, header: Uint8Array, parts: readonly Uint8Array[], spareBytes = 0): Uint8Array[] {
    invariant(number >= this.unusedNumber, 'a number is sealed once')
    this.unusedNumber = number + 1
    const whole = concatBytes(...parts)
    // As suites do: what is small in one buffer, else what is free apart.
    const spare = new Uint8Array(spareBytes)
    const tag = tagOf(header, whole)
    return whole.length > 1_000 ? [spare, whole, tag] : [concatBytes(spare, whole, tag)]
  }

  takeNumber(): number {
    this.unusedNumber += 1
    return this.unusedNumber - 1
  }

  passNumber(): boolean {
    return true
  }

  open(_number: number, header: Uint8Array, sealed: Uint8Array, start: number, end: number): Uint8Array | null {
    const plaintext = sealed.slice(start, end - TAG_BYTES)
    const tag = tagOf(header, plaintext)
    return tag.every((byte, i) => byte === sealed[start + plaintext.length + i]) ? plaintext : null
  }
}

function tagOf(header: Uint8Array, plaintext: Uint8Array): Uint8Array {
  let sum = 0x811c9dc5
  for (const byte of header) sum = Math.imul(sum ^ byte, 0x01000193)
  for (const byte of plaintext) sum = Math.imul(sum ^ byte, 0x01000193)
  const tag = new Uint8Array(TAG_BYTES)
  new DataView(tag.buffer).setUint32(0, sum >>> 0)
  return tag
}

export interface NetworkOptions {
  readonly delayMs: number
  /** Up to so much more, drawn for each packet: they overtake each other. */
  readonly jitterMs?: number
  readonly lossShare?: number
  readonly doubleShare?: number
  readonly reliable?: boolean
  /** It encrypts by itself, for the sessions of both sides. */
  readonly shields?: boolean
  readonly flightBytesMax?: number
  /** Bytes that one end may have under way. */
  readonly roomBytes?: number
}

interface Flying {
  readonly at: Instant
  readonly order: number
  readonly to: End
  readonly from: MemoryPath
  readonly packet: Uint8Array
  readonly counted: boolean
}

/** One end of a line between the two sides. Its twin is the other end. */
export class MemoryPath implements Path {
  heardAt: Instant = 0
  open = true
  readonly reliable: boolean
  readonly flightBytesMax: number
  readonly remoteHost = null
  readonly options: NetworkOptions
  private readonly pair: Pair
  private readonly end: 'a' | 'b'
  twin: MemoryPath
  underWayBytes = 0
  packetsSent = 0
  /** The first byte of each packet that was sent. */
  readonly kindsSent: number[] = []

  constructor(pair: Pair, end: 'a' | 'b', options: NetworkOptions, twin?: MemoryPath) {
    this.pair = pair
    this.end = end
    this.options = options
    this.reliable = options.reliable ?? true
    this.flightBytesMax = options.flightBytesMax ?? 16_777_216
    this.twin = twin ?? new MemoryPath(pair, end === 'a' ? 'b' : 'a', options, this)
  }

  room(): number {
    return (this.options.roomBytes ?? 1_048_576) - this.underWayBytes
  }

  send(turn: Turn, label: number, header: Uint8Array, rest: readonly Uint8Array[]): void {
    invariant(this.open, 'a closed path is not written to')
    invariant(
      this.options.shields === true || header[FRAME_HEADER_BYTES] === PACKET_KIND,
      'nothing goes in the clear over a path that does not encrypt',
    )
    header.fill(label, 0, FRAME_HEADER_BYTES)
    this.kindsSent.push(header[FRAME_HEADER_BYTES]!)
    this.packetsSent += 1
    this.pair.carry(turn.now, this, this.end === 'a' ? this.pair.b : this.pair.a, [header, ...rest])
  }

  shields(): boolean {
    return this.options.shields === true
  }

  view(): PathView {
    return { kind: 'none' }
  }

  /** What is under way is lost. */
  cut(): void {
    this.open = false
    this.twin.open = false
  }
}

export class End implements SessionOwner {
  readonly name: 'a' | 'b'
  readonly session: Session
  readonly events: PeerEvent[] = []
  readonly messages: { channel: number; bytes: Uint8Array }[] = []
  /** How long nothing came though it was to be expected, as told since something did. */
  readonly silences: number[] = []
  readonly pongs: { token: number; roundTripMs: number }[] = []
  readonly pathsAsked: { path: Path; urgent: boolean }[] = []
  readonly pathsAnswered: { path: Path; token: number }[] = []
  readonly paths = this
  closedBy: FaultCode | null = null
  fault: Fault | null = null
  dirty = false
  /** What a message brings about may make it flush amid the packets whose turn has come. */
  flushesAmid = false

  constructor(name: 'a' | 'b') {
    this.name = name
    this.session = new Session({
      id: SESSION,
      peer: name === 'a' ? PEER_B : PEER_A,
      initiator: name === 'a',
      remoteLabel: name === 'a' ? 0xb : 0xa,
      protection: new PlainProtection(),
      owner: this,
    })
  }

  onMessage(turn: Turn, session: Session, channel: number, bytes: Uint8Array): void {
    this.messages.push({ channel, bytes })
    if (this.flushesAmid) session.flush(turn)
  }

  onPong(_turn: Turn, _session: Session, token: number, roundTripMs: number): void {
    this.pongs.push({ token, roundTripMs })
  }

  onAsked(_turn: Turn, _session: Session, path: Path, urgent: boolean): void {
    this.pathsAsked.push({ path, urgent })
  }

  onAnswered(_turn: Turn, _session: Session, path: Path, token: number): void {
    this.pathsAnswered.push({ path, token })
  }

  onSilent(_turn: Turn, _session: Session, silentMs: number): void {
    this.silences.push(silentMs)
  }

  onHeardAgain(_turn: Turn, _session: Session): void {
    this.silences.length = 0
  }

  onRemoteClose(_turn: Turn, _session: Session, code: FaultCode): void {
    this.closedBy = code
  }

  onDirty(_session: Session): void {
    this.dirty = true
  }

  /** All bytes that came on a stream. */
  received(stream: StreamId): Uint8Array {
    const chunks: Uint8Array[] = []
    for (const event of this.events)
      if (event.kind === 'stream-data' && event.stream === stream) chunks.push(...event.chunks)
    return chunks.length === 0 ? NO_BYTES : concatBytes(...chunks)
  }

  kinds(): string[] {
    return this.events.map(event => event.kind)
  }
}

const PEER_A: PeerId = peerIdOfBytes(new Uint8Array(32).fill(0xa))
const PEER_B: PeerId = peerIdOfBytes(new Uint8Array(32).fill(0xb))

export class Pair {
  now: Instant = 1_000
  readonly a = new End('a')
  readonly b = new End('b')
  /** Readers take what comes at once; false: a test consumes by itself. */
  reads = true
  private readonly rng: Rng | null
  private flying: Flying[] = []
  private order = 0
  packetsCarried = 0
  private healed = false

  constructor(rng: Rng | null = null) {
    this.rng = rng
  }

  /** A new line; both sides start on it when it is the first. */
  line(options: NetworkOptions): MemoryPath {
    return new MemoryPath(this, 'a', options)
  }

  /** From now on nothing is lost, and both sides end their direction of each stream that comes. */
  heal(): void {
    this.healed = true
    for (const end of [this.a, this.b]) {
      this.step(end, (turn, session) => {
        for (const event of end.events) if (event.kind === 'stream-inbound') session.endStream(turn, event.stream)
      })
    }
  }

  /** One step of one side, flushed as its owner would. */
  step(end: End, act: (turn: Turn, session: Session) => void): void {
    const turn = new Turn(this.now, 0)
    act(turn, end.session)
    for (let i = 0; i < 2; i += 1) {
      for (const effect of turn.effects.splice(0)) {
        if (effect.kind !== 'event') continue
        end.events.push(effect.event)
        if (effect.event.kind === 'stream-inbound' && this.healed) end.session.endStream(turn, effect.event.stream)
        if (effect.event.kind === 'stream-data' && this.reads) {
          const bytes = effect.event.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
          end.session.consumeStream(turn, effect.event.stream, bytes)
        }
      }
      if (end.dirty) {
        end.dirty = false
        end.session.flush(turn)
      }
    }
    for (const effect of turn.finish()) if (effect.kind === 'spent') this.wipe(effect.buffers)
  }

  /** What is spent may be gone at once: if it is sent all the same, the other side cannot open it. */
  private wipe(buffers: readonly Uint8Array[]): void {
    for (const buffer of buffers) {
      this.spentBytes += buffer.length
      buffer.fill(0xee)
    }
  }

  carry(now: Instant, from: MemoryPath, to: End, buffers: readonly Uint8Array[]): void {
    const packet = concatBytes(...buffers).subarray(FRAME_HEADER_BYTES)
    const { options } = from
    from.underWayBytes += packet.length
    this.packetsCarried += 1
    const lost = !this.healed && this.chance(options.lossShare)
    const copies = this.chance(options.doubleShare) ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      const delayMs = options.delayMs + (options.jitterMs ?? 0) * (this.rng?.unit() ?? 0)
      this.order += 1
      // A lost packet still frees its sender's room when it would have arrived.
      const carried = lost ? NO_BYTES : packet.slice()
      this.flying.push({ at: now + delayMs, order: this.order, to, from, packet: carried, counted: copy === 0 })
      if (copy === 0) this.lengths.set(this.order, packet.length)
    }
  }

  spentBytes = 0
  private readonly lengths = new Map<number, number>()

  /** Runs until nothing is under way and no deadline stands, or until the given time. */
  run(until = Number.POSITIVE_INFINITY): void {
    for (let steps = 0; steps < 40_000; steps += 1) {
      const flying = this.nextFlying()
      const wakeA = this.a.session.nextWake()
      const wakeB = this.b.session.nextWake()
      const at = Math.min(flying?.at ?? Infinity, wakeA ?? Infinity, wakeB ?? Infinity)
      if (at === Number.POSITIVE_INFINITY || at > until) {
        if (until !== Number.POSITIVE_INFINITY) this.now = Math.max(this.now, until)
        return
      }
      this.now = Math.max(this.now, at)
      if (flying !== null && flying.at <= at) this.deliver(flying)
      else if (wakeA !== null && wakeA <= at) this.step(this.a, (turn, session) => session.onWake(turn))
      else this.step(this.b, (turn, session) => session.onWake(turn))
    }
    throw new Error('two sessions that never fall silent')
  }

  private deliver(flying: Flying): void {
    this.flying.splice(this.flying.indexOf(flying), 1)
    const { from, to } = flying
    if (flying.counted) {
      from.underWayBytes -= this.lengths.get(flying.order) ?? 0
      this.lengths.delete(flying.order)
    }
    if (flying.packet.length > 0 && from.open) {
      this.step(to, (turn, session) => {
        const fault = session.receive(turn, flying.packet, from.twin)
        if (fault === null) return
        to.fault ??= fault
        session.close(turn, fault.code)
      })
    }
    // The other side's path has room again.
    const sender = to === this.a ? this.b : this.a
    if (flying.counted) this.step(sender, (turn, session) => session.flush(turn))
  }

  private nextFlying(): Flying | null {
    let next: Flying | null = null
    for (const flying of this.flying) {
      if (next === null || flying.at < next.at || (flying.at === next.at && flying.order < next.order)) next = flying
    }
    return next
  }

  private chance(share: number | undefined): boolean {
    return share !== undefined && this.rng !== null && this.rng.unit() < share
  }
}

/** Two sessions that are on one line already. */
export function pair(options: NetworkOptions = { delayMs: 10 }, rng: Rng | null = null): Pair {
  const made = new Pair(rng)
  const line = made.line(options)
  made.step(made.b, (turn, session) => session.usePath(turn, line.twin))
  made.step(made.a, (turn, session) => session.usePath(turn, line))
  return made
}

/** Bytes that tell their place. */
export function pattern(length: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 31 + (i >>> 8) * 7 + salt) & 0xff
  return bytes
}
