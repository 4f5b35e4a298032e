/**
 * What a peer tells its links of whom it is linked to (spec 5.3): everything once, when a link stands, then what changed
 * since. A server that told each of its 256 links all of them at every change would send half a megabyte each time.
 */
import { type Position, ringDistance } from '../base/position.ts'
import { NEIGHBOURS_MAX } from '../limits.ts'
import type { OverlayMessage } from './overlay-messages.ts'
import { firstNotBelow } from './ring-order.ts'

/** The positions of a peer's links, the first `direct` of them reached over a wire: each part in rising order. Never written to. */
export interface NeighbourView {
  readonly positions: Float64Array
  readonly direct: number
}

export type NeighbourState = 'gone' | 'direct' | 'relayed'

export interface NeighbourChange {
  readonly position: Position
  readonly state: NeighbourState
}

export function allNeighbours({ positions, direct }: NeighbourView, relayed: number): OverlayMessage {
  return { kind: 'neighbours', relayed, direct, positions }
}

/** Of a view the `count` nearest to a place on the ring. */
export function nearestOf(view: NeighbourView, position: Position, count: number): NeighbourView {
  const { positions, direct } = view
  if (positions.length <= count) return view
  const reach = positions.map(other => ringDistance(position, other)).sort()[count - 1]!
  const isNear = (other: Position): boolean => ringDistance(position, other) <= reach
  return { positions: positions.filter(isNear), direct: positions.subarray(0, direct).filter(isNear).length }
}

/** What to tell one who knows `before`; null where nothing changed. */
export function neighbourNews(before: NeighbourView, now: NeighbourView, relayed: number): OverlayMessage | null {
  const changes: NeighbourChange[] = []
  for (const [index, position] of now.positions.entries()) {
    const state = index < now.direct ? 'direct' : 'relayed'
    if (stateOf(before, position) !== state) changes.push({ position, state })
  }
  for (const position of before.positions) {
    if (stateOf(now, position) === 'gone') changes.push({ position, state: 'gone' })
  }
  if (changes.length === 0) return null
  if (changes.length >= now.positions.length) return allNeighbours(now, relayed)
  return { kind: 'neighbours-changed', relayed, changes }
}

function stateOf({ positions, direct }: NeighbourView, position: Position): NeighbourState {
  const near = firstNotBelow(positions, 0, direct, position)
  if (near < direct && positions[near] === position) return 'direct'
  return positions[firstNotBelow(positions, direct, positions.length, position)] === position ? 'relayed' : 'gone'
}

/** The same positions in order; the same array where they are. */
export function inOrder(positions: Float64Array, direct: number): Float64Array {
  if (isRising(positions, 0, direct) && isRising(positions, direct, positions.length)) return positions
  const sorted = positions.slice()
  sorted.subarray(0, direct).sort()
  sorted.subarray(direct).sort()
  return sorted
}

const changing = new Float64Array(NEIGHBOURS_MAX)

/** What a peer told, after it told of changes. */
export function withChanges(
  positions: Float64Array,
  direct: number,
  changes: readonly NeighbourChange[],
): NeighbourView {
  changing.set(positions)
  let near = direct
  let count = positions.length
  const remove = (position: Position, from: number, to: number): boolean => {
    const at = firstNotBelow(changing, from, to, position)
    if (at === to || changing[at] !== position) return false
    changing.copyWithin(at, at + 1, count)
    count -= 1
    return true
  }
  for (const { position, state } of changes) {
    if (remove(position, 0, near)) near -= 1
    else remove(position, near, count)
    if (state === 'gone' || count >= NEIGHBOURS_MAX) continue
    const isDirect = state === 'direct'
    const at = isDirect ? firstNotBelow(changing, 0, near, position) : firstNotBelow(changing, near, count, position)
    changing.copyWithin(at + 1, at, count)
    changing[at] = position
    count += 1
    if (isDirect) near += 1
  }
  return { positions: changing.slice(0, count), direct: near }
}

function isRising(positions: Float64Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i += 1) if (positions[i - 1]! > positions[i]!) return false
  return true
}
