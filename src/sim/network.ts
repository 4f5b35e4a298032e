/**
 * The wires of a world: pipes with a delay and perhaps a rate, whole and in order while they are open, as TCP is. What
 * cannot arrive (a split, a receiver that does not read) waits within the wire, and a bounded part of it leaves the
 * sender's queue.
 */

import type { FaultCode } from '../core/base/fault.ts'
import type { Instant } from '../core/base/instant.ts'
import type { WireId } from '../core/input.ts'
import type { Node, World } from './world.ts'

/** What kernels on both sides take of a wire whose receiver does not read. */
const SOCKET_BYTES = 262_144

export class WireEnd {
  readonly node: Node
  readonly id: WireId
  readonly delayMs: number
  other: WireEnd | null = null
  open = true
  /** What is sent before leaves then. */
  opensAt: Instant
  private readonly world: World
  private readonly rateBytesPerMs: number
  private busyUntil: Instant = 0
  /** Arrived in vain so far, oldest first. */
  private held: Uint8Array[] = []
  private heldBytes = 0
  /** Written, but not reported to the sender's core. */
  private unreportedBytes = 0

  constructor(world: World, node: Node, id: WireId, delayMs: number, rateBytesPerMs: number, opensAt: Instant) {
    this.world = world
    this.node = node
    this.id = id
    this.delayMs = delayMs
    this.rateBytesPerMs = rateBytesPerMs
    this.opensAt = opensAt
  }

  send(whole: Uint8Array): void {
    const { world } = this
    const leavesAt = Math.max(world.now, this.opensAt, this.busyUntil) + whole.length / this.rateBytesPerMs
    this.busyUntil = leavesAt
    world.at(leavesAt, () => {
      if (this.heldBytes < SOCKET_BYTES) this.report(whole.length)
      else this.unreportedBytes += whole.length
    })
    world.at(leavesAt + this.delayMs, () => this.arrive(whole))
  }

  /** The receiver reads again, or the split has healed. */
  pump(): void {
    if (!this.canArrive) return
    const { held } = this
    this.held = []
    this.heldBytes = 0
    for (const whole of held) this.deliver(whole)
    const unreported = this.unreportedBytes
    this.unreportedBytes = 0
    if (unreported > 0) this.report(unreported)
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
      if (this.world.connected(this.node, other.node)) other.lose(code)
    })
  }

  private get canArrive(): boolean {
    const { other } = this
    return other !== null && this.world.connected(this.node, other.node) && !other.node.stalled
  }

  private arrive(whole: Uint8Array): void {
    if (this.canArrive && this.held.length === 0) {
      this.deliver(whole)
      return
    }
    this.held.push(whole)
    this.heldBytes += whole.length
  }

  private deliver(whole: Uint8Array): void {
    const { other, world } = this
    if (other === null || !other.node.alive) return
    if (other.open) other.node.input({ kind: 'wire-bytes', wire: other.id, bytes: whole })
    // A machine that knows nothing of the connection says so.
    else world.at(world.now + this.delayMs, () => this.lose('wire-lost'))
  }

  private report(bytes: number): void {
    if (this.open) this.node.input({ kind: 'wire-writable', wire: this.id, bytes })
  }
}
