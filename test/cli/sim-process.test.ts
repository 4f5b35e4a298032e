/** `webmesh sim` as it is installed, with its real scenarios, small. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { killAll, webmesh } from './webmesh-process.fixtures.ts'

const SMALL = ['--scenario', 'join-storm', '--peers', '12']

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'webmesh-sim-'))
})
afterEach(killAll)
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('webmesh sim', () => {
  it('knows the scenarios', async () => {
    const list = webmesh('sim', '--list')
    expect(await list.exit()).toBe(0)
    for (const name of ['join-storm', 'mass-failure', 'split', 'bootstrap-death']) {
      expect(list.lines.join('\n')).toMatch(new RegExp(`^${name} `, 'm'))
    }
  })

  it('ends with an object that says what was checked, and with 0 only if all of it held', async () => {
    const file = join(folder, 'page.html')
    const run = webmesh('sim', ...SMALL, '--seed', '5', '--json', '--html', file)
    const exit = await run.exit()
    const last = run.events.at(-1)
    expect(last).toMatchObject({ seed: 5, trace: expect.stringMatching(/^[0-9a-f]{16}$/) })
    // reason: its form is what is checked.
    const checks = last?.checks as Record<string, unknown>[]
    expect(checks.length).toBeGreaterThan(0)
    for (const check of checks) {
      const text = expect.any(String)
      expect(check).toEqual({ name: text, ok: expect.any(Boolean), target: text, measured: text })
    }
    expect(last?.ok).toBe(checks.every(check => check.ok))
    expect(exit).toBe(last?.ok === true ? 0 : 1)
    expect(await readFile(file, 'utf8')).toContain(String(last?.trace))
  })

  it('gives the same trace for the same seed, another for another', async () => {
    const runs = ['5', '5', '6'].map(seed => webmesh('sim', ...SMALL, '--seed', seed, '--json'))
    await Promise.all(runs.map(run => run.exit()))
    const [first, again, other] = runs.map(run => run.events.at(-1)?.trace)
    expect(first).toMatch(/^[0-9a-f]{16}$/)
    expect(again).toBe(first)
    expect(other).not.toBe(first)
  })

  it('ends with 2 and one sentence where it is used wrongly', async () => {
    for (const argv of [
      ['--scenario', 'nope'],
      ['--peers', '12'],
      [...SMALL, '--kill', '2'],
    ]) {
      const run = webmesh('sim', ...argv)
      expect(await run.exit()).toBe(2)
      expect(run.stderr).toMatch(/^webmesh: [^\n]+\n$/)
    }
  })

  it('ends at once when it is interrupted, in the middle of a run that takes long', async () => {
    const run = webmesh('sim', '--scenario', 'join-storm', '--peers', '20000', '--json')
    await run.event('progress')
    run.signal('SIGINT')
    expect(await run.exit()).toBe(1)
    expect(run.stderr).toBe('')
  })
})
