import { describe, expect, it } from 'vitest'
import { latencyMs, NetworkModel, type PeerProfile, REGIONS } from './network-model.ts'
import { SETTING_DEFAULTS } from './scenario.ts'

const { mix } = SETTING_DEFAULTS

function draw(count: number, seed = 1): PeerProfile[] {
  const model = new NetworkModel({ seed, mix })
  return Array.from({ length: count }, () => model.draw())
}

function share(profiles: readonly PeerProfile[], is: (profile: PeerProfile) => boolean): number {
  return profiles.filter(is).length / profiles.length
}

describe('a model of the network', () => {
  it.each([1, 2, 3])('puts 2,000 random pairs at a median near 60 ms, with a tail that reaches 300 (seed %i)', seed => {
    const profiles = draw(4_000, seed)
    const latencies = Array.from({ length: 2_000 }, (_, i) => latencyMs(profiles[2 * i]!, profiles[2 * i + 1]!))
    latencies.sort((a, b) => a - b)
    const [least, median, tail, most] = [0, 1_000, 1_980, 1_999].map(at => latencies[at] ?? 0)
    expect(least).toBeGreaterThan(1)
    expect(median).toBeGreaterThan(54)
    expect(median).toBeLessThan(70)
    expect(tail).toBeGreaterThan(200)
    expect(tail).toBeLessThan(300)
    expect(most).toBeGreaterThan(300)
    expect(most).toBeLessThan(450)
  })

  it('has peers of one region nearer to each other than to those of others', () => {
    const profiles = draw(2_000).map(profile => ({ ...profile, accessMs: 0 }))
    const mean = (within: boolean): number => {
      let sum = 0
      let pairs = 0
      for (let i = 1; i < profiles.length; i += 1) {
        const [a, b] = [profiles[i - 1]!, profiles[i]!]
        if ((a.region === b.region) !== within) continue
        sum += latencyMs(a, b)
        pairs += 1
      }
      return sum / pairs
    }
    expect(new Set(profiles.map(profile => profile.region)).size).toBe(REGIONS.length)
    expect(mean(true)).toBeLessThan(mean(false) / 3)
  })

  it('keeps to the shares of a mix; all servers are public, and capacity follows the device', () => {
    const profiles = draw(20_000)
    for (const [nat, wanted] of Object.entries(mix.nat)) {
      expect(Math.abs(share(profiles, profile => profile.nat === nat) - wanted)).toBeLessThan(0.01)
    }
    for (const [device, wanted] of Object.entries(mix.device)) {
      expect(Math.abs(share(profiles, profile => profile.device === device) - wanted)).toBeLessThan(0.01)
    }
    const wrong = profiles.filter(({ device, nat, capacity }) => {
      if (device === 'server') return nat !== 'public' || capacity !== 256
      return capacity !== (device === 'tab' ? 12 : 24) || (device === 'tab' && nat === 'public')
    })
    expect(wrong).toEqual([])
  })

  it('keeps to a mix of nothing but public peers, and to one of none', () => {
    const all = new NetworkModel({ seed: 1, mix: { ...mix, nat: { public: 1, cone: 0, symmetric: 0, blocked: 0 } } })
    const none = new NetworkModel({
      seed: 1,
      mix: { nat: { public: 0, cone: 0, symmetric: 0, blocked: 1 }, device: { server: 0, desktop: 0.5, tab: 0.5 } },
    })
    for (let i = 0; i < 500; i += 1) {
      expect(all.draw().nat).toBe('public')
      expect(none.draw().nat).toBe('blocked')
    }
  })

  it('has a few slow peers, and clocks that are up to two minutes off', () => {
    const profiles = draw(20_000)
    const slow = share(profiles, profile => profile.lateMs > 0)
    expect(slow).toBeGreaterThan(0.01)
    expect(slow).toBeLessThan(0.03)
    const skews = profiles.map(profile => profile.clockSkewMs)
    expect(Math.max(...skews)).toBeGreaterThan(90_000)
    expect(Math.min(...skews)).toBeLessThan(-90_000)
    expect(Math.max(...skews.map(Math.abs))).toBeLessThanOrEqual(120_000)
  })

  it('draws what is settled, and the rest of that peer and all later ones as before', () => {
    const free = new NetworkModel({ seed: 9, mix })
    const settled = new NetworkModel({ seed: 9, mix })
    for (let i = 0; i < 200; i += 1) {
      const isPublic = i % 2 === 0
      const { x, y, region, clockSkewMs } = free.draw()
      const profile = settled.draw(isPublic ? { public: true, device: 'server' } : { public: false })
      expect(profile).toMatchObject({ x, y, region, clockSkewMs })
      expect(profile.nat === 'public').toBe(isPublic)
    }
    expect(settled.draw()).toEqual(free.draw())
  })

  it('sends a lost packet again after 200 ms or a round trip, twice as late each time; longer writes lose more', () => {
    const model = new NetworkModel({ seed: 3, mix, lossShare: 0.02 })
    const draws = Array.from({ length: 20_000 }, () => model.drawRetransmitMs(500, 80))
    const late = draws.filter(ms => ms > 0)
    expect(late.length).toBeGreaterThan(300)
    expect(late.length).toBeLessThan(500)
    expect(new Set(late)).toEqual(new Set([200, 600, ...late.filter(ms => ms > 600)]))
    const far = Array.from({ length: 5_000 }, () => model.drawRetransmitMs(14_000, 450)).filter(ms => ms > 0)
    expect(Math.min(...far)).toBe(450)
    // Ten segments: 1 - 0.98^10 = 18 %.
    expect(far.length).toBeGreaterThan(800)
    expect(far.length).toBeLessThan(1_020)
    expect(new NetworkModel({ seed: 3, mix }).drawRetransmitMs(14_000, 450)).toBe(0)
  })
})
