/**
 * What a peer tells its links of whom it is linked to (spec 5.3): everything once, when a link stands, then what changed
 * since. A server that told each of its 256 links all of them at every change would send half a megabyte each time.
 */
import type { Position } from '../base/position.ts'
import { NEIGHBOURS_MAX } from '../limits.ts'
import type { OverlayMessage } from './overlay-messages.ts'

/** The positions of a peer's links, and whether a wire leads there. */
export type NeighbourView = ReadonlyMap<Position, boolean>

export type NeighbourState = 'gone' | 'direct' | 'relayed'

export interface NeighbourChange {
  readonly position: Position
  readonly state: NeighbourState
}

export function allNeighbours(view: NeighbourView): OverlayMessage {
  const direct: Position[] = []
  const relayed: Position[] = []
  for (const [position, isDirect] of view) (isDirect ? direct : relayed).push(position)
  return { kind: 'neighbours', direct: direct.length, positions: Float64Array.from([...direct, ...relayed]) }
}

/** What to tell one who knows `before`; null where nothing changed. */
export function neighbourNews(before: NeighbourView, now: NeighbourView): OverlayMessage | null {
  const changes: NeighbourChange[] = []
  for (const [position, isDirect] of now) {
    if (before.get(position) !== isDirect) changes.push({ position, state: isDirect ? 'direct' : 'relayed' })
  }
  for (const position of before.keys()) if (!now.has(position)) changes.push({ position, state: 'gone' })
  if (changes.length === 0) return null
  return changes.length >= now.size ? allNeighbours(now) : { kind: 'neighbours-changed', changes }
}

/** What a peer told, after it told of changes: the positions, and how many of them, the first ones, are direct. */
export function withChanges(
  positions: Float64Array,
  direct: number,
  changes: readonly NeighbourChange[],
): { readonly positions: Float64Array; readonly direct: number } {
  const view = new Map<Position, boolean>()
  for (const [index, position] of positions.entries()) view.set(position, index < direct)
  for (const { position, state } of changes) {
    if (state === 'gone') view.delete(position)
    else if (view.has(position) || view.size < NEIGHBOURS_MAX) view.set(position, state === 'direct')
  }
  const near = [...view.keys()].filter(position => view.get(position) === true)
  const rest = [...view.keys()].filter(position => view.get(position) !== true)
  return { positions: Float64Array.from([...near, ...rest]), direct: near.length }
}
