/** `webmesh doctor` from outside, on loopback; behind NATs it runs in `test/natlab`. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { killAll, type WebmeshProcess, webmesh, webmeshBoundByRights } from './webmesh-process.fixtures.ts'

const folders: string[] = []
const HERE = ['--listen', '127.0.0.1:0']

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'webmesh-doctor-'))
  folders.push(folder)
  return folder
}

async function up(...argv: string[]): Promise<string> {
  const { ref } = await webmesh('up', '--json', ...HERE, ...argv).event('ready')
  return String(ref)
}

async function findings(doctor: WebmeshProcess): Promise<Map<unknown, Record<string, unknown>>> {
  await doctor.exit()
  return new Map(doctor.events.map(event => [event.check ?? event.event, event]))
}

afterEach(async () => {
  await killAll()
  await Promise.all(folders.splice(0).map(folder => rm(folder, { recursive: true, force: true })))
}, 20_000)

describe('webmesh doctor', () => {
  it('says what it finds, one thing a line, and that this machine can take part', async () => {
    const ref = await up()
    const doctor = webmesh('doctor', '--join', ref, ...HERE)
    expect(await doctor.exit()).toBe(0)
    const text = doctor.lines.join('\n')
    for (const check of [
      'node',
      'store',
      'listens',
      'ways in',
      'links',
      'udp',
      'address',
      'nat',
      'port mapping',
      'dial-in',
      'clock',
    ])
      expect(text).toMatch(new RegExp(`^(ok|--) +${check} `, 'm'))
    expect(text).toMatch(/worked, after \d+ ms: webmesh:/)
    expect(text).toMatch(/1 link \(1 over tcp\)/)
    expect(text).toMatch(/agrees with 1 peer to two seconds/)
    expect(doctor.lines.at(-1)).toBe('This machine can talk to the network.')
    expect(doctor.stderr).toBe('')
  })

  it('says the same as JSON, and which ways in worked', async () => {
    const ref = await up()
    const doctor = webmesh('doctor', '--json', '--join', ref, '--join', 'tcp://127.0.0.1:1', ...HERE)
    const found = await findings(doctor)
    expect(await doctor.exit()).toBe(0)
    expect(found.get('ways in')).toMatchObject({ verdict: 'poor', advice: expect.stringContaining('old') })
    const ways = doctor.events.filter(({ event }) => event === 'way')
    expect(ways).toEqual([
      { event: 'way', way: ref, ok: true, ms: expect.any(Number), fault: null },
      { event: 'way', way: 'tcp://127.0.0.1:1', ok: false, ms: expect.any(Number), fault: 'nobody listens there' },
    ])
    expect(found.get('links')).toMatchObject({
      verdict: 'fine',
      links: [expect.objectContaining({ path: expect.anything() })],
    })
    expect(found.get('port mapping')).toMatchObject({ mapping: { kind: 'off', why: 'loopback' } })
    expect(found.get('clock')).toMatchObject({ verdict: 'fine', peers: 1 })
    expect(doctor.events.at(-1)).toEqual({ event: 'done', ok: true, reason: null })
  })

  it('ends with 1 and the reason where no way in works, or none is given', async () => {
    const lost = webmesh('doctor', '--json', '--join', 'tcp://127.0.0.1:1', ...HERE)
    expect((await findings(lost)).get('done')).toMatchObject({ ok: false, reason: 'none of the ways in worked' })
    expect(await lost.exit()).toBe(1)
    const alone = webmesh('doctor', ...HERE)
    expect(await alone.exit()).toBe(1)
    expect(alone.lines.at(-1)).toMatch(/^This machine cannot talk to the network: no way in was given: --join REF/)
  })

  it('ends with 2 and one sentence where it is used wrongly, before it says anything', async () => {
    for (const argv of [['--join', 'webmesh:nonsense'], ['--listen', '4100'], ['--store', ''], ['peer']]) {
      const doctor = webmesh('doctor', ...argv)
      expect(await doctor.exit()).toBe(2)
      expect(doctor.lines).toEqual([])
      expect(doctor.stderr).toMatch(/^webmesh: [^\n]+\n$/)
    }
  })

  it('finds a port in use, and goes on with another', async () => {
    const ref = await up()
    const blocker = createServer()
    await new Promise<void>(resolve => blocker.listen(0, '127.0.0.1', resolve))
    const address = blocker.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const doctor = webmesh('doctor', '--json', '--join', ref, '--listen', `127.0.0.1:${port}`)
    const found = await findings(doctor)
    blocker.close()
    expect(found.get('listens')).toMatchObject({ verdict: 'poor', text: expect.stringContaining(`127.0.0.1:${port}`) })
    expect(found.get('listens')?.listening).toEqual([expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:\d+$/)])
    expect(found.get('done')).toMatchObject({ ok: true })
  })

  it('comes in through the peers that a store remembers', async () => {
    const [store, ref] = [await newFolder(), await up()]
    const before = webmesh('up', '--json', '--store', store, '--join', ref)
    await before.event('link')
    before.signal('SIGINT')
    await before.exit()
    const doctor = webmesh('doctor', '--json', '--store', store, ...HERE)
    const found = await findings(doctor)
    expect(found.get('store')).toMatchObject({ verdict: 'fine' })
    expect(found.get('ways in')).toMatchObject({ verdict: 'fine', text: 'the store remembers 1 peer' })
    expect(found.get('done')).toMatchObject({ ok: true })
  })

  it('tells of a store that is in use, is not there, is none, or cannot be written', async () => {
    const [store, ref] = [await newFolder(), await up()]
    const holder = webmesh('up', '--json', '--store', store)
    await holder.event('ready')
    const storeOf = async (...argv: string[]): Promise<unknown> =>
      (await findings(webmesh('doctor', '--json', '--join', ref, ...HERE, ...argv))).get('store')
    expect(await storeOf('--store', store)).toMatchObject({ verdict: 'told', text: expect.stringContaining('in use') })
    const folder = await newFolder()
    expect(await storeOf('--store', join(folder, 'new', 'one'))).toMatchObject({ verdict: 'told' })
    // It was only looked at.
    expect(await readdir(folder)).toEqual([])
    const file = join(folder, 'file')
    await writeFile(file, '')
    expect(await storeOf('--store', file)).toMatchObject({ verdict: 'bad' })
    const doctor = webmeshBoundByRights('doctor', '--json', '--join', ref, ...HERE, '--store', '/proc/none')
    expect((await findings(doctor)).get('store')).toMatchObject({ verdict: 'bad' })
  })
})
