import { describe, expect, it } from 'vitest'
import type { Fault, Result } from '../base/fault.ts'
import { Turn } from '../turn.ts'
import type { Contact } from './contact.ts'
import { WaysIn } from './ways-in.ts'

/** Ways in at so many addresses; each try fails with the next of these faults. Which tries there were before the user was told. */
function triesUntilTold(
  ways: number,
  faults: readonly Fault['code'][],
): { readonly tries: number; readonly told: string } {
  const waysIn = new WaysIn()
  let told = ''
  waysIn.add(
    new Turn(0, 0),
    Array.from({ length: ways }, (_, i) => ({
      kind: 'address' as const,
      address: { scheme: 'tcp' as const, host: `192.0.2.${i}`, port: 1, extra: '' },
    })),
    (_, outcome) => {
      told = outcome.ok ? 'joined' : outcome.fault.code
    },
  )
  let tries = 0
  for (let now = 1; now < 10 && told === ''; now += 1) {
    const failing: ((turn: Turn, outcome: Result<Contact>) => void)[] = []
    waysIn.try(
      new Turn(now, 0),
      (_turn, _target, onReached) => failing.push(onReached),
      () => {},
    )
    for (const fail of failing) fail(new Turn(now, 0), { ok: false, fault: { code: faults[tries++] ?? 'dial-failed' } })
  }
  return { tries, told }
}

describe('the ways in that a user gave', () => {
  it('are dialled once more where nobody answered at all, before the user is told: a packet may have been lost', () => {
    expect(triesUntilTold(1, ['dial-timeout', 'dial-timeout'])).toEqual({ tries: 2, told: 'dial-timeout' })
    expect(triesUntilTold(2, ['dial-failed', 'dial-timeout', 'dial-failed'])).toEqual({ tries: 3, told: 'dial-failed' })
  })

  it('are told to be none at once where somebody refused', () => {
    expect(triesUntilTold(2, ['dial-failed', 'wrong-peer'])).toEqual({ tries: 2, told: 'wrong-peer' })
  })
})
