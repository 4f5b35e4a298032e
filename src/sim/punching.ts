/**
 * What two machines do when their peers negotiate a wire through their NATs (spec 5.9): each finds out how it is seen
 * from outside, and when both know of each other they probe. Whether that succeeds is the network model's to say; the wire
 * is then one between the two alone. What should succeed and does not fails in silence.
 */
import { readU32, writeU32 } from '../core/base/bytes.ts'
import type { NegotiatedTransport, WireId } from '../core/input.ts'
import type { Negotiable } from '../core/peer-options.ts'
import { slowerOf, WireEnd } from './network.ts'
import { type DeviceClass, punchShare } from './network-model.ts'
import type { Node } from './node.ts'
import type { World } from './world.ts'

/** To a public peer that says how a machine is seen, and back, beside the machine's own access. */
const SEEN_FROM_OUTSIDE_MS = 60
/** A few addresses; fingerprint, passwords and candidates. */
const DESCRIPTION_BYTES: Readonly<Record<NegotiatedTransport, number>> = { udp: 48, webrtc: 320 }
/** From when both know of each other: a probe each way that a NAT drops, one that passes, and the transport's own opening. */
const OPENING_ROUND_TRIPS = 2

/** Tabs have WebRTC alone, and few wires of it. */
export function negotiableOn(device: DeviceClass): readonly Negotiable[] {
  const webrtc: Negotiable = { transport: 'webrtc', scarce: device === 'tab', encrypts: true }
  return device === 'tab' ? [webrtc] : [{ transport: 'udp', scarce: false, encrypts: false }, webrtc]
}

interface Prepared {
  readonly node: Node
  readonly wire: WireId
  readonly transport: NegotiatedTransport
  /** What the description holds: who it is of. */
  readonly ticket: number
  /** Whose description it was given with; null of an offerer. */
  readonly remoteTicket: number | null
  /** It met the other side's machine, or tried to. */
  begun: boolean
}

export class Punching {
  private readonly world: World
  private readonly prepared = new Map<number, Prepared>()
  private readonly tickets = new WeakMap<Node, Map<WireId, number>>()
  /** By node, as its host counts them: all it made, and those that were hung up before they met another machine. */
  private readonly connections = new WeakMap<Node, { made: number; spare: number }>()
  private nextTicket = 1

  constructor(world: World) {
    this.world = world
  }

  prepare(node: Node, wire: WireId, transport: NegotiatedTransport, remote: Uint8Array | null): void {
    const { world } = this
    const ticket = this.nextTicket++
    const remoteTicket = remote === null ? null : readU32(remote, 0)
    this.prepared.set(ticket, { node, wire, transport, ticket, remoteTicket, begun: false })
    this.ticketsOf(node).set(wire, ticket)
    if (transport === 'webrtc') this.connect(node, remoteTicket === null)
    const offerer = remoteTicket === null ? undefined : this.prepared.get(remoteTicket)
    // For punched UDP each finds out of which kind its NAT is, and says so; who has WebRTC alone finds out that nothing comes of it.
    const share = punchShare(node.profile.nat, offerer?.node.profile.nat ?? 'public', transport)
    if (share === 0 && transport === 'udp') {
      world.at(world.now, () => {
        if (this.forget(node, wire)) node.input({ kind: 'wire-closed', wire, fault: { code: 'not-supported' } })
      })
      return
    }
    const description = new Uint8Array(DESCRIPTION_BYTES[transport])
    writeU32(description, 0, ticket)
    world.at(world.now + SEEN_FROM_OUTSIDE_MS + 2 * node.profile.accessMs, () => {
      if (this.prepared.has(ticket)) node.input({ kind: 'wire-described', wire, description })
    })
  }

  /** The offerer hears of the answerer: both know of each other now. */
  begin(node: Node, wire: WireId, remote: Uint8Array): void {
    const { world } = this
    const here = this.prepared.get(this.ticketsOf(node).get(wire) ?? 0)
    const there = this.prepared.get(readU32(remote, 0))
    if (here !== undefined) here.begun = true
    if (here === undefined || there === undefined || there.remoteTicket !== here.ticket) return
    const share = punchShare(node.profile.nat, there.node.profile.nat, here.transport)
    if (share < 1 && !(world.model?.drawPunch(share) ?? true)) return
    const delayMs = world.delayBetween(node, there.node)
    const roundTripMs = 2 * delayMs + node.profile.lateMs + there.node.profile.lateMs
    const openMs = OPENING_ROUND_TRIPS * roundTripMs + (world.model?.drawOpeningMs() ?? 0)
    world.at(world.now + openMs, () => this.open(here, there, delayMs))
  }

  /** Hung up, or its machine is gone. True where it was there. */
  forget(node: Node, wire: WireId): boolean {
    const tickets = this.tickets.get(node)
    const ticket = tickets?.get(wire)
    if (tickets === undefined || ticket === undefined) return false
    tickets.delete(wire)
    const prepared = this.prepared.get(ticket)
    if (prepared?.transport === 'webrtc' && prepared.remoteTicket === null && !prepared.begun)
      this.connectionsOf(node).spare += 1
    return this.prepared.delete(ticket)
  }

  /** How many WebRTC connections its host has made in its life. */
  webRtcConnectionsOf(node: Node): number {
    return this.connections.get(node)?.made ?? 0
  }

  /** As browsers' hosts do: an offer takes one that was made for an offer and never used. */
  private connect(node: Node, isOffer: boolean): void {
    const connections = this.connectionsOf(node)
    if (isOffer && connections.spare > 0) connections.spare -= 1
    else connections.made += 1
  }

  private connectionsOf(node: Node): { made: number; spare: number } {
    let connections = this.connections.get(node)
    if (connections === undefined) {
      connections = { made: 0, spare: 0 }
      this.connections.set(node, connections)
    }
    return connections
  }

  forgetAll(node: Node): void {
    for (const ticket of this.tickets.get(node)?.values() ?? []) this.prepared.delete(ticket)
    this.tickets.delete(node)
  }

  private open(here: Prepared, there: Prepared, delayMs: number): void {
    const { world } = this
    const isThere = ({ node, ticket }: Prepared): boolean => this.prepared.has(ticket) && node.alive && !node.frozen
    if (!isThere(here) || !isThere(there) || !world.connected(here.node, there.node)) return
    this.forget(here.node, here.wire)
    this.forget(there.node, there.wire)
    const slower = slowerOf(here.node, there.node)
    const end = ({ node, wire }: Prepared, other: Prepared): WireEnd =>
      new WireEnd(node, wire, delayMs + other.node.profile.lateMs, slower, world.now, true)
    const dialled = end(here, there)
    const accepted = end(there, here)
    dialled.other = accepted
    accepted.other = dialled
    there.node.takeWire(accepted, 'acceptor', here.transport, here.node.addressSeenBy(there.node))
    here.node.takeWire(dialled, 'dialler', here.transport, there.node.addressSeenBy(here.node))
  }

  private ticketsOf(node: Node): Map<WireId, number> {
    let tickets = this.tickets.get(node)
    if (tickets === undefined) {
      tickets = new Map()
      this.tickets.set(node, tickets)
    }
    return tickets
  }
}
