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
/** Of the others a quarter at most is behind NATs (`RememberedPeers.evict`). */
const PUBLIC_SHARE = 0.75

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
    const { all } = peers
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
    const openMax = Math.floor(others * PUBLIC_SHARE)
    const open = this.draw(rng, openMax, peers.open.length, at => peers.open[at]!)
    const hidden = this.draw(rng, others - openMax, all.length, at => at).filter(at => !all[at]!.public)
    return { near, open, hidden }
  }

  /** Up to `count` of `from` that were not taken yet. */
  private draw(rng: Rng, count: number, from: number, at: (rank: number) => number): number[] {
    const drawn: number[] = []
    if (from <= 2 * count) {
      const ranks = rng.sample([...Array(from).keys()], from)
      for (let i = 0; i < from && drawn.length < count; i += 1) {
        const other = at(ranks[i]!)
        if (this.take(other)) drawn.push(other)
      }
      return drawn
    }
    for (let tries = 0; tries < 2 * count && drawn.length < count; tries += 1) {
      const other = at(rng.below(from))
      if (this.take(other)) drawn.push(other)
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
