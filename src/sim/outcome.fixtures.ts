/** An outcome made by hand: 300 peers, half of whom vanish after a minute, for tests of reports. */
import type { RingPicture, Sample, ScenarioOutcome } from './scenario.ts'
import { SETTING_DEFAULTS } from './scenario.ts'

const PEERS = 300
const ROLES = ['near', 'far', 'random', 'public', 'guest'] as const

export function handMadeOutcome({ ok }: { readonly ok: boolean }): ScenarioOutcome {
  return {
    scenario: 'hand-made',
    setting: { ...SETTING_DEFAULTS, peers: PEERS, seed: 7 },
    ok,
    trace: '0123456789abcdef',
    virtualMs: 120_000,
    checks: [
      { name: 'one component', ok: true, target: '100 % within 20 s', measured: '100 % after 12 s' },
      { name: 'routing', ok, target: '100 % within 60 s', measured: ok ? '100 % after 31 s' : '97.5 % at the end' },
    ],
    samples: samples(),
    picture: picture(),
  }
}

function samples(): Sample[] {
  const all: Sample[] = []
  for (let second = 0; second <= 120; second += 2) {
    const since = second - 60
    const whole = since < 0 ? 1 : Math.min(1, 0.4 + since * 0.05)
    all.push({
      atMs: second * 1_000,
      live: since < 0 ? Math.min(PEERS, second * 10) : PEERS / 2,
      component: whole,
      ring: since < 0 ? 1 : Math.min(1, 0.2 + since * 0.03),
      routed: second % 4 === 0 ? whole : null,
      hops: second % 4 === 0 ? 2.5 + (since < 0 ? 0 : 1 / (1 + since)) : null,
      messagesPerSecond: since < 0 ? 0.8 : 6 / (1 + since / 6),
      bytesPerSecond: since < 0 ? 160 : 1_900 / (1 + since / 6),
    })
  }
  return all
}

function picture(): RingPicture {
  const peers = Array.from({ length: 60 }, (_, index) => ({
    position: (index + ((index * 7) % 10) / 12) / 60,
    device: index % 20 === 0 ? 'server' : index % 2 === 0 ? 'desktop' : 'tab',
    public: index % 10 === 0,
  }))
  const links = peers.flatMap((_, index) =>
    ROLES.map((role, at) => [index, (index + 1 + at * at * 3 + ((index * 13) % (at * 8 + 1))) % 60, role] as const),
  )
  return { peers, links }
}
