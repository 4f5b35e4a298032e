/**
 * The packets that wait for acknowledgement, oldest first, and what their acknowledgements tell of the path:
 * round trip, losses, how much may be under way, when to try again (spec 4.4). Decides what is sent again; the session
 * sends it.
 *
 * Each packet is flying (sent over the present path), waiting (to be sent again) or held (the other side has it, but not
 * yet its turn: its bytes are released). A linked list without gaps. A session whose packets are all acknowledged needs
 * none of this but the round trip, and that only where its path may drop.
 */
import { NO_BYTES } from '../base/bytes.ts'
import type { Instant } from '../base/instant.ts'
import {
  ACKNOWLEDGE_UNASKED_BYTES,
  ACKNOWLEDGE_UNASKED_PACKETS,
  CIRCUIT_QUEUE_BYTES_MAX,
  GAP_PATIENCE_MS,
  REORDER_TOLERANCE_PACKETS,
  RESEND_TIMEOUT_MS_FIRST,
  RESEND_TIMEOUT_MS_MAX,
  RESEND_TIMEOUT_MS_MIN,
  UNACKNOWLEDGED_BYTES_MAX,
  UNACKNOWLEDGED_PACKETS_MAX,
  UNACKNOWLEDGED_RESERVE_PACKETS,
  WINDOW_BYTES_FIRST,
  WINDOW_BYTES_MIN,
  WINDOW_BYTES_NEAR,
  WINDOW_BYTES_PER_MS,
  WINDOW_CUT,
  WINDOW_STEP_BYTES,
} from '../limits.ts'
import type { Turn } from '../turn.ts'
import { BARE_PACKET_KIND } from './packet-protection.ts'
import { FRAME_HEADER_BYTES } from './path.ts'

/** The memory of small packets is not worth a word. */
const SPENT_BYTES_MIN = 16_384
export const NO_BUFFERS: readonly Uint8Array[] = []
const DOUBLINGS_MAX = 6
/** The last of them waits an eighth of the timeout. */
const BLOCKINGS_MAX = 4

/**
 * What is done about a timeout. Mostly the path is only slower than before: first the oldest packet goes again alone, to draw
 * an answer. Where that is the only one that arrives, or none does, all are taken for lost.
 */
type Trouble = 'none' | 'probe-due' | 'probed' | 'answered' | 'all-lost'

export class SentPacket {
  readonly sequence: number
  /** What the path fills, the packet's header, and all that is sealed of a small one; of a large one the rest is apart. */
  header: Uint8Array
  rest: readonly Uint8Array[]
  state: 'flying' | 'waiting' | 'held' = 'flying'
  /** Null over a path that drops nothing: then nobody asks. */
  sentAt: Instant | null
  /** Place among all transmissions of the session, this packet's last. */
  order: number
  sentAgain = false
  next: SentPacket | null = null

  constructor(
    sequence: number,
    header: Uint8Array,
    rest: readonly Uint8Array[],
    sentAt: Instant | null,
    order: number,
  ) {
    this.sequence = sequence
    this.header = header
    this.rest = rest
    this.sentAt = sentAt
    this.order = order
  }

  /** It was sent over a path that encrypts, as it is. */
  get bare(): boolean {
    return this.header[FRAME_HEADER_BYTES] === BARE_PACKET_KIND
  }

  /** Of the packet alone: what the path fills does not count. */
  get bytes(): number {
    let bytes = this.header.length - FRAME_HEADER_BYTES
    for (let i = 0; i < this.rest.length; i += 1) bytes += this.rest[i]!.length
    return bytes
  }
}

export class SentPackets {
  oldest: SentPacket | null = null
  private newest: SentPacket | null = null
  /** The lowest packet that waits to be sent again. */
  nextWaiting: SentPacket | null = null
  private bytes = 0
  flightBytes = 0
  private order = 0
  private timedFrom: Instant = 0
  /** When an acknowledgement last told something new, or what waits began to. */
  newsAt: Instant = 0
  /** One past the highest sequence number that the other side was said to hold. */
  private heldEnd = 0
  private doublings = 0
  /** How often in a row the path took nothing when the timeout came. */
  private blockings = 0
  private trouble: Trouble = 'none'
  /** What may be under way over a path that may drop, and from where on it grows slowly. */
  private windowBytes = WINDOW_BYTES_FIRST
  private slowFrom = Number.POSITIVE_INFINITY
  /** No second cut before one of the packets sent after the first has arrived. */
  private cutUntil = 0
  /** Smoothed; null where nothing was acknowledged over this path, or it drops nothing: then nobody asks. */
  roundTripMs: number | null = null
  private roundTripVarianceMs: number | null = null

  get size(): number {
    return this.oldest === null || this.newest === null ? 0 : this.newest.sequence - this.oldest.sequence + 1
  }

  /** So little that the other side may keep its acknowledgement until it has something to say. */
  get mayGoUnanswered(): boolean {
    return this.size <= ACKNOWLEDGE_UNASKED_PACKETS && this.bytes <= ACKNOWLEDGE_UNASKED_BYTES
  }

  get hasPlace(): boolean {
    return this.size < UNACKNOWLEDGED_PACKETS_MAX && this.bytes < UNACKNOWLEDGED_BYTES_MAX
  }

  /** Place for a packet that must go even when all is full: the announcement of a new path. */
  get hasReserve(): boolean {
    return this.size < UNACKNOWLEDGED_PACKETS_MAX + UNACKNOWLEDGED_RESERVE_PACKETS
  }

  /** When all are lost one packet at a time tries the path, until something is acknowledged. */
  mayFly(flightBytesMax: number, mayDrop: boolean): boolean {
    if (!mayDrop) return this.flightBytes < flightBytesMax
    if (this.trouble === 'probe-due') return this.nextWaiting !== null
    if (this.flightBytes === 0) return true
    if (this.trouble === 'probed' || this.trouble === 'all-lost') return false
    const needed = WINDOW_BYTES_NEAR + (this.roundTripMs ?? 0) * WINDOW_BYTES_PER_MS
    return this.flightBytes < Math.min(flightBytesMax, this.windowBytes, needed)
  }

  /** When to give up waiting for an acknowledgement, on a path that may drop. */
  get timeoutAt(): Instant | null {
    if (this.flightBytes === 0) return null
    const smoothed = this.roundTripMs
    const base =
      smoothed === null
        ? RESEND_TIMEOUT_MS_FIRST
        : Math.max(RESEND_TIMEOUT_MS_MIN, smoothed + 4 * (this.roundTripVarianceMs ?? 0))
    const timeoutMs = Math.min(RESEND_TIMEOUT_MS_MAX, base * (1 << this.doublings))
    // Sooner each time: in step with what else is sent over the path it would never find any room.
    return this.timedFrom + timeoutMs / (1 << Math.max(0, this.blockings - 1))
  }

  /**
   * When a gap before packets that the other side holds has lasted too long, on a path that delivers all in order: around
   * a change of path something was missed.
   */
  get gapAt(): Instant | null {
    const { oldest } = this
    return oldest !== null && oldest.sequence < this.heldEnd ? this.timedFrom + GAP_PATIENCE_MS : null
  }

  add(sequence: number, header: Uint8Array, rest: readonly Uint8Array[], now: Instant, mayDrop: boolean): SentPacket {
    this.order += 1
    const packet = new SentPacket(sequence, header, rest, mayDrop ? now : null, this.order)
    const { bytes } = packet
    if (this.newest === null) {
      this.oldest = packet
      this.newsAt = now
    } else {
      this.newest.next = packet
    }
    this.newest = packet
    this.bytes += bytes
    this.fly(bytes, now)
    return packet
  }

  /** The lowest waiting packet was sent again. */
  onSentAgain(packet: SentPacket, now: Instant): void {
    this.order += 1
    packet.order = this.order
    packet.sentAt = now
    packet.sentAgain = true
    packet.state = 'flying'
    if (this.trouble === 'probe-due') {
      this.trouble = 'probed'
      this.timedFrom = now
    }
    this.fly(packet.bytes, now)
    this.seekWaiting(packet.next)
  }

  /** Sends this flying packet once more in its turn. */
  wait(packet: SentPacket): void {
    packet.state = 'waiting'
    this.flightBytes -= packet.bytes
    if (this.nextWaiting === null || packet.sequence < this.nextWaiting.sequence) this.nextWaiting = packet
  }

  /** Everything that is not held goes again over another path, of which nothing is known yet. */
  onPathChange(now: Instant): void {
    this.allWait()
    this.newsAt = now
    this.roundTripMs = null
    this.doublings = 0
    this.blockings = 0
    this.trouble = 'none'
    this.windowBytes = WINDOW_BYTES_FIRST
    this.slowFrom = Number.POSITIVE_INFINITY
  }

  /** All that went bare is sealed, in order: it goes on over a path that does not encrypt. None of it may be flying. */
  sealBare(seal: (header: Uint8Array) => readonly Uint8Array[]): void {
    for (let packet = this.oldest; packet !== null; packet = packet.next) {
      if (!packet.bare) continue
      this.bytes -= packet.bytes
      const [header = NO_BYTES, ...rest] = seal(packet.header)
      packet.header = header
      packet.rest = rest
      this.bytes += packet.bytes
    }
  }

  /** What is missing before a held packet goes again. */
  onGap(now: Instant): void {
    for (let packet = this.oldest; packet !== null && packet.sequence < this.heldEnd; packet = packet.next) {
      if (packet.state === 'flying') this.wait(packet)
    }
    this.timedFrom = now
  }

  /** The oldest packet goes once more: its acknowledgement tells what else is missing. False where that was tried already. */
  private probe(): boolean {
    const oldest = this.trouble === 'none' ? this.oldestFlying() : null
    if (oldest === null) return false
    this.wait(oldest)
    this.trouble = 'probe-due'
    return true
  }

  /** The other side is heard after a silence, during which timeouts have become long: what is missing is asked for now. */
  onHeardAgain(): void {
    this.doublings = 0
    this.trouble = 'none'
    this.probe()
  }

  onTimeout(): void {
    this.blockings = 0
    if (!this.probe()) {
      this.allWait()
      this.trouble = 'all-lost'
      this.slowFrom = Math.max(this.windowBytes / 2, WINDOW_BYTES_MIN)
      this.windowBytes = WINDOW_BYTES_MIN
    }
    this.doublings = Math.min(this.doublings + 1, DOUBLINGS_MAX)
  }

  /** The path has more than it can pass on. As much as finds place at the hop that says so may be under way all the same. */
  onHeld(): void {
    if (this.windowBytes > CIRCUIT_QUEUE_BYTES_MAX) this.cut(CIRCUIT_QUEUE_BYTES_MAX)
  }

  /** The path takes nothing now: the timeout begins anew. */
  onBlocked(now: Instant): void {
    this.timedFrom = now
    this.blockings = Math.min(this.blockings + 1, BLOCKINGS_MAX)
  }

  /**
   * All below `next` have been processed; those in `ranges` (pairs of first and past-the-last sequence number) are held. True
   * when that was news. On a reliable path nothing is ever taken for lost.
   */
  onAcknowledge(turn: Turn, next: number, ranges: readonly number[], delayMs: number, mayDrop: boolean): boolean {
    const { now } = turn
    let news = false
    let firstHeard = false
    let freed = 0
    const full = this.flightBytes + WINDOW_STEP_BYTES >= this.windowBytes
    let sampleMs = -1
    let heardOrder = 0
    let packet = this.oldest
    while (packet !== null && packet.sequence < next) {
      news = true
      if (packet.state === 'flying') {
        freed += packet.bytes
        if (!packet.sentAgain && packet.sentAt !== null) sampleMs = now - packet.sentAt
        if (!packet.sentAgain) firstHeard = true
        if (this.isTelling(packet, now)) heardOrder = Math.max(heardOrder, packet.order)
      }
      this.release(turn, packet)
      packet = packet.next
    }
    this.oldest = packet
    if (packet === null) this.newest = null
    if (ranges.length > 0) this.heldEnd = Math.max(this.heldEnd, ranges[ranges.length - 1]!)
    for (let i = 0; i < ranges.length && packet !== null; i += 2) {
      while (packet !== null && packet.sequence < ranges[i]!) packet = packet.next
      while (packet !== null && packet.sequence < ranges[i + 1]!) {
        if (packet.state !== 'held') {
          news = true
          if (packet.state === 'flying') freed += packet.bytes
          if (!packet.sentAgain) firstHeard = true
          if (packet.state === 'flying' && this.isTelling(packet, now)) heardOrder = Math.max(heardOrder, packet.order)
          this.release(turn, packet)
          packet.state = 'held'
          packet.header = NO_BYTES
          packet.rest = NO_BUFFERS
        }
        packet = packet.next
      }
    }
    if (!news) return false
    if (mayDrop && sampleMs >= 0) this.learnRoundTrip(sampleMs - delayMs >= 0 ? sampleMs - delayMs : sampleMs)
    this.doublings = 0
    this.blockings = 0
    this.timedFrom = now
    this.newsAt = now
    this.trouble = firstHeard || this.trouble === 'none' || this.trouble === 'all-lost' ? 'none' : 'answered'
    if (heardOrder > this.cutUntil) this.cutUntil = 0
    if (mayDrop && full && this.trouble === 'none') this.grow(freed)
    if (mayDrop && heardOrder > REORDER_TOLERANCE_PACKETS) this.findLost(heardOrder - REORDER_TOLERANCE_PACKETS)
    if (this.nextWaiting !== null && (this.nextWaiting.state !== 'waiting' || this.nextWaiting.sequence < next))
      this.seekWaiting(this.oldest)
    return true
  }

  clear(): void {
    this.oldest = null
    this.newest = null
    this.nextWaiting = null
    this.bytes = 0
    this.flightBytes = 0
  }

  private fly(bytes: number, now: Instant): void {
    if (this.flightBytes === 0) this.timedFrom = now
    this.flightBytes += bytes
  }

  private release(turn: Turn, packet: SentPacket): void {
    if (packet.state === 'held') return
    const { bytes, rest } = packet
    for (let i = 0; i < rest.length; i += 1) if (rest[i]!.length >= SPENT_BYTES_MIN) turn.spent(rest[i]!)
    if (packet.state === 'flying') this.flightBytes -= bytes
    this.bytes -= bytes
  }

  /** Whether its arrival tells about losses: not where an earlier transmission may be the one that arrived. */
  private isTelling(packet: SentPacket, now: Instant): boolean {
    // Of the probe both are under way.
    if (packet.sentAgain && this.trouble === 'probed') return false
    return !packet.sentAgain || packet.sentAt === null || now - packet.sentAt >= (this.roundTripMs ?? 0) / 2
  }

  private findLost(orderMax: number): void {
    let lost = false
    for (let packet = this.oldest; packet !== null; packet = packet.next) {
      if (packet.state !== 'flying' || packet.order > orderMax) continue
      this.wait(packet)
      lost = true
    }
    if (lost) this.cut()
  }

  /** Doubles with each round trip at first, later by a step for each. */
  private grow(freed: number): void {
    const { windowBytes } = this
    const more = windowBytes < this.slowFrom ? freed : (freed * WINDOW_STEP_BYTES) / windowBytes
    this.windowBytes = Math.min(windowBytes + more, UNACKNOWLEDGED_BYTES_MAX)
  }

  /** Once a round trip: what was sent before the last time tells nothing new. */
  private cut(least = WINDOW_BYTES_MIN): void {
    if (this.cutUntil > 0) return
    this.cutUntil = this.order
    this.windowBytes = Math.max(this.windowBytes * WINDOW_CUT, least)
    this.slowFrom = this.windowBytes
  }

  private oldestFlying(): SentPacket | null {
    let packet = this.oldest
    while (packet !== null && packet.state !== 'flying') packet = packet.next
    return packet
  }

  private allWait(): void {
    for (let packet = this.oldest; packet !== null; packet = packet.next) {
      if (packet.state === 'flying') packet.state = 'waiting'
    }
    this.flightBytes = 0
    this.seekWaiting(this.oldest)
  }

  private seekWaiting(from: SentPacket | null): void {
    let packet = from
    while (packet !== null && packet.state !== 'waiting') packet = packet.next
    this.nextWaiting = packet
  }

  /** RFC 6298, section 2. */
  private learnRoundTrip(sampleMs: number): void {
    if (this.roundTripMs === null || this.roundTripVarianceMs === null) {
      this.roundTripMs = sampleMs
      this.roundTripVarianceMs = sampleMs / 2
      return
    }
    const error = Math.abs(this.roundTripMs - sampleMs)
    this.roundTripVarianceMs += (error - this.roundTripVarianceMs) / 4
    this.roundTripMs += (sampleMs - this.roundTripMs) / 8
  }
}
