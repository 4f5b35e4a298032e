/** Over how many relays a settled world lays a circuit between two peers behind NATs. */
import { describe, expect, it } from 'vitest'
import { SettledLinks } from './settled-links.ts'
import { SettledPaths } from './settled-paths.ts'
import type { SettledPeers } from './settled-peers.ts'

/** Two peers behind NATs with so many public ones in a row between them, each linked to the next alone. */
function relaysOver(publicPeers: number): readonly number[] {
  const count = publicPeers + 2
  const all = Array.from({ length: count }, (_, i) => ({ public: i > 0 && i < count - 1, capacity: 24 }))
  // reason: no more of the peers is looked at.
  const links = new SettledLinks({ all, capacities: new Uint16Array(count).fill(24) } as unknown as SettledPeers)
  for (let i = 0; i < count - 1; i += 1) links.add(i, i + 1, 'public')
  const asked = links.count
  links.add(0, count - 1, 'near')
  return new SettledPaths(links, false).relaysOf(asked)
}

describe('a circuit of a settled world', () => {
  it.each([1, 2, 3, 4])('leads over %i relays where there are no fewer', relays => {
    expect(relaysOver(relays)).toEqual(Array.from({ length: relays }, (_, i) => i + 1))
  })

  it('is none where more would be needed', () => {
    expect(() => relaysOver(5)).toThrow('too few public peers')
  })
})
