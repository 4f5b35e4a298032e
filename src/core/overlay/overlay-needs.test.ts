import { describe, expect, it } from 'vitest'
import { Rng } from '../base/rng.ts'
import { OUTSIDE_KEPT_MS } from '../limits.ts'
import type { Contact } from './contact.ts'
import { type OverlayNeeds, Surrounds } from './overlay-needs.ts'

/** A peer that has a session over a wire to this host, with a peer whose ref is global or not. */
function contactAt(remoteHost: string | null, isGlobal: boolean | null): Contact {
  // reason: this is all that is asked of a session here.
  return { session: { path: { remoteHost } }, ref: isGlobal === null ? null : { isGlobal } } as unknown as Contact
}

function surrounds(): Surrounds {
  // reason: the rest is asked only of links, of which there are none.
  return new Surrounds({ position: 1, capacity: 12 } as unknown as OverlayNeeds, new Rng(1))
}

describe('something leads outside', () => {
  it.each<[string, string | null, boolean | null, boolean]>([
    ['a wire to a public peer at a global address', '5.45.100.7', true, true],
    ['the same by IPv6', '2a02::7', true, true],
    ['a public peer whose wire stays in this network', '192.168.1.7', true, false],
    ['a wire to a peer of the same machine, by an address that it does not announce', '5.45.100.7', false, false],
    ['a wire to one that has not said yet who it is', '5.45.100.7', null, false],
    ['a circuit', null, true, false],
  ])('%s', (_, remoteHost, isGlobal, outside) => {
    const around = surrounds()
    around.noticeOutside(0, contactAt(remoteHost, isGlobal))
    expect(around.memory.countsGlobalOnly).toBe(outside)
  })

  it('counts for as long as that after it was seen last', () => {
    const around = surrounds()
    around.noticeOutside(1_000, contactAt('5.45.100.7', true))
    around.lookOutside(1_000 + OUTSIDE_KEPT_MS - 1)
    expect(around.memory.countsGlobalOnly).toBe(true)
    around.lookOutside(1_000 + OUTSIDE_KEPT_MS)
    expect(around.memory.countsGlobalOnly).toBe(false)
  })
})
