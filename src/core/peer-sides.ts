/**
 * What the parts of a peer see of each other. Classes and no closures: those would take two kilobytes in each of the
 * simulator's peers.
 */
import type { Address } from './base/address.ts'
import type { Fault, Result } from './base/fault.ts'
import type { PeerId } from './base/peer-id.ts'
import type { Position } from './base/position.ts'
import type { PeerRef, Rendezvous } from './crypto/peer-ref.ts'
import type { Target } from './input.ts'
import { GLARE_MS } from './limits.ts'
import type { Connector, ConnectorPort } from './overlay/connector.ts'
import { type Contact, Need } from './overlay/contact.ts'
import type { Overlay } from './overlay/overlay.ts'
import type { OverlayMessage } from './overlay/overlay-messages.ts'
import type { OverlayNeeds } from './overlay/overlay-needs.ts'
import { isForRegistry, type OnAnswer, type OverlayPort, type RoutedMethod } from './overlay/overlay-port.ts'
import type { OnPeerFound } from './overlay/peer-search.ts'
import type { RelayLimits } from './overlay/relay-budget.ts'
import type { ToldViews } from './overlay/told-views.ts'
import type { Negotiable, PeerOptions } from './peer-options.ts'
import type { Registry } from './registry/registry.ts'
import type { Turn } from './turn.ts'

/** The peer, as its parts see it. */
export interface PeerInside {
  readonly connector: Connector
  readonly overlay: Overlay
  readonly registry: Registry
  /** Its own, newest. */
  readonly ref: PeerRef
  positionOf(peer: PeerId): Position
  reach(turn: Turn, target: Target, patient: boolean, onReached: (turn: Turn, outcome: Result<Contact>) => void): void
  renewRef(turn: Turn, changes: { readonly rendezvous: readonly Rendezvous[] }): void
  onContactLost(turn: Turn, contact: Contact, fault: Fault): void
  onMessage(turn: Turn, contact: Contact, channel: number, bytes: Uint8Array): void
}

/** For the connector. */
export class ConnectorSide implements ConnectorPort {
  readonly negotiates: readonly Negotiable[] | undefined
  readonly relayLimits: RelayLimits | undefined
  readonly pathlessMs: number | undefined
  private readonly inside: PeerInside

  constructor(inside: PeerInside, { negotiates, relayLimits, pathlessMs }: PeerOptions) {
    this.inside = inside
    this.relayLimits = relayLimits
    this.negotiates = negotiates
    this.pathlessMs = pathlessMs
  }

  onContact(turn: Turn, contact: Contact): void {
    this.inside.overlay.onContact(turn, contact)
  }

  onPathLost(turn: Turn, contact: Contact, fault: Fault): void {
    this.inside.overlay.onContactLost(turn, contact, fault)
  }

  onContactLost(turn: Turn, contact: Contact, fault: Fault): void {
    this.inside.onContactLost(turn, contact, fault)
  }

  onMessage(turn: Turn, contact: Contact, channel: number, bytes: Uint8Array): void {
    this.inside.onMessage(turn, contact, channel, bytes)
  }

  nextHop(target: PeerId, avoid: readonly PeerId[], from: PeerId | null): PeerId | null {
    const { inside } = this
    return inside.overlay.nextHopToPeer(target, inside.positionOf(target), avoid, from)
  }

  spared(): readonly PeerId[] {
    return this.inside.overlay.spared()
  }

  loadOf(peer: PeerId): number {
    return this.inside.overlay.loadOf(peer)
  }

  helpers(): readonly Address[] {
    return this.inside.overlay.helpers()
  }

  isResting(turn: Turn, peer: PeerId): boolean {
    const { memory } = this.inside.overlay
    const index = memory.indexOf(peer)
    return index >= 0 && memory.isResting(index, turn.now)
  }

  onUnreachable(turn: Turn, peer: PeerId): void {
    this.inside.overlay.memory.failed(peer, turn.now)
  }

  locate(turn: Turn, peer: PeerId, onFound: OnPeerFound): void {
    this.inside.overlay.peerSearch.find(turn, peer, this.inside.positionOf(peer), onFound)
  }

  standsClosest(target: PeerId): boolean {
    return this.inside.overlay.standsClosest(this.inside.positionOf(target))
  }

  refOf(peer: PeerId): PeerRef | null {
    return this.inside.overlay.refOf(peer)
  }

  capacity(): number {
    return this.inside.ref.capacity
  }

  isDialable(): boolean {
    return this.inside.ref.addresses.length > 0
  }

  isHidden(): boolean {
    return this.inside.overlay.isHidden
  }
}

/** For the overlay. */
export class OverlaySide implements OverlayNeeds {
  readonly peer: PeerId
  readonly position: Position
  readonly capacity: number
  readonly views: ToldViews | undefined
  readonly rendezvous: number | undefined
  private readonly inside: PeerInside

  constructor(inside: PeerInside, { identity, capacity, views, rendezvous }: PeerOptions) {
    this.inside = inside
    this.rendezvous = rendezvous
    this.peer = identity.peer
    this.position = inside.ref.position
    this.capacity = capacity
    this.views = views
  }

  self(): PeerRef {
    return this.inside.ref
  }

  send(turn: Turn, to: PeerId, message: OverlayMessage): boolean {
    return this.inside.connector.send(turn, to, message)
  }

  reach(turn: Turn, target: Target, onReached: (turn: Turn, outcome: Result<Contact>) => void): void {
    this.inside.reach(turn, target, false, onReached)
  }

  contact(peer: PeerId): Contact | null {
    return this.inside.connector.contact(peer)
  }

  need(turn: Turn, contact: Contact): void {
    this.inside.connector.need(turn.now, contact, Need.link)
  }

  release(contact: Contact): void {
    this.inside.connector.release(contact, Need.link)
  }

  suspectSilent(turn: Turn, silentMs: number): void {
    this.inside.connector.suspectSilent(turn, silentMs)
  }

  suspect(turn: Turn, contact: Contact, silentMs: number): void {
    this.inside.connector.suspect(turn, contact, silentMs)
  }

  closeIfUnneeded(turn: Turn, contact: Contact): void {
    const openedForThis = contact.session.initiator && turn.now - contact.since < 3 * GLARE_MS
    if (openedForThis) this.inside.connector.leave(turn, contact)
  }

  admit(turn: Turn, bytes: Uint8Array): PeerRef | null {
    const read = this.inside.registry.refs.read(bytes, turn.wallTime)
    return read.ok ? read.value : null
  }

  isForged(turn: Turn, bytes: Uint8Array): boolean {
    const read = this.inside.registry.refs.read(bytes, turn.wallTime)
    return !read.ok && read.fault.code === 'ref-forged'
  }

  answer(turn: Turn, key: Position, method: number, payload: Uint8Array): Uint8Array | null {
    return isForRegistry(method) ? this.inside.registry.onRequest(turn, key, payload) : null
  }

  onNearChanged(turn: Turn): void {
    this.inside.registry.onNearChanged(turn)
  }

  relayed(): number {
    return this.inside.connector.circuits.relayedCount
  }

  onRendezvous(turn: Turn, rendezvous: readonly Rendezvous[]): void {
    this.inside.renewRef(turn, { rendezvous })
  }
}

/** For registry and services. */
export class UpperSide implements OverlayPort {
  private readonly inside: PeerInside

  constructor(inside: PeerInside) {
    this.inside = inside
  }

  self(): PeerRef {
    return this.inside.ref
  }

  request(
    turn: Turn,
    key: Position,
    method: RoutedMethod,
    payload: Uint8Array,
    onAnswer: OnAnswer,
    ways?: PeerId[],
  ): void {
    this.inside.overlay.requests.request(turn, key, method, payload, onAnswer, null, ways)
  }

  near(): { readonly before: readonly PeerRef[]; readonly after: readonly PeerRef[] } {
    return this.inside.overlay.near()
  }

  estimatedPeers(): number {
    return this.inside.overlay.estimatedPeers()
  }

  send(turn: Turn, channel: number, to: PeerId, message: Uint8Array): boolean {
    return this.inside.connector.sendMessage(turn, to, channel, message)
  }

  keep(turn: Turn, ref: PeerRef, onOpen: (turn: Turn, outcome: Result<PeerId>) => void): void {
    const { connector } = this.inside
    connector.reach(turn, ref.peer, ref, true, (later, outcome) => {
      if (outcome.ok) connector.need(later.now, outcome.value, Need.service)
      onOpen(later, outcome.ok ? { ok: true, value: outcome.value.peer } : outcome)
    })
  }

  release(_turn: Turn, peer: PeerId): void {
    const { connector } = this.inside
    const contact = connector.contact(peer)
    if (contact !== null) connector.release(contact, Need.service)
  }

  learn(turn: Turn, ref: PeerRef): void {
    this.inside.overlay.learn(turn, ref)
  }
}
