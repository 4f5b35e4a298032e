/** An attempt to reach a peer: what has been tried, what is under way, who waits for it (spec 5.2). */
import type { Address } from '../base/address.ts'
import { type Fault, fail, type Result } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import type { PeerRef, Rendezvous } from '../crypto/peer-ref.ts'
import { CIRCUIT_STAGGER_MS, DIAL_STAGGER_MS, REACH_TIMEOUT_MS, RETRY_PAUSE_MAX_MS, RETRY_PAUSE_MS } from '../limits.ts'
import type { Session } from '../session/session.ts'
import type { Opening } from '../session/switchboard.ts'
import type { Wire } from '../session/wire.ts'
import type { Turn } from '../turn.ts'
import type { CircuitEnd } from './circuits.ts'
import type { Contact } from './contact.ts'

export type OnReached = (turn: Turn, outcome: Result<Contact>) => void

export class Attempt {
  /** The peer, or the address where only that is known: there is one attempt for each. */
  readonly key: string
  /** Null where only an address is known. */
  readonly peer: PeerId | null
  readonly ref: PeerRef | null
  /** The session that looks for another path; null where a new one is wanted. */
  readonly session: Session | null
  readonly giveUpAt: Instant
  readonly circuitFrom: Instant
  /** Patient ones would rather wait than hear that it failed: for them all is tried again, after a pause. */
  private waiters: { readonly patient: boolean; readonly onReached: OnReached }[] = []
  readonly addresses: Address[]
  readonly rendezvous: Rendezvous[]
  /** Dialled wires, with the handshake over each (null for a session that has one already). */
  readonly dials = new Map<Wire, Dial>()
  nextDialAt: Instant
  circuit: CircuitEnd | null = null
  circuitOpening: Opening | null = null
  /** First hops that led nowhere. */
  readonly hopsTried: PeerId[] = []
  /** No first hop is left to try. */
  circuitsSpent = false
  private pauseMs = RETRY_PAUSE_MS
  private retryAt: Instant | null = null
  private readonly known: readonly Address[]
  /** Rendezvous that are being reached, to be first hops. */
  rendezvousAwaited = 0
  lastFault: Fault = { code: 'peer-unreachable' }

  constructor(
    key: string,
    peer: PeerId | null,
    ref: PeerRef | null,
    session: Session | null,
    addresses: readonly Address[],
    now: Instant,
  ) {
    this.key = key
    this.peer = peer
    this.ref = ref
    this.session = session
    this.known = addresses
    this.addresses = [...addresses]
    this.rendezvous = [...(ref?.rendezvous ?? [])]
    this.giveUpAt = now + REACH_TIMEOUT_MS
    this.nextDialAt = now
    this.circuitFrom = addresses.length > 0 ? now + CIRCUIT_STAGGER_MS : now
  }

  addWaiter(patient: boolean, onReached: OnReached): void {
    this.waiters.push({ patient, onReached })
  }

  /** Tells all who wait. */
  answer(turn: Turn, outcome: Result<Contact>): void {
    for (const { onReached } of this.waiters.splice(0)) onReached(turn, outcome)
  }

  /** Tells those who do not want to wait for another try. */
  answerImpatient(turn: Turn): void {
    const impatient = this.waiters.filter(waiter => !waiter.patient)
    this.waiters = this.waiters.filter(waiter => waiter.patient)
    for (const { onReached } of impatient) onReached(turn, fail(this.lastFault))
  }

  /** The address to dial now, if it is time for one. */
  takeAddress(now: Instant): Address | null {
    if (this.addresses.length === 0 || (this.dials.size > 0 && now < this.nextDialAt)) return null
    this.nextDialAt = now + DIAL_STAGGER_MS
    return this.addresses.shift() ?? null
  }

  /** Whether a circuit may be begun: none is under way, and the dials had their head start or are over. */
  mayCircle(now: Instant): boolean {
    if (this.peer === null || this.circuitsSpent || this.circuit !== null) return false
    return now >= this.circuitFrom || (this.dials.size === 0 && this.addresses.length === 0)
  }

  /** What was tried in vain is tried again after a pause, if there is time for it. */
  mayRetry(now: Instant): boolean {
    if (!this.waiters.some(waiter => waiter.patient)) return false
    if (this.retryAt === null) {
      if (now + this.pauseMs >= this.giveUpAt) return false
      this.retryAt = now + this.pauseMs
      this.pauseMs = Math.min(2 * this.pauseMs, RETRY_PAUSE_MAX_MS)
    }
    return true
  }

  /** Starts over when the pause is over. */
  startOver(now: Instant): void {
    if (this.retryAt === null || this.retryAt > now) return
    this.retryAt = null
    this.addresses.push(...this.known)
    this.rendezvous.splice(0, this.rendezvous.length, ...(this.ref?.rendezvous ?? []))
    this.hopsTried.length = 0
    this.circuitsSpent = false
  }

  /** Nothing is under way and nothing is left. */
  get spent(): boolean {
    return this.dials.size === 0 && this.addresses.length === 0 && this.circuit === null && this.rendezvousAwaited === 0
  }

  nextWake(): Instant {
    let wake = this.giveUpAt
    for (const dial of this.dials.values()) if (dial.giveUpAt < wake) wake = dial.giveUpAt
    if (this.addresses.length > 0 && this.nextDialAt < wake) wake = this.nextDialAt
    if (this.retryAt !== null && this.retryAt < wake) wake = this.retryAt
    const circleLater = this.peer !== null && !this.circuitsSpent && this.circuit === null
    if (circleLater && this.circuitFrom < wake) wake = this.circuitFrom
    return wake
  }
}

export interface Dial {
  readonly opening: Opening | null
  readonly giveUpAt: Instant
}
