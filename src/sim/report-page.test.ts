import { describe, expect, it } from 'vitest'
import { handMadeOutcome } from './outcome.fixtures.ts'
import { reportPage } from './report-page.ts'

const FACTS = { summary: 'made by hand', realMs: 2_340, replay: 'webmesh sim --scenario hand-made --seed 7' }
const NASTY = `<script>alert("1")</script>&'`

function pageOf(change: Partial<ReturnType<typeof handMadeOutcome>> = {}): string {
  return reportPage({ ...handMadeOutcome({ ok: true }), ...change }, FACTS)
}

describe('the report page', () => {
  it('says whether all checks held, with the trace and the command that replays it', () => {
    expect(pageOf()).toContain('All 2 checks held')
    expect(pageOf()).toContain('0123456789abcdef')
    expect(pageOf().replace(/<[^>]*>/g, '')).toContain(FACTS.replay)
    expect(reportPage(handMadeOutcome({ ok: false }), FACTS)).toContain('1 of 2 checks failed')
  })

  it('needs nothing from elsewhere: no address, no script, nothing imported', () => {
    const page = pageOf()
    expect(page).not.toMatch(/https?:|\/\/[a-z]|src=|href=|url\(|@import|<script|<link /i)
  })

  it('has a chart for each of seven quantities, and a ring', () => {
    const page = pageOf()
    expect(page.match(/<figure>/g)).toHaveLength(7)
    expect(page.match(/class="line"/g)).toHaveLength(7)
    expect(page).toMatch(/aria-label="The ring: 60 peers and 300 links"/)
  })

  it('takes no text for markup, wherever it stands', () => {
    const outcome = handMadeOutcome({ ok: false })
    const page = reportPage(
      {
        ...outcome,
        scenario: NASTY,
        trace: NASTY,
        checks: [{ name: NASTY, ok: false, target: NASTY, measured: NASTY }],
        picture: {
          peers: [
            { position: 0, device: NASTY, public: true },
            { position: 0.5, device: 'constructor', public: false },
          ],
          links: [[0, 1, NASTY]],
        },
      },
      { summary: NASTY, realMs: 1, replay: NASTY },
    )
    expect(page).not.toContain('<script')
    expect(page).not.toContain('alert("1")')
    expect(page.match(/&#60;script&#62;alert\(&#34;1&#34;\)&#60;\/script&#62;&#38;&#39;/g)?.length).toBeGreaterThan(9)
  })

  it('says so where a quantity was not measured, and leaves out a ring of nobody', () => {
    const samples = handMadeOutcome({ ok: true }).samples.map(sample => ({ ...sample, hops: null, routed: null }))
    const page = pageOf({ samples, picture: { peers: [], links: [] } })
    expect(page.match(/not measured in this scenario/g)).toHaveLength(2)
    expect(page).not.toContain('The ring at the end')
    expect(pageOf({ samples: [] }).match(/not measured in this scenario/g)).toHaveLength(7)
  })

  it('holds no number that is none', () => {
    const [first] = handMadeOutcome({ ok: true }).samples
    if (first === undefined) throw new Error('it has samples')
    const empty = { ...first, atMs: 0, live: 0, messagesPerSecond: 0, bytesPerSecond: 0 }
    for (const samples of [[], [empty], [empty, empty]])
      expect(pageOf({ samples })).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('stays small however long the run was', () => {
    const [sample] = handMadeOutcome({ ok: true }).samples
    if (sample === undefined) throw new Error('it has samples')
    const week = Array.from({ length: 10_080 }, (_, minute) => ({
      ...sample,
      atMs: minute * 60_000,
      ring: (minute % 97) / 97,
    }))
    expect(pageOf({ samples: week }).length).toBeLessThan(150_000)
  })
})
