/**
 * Where frames meet sessions: the table of wires, the table of labels, and the handshakes (spec 3.1, 4.1). It knows who
 * can be talked to over what; whom to talk to is the overlay's business.
 */
import { readU32 } from '../base/bytes.ts'
import type { Fault, FaultCode } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { PacketCipher } from '../crypto/packet-cipher.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import type { WireFacts, WireId } from '../input.ts'
import { HANDSHAKE_TIMEOUT_MS, SESSIONS_UNPROVEN_MAX, WIRE_UNPROVEN_MS } from '../limits.ts'
import type { Turn } from '../turn.ts'
import {
  answerHandshake,
  continueHandshake,
  type Established,
  type HandshakeState,
  PacketKind,
  startHandshake,
} from './handshake.ts'
import { FRAME_HEADER_BYTES } from './path.ts'
import { Session } from './session.ts'
import type { SessionOwner } from './session-owner.ts'
import { type Carrier, Wire } from './wire.ts'

/** What a label stands for: it gets the bodies that arrive under it. `bytes[start, end)` is the body, borrowed. */
export interface LabelTarget {
  onFrame(turn: Turn, bytes: Uint8Array, start: number, end: number, from: Carrier, spare: number): void
}

/** What the switchboard tells the layer above it. */
export interface SwitchboardOwner extends SessionOwner {
  /** A session is proven at both ends. `opening` is the one that was asked for, or null where the other side asked. */
  onSessionReady(turn: Turn, session: Session, opening: Opening | null): void
  onOpeningFailed(turn: Turn, opening: Opening, fault: Fault): void
  /** The other side broke the protocol: the session has ended. */
  onSessionBroken(turn: Turn, session: Session, fault: Fault): void
  /** The other side moved the session to another carrier; `revived` where it had none. */
  onPathFollowed(turn: Turn, session: Session, carrier: Carrier, revived: boolean): void
  onWireOpen(turn: Turn, wire: Wire): void
  onWireLost(turn: Turn, wire: Wire, fault: Fault): void
  /** A wire that was full has room again. */
  onWireRoom(turn: Turn, wire: Wire): void
}

/** A handshake that this peer started. */
export class Opening {
  readonly label: number
  readonly carrier: Carrier
  readonly giveUpAt: Instant
  state: HandshakeState

  constructor(label: number, carrier: Carrier, giveUpAt: Instant, state: HandshakeState) {
    this.label = label
    this.carrier = carrier
    this.giveUpAt = giveUpAt
    this.state = state
  }
}

export class Switchboard {
  private readonly suite: CryptoSuite
  private readonly identity: Identity
  private readonly owner: SwitchboardOwner
  private readonly wires = new Map<WireId, Wire>()
  private readonly labels = new Map<number, LabelTarget>()
  /** Handshakes under way, started here or elsewhere, oldest first: label to what waits under it. */
  private readonly unproven = new Map<number, Unproven>()
  /** What to flush at the end of this step. Lists, since a set allocates a new table whenever it is emptied. */
  private readonly dirtySessions: Session[] = []
  private readonly timedSessions = new Set<Session>()
  private readonly dirtyWires: Wire[] = []
  /** Open wires over which no one has proven who they are, oldest first, with the time they have for it. */
  private readonly unprovenWires = new Map<Wire, Instant>()
  private readonly markWire = (wire: Wire): void => {
    this.dirtyWires.push(wire)
  }
  private nextDialledWire = 1
  private wakeAt: Instant | null = null

  constructor(suite: CryptoSuite, identity: Identity, owner: SwitchboardOwner) {
    this.suite = suite
    this.identity = identity
    this.owner = owner
  }

  // ---- wires ----

  /** A wire that the host is asked to dial; frames may be sent at once, they leave when it opens. */
  newDialledWire(now: Instant): Wire {
    const wire = new Wire(this.nextDialledWire++, 'dialler', now, this.markWire)
    this.wires.set(wire.id, wire)
    return wire
  }

  onWireOpen(turn: Turn, id: WireId, role: 'dialler' | 'acceptor', about: WireFacts): void {
    let wire = this.wires.get(id)
    if (wire === undefined) {
      // A dialled wire that is not in the table was hung up in the meantime.
      if (role === 'dialler') return
      wire = new Wire(id, role, turn.now, this.markWire)
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
    for (const session of this.dirtySessions) session.flush(turn)
    wire.flush(turn)
    turn.effects.push({ kind: 'hang-up', wire: wire.id, code })
    this.dropWire(turn, wire, { code })
  }

  get wireCount(): number {
    return this.wires.size
  }

  // ---- labels ----

  /** One frame: `label u32 | body`, from `at` to `end`; `spare` bytes before it may be overwritten. */
  deliver(turn: Turn, bytes: Uint8Array, at: number, end: number, from: Carrier, spare: number): void {
    if (end - at < 5) return
    const label = readU32(bytes, at)
    if (label === 0) this.onGreeting(turn, bytes.subarray(at + 4, end), from)
    else this.labels.get(label)?.onFrame(turn, bytes, at + 4, end, from, spare + 4)
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
    const started = startHandshake({ suite: this.suite, identity: this.identity, remote, localLabel: label })
    if (!started.ok) return null
    const opening = new Opening(label, carrier, turn.now + HANDSHAKE_TIMEOUT_MS, started.value.state)
    this.addUnproven(turn, label, { kind: 'opening', opening })
    sendPacket(turn, carrier, 0, started.value.packet)
    return opening
  }

  /**
   * The first packet of a session that the other side opened has been opened: it is no replay. Called before what the
   * packet holds is handed on, so that nothing comes from a session that nobody has heard of.
   */
  prove(turn: Turn, session: Session): void {
    const item = this.unproven.get(session.id)
    if (item?.kind !== 'session' || item.session !== session) return
    this.unproven.delete(session.id)
    this.labels.set(session.id, new SessionEnd(this, session))
    item.carrier.peer = session.peer
    this.owner.onSessionReady(turn, session, null)
  }

  /** Takes a session off the table: frames for it are dropped from here on. */
  forget(session: Session): void {
    this.labels.delete(session.id)
    this.unproven.delete(session.id)
    this.timedSessions.delete(session)
  }

  markDirty(session: Session): void {
    this.dirtySessions.push(session)
  }

  /** Ends a step: sessions cut and seal what they have, wires hand it to the host. */
  flush(turn: Turn): void {
    const { dirtySessions, dirtyWires } = this
    // The lists grow while they are worked off: what flushes may make others dirty. A session that ended does nothing.
    for (let i = 0; i < dirtySessions.length; i += 1) {
      const session = dirtySessions[i]!
      session.flush(turn)
      const wake = session.nextWake()
      if (wake === null) continue
      // It stays in the set until the next wake: most sessions that come to rest are timed again soon.
      this.timedSessions.add(session)
      this.wakeAt = earlier(this.wakeAt, wake)
    }
    dirtySessions.length = 0
    for (let i = 0; i < dirtyWires.length; i += 1) dirtyWires[i]!.flush(turn)
    dirtyWires.length = 0
  }

  nextWake(): Instant | null {
    return this.wakeAt
  }

  onWake(turn: Turn): void {
    if (this.wakeAt === null || this.wakeAt > turn.now) return
    this.wakeAt = null
    for (const session of this.timedSessions) {
      const wake = session.nextWake()
      if (wake === null) {
        this.timedSessions.delete(session)
      } else if (wake <= turn.now) {
        session.onWake(turn)
        this.dirtySessions.push(session)
      } else {
        this.wakeAt = earlier(this.wakeAt, wake)
      }
    }
    for (const [label, item] of this.unproven) {
      const giveUpAt = item.kind === 'opening' ? item.opening.giveUpAt : item.giveUpAt
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
    const label = this.addLabel(null)
    const answer = answerHandshake({ suite: this.suite, identity: this.identity, packet, localLabel: label })
    if (!answer.ok) {
      this.refuseCarrier(turn, from, answer.fault)
      return
    }
    const giveUpAt = turn.now + HANDSHAKE_TIMEOUT_MS
    if (answer.value.kind === 'established') {
      if (from.dependsOn(answer.value.established.peer)) return
      // Message 1 can be a replay: nothing is believed before the first packet of the session opens (spec 4.1).
      const session = this.newSession(turn, answer.value.established, from)
      this.addUnproven(turn, label, { kind: 'session', session, carrier: from, giveUpAt })
    } else {
      this.addUnproven(turn, label, { kind: 'answered', state: answer.value.state, carrier: from, giveUpAt })
    }
    sendPacket(turn, from, answer.value.remoteLabel, answer.value.reply)
  }

  /** A frame for a handshake under way. */
  private onUnprovenFrame(turn: Turn, label: number, body: Uint8Array, from: Carrier): void {
    const item = this.unproven.get(label)
    if (item === undefined) return
    if (item.kind === 'session') {
      this.onSessionPacket(turn, item.session, body, from)
      if (item.session.confirmed) this.prove(turn, item.session)
      return
    }
    const carrier = item.kind === 'opening' ? item.opening.carrier : item.carrier
    if (from !== carrier) return
    const state = item.kind === 'opening' ? item.opening.state : item.state
    const next = continueHandshake({ suite: this.suite, identity: this.identity, state, packet: body })
    if (!next.ok) {
      this.dropUnproven(turn, label, next.fault)
      this.refuseCarrier(turn, from, next.fault)
      return
    }
    this.unproven.delete(label)
    const { reply, established } = next.value
    if (from.dependsOn(established.peer)) return
    const session = this.newSession(turn, established, from)
    this.labels.set(label, new SessionEnd(this, session))
    from.peer = session.peer
    if (reply !== null) sendPacket(turn, from, established.remoteLabel, reply)
    this.owner.onSessionReady(turn, session, item.kind === 'opening' ? item.opening : null)
  }

  onSessionPacket(turn: Turn, session: Session, body: Uint8Array, from: Carrier): void {
    if (body[0] !== PacketKind.data) return
    const before = session.path
    if (from !== before && from.dependsOn(session.peer)) return
    const fault = session.receive(turn, body, from)
    if (session.path !== before) this.owner.onPathFollowed(turn, session, from, before === null)
    // A session may arrive over another carrier than it was opened on: an authentic packet proves that one too.
    if (from.peer === null && session.path === from) from.peer = session.peer
    if (fault !== null) this.owner.onSessionBroken(turn, session, fault)
  }

  private proveBy(turn: Turn, wire: Wire): void {
    const deadline = turn.now + WIRE_UNPROVEN_MS
    this.unprovenWires.set(wire, deadline)
    this.wakeAt = earlier(this.wakeAt, deadline)
  }

  private newSession(turn: Turn, established: Established, carrier: Carrier): Session {
    const session = new Session({
      id: established.localLabel,
      peer: established.peer,
      initiator: established.initiator,
      remoteLabel: established.remoteLabel,
      send: new PacketCipher(this.suite, established.cipher, established.sendKey),
      receive: new PacketCipher(this.suite, established.cipher, established.receiveKey),
      owner: this.owner,
      now: turn.now,
    })
    session.usePath(turn, carrier)
    return session
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
    const giveUpAt = item.kind === 'opening' ? item.opening.giveUpAt : item.giveUpAt
    this.wakeAt = earlier(this.wakeAt, giveUpAt)
  }

  private dropUnproven(turn: Turn, label: number, fault: Fault): void {
    const item = this.unproven.get(label)
    if (item === undefined) return
    this.unproven.delete(label)
    this.labels.delete(label)
    if (item.kind === 'opening') this.owner.onOpeningFailed(turn, item.opening, fault)
    else if (item.carrier instanceof Wire && item.carrier.peer === null) this.hangUp(turn, item.carrier, fault.code)
  }

  /** Gives up an opening whose outcome is no longer wanted. */
  cancelOpening(opening: Opening): void {
    this.unproven.delete(opening.label)
    this.labels.delete(opening.label)
  }

  /** Malformed greetings cost a stranger its wire; a wire that carries a proven session stays. */
  private refuseCarrier(turn: Turn, carrier: Carrier, fault: Fault): void {
    if (carrier instanceof Wire && carrier.peer === null) this.hangUp(turn, carrier, fault.code)
  }

  private dropWire(turn: Turn, wire: Wire, fault: Fault): void {
    wire.open = false
    this.wires.delete(wire.id)
    this.unprovenWires.delete(wire)
    for (const [label, item] of this.unproven) {
      const carrier = item.kind === 'opening' ? item.opening.carrier : item.carrier
      if (carrier === wire) this.dropUnproven(turn, label, fault)
    }
    this.owner.onWireLost(turn, wire, fault)
  }
}

/** A handshake whose other end has not proven itself yet. */
type Unproven =
  | { readonly kind: 'opening'; readonly opening: Opening }
  | { readonly kind: 'answered'; readonly state: HandshakeState; readonly carrier: Carrier; readonly giveUpAt: Instant }
  | { readonly kind: 'session'; readonly session: Session; readonly carrier: Carrier; readonly giveUpAt: Instant }

class SessionEnd implements LabelTarget {
  private readonly board: Switchboard
  private readonly session: Session

  constructor(board: Switchboard, session: Session) {
    this.board = board
    this.session = session
  }

  onFrame(turn: Turn, bytes: Uint8Array, start: number, end: number, from: Carrier): void {
    this.board.onSessionPacket(turn, this.session, bytes.subarray(start, end), from)
  }
}

function sendPacket(turn: Turn, carrier: Carrier, label: number, packet: Uint8Array): void {
  const header = new Uint8Array(FRAME_HEADER_BYTES + packet.length)
  header.set(packet, FRAME_HEADER_BYTES)
  carrier.send(turn, label, header, [])
}
