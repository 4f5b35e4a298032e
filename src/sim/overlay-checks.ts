/** Judges of a world, by what can be seen from outside: who is linked to whom, and who stands where on the ring. */
import { RING } from '../core/base/position.ts'
import type { Connector } from '../core/overlay/connector.ts'
import type { Node, World } from './world.ts'

/** The nodes of the largest group that links connect. */
export function largestComponent(world: World): number {
  const live = world.live()
  const byId = new Map(live.map(node => [node.id, node]))
  const seen = new Set<Node>()
  let largest = 0
  for (const start of live) {
    if (seen.has(start)) continue
    const todo = [start]
    seen.add(start)
    let size = 0
    for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
      size += 1
      for (const link of node.peer.snapshot().links) {
        const next = byId.get(link.peer)
        if (next !== undefined && !seen.has(next)) {
          seen.add(next)
          todo.push(next)
        }
      }
    }
    largest = Math.max(largest, size)
  }
  return largest
}

/** Pairs of ring neighbours among the live nodes that are not linked both ways. */
export function missingRingLinks(world: World): { readonly from: Node; readonly to: Node }[] {
  const ring = world.live().sort((a, b) => position(a) - position(b))
  const missing: { from: Node; to: Node }[] = []
  if (ring.length < 2) return missing
  for (const [index, node] of ring.entries()) {
    // reason: the index is taken modulo the length.
    const next = ring[(index + 1) % ring.length]!
    if (!isLinked(node, next)) missing.push({ from: node, to: next })
    if (!isLinked(next, node)) missing.push({ from: next, to: node })
  }
  return missing
}

export function ringIsCorrect(world: World): boolean {
  return missingRingLinks(world).length === 0
}

/** What a node's tables hold: of sessions, carriers, labels, attempts. */
export function countsOf(node: Node): Connector['counts'] {
  // reason: nothing in production asks for this, so the peer does not show it; a leak is seen nowhere else.
  const { connector } = node.peer as unknown as { readonly connector: Connector }
  return connector.counts
}

function isLinked(from: Node, to: Node): boolean {
  return from.peer.snapshot().links.some(link => link.peer === to.id && link.path.kind !== 'none')
}

function position(node: Node): number {
  return node.ref.position % RING
}
