/**
 * Whom the peers of a settled world remember beside their links: those next to them on the ring, public ones, some
 * behind NATs, as the quotas of `RememberedPeers` leave them after hours. Each one's follow from the seed and its index
 * alone: they are worked out anew whenever they are asked for, since all together they would fill the memory.
 */
import { Rng } from '../core/base/rng.ts'
import { REMEMBERED_MAX } from '../core/limits.ts'
import { neighbourOf, type SettledPeers } from './settled-peers.ts'

/** So many are known on each side (grown worlds: 19 to 29 in all). */
const NEAR_KNOWN_PER_SIDE = 10
/** Of the others a quarter at most is behind NATs, where enough public ones are known (`RememberedPeers.evict`). */
const PUBLIC_SHARE = 0.75
/** More that were taken already are not met in a row before a draw is over. */
const MISSES_MAX = 8

export interface SettledMemories {
  readonly near: readonly number[]
  readonly open: readonly number[]
  readonly hidden: readonly number[]
}

export class SettledMemory {
  private readonly peers: SettledPeers
  private readonly seed: string
  /** By index: in which call it was taken last. */
  private readonly takenIn: Uint32Array
  private call = 0

  constructor(peers: SettledPeers, seed: string) {
    this.peers = peers
    this.seed = seed
    this.takenIn = new Uint32Array(peers.all.length)
  }

  of(index: number): SettledMemories {
    const { peers } = this
    const { all, publics } = peers
    const rng = new Rng(`${this.seed}/memory/${index}`)
    this.call += 1
    this.take(index)
    const near: number[] = []
    const perSide = Math.min(NEAR_KNOWN_PER_SIDE, Math.floor((all.length - 1) / 2))
    for (let step = 1; step <= perSide; step += 1) {
      for (const other of [neighbourOf(peers, index, step), neighbourOf(peers, index, -step)]) {
        if (this.take(other)) near.push(other)
      }
    }
    const others = REMEMBERED_MAX - near.length
    const open = this.draw(rng, Math.floor(others * PUBLIC_SHARE), peers.open, () => true)
    const hidden = this.draw(rng, others - open.length, peers.ring, other => publics[other] === 0)
    return { near, open, hidden }
  }

  /** Up to `count` of those of `from` that fit and were not taken yet. */
  private draw(rng: Rng, count: number, from: Uint32Array, fits: (index: number) => boolean): number[] {
    const drawn: number[] = []
    if (from.length <= 2 * count) {
      for (const other of rng.sample([...from], from.length)) {
        if (drawn.length < count && fits(other) && this.take(other)) drawn.push(other)
      }
      return drawn
    }
    for (let misses = 0; drawn.length < count && misses < MISSES_MAX; misses += 1) {
      const other = from[rng.below(from.length)]!
      if (!fits(other) || !this.take(other)) continue
      drawn.push(other)
      misses = 0
    }
    return drawn
  }

  /** False where it was taken in this call already. */
  private take(index: number): boolean {
    if (this.takenIn[index] === this.call) return false
    this.takenIn[index] = this.call
    return true
  }
}
