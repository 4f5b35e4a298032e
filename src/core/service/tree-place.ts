/**
 * Where a member stands in the tree of its service (spec 7.4): whose tree it is, how new that word is, and how many
 * members away the root is.
 */
import type { PeerId } from '../base/peer-id.ts'

export interface Root {
  /** Grows by one with each that takes the place of another. */
  readonly term: number
  readonly capacity: number
  readonly peer: PeerId
}

export interface Place {
  readonly root: Root
  /** Numbered by the root. */
  readonly round: number
  /** 0 at the root. */
  readonly depth: number
}

/** Of several roots all members follow one: of the last term, and in that the largest. */
export function outranks(a: Root, b: Root): boolean {
  if (a.term !== b.term) return a.term > b.term
  if (a.capacity !== b.capacity) return a.capacity > b.capacity
  return a.peer < b.peer
}

export function isSameRoot(a: Root, b: Root): boolean {
  return a.term === b.term && a.peer === b.peer
}
