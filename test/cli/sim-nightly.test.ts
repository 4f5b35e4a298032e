/** The nightly run of many seeds: what it counts, what it writes down, and that nothing of it stays behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../scripts/nightly-sim.js', import.meta.url))

let folder = ''
const running: ChildProcess[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'webmesh-nightly-'))
})
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function nightly(...argv: string[]): { child: ChildProcess; ended: Promise<{ code: number | null; text: string }> } {
  const child = spawn(process.execPath, [SCRIPT, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] })
  running.push(child)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  return { child, ended: new Promise(resolve => child.on('close', code => resolve({ code, text }))) }
}

/** Processes that this one started, by the system's own list. */
function childrenOf(pid: number | undefined): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(name => {
      try {
        return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid)
      } catch {
        return false
      }
    })
    .map(Number)
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

async function until(what: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000
  while (!what()) {
    if (performance.now() > deadline) throw new Error('not in time')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

describe('the nightly run', () => {
  it('runs seed after seed and counts them', async () => {
    const out = join(folder, 'counted.jsonl')
    const argv = [
      '--scenario',
      'join-storm',
      '--peers',
      '6',
      '--runs',
      '2',
      '--seed',
      '41',
      '--jobs',
      '1',
      '--out',
      out,
    ]
    const { code, text } = await nightly(...argv).ended
    expect(text).toMatch(/--seed 41 /)
    expect(text).toMatch(/--seed 42 /)
    const [, passed, failed] = /^(\d+) passed, (\d+) failed/m.exec(text) ?? []
    expect(Number(passed) + Number(failed)).toBe(2)
    expect(code).toBe(failed === '0' ? 0 : 1)
    expect(text).toMatch(/^permanent partitions: \d in 2 runs$/m)
  })

  it('writes failures to a file, each with the command that replays it', async () => {
    const out = join(folder, 'failures.jsonl')
    const argv = ['--scenario', 'no-such', '--peers', '6', '--runs', '1', '--seed', '9', '--jobs', '1', '--out', out]
    const { code, text } = await nightly(...argv).ended
    expect(code).toBe(1)
    expect(text).toContain('0 passed, 1 failed')
    const [line = ''] = (await readFile(out, 'utf8')).split('\n')
    expect(JSON.parse(line)).toMatchObject({
      replay: 'webmesh sim --scenario no-such --peers 6 --seed 9',
      message: expect.stringContaining('no scenario'),
    })
  })

  it.each(['SIGTERM', 'SIGKILL'] as const)('takes its processes with it on %s', async signal => {
    const out = join(folder, 'none.jsonl')
    const { child, ended } = nightly('--scenario', 'join-storm', '--peers', '20000', '--jobs', '1', '--out', out)
    await until(() => childrenOf(child.pid).length > 0)
    const pids = childrenOf(child.pid)
    child.kill(signal)
    await ended
    await until(() => !pids.some(isAlive))
  })
})
