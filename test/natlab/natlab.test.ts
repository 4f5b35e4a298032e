/** The smallest lab that shows the whole ladder: two kinds of NAT, all pairs. `npm run natlab` does the others. */
import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { noLab } from './nat-lab.ts'

it('peers behind port-restricted and symmetric NATs exchange a megabyte, directly where ICE would', context => {
  const why = noLab()
  if (why !== null) {
    console.warn(`the NAT lab is left out: ${why}`)
    context.annotate(why)
    return
  }
  const run = spawnSync('npm', ['run', '-s', 'natlab', '--', 'port-restricted', 'symmetric'], {
    encoding: 'utf8',
    timeout: 110_000,
    killSignal: 'SIGTERM',
  })
  expect(run.stdout, run.stderr).toContain('4 of 4 pairs exchanged')
  expect(run.stdout).toContain('all as they should be')
  expect(run.status).toBe(0)
}, 120_000)
