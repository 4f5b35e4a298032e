/**
 * The wires of a world: pipes with a delay and perhaps a rate, whole and in order while they are open, as TCP is. What
 * is lost comes later, and all behind it waits. What cannot arrive (a split, a frozen machine, a receiver that does not
 * read) waits within the wire, and a bounded part of it leaves the sender's queue.
 */
import type { FaultCode } from '../core/base/fault.ts'
import type { Instant } from '../core/base/instant.ts'
import type { WireId } from '../core/input.ts'
import type { Node } from './node.ts'
import type { World } from './world.ts'

/** What kernels on both sides take of a wire whose receiver does not read. */
const SOCKET_BYTES = 262_144
/** The core hears of written bytes by so many, as from the production run loop. */
const WRITTEN_REPORT_BYTES = 65_536
/** TCP stops repeating itself: between Windows' 21 s and Linux' quarter of an hour. */
export const TCP_GIVES_UP_MS = 120_000
/** A NAT forgets a mapping over which nothing passed for so long, and the awake side of a punched wire gives it up. */
export const MAPPING_LIVES_MS = 30_000

/** What was sent by one step: whole frames, in a list by order of arrival. */
interface Packet {
  readonly bytes: Uint8Array
  next: Packet | null
}

export class WireEnd {
  readonly node: Node
  readonly id: WireId
  /** Until what is sent arrives at the other end. */
  readonly delayMs: number
  other: WireEnd | null = null
  open = true
  /** What is sent before leaves then. */
  opensAt: Instant
  /** The other side ended the wire while this machine was frozen: how, and when the news came. */
  endedUnheard: { readonly code: FaultCode; readonly at: Instant } | null = null
  /** Over UDP through NATs: nobody tells of its end but its own two machines. */
  readonly punched: boolean
  private readonly world: World
  private readonly rateBytesPerMs: number
  private busyUntil: Instant = 0
  private lastArrivesAt: Instant = 0
  /** On the way, oldest first. Those before `arriving` have arrived in vain. */
  private first: Packet | null = null
  private arriving: Packet | null = null
  private last: Packet | null = null
  private heldBytes = 0
  private heldSince: Instant = 0
  /** Written, but not reported to the sender's core. */
  private writtenBytes = 0
  private unreportedBytes = 0

  constructor(
    world: World,
    node: Node,
    id: WireId,
    delayMs: number,
    rateBytesPerMs: number,
    opensAt: Instant,
    punched = false,
  ) {
    this.world = world
    this.node = node
    this.id = id
    this.delayMs = delayMs
    this.rateBytesPerMs = rateBytesPerMs
    this.opensAt = opensAt
    this.punched = punched
  }

  send(buffers: readonly Uint8Array[], length: number): void {
    const { world, node } = this
    const { now } = world
    let startsAt = Math.max(now, this.opensAt, this.busyUntil)
    // All wires of a machine share its way out.
    if (this.opensAt <= now) startsAt = Math.max(startsAt, node.takeUplink(length))
    const leavesAt = startsAt + length / this.rateBytesPerMs
    this.busyUntil = leavesAt
    this.writtenBytes += length
    if (this.writtenBytes >= WRITTEN_REPORT_BYTES) {
      const bytes = this.writtenBytes
      this.writtenBytes = 0
      world.at(leavesAt, () => this.onWritten(bytes))
    }
    const lateMs = world.model?.drawRetransmitMs(length, 2 * this.delayMs) ?? 0
    this.lastArrivesAt = Math.max(this.lastArrivesAt, leavesAt + this.delayMs + lateMs)
    const packet: Packet = { bytes: joined(world.packets.take(length), buffers), next: null }
    if (this.last === null) this.first = packet
    else this.last.next = packet
    this.last = packet
    this.arriving ??= packet
    world.schedule(this.lastArrivesAt, this)
  }

  /** The next packet's time has come. */
  happen(): void {
    const packet = this.arriving
    // What was under way when TCP gave up is gone.
    if (packet === null) return
    if (this.first === packet && !this.isReachable) this.expectRecovery()
    this.arriving = packet.next
    this.heldBytes += packet.bytes.length
    this.deliverHeld()
  }

  /** The receiver reads again, or the split has healed. */
  pump(): void {
    this.deliverHeld()
    const unreported = this.unreportedBytes
    if (unreported === 0 || !this.canArrive) return
    this.unreportedBytes = 0
    this.report(unreported)
  }

  /** This end is closed, by its own side or by the network. */
  lose(code: FaultCode): void {
    if (!this.open) return
    this.open = false
    this.node.onWireLost(this, code)
  }

  /** The other end hears of it when the news gets there. */
  breakOther(code: FaultCode): void {
    this.open = false
    const { other } = this
    if (other === null) return
    this.world.at(this.world.now + this.delayMs, () => {
      if (!this.world.connected(this.node, other.node)) return
      if (other.node.frozen) other.endedUnheard = { code, at: this.world.now }
      else other.lose(code)
    })
  }

  /** This machine sleeps, and its NAT has forgotten the wire: neither side gets through any more. */
  expire(): void {
    const news = { code: 'wire-lost' as const, at: this.world.now }
    this.endedUnheard ??= news
    const { other } = this
    if (other === null) return
    other.dropHeld()
    if (other.node.frozen) other.endedUnheard ??= news
    else other.lose('wire-lost')
  }

  /** Whether the other machine is there to take packets, whoever reads them. */
  private get isReachable(): boolean {
    const { other } = this
    return other !== null && this.world.connected(this.node, other.node) && !other.node.frozen
  }

  private get canArrive(): boolean {
    return this.isReachable && this.other?.node.stalled === false
  }

  private deliverHeld(): void {
    while (this.first !== null && this.first !== this.arriving && this.canArrive) {
      const { bytes, next } = this.first
      this.first = next
      if (next === null) this.last = null
      this.heldBytes -= bytes.length
      this.deliver(bytes)
    }
  }

  private deliver(bytes: Uint8Array): void {
    const { other, world, node } = this
    if (other === null || !other.node.alive) return
    if (!other.open) {
      if (this.punched) return
      // A machine that knows nothing of the connection says so.
      world.at(world.now + this.delayMs, () => this.lose('wire-lost'))
      return
    }
    world.count(node, other.node, bytes)
    other.node.input({ kind: 'wire-bytes', wire: other.id, bytes })
  }

  /** Something cannot arrive: the wire breaks if that lasts. */
  private expectRecovery(): void {
    const { world } = this
    const since = world.now
    this.heldSince = since
    world.at(since + (this.punched ? MAPPING_LIVES_MS : TCP_GIVES_UP_MS), () => {
      if (this.first === this.arriving || this.heldSince !== since || this.isReachable) return
      this.dropHeld()
      this.lose('wire-lost')
    })
  }

  private dropHeld(): void {
    this.first = null
    this.arriving = null
    this.last = null
    this.heldBytes = 0
  }

  private onWritten(bytes: number): void {
    if (this.heldBytes < SOCKET_BYTES) this.report(bytes)
    else this.unreportedBytes += bytes
  }

  private report(bytes: number): void {
    if (this.open) this.node.input({ kind: 'wire-writable', wire: this.id, bytes })
  }
}

/** A copy: the sender keeps what it sent, the receiver may write into what it got. */
function joined(whole: Uint8Array, buffers: readonly Uint8Array[]): Uint8Array {
  let at = 0
  for (let i = 0; i < buffers.length; i += 1) {
    const buffer = buffers[i]!
    whole.set(buffer, at)
    at += buffer.length
  }
  return whole
}
