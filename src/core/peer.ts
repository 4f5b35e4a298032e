/**
 * One peer: holds the parts, hands each input to the part that it is for, and gathers what they ask of the world. All
 * of it runs to completion within `step`; nothing here reads a clock, a socket or chance of its own.
 */
import type { Address } from './base/address.ts'
import type { Fault, Result } from './base/fault.ts'
import { earlier, type Instant, type WallTime } from './base/instant.ts'
import { unreachable } from './base/invariant.ts'
import { bytesOfPeerId, type PeerId } from './base/peer-id.ts'
import { positionOfHash } from './base/position.ts'
import { RareMap } from './base/rare-map.ts'
import { Rng } from './base/rng.ts'
import { type PeerRef, type PeerRefFields, REF_LIFETIME_MS, type Rendezvous, signPeerRef } from './crypto/peer-ref.ts'
import type { CryptoSuite, Identity } from './crypto/suite.ts'
import type { Effect } from './effect.ts'
import type { Command, Input, RequestId, SessionId, StoreEntry, Target } from './input.ts'
import {
  AWAY_MS,
  HELLO_VERIFY_MS,
  LEAVE_PATIENCE_MS,
  REF_RENEW_MS,
  REMEMBER_SAVE_MS,
  SERVICE_LIST_MAX,
} from './limits.ts'
import { Connector } from './overlay/connector.ts'
import { type Contact, Need } from './overlay/contact.ts'
import { Overlay } from './overlay/overlay.ts'
import { decodeOverlayMessage, type OverlayMessage } from './overlay/overlay-messages.ts'
import { peerOfSavedRef, SAVED_REF_PREFIX, savedRefKey } from './overlay/saved-ref.ts'
import type { SettledState } from './overlay/settled-state.ts'
import type { Peer, PeerOptions, PeerSnapshot } from './peer-options.ts'
import { ConnectorSide, OverlaySide, type PeerInside, UpperSide } from './peer-sides.ts'
import { Registry } from './registry/registry.ts'
import { Services } from './service/joined-services.ts'
import type { Session } from './session/session.ts'
import { Channel } from './session/session-owner.ts'
import { Turn } from './turn.ts'

const LOAD_REFS = 1
const LOAD_RECORDS = 2
const RECORD_KEYS = 'record/'

const NO_EFFECTS: readonly Effect[] = Object.freeze([])

export function createPeer(options: PeerOptions): Peer {
  return new MeshPeer(options)
}

class MeshPeer implements Peer, PeerInside {
  private readonly suite: CryptoSuite
  private readonly identity: Identity
  readonly connector: Connector
  readonly overlay: Overlay
  readonly registry: Registry
  private readonly services: Services
  ref: PeerRef
  /** Wall time of instant 0, as last told. */
  private wallTimeAtZero: WallTime
  private started = false
  private steppedAt: Instant = 0
  private left = false
  /** Set when this peer is to leave: it does so when the registry knows, or by then. */
  private leaveBy: Instant | null = null
  private renewAt: Instant = REF_RENEW_MS
  /** Null while the store holds what is remembered. */
  private saveAt: Instant | null = null
  private readonly forgets: boolean
  /** Of the remembered peers when they were last saved. */
  private savedVersion = 0
  /** Refs that peers have just shown, not yet verified, and when the oldest is looked at. */
  private readonly hellos = new RareMap<Contact, Extract<OverlayMessage, { kind: 'hello' }>>()
  private hellosAt: Instant | null = null

  constructor(options: PeerOptions) {
    const { suite, identity } = options
    this.suite = suite
    this.identity = identity
    this.wallTimeAtZero = options.wallTime
    this.forgets = options.forgets === true
    this.ref = signPeerRef(suite, identity, {
      sequence: Math.floor(options.wallTime),
      expires: Math.floor(options.wallTime) + REF_LIFETIME_MS,
      capacity: options.capacity,
      relays: options.relays,
      negotiates: options.negotiates?.map(({ transport }) => transport),
      addresses: [],
      rendezvous: [],
    })
    const rng = new Rng(options.seed)
    const { relays, dialable } = options
    this.connector = new Connector(suite, identity, relays, dialable, new ConnectorSide(this, options))
    this.overlay = new Overlay(new OverlaySide(this, options), rng.fork('overlay'), 0)
    const port = new UpperSide(this)
    this.registry = new Registry({ port, suite, identity, rng: rng.fork('registry'), refs: options.refs })
    this.services = new Services({ port, suite, identity, rng: rng.fork('service'), registry: this.registry })
  }

  step(now: Instant, input: Input): readonly Effect[] {
    if (this.left) return NO_EFFECTS
    // It steps every few seconds: after a longer pause, or where only the wall clock went on, the machine has slept.
    const clockJumpMs = input.kind === 'clock' ? input.wallTime - (this.wallTimeAtZero + now) : 0
    const awayMs = Math.max(now - this.steppedAt, clockJumpMs)
    this.steppedAt = now
    this.wallTimeAtZero += clockJumpMs
    const turn = new Turn(now, Math.floor(this.wallTimeAtZero + now))
    if (!this.started) this.start(turn)
    else if (awayMs >= AWAY_MS) this.onReturn(turn)
    this.take(turn, input)
    const wake = this.nextWake()
    if (wake !== null && wake <= now) this.wake(turn)
    if (this.leaveBy !== null && (!this.registry.withdrawing || this.leaveBy <= now)) this.leave(turn)
    if (this.overlay.memory.version !== this.savedVersion) this.saveAt ??= now + REMEMBER_SAVE_MS
    this.connector.board.flush(turn)
    return turn.finish()
  }

  nextWake(): Instant | null {
    if (this.left) return null
    let wake = earlier(this.renewAt, this.saveAt)
    wake = earlier(wake, earlier(this.hellosAt, this.leaveBy))
    wake = earlier(wake, this.connector.nextWake())
    wake = earlier(wake, this.overlay.nextWake())
    wake = earlier(wake, this.registry.nextWake())
    return earlier(wake, this.services.nextWake())
  }

  snapshot(): PeerSnapshot {
    const { links, memory } = this.overlay
    const near = links.near()
    return {
      ref: this.ref,
      links: links.all().map(link => {
        const contact = this.connector.contact(link.peer)
        return {
          peer: link.peer,
          role: near.includes(link) ? 'near' : link.role === 'near' || link.role === 'way-in' ? 'guest' : link.role,
          path: contact?.session.path?.view() ?? { kind: 'none' },
          roundTripMs: contact?.roundTripMs ?? null,
        }
      }),
      waysIn: this.overlay.otherWaysIn(),
      rememberedPeers: memory.size,
      estimatedPeers: this.overlay.estimatedPeers(),
      sessions: this.connector.sessionCount,
      circuitsRelayed: this.connector.circuits.relayedCount,
      records: this.registry.snapshotCount(),
      services: this.services.snapshot(),
    }
  }

  settle(state: SettledState, rng: Rng): void {
    this.started = true
    this.ref = state.ref
    this.renewAt = Math.max(0, state.ref.sequence + REF_RENEW_MS - this.wallTimeAtZero)
    this.connector.settle(state)
    this.overlay.settle(state, rng)
    // Its store holds them.
    this.overlay.memory.takeUnsaved()
    this.savedVersion = this.overlay.memory.version
  }

  private start(turn: Turn): void {
    this.started = true
    turn.effects.push({ kind: 'load', load: LOAD_REFS, prefix: SAVED_REF_PREFIX })
    turn.effects.push({ kind: 'load', load: LOAD_RECORDS, prefix: RECORD_KEYS })
  }

  private take(turn: Turn, input: Input): void {
    const { board } = this.connector
    switch (input.kind) {
      case 'wake':
        return
      case 'clock':
        // It jumped, or the process stood still: what was heard before tells little.
        this.connector.onNetworkChanged(turn, false)
        return
      case 'network-changed':
        this.connector.onNetworkChanged(turn, input.lost)
        return
      case 'wire-open':
        board.onWireOpen(turn, input.wire, input.about)
        return
      case 'wire-described':
        this.connector.onWireDescribed(turn, input.wire, input.description)
        return
      case 'wire-bytes':
        board.onWireBytes(turn, input.wire, input.bytes)
        return
      case 'wire-writable':
        board.onWireWritable(turn, input.wire, input.bytes)
        return
      case 'wire-closed':
        board.onWireClosed(turn, input.wire, input.fault)
        return
      case 'loaded':
        this.onLoaded(turn, input.load, input.entries)
        return
      case 'command':
        this.onCommand(turn, input.command)
        return
      default:
        unreachable(input)
    }
  }

  /** What this peer held before is old: others have ended its sessions and links, and believe it gone. */
  private onReturn(turn: Turn): void {
    this.hellos.clear()
    this.connector.onReturn(turn)
    this.overlay.onReturn(turn)
  }

  private leave(turn: Turn): void {
    // What was told last goes out before the sessions end.
    this.connector.board.flush(turn)
    this.connector.closeAll(turn)
    this.saveRemembered(turn)
    this.left = true
    turn.emit({ kind: 'left' })
  }

  private wake(turn: Turn): void {
    this.connector.onWake(turn)
    if (this.hellosAt !== null && this.hellosAt <= turn.now) this.takeHellos(turn)
    this.overlay.onWake(turn)
    this.registry.onWake(turn)
    this.services.onWake(turn)
    if (this.renewAt <= turn.now) this.renewRef(turn, {})
    if (this.saveAt !== null && this.saveAt <= turn.now) this.saveRemembered(turn)
  }

  onContactLost(turn: Turn, contact: Contact, fault: Fault): void {
    this.hellos.delete(contact)
    this.overlay.onContactLost(turn, contact, fault)
    this.services.onSessionClosed(turn, contact.peer)
  }

  onMessage(turn: Turn, contact: Contact, channel: number, bytes: Uint8Array): void {
    const fault = this.messageFault(turn, contact, channel, bytes)
    if (fault !== null) this.connector.onSessionBroken(turn, contact.session, fault)
  }

  private messageFault(turn: Turn, contact: Contact, channel: number, bytes: Uint8Array): Fault | null {
    switch (channel) {
      case Channel.overlay: {
        const message = decodeOverlayMessage(bytes)
        if (message === null) return { code: 'malformed', detail: 'overlay message' }
        return this.onOverlayMessage(turn, contact, message)
      }
      case Channel.registry:
        return this.registry.onMessage(turn, contact.peer, bytes)
      case Channel.service:
        return this.services.onMessage(turn, contact.peer, bytes)
      default:
        // A channel of a later version: not ours to judge.
        return null
    }
  }

  private onOverlayMessage(turn: Turn, contact: Contact, message: OverlayMessage): Fault | null {
    const { circuits } = this.connector
    const from = contact.peer
    switch (message.kind) {
      case 'circuit-open':
        circuits.onOpen(turn, from, message)
        return null
      case 'circuit-accept':
        circuits.onAccept(turn, from, message)
        return null
      case 'circuit-refuse':
        circuits.onRefuse(turn, from, message.forLabel, message.reason)
        return null
      case 'circuit-close':
        circuits.onClose(turn, from, message.label)
        return null
      case 'circuit-hold':
        circuits.onHold(turn, from, message.label, message.hold)
        return null
      case 'hello':
        if (contact.ref !== null) return this.overlay.onMessage(turn, contact, message)
        // Verified a moment later: the first stream of a newcomer does not wait for it.
        this.hellos.set(contact, { kind: 'hello', ref: message.ref.slice() })
        this.hellosAt ??= turn.now + HELLO_VERIFY_MS
        return null
      default:
        return this.takeHello(turn, contact) ?? this.overlay.onMessage(turn, contact, message)
    }
  }

  private takeHello(turn: Turn, contact: Contact): Fault | null {
    const hello = this.hellos.get(contact)
    if (hello === undefined) return null
    this.hellos.delete(contact)
    return this.overlay.onMessage(turn, contact, hello)
  }

  private takeHellos(turn: Turn): void {
    this.hellosAt = null
    for (const contact of [...this.hellos.keys()]) {
      const fault = this.takeHello(turn, contact)
      if (fault !== null) this.connector.onSessionBroken(turn, contact.session, fault)
    }
  }

  private onCommand(turn: Turn, command: Command): void {
    switch (command.kind) {
      case 'announce':
        this.announce(turn, command.addresses)
        return
      case 'join-mesh': {
        const { request } = command
        this.overlay.join(turn, command.waysIn, (later, outcome) => {
          if (outcome.ok) later.emit({ kind: 'joined', request, through: outcome.value })
          else
            later.emit({
              kind: 'failed',
              request,
              fault: { ...outcome.fault, code: 'no-way-in', detail: outcome.fault.detail ?? outcome.fault.code },
            })
        })
        return
      }
      case 'leave-mesh':
        for (const { service } of this.services.snapshot()) this.services.leave(turn, service)
        this.leaveBy ??= turn.now + LEAVE_PATIENCE_MS
        return
      case 'connect':
        this.connect(turn, command.request, command.target)
        return
      case 'ping':
        this.withSession(turn, command.session, command.request, session =>
          this.connector.ping(turn, session, command.request),
        )
        return
      case 'session-close':
        this.connector.closeForUser(turn, command.session, command.code)
        return
      case 'session-release':
        this.connector.releaseForUser(turn, command.session)
        return
      case 'stream-open':
        this.withSession(turn, command.session, command.request, session => {
          const opened = session.openStream(turn, command.subject)
          const { request } = command
          if (typeof opened !== 'number') turn.emit({ kind: 'failed', request, fault: opened })
          else turn.emit({ kind: 'stream-opened', request, session: session.id, stream: opened })
        })
        return
      case 'stream-write':
        this.connector.session(command.session)?.writeStream(turn, command.stream, command.chunks)
        return
      case 'stream-end':
        this.connector.session(command.session)?.endStream(turn, command.stream)
        return
      case 'stream-reset':
        this.connector.session(command.session)?.resetStream(turn, command.stream, command.reset)
        return
      case 'stream-consumed':
        this.connector.session(command.session)?.consumeStream(turn, command.stream, command.bytes)
        return
      case 'datagram-send':
        this.connector.session(command.session)?.sendDatagram(turn, command.bytes)
        return
      case 'peer-find': {
        const { request, peer } = command
        this.overlay.peerSearch.find(turn, peer, this.positionOf(peer), (later, found) => {
          if (found.ok) later.emit({ kind: 'peer-found', request, ref: found.value })
          else later.emit({ kind: 'failed', request, fault: found.fault })
        })
        return
      }
      case 'helpers-find':
        turn.emit({ kind: 'helpers-found', request: command.request, helpers: this.overlay.helpers() })
        return
      case 'service-find': {
        const { request } = command
        this.registry.find(turn, command.service, (later, found) => {
          if (found.ok) later.emit({ kind: 'service-found', request, members: found.value })
          else later.emit({ kind: 'failed', request, fault: found.fault })
        })
        return
      }
      case 'service-list': {
        const { request } = command
        this.registry.list(turn, (later, listed) => {
          if (listed.ok)
            later.emit({ kind: 'service-listed', request, services: listed.value.slice(0, SERVICE_LIST_MAX) })
          else later.emit({ kind: 'failed', request, fault: listed.fault })
        })
        return
      }
      case 'service-join': {
        const fault = this.services.join(turn, command.service, command.summary)
        const { request, service } = command
        turn.emit(fault === null ? { kind: 'service-joined', request, service } : { kind: 'failed', request, fault })
        return
      }
      case 'service-leave':
        this.services.leave(turn, command.service)
        return
      case 'service-broadcast': {
        const sent = this.services.broadcast(turn, command.service, command.bytes)
        const { request } = command
        if (typeof sent === 'number') turn.emit({ kind: 'broadcast-sent', request, neighbours: sent })
        else turn.emit({ kind: 'failed', request, fault: sent })
        return
      }
      default:
        unreachable(command)
    }
  }

  /** What it named as rendezvous while it was hidden leads to it only as long as it is. */
  private announce(turn: Turn, addresses: readonly Address[]): void {
    const rendezvous = this.overlay.wouldBeHidden(addresses) ? this.ref.rendezvous : []
    this.renewRef(turn, { addresses, rendezvous })
  }

  private connect(turn: Turn, request: RequestId, target: Target): void {
    this.reach(turn, target, true, (later, outcome) => {
      if (!outcome.ok) {
        later.emit({ kind: 'failed', request, fault: outcome.fault })
        return
      }
      const { session, peer } = outcome.value
      this.connector.need(later.now, outcome.value, Need.user)
      const path = session.path?.view() ?? { kind: 'none' }
      later.emit({ kind: 'connected', request, session: session.id, peer, path })
    })
  }

  reach(turn: Turn, target: Target, patient: boolean, onReached: (turn: Turn, outcome: Result<Contact>) => void): void {
    switch (target.kind) {
      case 'peer':
        this.connector.reach(turn, target.peer, null, patient, onReached)
        return
      case 'ref':
        this.connector.reach(turn, target.ref.peer, target.ref, patient, onReached)
        return
      case 'address':
        this.connector.reachAddress(turn, target.address, onReached)
        return
      default:
        unreachable(target)
    }
  }

  private withSession(turn: Turn, id: SessionId, request: RequestId, use: (session: Session) => void): void {
    const session = this.connector.session(id)
    if (session === null) {
      turn.emit({ kind: 'failed', request, fault: { code: 'closed', detail: 'session' } })
      return
    }
    use(session)
    this.connector.revive(turn, session)
  }

  positionOf(peer: PeerId): number {
    return this.overlay.refOf(peer)?.position ?? positionOfHash(this.suite.sha256(bytesOfPeerId(peer)))
  }

  /** Signs this peer's ref anew and tells those who should know. */
  renewRef(
    turn: Turn,
    changes: Partial<Pick<PeerRefFields, 'addresses'>> & { rendezvous?: readonly Rendezvous[] },
  ): void {
    const { capacity, relays, negotiates, addresses, rendezvous } = this.ref
    this.ref = signPeerRef(this.suite, this.identity, {
      sequence: Math.max(this.ref.sequence + 1, turn.wallTime),
      expires: turn.wallTime + REF_LIFETIME_MS,
      capacity,
      relays,
      negotiates,
      addresses,
      rendezvous,
      ...changes,
    })
    this.renewAt = turn.now + REF_RENEW_MS
    turn.emit({ kind: 'self', ref: this.ref })
    this.overlay.onSelfChanged(turn)
    this.registry.onSelfChanged(turn)
    this.services.onSelfChanged(turn)
  }

  private onLoaded(turn: Turn, load: number, entries: readonly StoreEntry[]): void {
    if (load === LOAD_RECORDS) {
      this.registry.restore(turn, entries)
      return
    }
    // What can't be read any more, or is to be forgotten, is deleted with the next save.
    for (const entry of entries) this.overlay.memory.onLoaded(peerOfSavedRef(entry.key))
    this.savedVersion = -1
    this.overlay.restore(turn, this.forgets ? [] : entries)
  }

  /** Writes what changed in the memory of peers; the store follows by a few seconds. */
  private saveRemembered(turn: Turn): void {
    this.saveAt = null
    const { memory } = this.overlay
    if (memory.version === this.savedVersion) return
    this.savedVersion = memory.version
    for (const { peer, bytes } of memory.takeUnsaved()) {
      turn.effects.push({ kind: 'save', key: savedRefKey(peer), value: bytes })
    }
    for (const peer of memory.takeDropped()) turn.effects.push({ kind: 'save', key: savedRefKey(peer), value: null })
  }
}
