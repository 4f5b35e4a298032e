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
  expect(lab('port-restricted', 'symmetric')).toContain('4 of 4 pairs exchanged')
}, 120_000)

it('peers of one network that were told of nobody find each other by mDNS, where it is on', context => {
  const why = noLab()
  if (why !== null) {
    context.annotate(why)
    return
  }
  expect(lab('--lan')).toMatch(/by mDNS: (tcp|udp); where it is off: peer-unreachable/)
}, 120_000)

function lab(...args: readonly string[]): string {
  const run = spawnSync('npm', ['run', '-s', 'natlab', '--', ...args], {
    encoding: 'utf8',
    timeout: 110_000,
    killSignal: 'SIGTERM',
  })
  expect(run.stdout, run.stderr).toContain('all as they should be')
  expect(run.status).toBe(0)
  return run.stdout
}
