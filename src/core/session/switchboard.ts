/**
 * Where frames meet sessions: the table of wires, the table of labels, and the handshakes (spec 3.1, 4.1). It knows who
 * can be talked to over what; whom to talk to is the overlay's business.
 */
import { readU32 } from '../base/bytes.ts'
import type { Fault, FaultCode } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap } from '../base/rare-map.ts'
import { PacketCipher } from '../crypto/packet-cipher.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import type { SessionId, WireFacts, WireId } from '../input.ts'
import { HANDSHAKE_TIMEOUT_MS, HANDSHAKES_PER_CARRIER_MAX, SESSIONS_UNPROVEN_MAX, WIRE_UNPROVEN_MS } from '../limits.ts'
import type { Turn } from '../turn.ts'
import {
  answerHandshake,
  continueHandshake,
  type Established,
  type HandshakeState,
  startHandshake,
} from './handshake.ts'
import { FRAME_HEADER_BYTES } from './path.ts'
import { Session } from './session.ts'
import type { PathOwner, SessionOwner } from './session-owner.ts'
import { type Carrier, Wire, type WireOwner } from './wire.ts'

/** What a label stands for: it gets the bodies that arrive under it. `bytes[start, end)` is the body, borrowed. */
export interface LabelTarget {
  onFrame(turn: Turn, bytes: Uint8Array, start: number, end: number, from: Carrier, spare: number): void
}

/** What the switchboard tells the layer above it. */
export interface CarrierOwner extends PathOwner {
  /** The other side moved the session to another carrier; `before` is null where it had none. */
  onFollowed(turn: Turn, session: Session, before: Carrier | null, carrier: Carrier): void
  /** A peer has proven itself over a carrier that no session travels over. */
  letGo(turn: Turn, carrier: Carrier): void
}

export interface SwitchboardOwner extends SessionOwner {
  readonly paths: CarrierOwner
  /** A session is proven at both ends. `opening` is the one that was asked for, or null where the other side asked. */
  onSessionReady(turn: Turn, session: Session, opening: Opening | null): void
  onOpeningFailed(turn: Turn, opening: Opening, fault: Fault): void
  /** `peer` answered to an opening. False where a session with it stands already: then nothing becomes of this one. */
  onAnswered(turn: Turn, opening: Opening, peer: PeerId): boolean
  /** The other side broke the protocol: the session has ended. */
  onSessionBroken(turn: Turn, session: Session, fault: Fault): void
  onWireOpen(turn: Turn, wire: Wire): void
  onWireLost(turn: Turn, wire: Wire, fault: Fault): void
  /** A wire that was full has room again. */
  onWireRoom(turn: Turn, wire: Wire): void
}

export class Switchboard implements WireOwner {
  private readonly suite: CryptoSuite
  private readonly identity: Identity
  private readonly owner: SwitchboardOwner
  private readonly wires = new Map<WireId, Wire>()
  private readonly labels = new Map<number, LabelTarget | Session>()
  /** Handshakes under way, oldest first, by the label that they have here: those of others, and our own. */
  private readonly unproven = new RareMap<number, Unproven>()
  private readonly openings = new RareMap<number, Opening>()
  /** What to flush at the end of this step: mostly one of each, and an array that is emptied and filled again grows anew. */
  private dirtySessions: Session[] | null = null
  /** Sessions that may have a deadline, each once: a list, as the dirty ones, since it changes with most packets. */
  private timedSessions: Session[] = []
  private dirtyWires: Wire[] | null = null
  /** Open wires over which no one has proven who they are, oldest first, with the time they have for it. */
  private readonly unprovenWires = new RareMap<Wire, Instant>()
  private nextWire = 1
  private wakeAt: Instant | null = null

  constructor(suite: CryptoSuite, identity: Identity, owner: SwitchboardOwner) {
    this.suite = suite
    this.identity = identity
    this.owner = owner
  }

  // ---- wires ----

  /** A wire that the host is asked to dial; frames may be sent at once, they leave when it opens. */
  newWire(now: Instant): Wire {
    const wire = new Wire(this.nextWire++, now, this)
    this.wires.set(wire.id, wire)
    return wire
  }

  onWireOpen(turn: Turn, id: WireId, about: WireFacts): void {
    let wire = this.wires.get(id)
    if (wire === undefined) {
      // One of ours that is not in the table was hung up in the meantime.
      if (id > 0) return
      wire = new Wire(id, turn.now, this)
      this.wires.set(id, wire)
    }
    wire.about = about
    wire.heardAt = turn.now
    if (wire.peer === null) this.proveBy(turn, wire)
    this.owner.onWireOpen(turn, wire)
  }

  onWireBytes(turn: Turn, id: WireId, bytes: Uint8Array): void {
    const wire = this.wires.get(id)
    if (wire === undefined) return
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + readU32(bytes, at)
      this.deliver(turn, bytes, at + 4, end, wire, 4)
      if (!wire.open) return
      at = end
    }
  }

  onWireWritable(turn: Turn, id: WireId, bytes: number): void {
    const wire = this.wires.get(id)
    if (wire?.written(bytes)) this.owner.onWireRoom(turn, wire)
  }

  onWireClosed(turn: Turn, id: WireId, fault: Fault): void {
    const wire = this.wires.get(id)
    if (wire !== undefined) this.dropWire(turn, wire, fault)
  }

  hangUp(turn: Turn, wire: Wire, code: FaultCode): void {
    if (!wire.open) return
    // What was queued in this step (a goodbye) goes first.
    for (const session of this.dirtySessions ?? []) session.flush(turn)
    wire.flush(turn)
    turn.effects.push({ kind: 'hang-up', wire: wire.id, code })
    this.dropWire(turn, wire, { code })
  }

  /** What the tables hold, for tests of leaks. */
  get counts(): {
    readonly wires: number
    readonly labels: number
    readonly handshakes: number
    readonly openings: number
    readonly unprovenWires: number
  } {
    const { wires, labels, unproven, openings, unprovenWires } = this
    return {
      wires: wires.size,
      labels: labels.size,
      handshakes: unproven.size,
      openings: openings.size,
      unprovenWires: unprovenWires.size,
    }
  }

  // ---- a peer that begins settled ----

  settleWire(id: WireId, about: WireFacts, peer: PeerId, heardAt: Instant): Wire {
    const wire = new Wire(id, heardAt, this)
    wire.about = about
    wire.peer = peer
    this.wires.set(id, wire)
    if (id >= this.nextWire) this.nextWire = id + 1
    return wire
  }

  settleSession(established: Established, carrier: Carrier): Session {
    const session = this.makeSession(established)
    session.settle(carrier)
    this.labels.set(session.id, session)
    return session
  }

  settleLabel(label: number, target: LabelTarget): void {
    this.labels.set(label, target)
  }

  // ---- labels ----

  /** One frame: `label u32 | body`, from `at` to `end`; `spare` bytes before it may be overwritten. */
  deliver(turn: Turn, bytes: Uint8Array, at: number, end: number, from: Carrier, spare: number): void {
    if (end - at < 5) return
    const label = readU32(bytes, at)
    if (label === 0) {
      this.onGreeting(turn, bytes.subarray(at + 4, end), from)
      return
    }
    const target = this.labels.get(label)
    if (target instanceof Session) this.onSessionPacket(turn, target, bytes, at + 4, end, from)
    else target?.onFrame(turn, bytes, at + 4, end, from, spare + 4)
  }

  /** An unpredictable label that no one else here has. */
  addLabel(target: LabelTarget | null): number {
    for (;;) {
      const label = readU32(this.suite.randomBytes(4), 0)
      if (label === 0 || this.labels.has(label)) continue
      if (target !== null) this.labels.set(label, target)
      return label
    }
  }

  removeLabel(label: number): void {
    this.labels.delete(label)
  }

  // ---- sessions ----

  /** Starts a handshake over a carrier, with a known peer or (null) with whoever is there. Null where the key is no key. */
  openSession(turn: Turn, carrier: Carrier, remote: PeerId | null): Opening | null {
    const label = this.addLabel(null)
    const { suite, identity } = this
    const { binding } = carrier
    const started = startHandshake({ suite, identity, remote, localLabel: label, binding })
    if (!started.ok) return null
    const opening = new Opening(this, label, carrier, turn.now + HANDSHAKE_TIMEOUT_MS, started.value.state)
    this.openings.set(label, opening)
    this.labels.set(label, opening)
    this.wakeAt = earlier(this.wakeAt, opening.giveUpAt)
    sendPacket(turn, carrier, 0, started.value.packet)
    return opening
  }

  /** Gives up an opening whose outcome is no longer wanted. */
  cancelOpening(opening: Opening): void {
    if (this.openings.delete(opening.label)) this.labels.delete(opening.label)
  }

  /**
   * The first packet of a session that the other side opened has been opened: it is no replay. Called before what the
   * packet holds is handed on, so that nothing comes from a session that nobody has heard of.
   */
  prove(turn: Turn, session: Session): void {
    const item = this.unproven.get(session.id)
    if (item?.kind !== 'session' || item.session !== session || session.ended) return
    this.unproven.delete(session.id)
    if (this.isForAnother(item.carrier, session.peer)) {
      this.labels.delete(session.id)
      session.abandon(turn, { code: 'refused' })
      return
    }
    this.labels.set(session.id, session)
    item.carrier.peer = session.peer
    this.owner.onSessionReady(turn, session, null)
  }

  /** The session by its label, once it is proven. */
  session(id: SessionId): Session | null {
    const target = this.labels.get(id)
    return target instanceof Session ? target : null
  }

  /** Takes a session off the table: frames for it are dropped from here on. Whether it stood there, proven. */
  forget(session: Session): boolean {
    const stood = this.labels.get(session.id) === session
    this.labels.delete(session.id)
    this.unproven.delete(session.id)
    if (session.timed) {
      session.timed = false
      this.timedSessions = this.timedSessions.filter(other => other !== session)
    }
    return stood
  }

  markDirty(session: Session): void {
    if (this.dirtySessions === null) this.dirtySessions = [session]
    else this.dirtySessions.push(session)
  }

  onWireDirty(wire: Wire): void {
    if (this.dirtyWires === null) this.dirtyWires = [wire]
    else this.dirtyWires.push(wire)
  }

  /** Ends a step: sessions cut and seal what they have, wires hand it to the host. */
  flush(turn: Turn): void {
    // The lists grow while they are worked off: what flushes may make others dirty. A session that ended does nothing.
    const { dirtySessions } = this
    for (let i = 0; dirtySessions !== null && i < dirtySessions.length; i += 1) {
      const session = dirtySessions[i]!
      session.flush(turn)
      const wake = session.nextWake()
      if (wake === null) continue
      // It stays in the set until the next wake: most sessions that come to rest are timed again soon.
      if (!session.timed) {
        session.timed = true
        this.timedSessions.push(session)
      }
      this.wakeAt = earlier(this.wakeAt, wake)
    }
    this.dirtySessions = null
    const { dirtyWires } = this
    for (let i = 0; dirtyWires !== null && i < dirtyWires.length; i += 1) dirtyWires[i]!.flush(turn)
    this.dirtyWires = null
  }

  nextWake(): Instant | null {
    return this.wakeAt
  }

  onWake(turn: Turn): void {
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    const { timedSessions } = this
    let kept = 0
    for (let i = 0; i < timedSessions.length; i += 1) {
      const session = timedSessions[i]!
      const wake = session.nextWake()
      if (wake === null) {
        session.timed = false
        continue
      }
      timedSessions[kept++] = session
      if (wake <= turn.now) {
        session.onWake(turn)
        this.markDirty(session)
      } else {
        this.wakeAt = earlier(this.wakeAt, wake)
      }
    }
    timedSessions.length = kept
    for (const opening of this.openings.values()) {
      if (opening.giveUpAt <= turn.now) this.failOpening(turn, opening, { code: 'timeout', detail: 'handshake' })
      else this.wakeAt = earlier(this.wakeAt, opening.giveUpAt)
    }
    for (const [label, { giveUpAt }] of this.unproven) {
      if (giveUpAt <= turn.now) this.dropUnproven(turn, label, { code: 'timeout', detail: 'handshake' })
      else this.wakeAt = earlier(this.wakeAt, giveUpAt)
    }
    for (const [wire, deadline] of this.unprovenWires) {
      if (wire.peer !== null) this.unprovenWires.delete(wire)
      else if (deadline <= turn.now) this.hangUp(turn, wire, 'timeout')
      else {
        this.wakeAt = earlier(this.wakeAt, deadline)
        break
      }
    }
  }

  // ---- handshakes ----

  /** Message 1 of a handshake that someone else starts. */
  private onGreeting(turn: Turn, packet: Uint8Array, from: Carrier): void {
    if (this.handshakesOver(from) >= HANDSHAKES_PER_CARRIER_MAX) {
      this.refuseCarrier(turn, from, { code: 'overloaded', detail: 'handshakes over one wire' })
      return
    }
    const label = this.addLabel(null)
    const { suite, identity } = this
    const { binding } = from
    const answer = answerHandshake({ suite, identity, packet, localLabel: label, binding })
    if (!answer.ok) {
      this.refuseCarrier(turn, from, answer.fault)
      return
    }
    const giveUpAt = turn.now + HANDSHAKE_TIMEOUT_MS
    if (answer.value.kind === 'established') {
      if (this.isForAnother(from, answer.value.established.peer)) return
      // Message 1 can be a replay: nothing is believed before the first packet of the session opens (spec 4.1).
      const session = this.newSession(turn, answer.value.established, from)
      this.addUnproven(turn, label, { kind: 'session', session, carrier: from, giveUpAt })
    } else {
      this.addUnproven(turn, label, { kind: 'answered', state: answer.value.state, carrier: from, giveUpAt })
    }
    sendPacket(turn, from, answer.value.remoteLabel, answer.value.reply)
  }

  /** The answer to a handshake of ours. */
  onOpeningFrame(turn: Turn, opening: Opening, packet: Uint8Array, from: Carrier): void {
    if (from !== opening.carrier || this.openings.get(opening.label) !== opening) return
    const { suite, identity } = this
    const next = continueHandshake({ suite, identity, state: opening.state, packet })
    if (!next.ok) {
      this.failOpening(turn, opening, next.fault)
      return
    }
    const { reply, established } = next.value
    if (this.isForAnother(from, established.peer)) {
      this.failOpening(turn, opening, { code: 'wrong-peer' })
      return
    }
    this.cancelOpening(opening)
    if (!this.owner.onAnswered(turn, opening, established.peer)) return
    const session = this.newSession(turn, established, from)
    this.labels.set(session.id, session)
    from.peer = session.peer
    if (reply !== null) sendPacket(turn, from, established.remoteLabel, reply)
    this.owner.onSessionReady(turn, session, opening)
  }

  /** A frame for a handshake that someone else started. */
  private onUnprovenFrame(turn: Turn, label: number, body: Uint8Array, from: Carrier): void {
    const item = this.unproven.get(label)
    if (item === undefined) return
    if (item.kind === 'session') {
      // Over any carrier: the opener may have moved on to a better one already, and what it sends there comes once.
      const { session } = item
      this.onSessionPacket(turn, session, body, 0, body.length, from)
      if (session.ended) this.forget(session)
      else if (session.confirmed) this.prove(turn, session)
      if (session.confirmed && session.path === from) from.peer ??= session.peer
      return
    }
    if (from !== item.carrier) return
    const next = continueHandshake({ suite: this.suite, identity: this.identity, state: item.state, packet: body })
    if (!next.ok) {
      this.dropUnproven(turn, label, next.fault)
      this.refuseCarrier(turn, from, next.fault)
      return
    }
    this.unproven.delete(label)
    this.labels.delete(label)
    const { established } = next.value
    if (this.isForAnother(from, established.peer)) return
    const session = this.newSession(turn, established, from)
    this.labels.set(label, session)
    from.peer = session.peer
    this.owner.onSessionReady(turn, session, null)
  }

  private onSessionPacket(
    turn: Turn,
    session: Session,
    bytes: Uint8Array,
    start: number,
    end: number,
    from: Carrier,
  ): void {
    // reason: every path in this program is a carrier; the session needs to know less of it.
    const before = session.path as Carrier | null
    if (from !== before && this.isForAnother(from, session.peer)) return
    const fault = session.receive(turn, bytes, from, start, end)
    if (session.opened && from.peer === null && !this.unproven.has(session.id)) {
      // A session may go on over another carrier than it was opened on: an authentic packet proves that one too.
      from.peer = session.peer
      if (session.path !== from) this.owner.paths.letGo(turn, from)
    }
    if (session.path === from && before !== from && !session.ended) {
      this.owner.paths.onFollowed(turn, session, before, from)
    }
    if (fault !== null) this.owner.onSessionBroken(turn, session, fault)
  }

  /** Whether a carrier must not carry sessions with this peer: somebody else's, or one that rides on them (spec 5.6). */
  private isForAnother(carrier: Carrier, peer: PeerId): boolean {
    return (carrier.peer !== null && carrier.peer !== peer) || carrier.dependsOn(peer)
  }

  private handshakesOver(carrier: Carrier): number {
    let count = 0
    for (const item of this.unproven.values()) if (item.carrier === carrier) count += 1
    return count
  }

  private proveBy(turn: Turn, wire: Wire): void {
    const deadline = turn.now + WIRE_UNPROVEN_MS
    this.unprovenWires.set(wire, deadline)
    this.wakeAt = earlier(this.wakeAt, deadline)
  }

  private newSession(turn: Turn, established: Established, carrier: Carrier): Session {
    const session = this.makeSession(established)
    if (carrier instanceof Wire && carrier.binding !== undefined) carrier.shield(session.id)
    session.usePath(turn, carrier)
    return session
  }

  private makeSession(established: Established): Session {
    const { cipher, sendKey, receiveKey } = established
    return new Session({
      id: established.localLabel,
      peer: established.peer,
      initiator: established.initiator,
      remoteLabel: established.remoteLabel,
      protection: new PacketCipher(this.suite, cipher, sendKey, receiveKey),
      owner: this.owner,
    })
  }

  private addUnproven(turn: Turn, label: number, item: Unproven): void {
    if (this.unproven.size >= SESSIONS_UNPROVEN_MAX) {
      for (const [oldest] of this.unproven) {
        this.dropUnproven(turn, oldest, { code: 'overloaded', detail: 'too many handshakes at once' })
        break
      }
    }
    this.unproven.set(label, item)
    this.labels.set(label, {
      onFrame: (t, bytes, start, end, from) => this.onUnprovenFrame(t, label, bytes.subarray(start, end), from),
    })
    this.wakeAt = earlier(this.wakeAt, item.giveUpAt)
  }

  private dropUnproven(turn: Turn, label: number, fault: Fault): void {
    const item = this.unproven.get(label)
    if (item === undefined) return
    this.unproven.delete(label)
    this.labels.delete(label)
    if (item.kind === 'session') {
      this.forget(item.session)
      item.session.abandon(turn, fault)
    }
    this.refuseCarrier(turn, item.carrier, fault)
  }

  private failOpening(turn: Turn, opening: Opening, fault: Fault): void {
    this.cancelOpening(opening)
    this.owner.onOpeningFailed(turn, opening, fault)
  }

  /** Malformed greetings cost a stranger its wire; a wire that carries a proven session stays. */
  private refuseCarrier(turn: Turn, carrier: Carrier, fault: Fault): void {
    if (carrier instanceof Wire && carrier.peer === null) this.hangUp(turn, carrier, fault.code)
  }

  private dropWire(turn: Turn, wire: Wire, fault: Fault): void {
    wire.open = false
    this.wires.delete(wire.id)
    this.unprovenWires.delete(wire)
    for (const [label, item] of this.unproven) if (item.carrier === wire) this.dropUnproven(turn, label, fault)
    for (const opening of this.openings.values()) if (opening.carrier === wire) this.cancelOpening(opening)
    this.owner.onWireLost(turn, wire, fault)
  }
}

/** A handshake of someone who has not proven yet who it is. */
type Unproven =
  | { readonly kind: 'answered'; readonly state: HandshakeState; readonly carrier: Carrier; readonly giveUpAt: Instant }
  | { readonly kind: 'session'; readonly session: Session; readonly carrier: Carrier; readonly giveUpAt: Instant }

/** A handshake that this peer started. */
export class Opening implements LabelTarget {
  readonly label: number
  readonly carrier: Carrier
  readonly giveUpAt: Instant
  readonly state: HandshakeState
  private readonly board: Switchboard

  constructor(board: Switchboard, label: number, carrier: Carrier, giveUpAt: Instant, state: HandshakeState) {
    this.board = board
    this.label = label
    this.carrier = carrier
    this.giveUpAt = giveUpAt
    this.state = state
  }

  onFrame(turn: Turn, bytes: Uint8Array, start: number, end: number, from: Carrier): void {
    this.board.onOpeningFrame(turn, this, bytes.subarray(start, end), from)
  }
}

function sendPacket(turn: Turn, carrier: Carrier, label: number, packet: Uint8Array): void {
  const header = new Uint8Array(FRAME_HEADER_BYTES + packet.length)
  header.set(packet, FRAME_HEADER_BYTES)
  carrier.send(turn, label, header, [])
}
