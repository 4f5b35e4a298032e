/** A few of the moves, small; `npm run bench:moves` does all of them with 100 MB. Longer waits than there: tests share the machine. */
import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { noChromium } from '../browser/chromium.fixtures.ts'
import { noLab } from '../natlab/nat-lab.ts'

it('transfers go on, whole, while their path is cut, moves, or has better ones that fail', context => {
  const why = noLab()
  if (why !== null) {
    console.warn(`the moves are left out: ${why}`)
    context.annotate(why)
    return
  }
  const cases = ['tcp-closed', 'tcp-silent', 'udp', 'webrtc', 'address-dialler', 'udp-dies', 'no-path']
  if (noChromium === null) cases.push('chromium')
  const run = spawnSync('npm', ['run', '-s', 'bench:moves', '--', '--megabytes', '10', '--gap', '3000', ...cases], {
    encoding: 'utf8',
    timeout: 170_000,
    killSignal: 'SIGTERM',
  })
  expect(run.stdout, run.stderr).toContain('all as they should be')
  expect(run.stdout.match(/hash equal, session open/g)).toHaveLength(cases.length - 1)
  expect(run.status).toBe(0)
}, 180_000)
