/**
 * The outcome of a scenario as one HTML page that needs nothing else: no network, no script. Charts and ring are inline
 * SVG; light or dark as the reader's system is. All text from outside is escaped.
 */
import { escaped } from './markup.ts'
import { PAGE_STYLE } from './page-style.ts'
import { durationText, grouped, percent } from './report-text.ts'
import { dotRadius, ringRoles, ringSvg } from './ring-svg.ts'
import type { Check, RingPicture, Sample, ScenarioOutcome, ScenarioSetting } from './scenario.ts'
import { type TimePoint, timeChartSvg } from './time-chart.ts'

export interface PageFacts {
  /** What the scenario does, on one line. */
  readonly summary: string
  /** Real time that the run took. */
  readonly realMs: number
  readonly replay: string
}

export function reportPage(outcome: ScenarioOutcome, facts: PageFacts): string {
  const title = `${outcome.scenario}, ${grouped(outcome.setting.peers)} peers, seed ${outcome.setting.seed}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)} · webmesh sim</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<main>
${headSection(outcome, facts)}
${checksSection(outcome.checks)}
${chartsSection(outcome.samples)}
${ringSection(outcome.picture)}
${settingSection(outcome, facts)}
</main>
</body>
</html>
`
}

function headSection(outcome: ScenarioOutcome, { summary, realMs }: PageFacts): string {
  const { checks, ok, scenario, setting, trace, virtualMs } = outcome
  const failed = checks.filter(check => !check.ok).length
  const verdict = ok ? `All ${checks.length} checks held` : `${failed} of ${checks.length} checks failed`
  const facts: readonly (readonly [string, string])[] = [
    ['peers', grouped(setting.peers)],
    ['seed', String(setting.seed)],
    ['virtual time', durationText(virtualMs)],
    ['real time', durationText(realMs)],
    ['trace', trace],
  ]
  const items = facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>`).join('')
  return `<header>
<p class="kind">webmesh sim</p>
<h1>${escaped(scenario)} <span class="verdict ${ok ? 'good' : 'bad'}">${verdict}</span></h1>
<p class="summary">${escaped(summary)}</p>
<dl class="facts">${items}</dl>
</header>`
}

function checksSection(checks: readonly Check[]): string {
  const rows = checks.map(({ name, target, measured, ok }) => {
    const mark = ok ? '<span class="mark good">✓ held</span>' : '<span class="mark bad">✗ failed</span>'
    return `<tr><th scope="row">${escaped(name)}</th><td data-head="target">${escaped(target)}</td><td data-head="measured">${escaped(measured)}</td><td>${mark}</td></tr>`
  })
  return `<section>
<h2>Checks</h2>
<table class="checks">
<thead><tr><th scope="col">check</th><th scope="col">target</th><th scope="col">measured</th><th scope="col">outcome</th></tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table>
</section>`
}

interface Quantity {
  readonly title: string
  readonly meaning: string
  readonly unit: string
  readonly percentages: boolean
  readonly of: (sample: Sample) => number | null
}

const QUANTITIES: readonly Quantity[] = [
  {
    title: 'Live peers',
    meaning: 'how many are there at all',
    unit: 'peers',
    percentages: false,
    of: sample => sample.live,
  },
  {
    title: 'In the largest component',
    meaning: 'share of live peers that links join into one',
    unit: '%',
    percentages: true,
    of: sample => sample.component * 100,
  },
  {
    title: 'Ring correct',
    meaning: 'share of live peers linked with both true neighbours',
    unit: '%',
    percentages: true,
    of: sample => sample.ring * 100,
  },
  {
    title: 'Routing success',
    meaning: 'share of tries between random pairs that arrived',
    unit: '%',
    percentages: true,
    of: ({ routed }) => (routed === null ? null : routed * 100),
  },
  {
    title: 'Hops',
    meaning: 'mean over what arrived',
    unit: 'hops',
    percentages: false,
    of: sample => sample.hops,
  },
  {
    title: 'Messages',
    meaning: 'sent by each live peer in a second',
    unit: 'messages/s',
    percentages: false,
    of: sample => sample.messagesPerSecond,
  },
  {
    title: 'Bytes',
    meaning: 'sent by each live peer in a second',
    unit: 'B/s',
    percentages: false,
    of: sample => sample.bytesPerSecond,
  },
]

function chartsSection(samples: readonly Sample[]): string {
  const untilMs = samples.reduce((most, sample) => Math.max(most, sample.atMs), 0)
  const cards = QUANTITIES.map(quantity => chartCard(quantity, samples, untilMs))
  return `<section>
<h2>Over time</h2>
<div class="charts">${cards.join('\n')}
${GUIDE}</div>
</section>`
}

const GUIDE = `<div class="guide">
<p><b>How to read it.</b> Each point judges the whole mesh from outside, once per interval: the judge knows which peers live
and who is linked to whom, the peers do not.</p>
<p>The mesh is one whole while the largest component is at 100 %. Routing needs more: a correct ring, so that every
message ends at the peer whose position is nearest. After a failure the component comes back first, the ring next, and
the traffic of healing dies down last.</p>
<p>An axis that does not start at 0 enlarges what is near 100 %.</p>
</div>`

function chartCard(quantity: Quantity, samples: readonly Sample[], untilMs: number): string {
  const { title, meaning, unit, percentages } = quantity
  const points: TimePoint[] = []
  for (const sample of samples) {
    const value = quantity.of(sample)
    if (value !== null) points.push({ atMs: sample.atMs, value })
  }
  const chart =
    points.length === 0
      ? '<p class="none">not measured in this scenario</p>'
      : timeChartSvg({ title, unit, percentages, points, untilMs })
  return `<figure><figcaption><b>${title}</b><small>${meaning}</small><small class="extremes">${extremes(points, percentages)}</small></figcaption>${chart}</figure>`
}

/** The numbers that a line is read for: where it ended, and how bad it was. */
function extremes(points: readonly TimePoint[], percentages: boolean): string {
  const last = points[points.length - 1]
  if (last === undefined) return ''
  const values = points.map(point => point.value)
  const worst = percentages
    ? `least ${figure(values.reduce((a, b) => Math.min(a, b)))}`
    : `most ${figure(values.reduce((a, b) => Math.max(a, b)))}`
  const unit = percentages ? ' %' : ''
  return `${worst}${unit} · at the end ${figure(last.value)}${unit}`
}

/** Three digits that count; whole from 100 on. */
function figure(value: number): string {
  if (value >= 99.995 || Number.isInteger(value)) return grouped(Math.round(value))
  return String(Number(value.toFixed(value >= 10 ? 1 : 2)))
}

function ringSection(picture: RingPicture): string {
  if (picture.peers.length === 0) return ''
  const roles = ringRoles(picture)
  const switches = roles.map(
    (role, index) =>
      `<label><input type="checkbox" id="r${index}" checked><i class="swatch c${role.colour}"></i>${escaped(role.name)} <span class="count">${grouped(role.count)}</span></label>`,
  )
  // Without a script: an unchecked box hides its links.
  const hiding = roles.map((_, index) => `.ring-card:has(#r${index}:not(:checked)) .r${index}{display:none}`).join('\n')
  const devices = [...new Set(['server', 'desktop', 'tab', ...picture.peers.map(peer => peer.device)])]
  const sizes = devices.map(device => `<span>${legendDot(dotRadius(device), false)}${escaped(device)}</span>`)
  return `<section>
<h2>The ring at the end</h2>
<div class="ring-card">
<style>${hiding}</style>
${ringSvg(picture)}
<div class="legend">
<p class="legend-head">Links by role</p>
${switches.join('\n')}
<p class="legend-head">Peers by device</p>
${sizes.join('\n')}
<span>${legendDot(5, true)}takes connections</span>
<span>${legendDot(5, false)}behind a NAT or firewall</span>
<p class="note">Each peer stands at its position on the ring, clockwise from the top. A box hides and shows links of one role. Large rings are thinned out.</p>
</div>
</div>
</section>`
}

function legendDot(radius: number, isPublic: boolean): string {
  return `<svg class="dot" viewBox="0 0 16 16" aria-hidden="true"><circle class="peer${isPublic ? ' public' : ''}" cx="8" cy="8" r="${radius}"/></svg>`
}

function settingSection({ setting }: ScenarioOutcome, { replay }: PageFacts): string {
  const rows = settingRows(setting).map(([name, value]) => `<tr><th scope="row">${name}</th><td>${value}</td></tr>`)
  return `<section>
<h2>Setting</h2>
<table class="setting"><tbody>${rows.join('\n')}</tbody></table>
<h3>The same run again</h3>
<pre class="replay"><code>${unbrokenOptions(replay)}</code></pre>
<p class="note">The same seed and setting give the same trace on any machine.</p>
</section>`
}

/** A line that is too long breaks between options, not within their dashes. */
function unbrokenOptions(command: string): string {
  return escaped(command).replace(/--\S+( [^\s-]\S*)?/g, option => `<span>${option}</span>`)
}

function settingRows(setting: ScenarioSetting): readonly (readonly [string, string])[] {
  const { nat, device } = setting.mix
  const shares = (group: Readonly<Record<string, number>>): string =>
    Object.entries(group)
      .map(([name, share]) => `${escaped(name)} ${percent(share)}`)
      .join(' · ')
  return [
    ['peers', grouped(setting.peers)],
    ['seed', String(setting.seed)],
    ['share', percent(setting.share)],
    ['middle part', `${setting.minutes} min`],
    ['ways of a split', String(setting.ways)],
    ['median stay', `${setting.medianMinutes} min`],
    ['churn before', `${setting.churnedMinutes} min`],
    ['loss', percent(setting.lossShare)],
    ['NAT', shares(nat)],
    ['devices', shares(device)],
  ]
}
