/**
 * The wires of a world: pipes with a delay and perhaps a rate, whole and in order while they are open, as TCP is. What
 * is lost comes later, and all behind it waits. What cannot arrive (a split, a frozen machine, a receiver that does not
 * read) waits within the wire, and a bounded part of it leaves the sender's queue.
 */
import type { FaultCode } from '../core/base/fault.ts'
import type { Instant } from '../core/base/instant.ts'
import type { WireId } from '../core/input.ts'
import type { Node } from './node.ts'

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

/** What a wire has under way, and what follows from it: a wire at rest has none of this. */
export class Traffic {
  /** When what was sent last has left, and when it arrives. */
  busyUntil: Instant = 0
  lastArrivesAt: Instant = 0
  /** On the way, oldest first. Those before `arriving` have arrived in vain. */
  first: Packet | null = null
  arriving: Packet | null = null
  last: Packet | null = null
  heldBytes = 0
  heldSince: Instant = -1
  unreportedBytes = 0

  /** Before it serves another wire. */
  reset(): void {
    this.busyUntil = 0
    this.lastArrivesAt = 0
    this.heldSince = -1
  }
}

export class WireEnd {
  readonly node: Node
  readonly id: WireId
  /** Until what is sent arrives at the other end. */
  readonly delayMs: number
  other: WireEnd | null = null
  open = true
  /** The other side ended the wire while this machine was frozen: how, and when the news came. */
  endedUnheard: { readonly code: FaultCode; readonly at: Instant } | null = null
  /** Over UDP through NATs: nobody tells of its end but its own two machines. */
  readonly punched: boolean
  /** Of the two machines the one whose rate holds for the wire. */
  private readonly slower: Node
  /** What is sent before leaves then; null once that has passed. */
  private opensAt: Instant | null
  private traffic: Traffic | null = null
  /** Written, but not reported to the sender's core. */
  private writtenBytes = 0

  constructor(node: Node, id: WireId, delayMs: number, slower: Node, opensAt: Instant, punched = false) {
    this.node = node
    this.id = id
    this.delayMs = delayMs
    this.slower = slower
    this.opensAt = opensAt > node.world.now ? opensAt : null
    this.punched = punched
  }

  send(buffers: readonly Uint8Array[], length: number): void {
    const { node } = this
    const { world } = node
    const { now } = world
    if (this.opensAt !== null && this.opensAt <= now) this.opensAt = null
    const traffic = this.madeTraffic()
    // All wires of a machine share its way out.
    const mayLeaveAt = this.opensAt ?? node.takeUplink(length)
    const leavesAt = Math.max(now, traffic.busyUntil, mayLeaveAt) + length / this.slower.rateBytesPerMs
    traffic.busyUntil = leavesAt
    this.writtenBytes += length
    if (this.writtenBytes >= WRITTEN_REPORT_BYTES) {
      const bytes = this.writtenBytes
      this.writtenBytes = 0
      world.at(leavesAt, () => this.onWritten(bytes))
    }
    const lateMs = world.model?.drawRetransmitMs(length, 2 * this.delayMs) ?? 0
    traffic.lastArrivesAt = Math.max(traffic.lastArrivesAt, leavesAt + this.delayMs + lateMs)
    const packet: Packet = { bytes: joined(world.packets.take(length), buffers), next: null }
    if (traffic.last === null) traffic.first = packet
    else traffic.last.next = packet
    traffic.last = packet
    traffic.arriving ??= packet
    world.schedule(traffic.lastArrivesAt, this)
  }

  /** The next packet's time has come. */
  happen(): void {
    const { traffic } = this
    const packet = traffic?.arriving ?? null
    // What was under way when TCP gave up is gone.
    if (traffic === null || packet === null) return
    if (traffic.first === packet && !this.isReachable) this.expectRecovery(traffic)
    traffic.arriving = packet.next
    traffic.heldBytes += packet.bytes.length
    this.deliverHeld()
  }

  /** The receiver reads again, or the split has healed. */
  pump(): void {
    this.deliverHeld()
    const { traffic } = this
    if (traffic === null || traffic.unreportedBytes === 0 || !this.canArrive) return
    const unreported = traffic.unreportedBytes
    traffic.unreportedBytes = 0
    this.report(unreported)
    this.rest()
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
    const { world } = this.node
    if (other === null) return
    world.at(world.now + this.delayMs, () => {
      if (!world.connected(this.node, other.node)) return
      if (other.node.frozen) other.endedUnheard = { code, at: world.now }
      else other.lose(code)
    })
  }

  /** This machine sleeps, and its NAT has forgotten the wire: neither side gets through any more. */
  expire(): void {
    const news = { code: 'wire-lost' as const, at: this.node.world.now }
    this.endedUnheard ??= news
    const { other } = this
    if (other === null) return
    other.dropHeld()
    if (other.node.frozen) other.endedUnheard ??= news
    else other.lose('wire-lost')
  }

  /** A NAT between the two has another address: neither side gets through any more, and nobody is told. */
  sever(): void {
    if (this.other !== null) this.other.other = null
    this.other = null
  }

  /** Whether the other machine is there to take packets, whoever reads them. */
  private get isReachable(): boolean {
    const { other } = this
    return other !== null && this.node.world.connected(this.node, other.node) && !other.node.frozen
  }

  private get canArrive(): boolean {
    return this.isReachable && this.other?.node.stalled === false
  }

  private deliverHeld(): void {
    // Anew each time: what is delivered may be answered over this wire's other end, or end both.
    for (let traffic = this.traffic; traffic !== null; traffic = this.traffic) {
      const packet = traffic.first
      if (packet === null || packet === traffic.arriving || !this.canArrive) break
      traffic.first = packet.next
      if (packet.next === null) traffic.last = null
      traffic.heldBytes -= packet.bytes.length
      this.deliver(packet.bytes)
    }
    this.rest()
  }

  private madeTraffic(): Traffic {
    this.traffic ??= this.node.world.spareTraffic.pop() ?? new Traffic()
    return this.traffic
  }

  /** All has arrived. */
  private rest(): void {
    const { traffic } = this
    if (traffic === null || traffic.first !== null || traffic.unreportedBytes > 0) return
    if (traffic.lastArrivesAt > this.node.world.now) return
    this.traffic = null
    traffic.reset()
    this.node.world.spareTraffic.push(traffic)
  }

  private deliver(bytes: Uint8Array): void {
    const { other, node } = this
    const { world } = node
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
  private expectRecovery(traffic: Traffic): void {
    const { world } = this.node
    const since = world.now
    traffic.heldSince = since
    world.at(since + (this.punched ? MAPPING_LIVES_MS : TCP_GIVES_UP_MS), () => {
      const present = this.traffic
      if (present === null || present.first === present.arriving || present.heldSince !== since) return
      if (this.isReachable) return
      this.dropHeld()
      this.lose('wire-lost')
    })
  }

  private dropHeld(): void {
    const { traffic } = this
    if (traffic === null) return
    traffic.first = null
    traffic.arriving = null
    traffic.last = null
    traffic.heldBytes = 0
  }

  private onWritten(bytes: number): void {
    const { traffic } = this
    if (traffic === null || traffic.heldBytes < SOCKET_BYTES) this.report(bytes)
    else traffic.unreportedBytes += bytes
  }

  private report(bytes: number): void {
    if (this.open) this.node.input({ kind: 'wire-writable', wire: this.id, bytes })
  }
}

/** Whose rate holds for a wire between both. */
export function slowerOf(a: Node, b: Node | undefined): Node {
  return b !== undefined && b.rateBytesPerMs < a.rateBytesPerMs ? b : a
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
