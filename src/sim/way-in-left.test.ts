/** A peer through which many join is not the hub of all of them: they leave it for others, and it carries little for them. */
import { expect, it } from 'vitest'
import { SETTING_DEFAULTS } from './scenario.ts'
import { ScenarioRun } from './scenario-run.ts'

it('newcomers leave a crowded way in, name others in their refs and reach each other through others', () => {
  const setting = { ...SETTING_DEFAULTS, peers: 80, seed: 1 }
  const run = new ScenarioRun({ scenario: 'left', setting, plannedMs: 60_000, onProgress: () => {} })
  run.grow()
  run.pass(5_000)
  const [first] = run.waysIn
  if (first === undefined) throw new Error('the first is the way in')
  const others = run.live().filter(node => node !== first)
  const hidden = others.filter(node => !node.public).map(node => node.ref)
  const naming = hidden.filter(ref => ref.rendezvous.some(({ peer }) => peer === first.id))
  const { links, circuitsRelayed } = first.peer.snapshot()
  const shown = JSON.stringify({ links: links.length, naming: naming.length, circuitsRelayed })
  expect(others.filter(node => node.peer.snapshot().links.length < 3).length, shown).toBe(0)
  expect(links.length, shown).toBeLessThan(others.length * 0.75)
  expect(naming.length, shown).toBeLessThan(hidden.length * 0.75)
  expect(circuitsRelayed, shown).toBeLessThan(others.length)
}, 60_000)
