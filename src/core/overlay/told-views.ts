/**
 * What peers told of their links, each view once for all that hold it: a peer tells all its links the same. Peers of one
 * process may share one of these (the simulator's do); elsewhere nobody else holds what a link told.
 */
import type { PeerId } from '../base/peer-id.ts'

export class ToldViews {
  private readonly newest = new Map<PeerId, Float64Array>()

  /** The same positions, as another link of the teller holds them if one does. Nobody writes to them. */
  shared(teller: PeerId, positions: Float64Array): Float64Array {
    const known = this.newest.get(teller)
    if (known !== undefined && equalPositions(known, positions)) return known
    this.newest.set(teller, positions)
    return positions
  }

  /** It is gone for good. */
  forget(teller: PeerId): void {
    this.newest.delete(teller)
  }
}

function equalPositions(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false
  return true
}
