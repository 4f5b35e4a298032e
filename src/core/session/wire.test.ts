import { expect, it } from 'vitest'
import { SHIELDED_SESSIONS_MAX } from '../limits.ts'
import { Wire } from './wire.ts'

it('a wire that encrypts does so for the last sessions over it alone, however many there were', () => {
  const wire = new Wire(1, 0, { onWireDirty: () => {} })
  expect(wire.shields(1)).toBe(false)
  for (let session = 1; session <= SHIELDED_SESSIONS_MAX + 1; session += 1) wire.shield(session)
  expect([1, 2, SHIELDED_SESSIONS_MAX + 1].map(session => wire.shields(session))).toEqual([false, true, true])
})
