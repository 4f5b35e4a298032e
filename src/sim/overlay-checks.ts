/** What tests ask of a whole world at once, by what can be seen from outside (`judge.ts`); and what a peer's tables hold. */
import type { Connector } from '../core/overlay/connector.ts'
import { Look } from './judge.ts'
import type { Node, World } from './world.ts'

/** The nodes of the largest group that links connect. */
export function largestComponent(world: World): number {
  return new Look(world.live()).components()[0]?.length ?? 0
}

/** Pairs of ring neighbours among the live nodes that are not linked both ways. */
export function missingRingLinks(world: World): { readonly from: Node; readonly to: Node }[] {
  return new Look(world.live()).ringGaps().map(([from, to]) => ({ from, to }))
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
