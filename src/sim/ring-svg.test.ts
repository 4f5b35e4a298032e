import { expect, it } from 'vitest'
import { handMadeOutcome } from './outcome.fixtures.ts'
import { onCircle, ringRoles, ringSvg } from './ring-svg.ts'

it('the series that draw the circle agree with sine and cosine to a millionth', () => {
  for (let turn = 0; turn <= 1; turn += 1 / 977) {
    const [x, y] = onCircle(turn)
    expect(x).toBeCloseTo(Math.sin(2 * Math.PI * turn), 6)
    expect(y).toBeCloseTo(-Math.cos(2 * Math.PI * turn), 6)
  }
})

it('roles come in the order of the legend; strange ones last, with a colour of their own', () => {
  const links = [[0, 1, 'strange'] as const, [0, 1, 'guest'] as const, [0, 1, 'near'] as const, [1, 0, 'near'] as const]
  expect(ringRoles({ peers: [], links })).toEqual([
    { name: 'near', count: 2, colour: 0 },
    { name: 'guest', count: 1, colour: 5 },
    { name: 'strange', count: 1, colour: 6 },
  ])
})

it('draws every peer and every link once', () => {
  const { picture } = handMadeOutcome({ ok: true })
  const svg = ringSvg(picture)
  expect(svg.match(/<circle/g)).toHaveLength(60)
  expect(svg.match(/Q/g)).toHaveLength(300)
})

it('passes over links to peers that were thinned out', () => {
  const peers = [{ position: 0, device: 'tab', public: false }]
  expect(ringSvg({ peers, links: [[0, 9, 'far']] })).not.toContain('Q')
})
