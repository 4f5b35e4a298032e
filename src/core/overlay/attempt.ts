/** An attempt to reach a peer: what has been tried, what is under way, who waits for it (spec 5.2). */
import { type Address, addressText } from '../base/address.ts'
import { type Fault, fail, type Result } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { Rendezvous } from '../crypto/peer-ref.ts'
import {
  ADDRESSES_TRIED_MAX,
  CIRCUIT_STAGGER_LINK_MS,
  CIRCUIT_STAGGER_MS,
  DIAL_STAGGER_MS,
  LOCATE_AFTER_MS,
  REACH_PATIENCE_MS,
  REACH_TIMEOUT_MS,
  REDIAL_MS,
  RETRY_PAUSE_MAX_MS,
  RETRY_PAUSE_MS,
} from '../limits.ts'
import type { Session } from '../session/session.ts'
import type { Opening } from '../session/switchboard.ts'
import { type Carrier, Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import type { CircuitEnd } from './circuits.ts'
import type { Contact } from './contact.ts'

export type OnReached = (turn: Turn, outcome: Result<Contact>) => void

export interface Goal {
  /**
   * `direct`: by a wire only. `upgrade`: the same, in place of a circuit that works. `reroute`: by one other circuit in its
   * place, over a rendezvous. `beside`: by any way, while it is in doubt whether the path that there is still carries.
   */
  readonly kind: 'any' | 'direct' | 'upgrade' | 'reroute' | 'beside'
  /** The peer, or the address where only that is known: there is one attempt for each. */
  readonly key: string
  /** Null where only an address is known. */
  readonly peer: PeerId | null
  /** The session that looks for a path; null where a new one is wanted. */
  readonly session: Session | null
  readonly addresses: readonly Address[]
  readonly rendezvous: readonly Rendezvous[]
}

/** One carrier that is being opened, with the handshake over it; none for a session that has its keys already. */
export interface Try {
  opening: Opening | null
  /** A wire that is not open by then has failed. */
  readonly openBy: Instant
}

export interface Waiter {
  readonly patient: boolean
  readonly until: Instant
  readonly onReached: OnReached
}

const LATE: Fault = { code: 'peer-unreachable', detail: 'no answer in time' }

export class Attempt {
  readonly key: string
  readonly peer: PeerId | null
  readonly session: Session | null
  /** What it may do: `any` as soon as somebody needs more than the better path that was looked for. */
  private kind: Goal['kind']
  /** Tries again even while nobody waits. */
  persistent = false
  /** Somebody counts on the session that looks for a path: a dial that hangs is made anew beside it. */
  hasty = false
  giveUpAt: Instant
  /** When it is to be looked at again if nothing happens before. */
  dueAt: Instant = 0
  circuitFrom: Instant
  readonly tries = new Map<Carrier, Try>()
  /** The last that was begun and is not lost: where somebody counts on it or waits, it goes on beside the next. */
  circuit: CircuitEnd | null = null
  /** First hops that led nowhere. */
  readonly hopsTried: PeerId[] = []
  /** How many of them led to where the peer should be known, and is not. */
  unknownTo = 0
  /** How many that should have led there did not: its own rendezvous, and who had a way and has just lost it. */
  deniedBy = 0
  /** No first hop is left to try. */
  circuitsSpent = false
  /** Rendezvous that are being reached, to be first hops. */
  rendezvousAwaited = 0
  /** Those not asked yet, or reached. */
  rendezvous: Rendezvous[]
  lastFault: Fault = { code: 'peer-unreachable' }
  /** Neighbours that are to be spared are passed over. */
  spares = true
  /** When others are asked where the peer is: once. */
  locateAt: Instant
  private waiters: Waiter[] = []
  private addresses: Address[]
  private nextDialAt: Instant
  private readonly knownAddresses: Address[]
  private readonly knownRendezvous: Rendezvous[]
  private pauseMs = RETRY_PAUSE_MS
  private retryAt: Instant | null = null

  constructor(goal: Goal, now: Instant) {
    this.kind = goal.kind
    this.key = goal.key
    this.peer = goal.peer
    this.session = goal.session
    this.knownAddresses = goal.addresses.slice(0, ADDRESSES_TRIED_MAX)
    this.knownRendezvous = [...goal.rendezvous]
    this.addresses = [...this.knownAddresses]
    this.rendezvous = [...this.knownRendezvous]
    this.giveUpAt = now + REACH_TIMEOUT_MS
    this.locateAt = now + LOCATE_AFTER_MS
    this.nextDialAt = now
    this.circuitFrom = this.addresses.length > 0 && goal.kind !== 'beside' ? now + CIRCUIT_STAGGER_LINK_MS : now
  }

  /** The session has a path that works: a better one is wanted in place of it, and nothing else is touched. */
  get upgrade(): boolean {
    return this.kind === 'upgrade' || this.kind === 'reroute'
  }

  get reroutes(): boolean {
    return this.kind === 'reroute'
  }

  /** Who waits hears exactly once, in time. Patient ones would rather wait than hear that it failed. */
  addWaiter(patient: boolean, now: Instant, onReached: OnReached): void {
    this.takeOver({ patient, until: now + REACH_TIMEOUT_MS, onReached })
  }

  /** One that has waited for another attempt. */
  takeOver(waiter: Waiter): void {
    this.giveUpAt = Math.max(this.giveUpAt, waiter.until)
    this.waiters.push(waiter)
    if (waiter.patient)
      this.circuitFrom = Math.min(this.circuitFrom, waiter.until - REACH_TIMEOUT_MS + CIRCUIT_STAGGER_MS)
  }

  /** Takes those who wait along to another attempt. */
  takeWaiters(): Waiter[] {
    return this.waiters.splice(0)
  }

  /** Whether the peer names it as one through whom it is reached. */
  names(relay: PeerId): boolean {
    return this.knownRendezvous.some(({ peer }) => peer === relay)
  }

  /** More was learnt of where the peer is. */
  learn(addresses: readonly Address[], rendezvous: readonly Rendezvous[]): void {
    const known = new Set(this.knownAddresses.map(addressText))
    for (const address of addresses) {
      if (known.has(addressText(address)) || this.knownAddresses.length >= ADDRESSES_TRIED_MAX) continue
      this.knownAddresses.push(address)
      this.addresses.push(address)
    }
    for (const entry of rendezvous) {
      if (this.knownRendezvous.some(({ peer }) => peer === entry.peer)) continue
      this.knownRendezvous.push(entry)
      this.rendezvous.push(entry)
      this.circuitsSpent = false
    }
  }

  /** Any way will do from now on, a circuit too. */
  widen(now: Instant): void {
    if (this.kind === 'any') return
    if (this.kind === 'beside') {
      this.kind = 'any'
      return
    }
    this.circuitFrom = now + (this.tries.size > 0 ? CIRCUIT_STAGGER_MS : 0)
    if (this.upgrade) this.giveUpAt = now + REACH_TIMEOUT_MS
    this.kind = 'any'
  }

  /** Nobody else leads there: those that are to be spared may. */
  startSparingNone(): void {
    this.spares = false
    this.circuitsSpent = false
    this.rendezvous = [...this.knownRendezvous]
  }

  answer(turn: Turn, outcome: Result<Contact>): void {
    for (const { onReached } of this.waiters.splice(0)) onReached(turn, outcome)
  }

  /** Tells those who have waited for long enough, and, where all was tried, those who do not want to wait for more. */
  answerSome(turn: Turn): void {
    const { spent } = this
    const isDue = (waiter: Waiter): boolean => waiter.until <= turn.now || (spent && !waiter.patient)
    const due = this.waiters.filter(isDue)
    if (due.length === 0) return
    this.waiters = this.waiters.filter(waiter => !isDue(waiter))
    const outcome = fail(spent ? this.lastFault : LATE)
    for (const { onReached } of due) onReached(turn, outcome)
  }

  /** Somebody would rather wait than hear that it failed. */
  get isPatient(): boolean {
    return this.persistent || this.isAwaited
  }

  /** A user does, or a service. */
  get isAwaited(): boolean {
    return this.waiters.some(waiter => waiter.patient)
  }

  /** The address to dial now, if it is time for one. */
  takeAddress(now: Instant): Address | null {
    if (this.addresses.length === 0 && this.redials && now >= this.redialAt) this.addresses = [...this.knownAddresses]
    if (this.addresses.length === 0 || (this.tries.size > 0 && now < this.nextDialAt)) return null
    this.nextDialAt = now + DIAL_STAGGER_MS
    return this.addresses.shift() ?? null
  }

  private get redials(): boolean {
    return this.hasty && this.tries.size > 0 && this.knownAddresses.length > 0
  }

  private get redialAt(): Instant {
    return this.nextDialAt - DIAL_STAGGER_MS + REDIAL_MS
  }

  /** It is not dialled again by this attempt, however long it lasts. */
  forgetAddress(address: Address): void {
    const at = this.knownAddresses.indexOf(address)
    if (at >= 0) this.knownAddresses.splice(at, 1)
  }

  /** Whether a circuit may be begun: none is under way, or one for too long, and the dials had their head start or are over. */
  mayCircle(now: Instant): boolean {
    if (!this.canCircle) return false
    return now >= this.circuitFrom || (this.tries.size === 0 && this.addresses.length === 0)
  }

  /** Whether what was tried in vain is tried again, after a pause, if there is time for it. */
  mayRetry(now: Instant): boolean {
    if (this.upgrade || !this.isPatient) return false
    if (this.retryAt === null) {
      const patienceEnds = this.persistent ? this.giveUpAt : this.giveUpAt - REACH_TIMEOUT_MS + REACH_PATIENCE_MS
      if (now + this.pauseMs >= patienceEnds) return false
      this.retryAt = now + this.pauseMs
      this.pauseMs = Math.min(2 * this.pauseMs, RETRY_PAUSE_MAX_MS)
    }
    return true
  }

  /** Starts over when the pause is over. */
  startOver(now: Instant): void {
    if (this.retryAt !== null && this.retryAt <= now) this.startAnew()
  }

  /** Whatever failed may lead there now. */
  startAnew(): void {
    this.retryAt = null
    this.addresses = [...this.knownAddresses]
    this.rendezvous = [...this.knownRendezvous]
    this.hopsTried.length = 0
    this.spares = true
    this.unknownTo = 0
    this.deniedBy = 0
    this.circuitsSpent = false
  }

  /** Nothing is under way and nothing is left. */
  get spent(): boolean {
    return this.tries.size === 0 && this.addresses.length === 0 && !this.canCircle && this.rendezvousAwaited === 0
  }

  nextWake(): Instant {
    let wake = this.giveUpAt
    for (const { until } of this.waiters) if (until < wake) wake = until
    for (const [carrier, { openBy }] of this.tries) {
      if (carrier instanceof Wire && carrier.about === null && openBy < wake) wake = openBy
    }
    if (this.addresses.length > 0 && this.nextDialAt < wake) wake = this.nextDialAt
    if (this.redials && this.redialAt < wake) wake = this.redialAt
    if (this.retryAt !== null && this.retryAt < wake) wake = this.retryAt
    if (this.canCircle && this.circuitFrom < wake) wake = this.circuitFrom
    if (this.isAwaited && this.locateAt < wake) wake = this.locateAt
    return wake
  }

  private get mayTakeCircuit(): boolean {
    return this.kind === 'any' || this.kind === 'reroute' || this.kind === 'beside'
  }

  private get canCircle(): boolean {
    return (
      this.peer !== null &&
      this.mayTakeCircuit &&
      !this.circuitsSpent &&
      (this.circuit === null || this.hasty || this.isAwaited)
    )
  }
}
