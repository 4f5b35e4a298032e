/**
 * Whose frames go next over a wire that several circuits of others share (spec 5.6): the neighbours that they came from take
 * turns by bytes, so that one with many circuits has no more than one with a single one; within a neighbour's share its
 * circuits take turns, a frame each. Deficit round robin (Shreedhar, Varghese 1995), a frame at a time.
 */
import type { PeerId } from '../base/peer-id.ts'
import { FRAME_BYTES_MAX } from '../limits.ts'

interface Source<T> {
  /** Those with something to send, whose turn it is first. */
  readonly waiting: Set<T>
  /** Bytes that it may still send in this turn. */
  credit: number
}

export class RelayTurns<T> {
  private readonly sourceOf: (item: T) => PeerId
  /** Whose turn it is first. */
  private readonly sources = new Map<PeerId, Source<T>>()

  constructor(sourceOf: (item: T) => PeerId) {
    this.sourceOf = sourceOf
  }

  /** How many sources have something to send. */
  get size(): number {
    return this.sources.size
  }

  add(item: T): void {
    const peer = this.sourceOf(item)
    const source = this.sources.get(peer)
    if (source === undefined) this.sources.set(peer, { waiting: new Set([item]), credit: FRAME_BYTES_MAX })
    else source.waiting.add(item)
  }

  delete(item: T): void {
    const peer = this.sourceOf(item)
    const source = this.sources.get(peer)
    if (source?.waiting.delete(item) === true && source.waiting.size === 0) this.sources.delete(peer)
  }

  *all(): Iterable<T> {
    for (const { waiting } of this.sources.values()) yield* waiting
  }

  /** Whose frame is next among those that are ready; null where none is. */
  next(isReady: (item: T) => boolean): T | null {
    for (const { waiting } of this.sources.values()) {
      for (const item of waiting) if (isReady(item)) return item
    }
    return null
  }

  /** It sent so much; `more`: and has more to send. */
  took(item: T, bytes: number, more: boolean): void {
    const peer = this.sourceOf(item)
    const source = this.sources.get(peer)
    if (source === undefined) return
    source.waiting.delete(item)
    if (more) source.waiting.add(item)
    source.credit -= bytes
    if (source.waiting.size > 0 && source.credit > 0) return
    this.sources.delete(peer)
    if (source.waiting.size === 0) return
    source.credit += FRAME_BYTES_MAX
    this.sources.set(peer, source)
  }
}
