/**
 * One machine of a world: a peer, what it stores, the wires it holds, and what befalls it. It carries out the peer's
 * effects as the production run loop does.
 */
import { type Address, addressText } from '../core/base/address.ts'
import type { FaultCode } from '../core/base/fault.ts'
import type { Instant, WallTime } from '../core/base/instant.ts'
import { unreachable } from '../core/base/invariant.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import { RareMap } from '../core/base/rare-map.ts'
import { Rng } from '../core/base/rng.ts'
import type { PeerRef } from '../core/crypto/peer-ref.ts'
import type { Effect, PeerEvent } from '../core/effect.ts'
import type { Command, Input, NegotiatedTransport, RequestId, WireId } from '../core/input.ts'
import type { SettledState } from '../core/overlay/settled-state.ts'
import type { Peer, PeerSnapshot } from '../core/peer-options.ts'
import { MAPPING_LIVES_MS, slowerOf, TCP_GIVES_UP_MS, WireEnd } from './network.ts'
import { type PeerProfile, plainProfile } from './network-model.ts'
import { PeerStore } from './peer-store.ts'
import { negotiableOn } from './punching.ts'
import type { PlacedPeer, World } from './world.ts'

/** Without a model; with one, a round trip. */
const DIAL_REFUSED_MS = 30
// As the production run loop does (src/host/run-loop.ts): when it compares its clocks, and what it calls a jump.
const CLOCK_CHECK_MS = 2_000
const CLOCK_JUMP_MS = 1_000
const STANDSTILL_MS = 5_000

/** Where the node of this number listens: an address that can be dialled from anywhere. */
export function placeOf(index: number): Address {
  return { scheme: 'tcp', host: `20.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, port: 4100, extra: '' }
}

/** Where it is within a network of its own: others of that network alone come there. */
function privatePlaceOf(index: number): Address {
  return { scheme: 'tcp', host: `192.168.${(index >> 8) & 255}.${index & 255}`, port: 4100, extra: '' }
}

interface Sleep {
  readonly since: Instant
  readonly clockStops: boolean
  /** What happened to the peer meanwhile, arrivals aside: those wait in the wires. */
  readonly inputs: Input[]
}

function remainsOf(last: PeerSnapshot): Peer {
  return { step: () => [], nextWake: () => null, snapshot: () => last }
}

interface Question {
  answer: PeerEvent | undefined
}

export class Node {
  readonly index: number
  /** From its death on, what was last seen of it. */
  peer: Peer
  readonly id: PeerId
  readonly address: Address
  readonly public: boolean
  store: PeerStore
  readonly events: PeerEvent[] = []
  readonly placed: PlacedPeer
  readonly identitySeed: Uint8Array
  alive = true
  /** Died without a word, and its machine with it. */
  vanished = false
  /** Reads nothing that arrives. */
  stalled = false
  bytesSent = 0
  bytesReceived = 0
  readonly profile: PeerProfile
  /** Called for each event; beside that, all are kept in `events` if the world keeps any. */
  onEvent: ((event: PeerEvent) => void) | null = null
  readonly world: World
  /** The peer's instant 0. */
  private bornAt: Instant
  private readonly wires = new Map<WireId, WireEnd>()
  private nextAccepted = -1
  private wakeAt: Instant | null = null
  private sleep: Sleep | null = null
  private uplinkFreeAt: Instant = 0
  private readonly questions = new RareMap<RequestId, Question>()
  private readonly beginsSettled: boolean

  constructor(world: World, index: number, placed: PlacedPeer, settled?: SettledState) {
    this.world = world
    this.index = index
    this.bornAt = world.now
    this.profile = placed.profile ?? world.model?.draw(placed) ?? plainProfile(placed.public ?? true)
    this.public = placed.public ?? this.profile.nat === 'public'
    this.store = placed.store ?? new PeerStore(world.shelf)
    this.placed = placed
    this.identitySeed = placed.identitySeed ?? world.suite.randomBytes(32)
    const identity = placed.identity ?? world.suite.identity(this.identitySeed)
    this.id = identity.peer
    this.address = placed.address ?? (placed.network === undefined ? placeOf(index) : privatePlaceOf(index))
    const seed = world.rng.u32()
    this.peer = world.make({
      suite: world.suite,
      identity,
      seed,
      wallTime: this.wallTime,
      capacity: placed.capacity ?? this.profile.capacity,
      relays: placed.relays ?? true,
      ...(placed.rendezvous === undefined ? {} : { rendezvous: placed.rendezvous }),
      ...(placed.relayLimits === undefined ? {} : { relayLimits: placed.relayLimits }),
      refs: world.refs,
      views: world.views,
      dialable: ['tcp'],
      pathlessMs: placed.pathlessMs,
      negotiates: placed.negotiates ?? (world.model === null ? [] : negotiableOn(this.profile.device)),
    })
    this.beginsSettled = settled !== undefined
    if (settled !== undefined) this.peer.settle?.(settled, new Rng(seed).fork('settled'))
  }

  begin(): void {
    this.input({ kind: 'wake' })
    if (this.public && !this.beginsSettled) this.command({ kind: 'announce', addresses: [this.address] })
  }

  /** Holds an end that the peer knows of already. */
  settleWire(end: WireEnd): void {
    this.wires.set(end.id, end)
    this.nextAccepted = Math.min(this.nextAccepted, end.id - 1)
  }

  /** The peer's own time. */
  get now(): Instant {
    return this.world.now - this.bornAt
  }

  /** By its own clock. */
  get wallTime(): WallTime {
    return this.world.wallTime + this.profile.clockSkewMs
  }

  get frozen(): boolean {
    return this.sleep !== null
  }

  get rateBytesPerMs(): number {
    return this.placed.rateBytesPerMs ?? this.profile.rateBytesPerMs
  }

  get ref(): PeerRef {
    return this.peer.snapshot().ref
  }

  command(command: Command): void {
    this.input({ kind: 'command', command })
  }

  /** Issues a command with a fresh request number; the event that answers it, once there is one. */
  ask(make: (request: RequestId) => Command): { answer: () => PeerEvent | undefined } {
    const request = this.world.newRequest()
    const question: Question = { answer: undefined }
    this.questions.set(request, question)
    this.command(make(request))
    return { answer: () => question.answer }
  }

  join(...waysIn: Node[]): void {
    const request = this.world.newRequest()
    const targets = waysIn.map(node => ({ kind: 'ref' as const, ref: node.ref }))
    this.command({ kind: 'join-mesh', request, waysIn: targets })
  }

  input(input: Input): void {
    if (!this.alive) return
    if (this.sleep !== null) {
      this.sleep.inputs.push(input)
      return
    }
    this.carryOut(this.peer.step(this.now, input))
    this.arm()
  }

  /** The timer fires. */
  happen(): void {
    if (this.wakeAt !== this.world.now || !this.alive || this.sleep !== null) return
    this.wakeAt = null
    this.input({ kind: 'wake' })
  }

  /** Vanishes: the others' wires break as TCP resets do, or, `silently`, stay open and mute. */
  kill(silently = false): void {
    if (!this.alive) return
    this.alive = false
    this.vanished = silently || this.frozen
    this.sleep = null
    for (const end of this.wires.values()) if (!this.vanished && !end.punched) end.breakOther('wire-lost')
    this.world.punching.forgetAll(this)
    // The dead of a long run are many: they keep what can be asked of them and what another life begins with.
    this.wires.clear()
    this.questions.clear()
    this.peer = remainsOf(this.peer.snapshot())
  }

  freeze(clockStops: boolean): void {
    if (!this.alive || this.sleep !== null) return
    const sleep: Sleep = { since: this.world.now, clockStops, inputs: [] }
    this.sleep = sleep
    const punched = [...this.wires.values()].filter(end => end.punched)
    if (punched.length === 0) return
    this.world.at(this.world.now + MAPPING_LIVES_MS, () => {
      if (this.sleep === sleep) for (const end of punched) end.expire()
    })
  }

  /** As the production run loop goes on: the timer first, with the clock if that jumped, then what has arrived. */
  thaw(): void {
    const { world, sleep } = this
    if (sleep === null) return
    this.sleep = null
    const sleptMs = world.now - sleep.since
    const timerAt = Math.min(this.wakeAt ?? Number.POSITIVE_INFINITY, sleep.since + CLOCK_CHECK_MS)
    if (sleep.clockStops) this.bornAt += sleptMs
    this.wakeAt = null
    const jumped = sleep.clockStops ? sleptMs > CLOCK_JUMP_MS : world.now - timerAt > STANDSTILL_MS
    if (jumped) this.input({ kind: 'clock', wallTime: this.wallTime })
    const wake = this.peer.nextWake()
    if (wake !== null && wake <= this.now) this.input({ kind: 'wake' })
    for (const input of sleep.inputs) this.input(input)
    for (const end of [...this.wires.values()]) {
      end.other?.pump()
      const { endedUnheard } = end
      end.endedUnheard = null
      // Later it hears of the end when it sends something.
      if (endedUnheard === null) continue
      if (end.punched || world.now - endedUnheard.at < TCP_GIVES_UP_MS) end.lose(endedUnheard.code)
    }
    this.arm()
  }

  /** When the last of what goes out before has left. */
  takeUplink(bytes: number): Instant {
    const freeAt = Math.max(this.world.now, this.uplinkFreeAt)
    this.uplinkFreeAt = freeAt + bytes / this.profile.rateBytesPerMs
    return freeAt
  }

  /** A wire that both machines have opened through their NATs. */
  takeWire(end: WireEnd, role: 'dialler' | 'acceptor', transport: NegotiatedTransport, other: Address): void {
    this.wires.set(end.id, end)
    const about = { transport, remote: addressText(other), remoteHost: other.host }
    this.input({ kind: 'wire-open', wire: end.id, role, about })
  }

  /** Those outside of its network see its NAT. */
  addressSeenBy(other: Node): Address {
    const { network } = this.placed
    return network === undefined || network === other.placed.network ? this.address : placeOf(this.index)
  }

  openWires(): WireEnd[] {
    return this.alive ? [...this.wires.values()] : []
  }

  onWireLost(end: WireEnd, code: FaultCode): void {
    this.wires.delete(end.id)
    this.input({ kind: 'wire-closed', wire: end.id, fault: { code } })
  }

  private arm(): void {
    const wake = this.peer.nextWake()
    if (wake === null || !this.alive || this.sleep !== null) return
    const { world } = this
    const at = Math.max(this.bornAt + wake, world.now + 1) + this.profile.lateMs
    if (this.wakeAt !== null && this.wakeAt <= at && this.wakeAt > world.now) return
    this.wakeAt = at
    world.schedule(at, this)
  }

  private carryOut(effects: readonly Effect[]): void {
    let events: PeerEvent[] | null = null
    for (let i = 0; i < effects.length; i += 1) {
      const effect = effects[i]!
      switch (effect.kind) {
        case 'dial':
          this.dial(effect.wire, effect.address)
          break
        case 'send':
          this.send(effect.wire, effect.buffers, effect.bytes)
          break
        case 'spent':
          break
        case 'hang-up': {
          const end = this.wires.get(effect.wire)
          if (end !== undefined) {
            this.wires.delete(effect.wire)
            end.breakOther('closed')
          } else {
            this.world.punching.forget(this, effect.wire)
          }
          break
        }
        case 'negotiate':
          this.world.punching.prepare(this, effect.wire, effect.transport, effect.remote)
          break
        case 'negotiated':
          this.world.punching.begin(this, effect.wire, effect.remote)
          break
        case 'save':
          if (effect.value === null) this.store.delete(effect.key)
          else this.store.set(effect.key, effect.value)
          break
        case 'load': {
          const entries = this.store.load(effect.prefix)
          this.world.at(this.world.now, () => this.input({ kind: 'loaded', load: effect.load, entries }))
          break
        }
        case 'event':
          events ??= []
          events.push(effect.event)
          break
        default:
          unreachable(effect)
      }
    }
    if (events !== null) for (const event of events) this.tell(event)
  }

  private tell(event: PeerEvent): void {
    if (this.world.keepsEvents) this.events.push(event)
    if (this.questions.size > 0 && 'request' in event) {
      const question = this.questions.get(event.request)
      if (question !== undefined) {
        question.answer = event
        this.questions.delete(event.request)
      }
    }
    this.onEvent?.(event)
    // A peer that has left is a process that has ended.
    if (event.kind === 'left') this.kill()
  }

  /** As TCP opens: the dialler knows after one round trip, the acceptor when the first bytes can come. */
  private dial(wire: WireId, address: Address): void {
    const { world } = this
    const { now } = world
    const target = world.nodeAt(address, this)
    const delayMs = world.delayBetween(this, target)
    const thereMs = delayMs + (target?.profile.lateMs ?? 0)
    const backMs = delayMs + this.profile.lateMs
    const openMs = thereMs + backMs + (world.model?.drawOpeningMs() ?? 0)
    const slower = slowerOf(this, target)
    const here = new WireEnd(this, wire, thereMs, slower, now + openMs)
    this.wires.set(wire, here)
    const answers = (): boolean => target !== undefined && !target.frozen && world.connected(this, target)
    if (target === undefined || !target.alive || !answers()) {
      // A machine that is there refuses at once; one that is not leaves the dial without an answer.
      if (target !== undefined && answers() && !target.vanished) {
        world.at(now + (world.model === null ? DIAL_REFUSED_MS : openMs), () => here.lose('dial-failed'))
      }
      return
    }
    world.at(now + openMs, () => {
      if (!here.open || !target.alive || !answers()) return
      const there = new WireEnd(target, target.nextAccepted--, backMs, slower, world.now + thereMs)
      here.other = there
      there.other = here
      const about = { transport: 'tcp' as const, remote: addressText(address), remoteHost: address.host }
      this.input({ kind: 'wire-open', wire, role: 'dialler', about })
    })
    world.at(now + openMs + thereMs, () => {
      const { other } = here
      if (other === null || !here.open || !target.alive) return
      target.wires.set(other.id, other)
      const seen = this.addressSeenBy(target)
      const about = { transport: 'tcp' as const, remote: addressText(seen), remoteHost: seen.host }
      target.input({ kind: 'wire-open', wire: other.id, role: 'acceptor', about })
    })
  }

  private send(wire: WireId, buffers: readonly Uint8Array[], bytes: number): void {
    const end = this.wires.get(wire)
    if (end === undefined || !end.open) return
    this.bytesSent += bytes
    end.send(buffers, bytes)
  }
}
