/** The smallest labs that show each thing: two kinds of NAT for the most part. `npm run natlab` does the others. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { expect, it, type TestContext } from 'vitest'
import { noFirefox } from '../browser/firefox.ts'
import { noLab } from './nat-lab.ts'

it('peers behind port-restricted and symmetric NATs exchange a megabyte, directly where ICE would', context => {
  if (isLeftOut(context)) return
  expect(lab('port-restricted', 'symmetric')).toContain('4 of 4 pairs exchanged')
}, 120_000)

it('peers of one network that were told of nobody find each other by mDNS, where it is on', context => {
  if (isLeftOut(context)) return
  expect(lab('--lan')).toMatch(/by mDNS: (tcp|udp); where it is off: peer-unreachable/)
}, 120_000)

it('a byte is back from most peers behind NATs within six round trips of links with 20 ms', context => {
  if (isLeftOut(context)) return
  const { stdout, stderr } = run(
    '--first-byte',
    '--delay',
    '20',
    '--settle',
    '5',
    '--capacity',
    '6',
    'port-restricted',
    'symmetric',
    'double',
  )
  // The pump really delays: two links there and two back.
  expect(Number(/a direct round trip takes (\d+) ms/.exec(stdout)?.[1]), stderr).toBeGreaterThanOrEqual(80)
  // Beside other tests single ones are late; `npm run natlab` judges each.
  expect(Number(/median \d+ ms \(([\d.]+) round trips\)/.exec(stdout)?.[1]), stdout).toBeLessThan(6)
}, 120_000)

it('streams go on after a silence in which NATs forget', context => {
  if (isLeftOut(context)) return
  expect(lab('--silent', '13', '--mapping-timeout', '10', 'port-restricted', 'symmetric')).toMatch(
    /4 of 4 streams carried on/,
  )
}, 120_000)

it('tabs behind different NATs go on without their way in, and others join through them', context => {
  if (isLeftOut(context)) return
  expect(lab('--way-in-dies')).toContain('a third tab beside the second is in')
}, 120_000)

it('a tab of Firefox behind a NAT joins by the webrtc:// address of a peer without a TLS certificate', context => {
  if (isLeftOut(context)) return
  if (noFirefox !== null && process.env.CI === undefined) {
    console.warn(`a tab of Firefox is left out: ${noFirefox}`)
    context.annotate(noFirefox)
    return
  }
  for (const browser of ['firefox', 'chromium'])
    expect(lab('--webrtc', '--publics', '1', '--from', browser, 'port-restricted')).toContain('1 of 1 pairs exchanged')
}, 120_000)

/** Where no lab can be built, one line says why. */
function isLeftOut(context: TestContext): boolean {
  const why = noLab({ delayMs: 20 })
  if (why === null) return false
  console.warn(`the NAT lab is left out: ${why}`)
  context.annotate(why)
  return true
}

function lab(...args: readonly string[]): string {
  const { stdout, stderr, status } = run(...args)
  expect(stdout, stderr).toContain('all as they should be')
  expect(status).toBe(0)
  return stdout
}

function run(...args: readonly string[]): SpawnSyncReturns<string> {
  const command = ['run', '-s', 'natlab', '--', ...args]
  return spawnSync('npm', command, { encoding: 'utf8', timeout: 110_000, killSignal: 'SIGTERM' })
}
