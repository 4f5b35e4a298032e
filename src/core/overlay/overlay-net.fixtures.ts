/**
 * Overlays alone, without sessions, wires and registry: messages between two peers keep their order and otherwise arrive
 * whenever the schedule says; paths are lost at one end, sessions end here first and there later, peers freeze and vanish.
 * Every message passes the codec, and after every step each peer is held against what must never be.
 */

import type { Fault } from '../base/fault.ts'
import { fail, ok, type Result } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import { invariant } from '../base/invariant.ts'
import { PEER_ID_BYTES, type PeerId, peerIdOfBytes } from '../base/peer-id.ts'
import { RING } from '../base/position.ts'
import { Rng } from '../base/rng.ts'
import { areGlobal, type PeerRef, type Rendezvous } from '../crypto/peer-ref.ts'
import type { PathView } from '../effect.ts'
import type { Target } from '../input.ts'
import { REMEMBERED_MAX } from '../limits.ts'
import { Turn } from '../turn.ts'
import { Contact } from './contact.ts'
import { Overlay } from './overlay.ts'
import { decodeOverlayMessage, encodeOverlayMessage, type OverlayMessage } from './overlay-messages.ts'

const REACH_FAILS_MS = 2_500
const DEATH_NOTICED_MS = 23_000
const GIVEN_UP = 'this peer gave the link up'

/** What travels in order from one end of a session to the other; the end of the session comes last. */
type Item = Uint8Array | 'end'

export class NetSession {
  readonly ends: readonly [NetPeer, NetPeer]
  /** What is on its way to each end. */
  readonly queues: readonly [Item[], Item[]] = [[], []]

  constructor(opener: NetPeer, other: NetPeer) {
    this.ends = [opener, other]
  }

  otherThan(peer: NetPeer): NetPeer {
    return this.ends[0] === peer ? this.ends[1] : this.ends[0]
  }

  /** What is on its way to `peer`. */
  queueTo(peer: NetPeer): Item[] {
    return this.queues[this.ends[0] === peer ? 0 : 1]
  }
}

/** One end of a session as its overlay sees it, and what it runs on. */
interface End {
  readonly contact: Contact
  readonly session: NetSession
  /** Stands in for the session of the core: of it the overlay looks at `path` and `initiator` alone. */
  readonly shown: { readonly peer: PeerId; path: ShownPath | null; readonly initiator: boolean }
  linked: boolean
}

interface ShownPath {
  readonly reliable: boolean
  readonly remoteHost: string | null
  view(): PathView
}

export interface PlacedOverlay {
  readonly capacity: number
  readonly open: boolean
}

export class NetPeer {
  readonly net: OverlayNet
  readonly index: number
  readonly peer: PeerId
  readonly capacity: number
  readonly open: boolean
  readonly ends = new Map<PeerId, End>()
  readonly overlay: Overlay
  ref: PeerRef
  alive = true
  frozen = false
  joined = false

  constructor(net: OverlayNet, index: number, { capacity, open }: PlacedOverlay) {
    this.net = net
    this.index = index
    this.capacity = capacity
    this.open = open
    this.peer = peerIdOfBytes(Uint8Array.from({ length: PEER_ID_BYTES }, (_, i) => (i === 0 ? index : 7)))
    this.ref = net.newRef(this.peer, net.rng.below(RING), capacity, open, 1, [])
    const { position } = this.ref
    this.overlay = new Overlay(
      {
        peer: this.peer,
        position,
        capacity,
        self: () => this.ref,
        send: (_turn, to, message) => this.send(to, message),
        reach: (_turn, target, onReached) => this.reach(target, onReached),
        contact: peer => this.ends.get(peer)?.contact ?? null,
        need: (_turn, contact) => this.setLinked(contact.peer, true),
        release: contact => this.setLinked(contact.peer, false),
        suspectSilent: () => {},
        suspect: () => {},
        closeIfUnneeded: (_turn, contact) => {
          const end = this.ends.get(contact.peer)
          if (end?.contact === contact && !end.linked && end.shown.initiator) net.later(0, () => net.end(this, end))
        },
        admit: (_turn, bytes) => net.refOfBytes(bytes),
        isForged: () => false,
        answer: () => null,
        onNearChanged: () => {},
        relayed: () => 0,
        onRendezvous: (turn, rendezvous) => {
          this.ref = net.newRef(this.peer, position, capacity, open, this.ref.sequence + 1, rendezvous)
          this.overlay.onSelfChanged(turn)
        },
      },
      net.rng.fork(`overlay ${index}`),
      net.now,
    )
  }

  get awake(): boolean {
    return this.alive && !this.frozen
  }

  /** One step of this peer, and what must hold after it. */
  step(what: (turn: Turn) => void): void {
    const turn = new Turn(this.net.now, this.net.now)
    what(turn)
    const { links, memory } = this.overlay
    invariant(links.size <= this.capacity, `${this.index} carries ${links.size} of ${this.capacity} links`)
    invariant(memory.size <= REMEMBERED_MAX, `${this.index} remembers ${memory.size}`)
    invariant(!links.has(this.peer) && memory.refOf(this.peer) === undefined, `${this.index} knows itself as another`)
    for (const effect of turn.finish()) {
      if (effect.kind !== 'event' || effect.event.kind !== 'link-down') continue
      const { peer, fault } = effect.event
      const ref = this.overlay.refOf(peer)
      if (fault.detail !== GIVEN_UP || ref === null || links.has(peer)) continue
      invariant(!links.belongsNear(ref.position), `${this.index} gave up a near link`)
    }
  }

  wake(): void {
    const wake = this.overlay.nextWake()
    if (this.awake && this.joined && wake !== null && wake <= this.net.now) this.step(turn => this.overlay.onWake(turn))
  }

  private setLinked(peer: PeerId, linked: boolean): void {
    const end = this.ends.get(peer)
    if (end !== undefined) end.linked = linked
  }

  private send(to: PeerId, message: OverlayMessage): boolean {
    invariant(to !== this.peer, `${this.index} sends ${message.kind} to itself`)
    const bytes = encodeOverlayMessage(message)
    invariant(decodeOverlayMessage(bytes) !== null, `${this.index} sends a ${message.kind} that nobody reads`)
    const end = this.ends.get(to)
    if (end === undefined) return false
    this.net.sent += 1
    end.session.queueTo(end.session.otherThan(this)).push(bytes)
    return true
  }

  private reach(target: Target, onReached: (turn: Turn, outcome: Result<Contact>) => void): void {
    invariant(target.kind === 'ref', 'overlays reach by ref')
    const end = this.ends.get(target.ref.peer)
    if (end !== undefined && end.shown.path !== null) {
      // As the connector does: who is reached already is there before the call returns.
      onReached(new Turn(this.net.now, this.net.now), ok(end.contact))
      return
    }
    this.net.reach(this, target.ref.peer, onReached)
  }
}

interface Later {
  readonly at: Instant
  readonly run: () => void
}

export class OverlayNet {
  readonly rng: Rng
  readonly peers: NetPeer[] = []
  now: Instant = 0
  /** Messages in all. */
  sent = 0
  private readonly sessions = new Set<NetSession>()
  private planned: Later[] = []
  private readonly refs = new Map<string, PeerRef>()

  /** Every second world is one private network; in the others all meet at global addresses. */
  private readonly isPrivate: boolean

  constructor(seed: number) {
    this.isPrivate = seed % 2 === 1
    this.rng = new Rng(seed)
  }

  add(placed: PlacedOverlay): NetPeer {
    const peer = new NetPeer(this, this.peers.length, placed)
    this.peers.push(peer)
    return peer
  }

  live(): NetPeer[] {
    return this.peers.filter(peer => peer.awake && peer.joined)
  }

  /** Joins through others that are named. */
  join(peer: NetPeer, ways: readonly NetPeer[]): void {
    peer.joined = true
    const targets = ways.map(way => ({ kind: 'ref' as const, ref: way.ref }))
    peer.step(turn => peer.overlay.join(turn, targets, () => {}))
  }

  kill(peer: NetPeer): void {
    peer.alive = false
    for (const end of [...peer.ends.values()]) {
      const other = end.session.otherThan(peer)
      this.later(this.rng.unit() * DEATH_NOTICED_MS, () => {
        const there = other.ends.get(peer.peer)
        if (there?.session === end.session) this.lose(other, there, { code: 'timeout' })
      })
    }
    peer.ends.clear()
  }

  /** Others lose a frozen peer after a while; it hears of that when it returns, after what they had said before. */
  freeze(peer: NetPeer): void {
    peer.frozen = true
    for (const end of peer.ends.values()) {
      const other = end.session.otherThan(peer)
      this.later(5_000 + this.rng.unit() * DEATH_NOTICED_MS, () => {
        const there = other.ends.get(peer.peer)
        if (peer.frozen && there?.session === end.session) this.end(other, there)
      })
    }
  }

  thaw(peer: NetPeer): void {
    peer.frozen = false
    peer.wake()
  }

  /** One end notices that the path is gone; the session stands, and what is sent waits. */
  losePath(peer: NetPeer, end: End): void {
    if (end.shown.path === null || peer.ends.get(end.contact.peer) !== end) return
    end.shown.path = null
    peer.step(turn => peer.overlay.onContactLost(turn, end.contact, { code: 'wire-lost' }))
  }

  findPath(end: End): void {
    end.shown.path ??= this.pathBetween(end.session)
  }

  /** Ends a session at one end; the other hears of it in its time. */
  end(peer: NetPeer, end: End): void {
    if (peer.ends.get(end.contact.peer) !== end) return
    end.session.queueTo(end.session.otherThan(peer)).push('end')
    this.lose(peer, end, { code: 'closed' })
  }

  reach(from: NetPeer, to: PeerId, onReached: (turn: Turn, outcome: Result<Contact>) => void): void {
    const target = this.peers.find(other => other.peer === to)
    const there = (): boolean => target?.awake === true
    this.later(there() ? 30 + this.rng.below(400) : REACH_FAILS_MS, () => {
      if (!from.awake || target === undefined) return
      const end = from.ends.get(to)
      if (end !== undefined && end.shown.path !== null) {
        from.step(turn => onReached(turn, ok(end.contact)))
      } else if (!there()) {
        from.step(turn => onReached(turn, fail({ code: 'dial-timeout' })))
      } else if (end !== undefined && target.ends.get(from.peer)?.session === end.session) {
        this.findPath(end)
        from.step(turn => onReached(turn, ok(end.contact)))
      } else {
        const session = new NetSession(from, target)
        this.sessions.add(session)
        const opened = this.open(from, target, session)
        this.open(target, from, session)
        if (from.ends.get(to) === opened) from.step(turn => onReached(turn, ok(opened.contact)))
      }
    })
  }

  later(ms: number, run: () => void): void {
    this.planned.push({ at: this.now + ms, run })
  }

  /** Time passes to the next thing that is due, `ms` at most; all that is due happens. */
  pass(ms: number): void {
    this.now += ms
    const due = this.planned.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at)
    this.planned = this.planned.filter(({ at }) => at > this.now)
    for (const { run } of due) run()
    for (const peer of this.peers) peer.wake()
  }

  /** Queues with something for a peer that can take it. */
  waiting(): { readonly session: NetSession; readonly to: NetPeer }[] {
    const found: { session: NetSession; to: NetPeer }[] = []
    for (const session of this.sessions) {
      for (const to of session.ends) if (to.awake && session.queueTo(to).length > 0) found.push({ session, to })
    }
    return found
  }

  /** Hands over the first `count` of what waits. */
  deliver({ session, to }: { readonly session: NetSession; readonly to: NetPeer }, count: number): void {
    for (let i = 0; i < count && to.awake; i += 1) {
      const item = session.queueTo(to).shift()
      if (item === undefined) return
      const from = session.otherThan(to)
      const end = to.ends.get(from.peer)
      if (end?.session !== session) continue
      if (item === 'end') {
        this.lose(to, end, { code: 'closed' })
        continue
      }
      const message = decodeOverlayMessage(item)
      invariant(message !== null, 'what was sent can be read')
      to.step(turn => {
        const fault = to.overlay.onMessage(turn, end.contact, message)
        invariant(fault === null, `${to.index} takes a ${message.kind} of ${from.index} for ${fault?.code}`)
      })
    }
  }

  newRef(
    peer: PeerId,
    position: number,
    capacity: number,
    open: boolean,
    sequence: number,
    rendezvous: readonly Rendezvous[],
  ): PeerRef {
    const bytes = new Uint8Array(40)
    new DataView(bytes.buffer).setUint32(0, this.refs.size)
    const host = `${this.isPrivate ? 10 : 20}.${position % 200}.0.1`
    const addresses = open ? [{ scheme: 'tcp' as const, host, port: 1, extra: '' }] : []
    const ref: PeerRef = {
      peer,
      position,
      sequence,
      expires: 1e15,
      capacity,
      relays: true,
      negotiates: [],
      addresses,
      isGlobal: areGlobal(addresses),
      rendezvous,
      bytes,
    }
    this.refs.set(bytes.join(), ref)
    return ref
  }

  refOfBytes(bytes: Uint8Array): PeerRef | null {
    return this.refs.get(bytes.join()) ?? null
  }

  private open(peer: NetPeer, other: NetPeer, session: NetSession): End {
    const present = peer.ends.get(other.peer)
    if (present !== undefined) this.lose(peer, present, { code: 'session-replaced' })
    const shown = { peer: other.peer, path: this.pathBetween(session), initiator: session.ends[0] === peer }
    // reason: see `End.shown`.
    const contact = new Contact(shown as unknown as Contact['session'], peer.overlay.refOf(other.peer), this.now)
    const end: End = { contact, session, shown, linked: false }
    peer.ends.set(other.peer, end)
    peer.step(turn => peer.overlay.onContact(turn, contact))
    return end
  }

  private lose(peer: NetPeer, end: End, fault: Fault): void {
    peer.ends.delete(end.contact.peer)
    const other = end.session.otherThan(peer)
    if (other.ends.get(peer.peer)?.session !== end.session) this.sessions.delete(end.session)
    peer.step(turn => peer.overlay.onContactLost(turn, end.contact, fault))
  }

  private pathBetween(session: NetSession): ShownPath {
    const reliable = session.ends.some(peer => peer.open)
    return {
      reliable,
      remoteHost: reliable ? `${this.isPrivate ? 10 : 20}.0.0.1` : null,
      view: () => ({ kind: 'none' }),
    }
  }
}
