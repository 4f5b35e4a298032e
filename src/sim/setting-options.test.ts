import { describe, expect, it } from 'vitest'
import { SETTING_DEFAULTS } from './scenario.ts'
import { mixedShares, replayCommand } from './setting-options.ts'

const NAT = { public: 0.1, cone: 0.6, symmetric: 0.2, blocked: 0.1 }

describe('shares of a mix', () => {
  it('stay when none is given', () => {
    expect(mixedShares(NAT, {})?.cone).toBeCloseTo(0.6, 12)
  })

  it('that are not given divide among them what the given ones leave over', () => {
    const shares = mixedShares(NAT, { public: 0.55 })
    expect(shares?.public).toBe(0.55)
    expect(shares?.cone).toBeCloseTo(0.3, 12)
    expect(shares?.symmetric).toBeCloseTo(0.1, 12)
    expect(mixedShares(NAT, { public: 1 })).toEqual({ public: 1, cone: 0, symmetric: 0, blocked: 0 })
  })

  it('that are all given are taken to the last bit, so that a replay is the same run', () => {
    const given = { public: 0.55, cone: 0.30000000000000004, symmetric: 0.1, blocked: 0.05 }
    expect(mixedShares(NAT, given)).toEqual(given)
  })

  it('over 1, or under 1 with nobody to take the rest, are refused', () => {
    expect(mixedShares(NAT, { public: 0.8, cone: 0.3 })).toBeNull()
    expect(mixedShares({ a: 1, b: 0 }, { a: 0.5 })).toBeNull()
    expect(mixedShares(NAT, { public: 0.1, cone: 0.1, symmetric: 0.1, blocked: 0.1 })).toBeNull()
  })
})

describe('the command that replays', () => {
  it('names peers and seed always, the rest where it differs from the defaults', () => {
    expect(replayCommand('churn', SETTING_DEFAULTS, SETTING_DEFAULTS)).toBe(
      'webmesh sim --scenario churn --peers 200 --seed 1',
    )
    const setting = { ...SETTING_DEFAULTS, seed: 9, share: 0.9, medianMinutes: 1 / 3, churnedMinutes: 60 }
    expect(replayCommand('churn', setting, SETTING_DEFAULTS)).toBe(
      'webmesh sim --scenario churn --peers 200 --seed 9 --share 0.9 --median 0.3333333333333333 --churned 60',
    )
    expect(replayCommand('split', { ...SETTING_DEFAULTS, settled: true }, SETTING_DEFAULTS)).toBe(
      'webmesh sim --scenario split --peers 200 --seed 1 --settled',
    )
  })

  it('names a whole group of shares where one differs, so that nothing is left to be divided', () => {
    const mix = { ...SETTING_DEFAULTS.mix, device: { server: 0.1, desktop: 0.4, tab: 0.5 } }
    expect(replayCommand('split', { ...SETTING_DEFAULTS, mix }, SETTING_DEFAULTS)).toBe(
      'webmesh sim --scenario split --peers 200 --seed 1 --server 0.1 --desktop 0.4 --tab 0.5',
    )
  })
})
