/** Peers that are killed at any moment and come back: with the same identity, into the same mesh, without a way in. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { killAll, type WebmeshProcess, webmesh } from '../../cli/webmesh-process.fixtures.ts'

const folders: string[] = []

afterEach(async () => {
  await killAll()
  await Promise.all(folders.splice(0).map(folder => rm(folder, { recursive: true, force: true })))
})

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'webmesh-restart-'))
  folders.push(folder)
  return folder
}

interface Running {
  readonly process: WebmeshProcess
  readonly peer: string
  readonly ref: string
}

async function up(...argv: string[]): Promise<Running> {
  const process = webmesh('up', '--json', ...argv)
  const { peer, ref } = await process.event('ready')
  return { process, peer: String(peer), ref: String(ref) }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

function pause(delayMs: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, delayMs))
}

it('a peer killed at ten moments opens its store each time, and is the same peer', async () => {
  const store = await newFolder()
  const first = await up('--listen', '127.0.0.1:0', '--service', 'kept.example/1')
  const before = await up('--store', store, '--join', first.ref)
  await before.process.kill()
  for (let i = 0; i < 10; i += 1) {
    // From the middle of its start to long after its first writes.
    const starting = webmesh('up', '--json', '--store', store, '--join', first.ref, '--service', 'kept.example/1')
    await pause(150 + i * 120)
    await starting.kill()
    expect(starting.events.filter(event => event.event === 'error')).toEqual([])
  }
  const after = await up('--store', store)
  expect(after.peer).toBe(before.peer)
  expect(after.process.events.filter(event => event.event === 'warning')).toEqual([])
})

it('a peer comes back by those it remembers alone, though the way in that it had is gone', async () => {
  const store = await newFolder()
  const wayIn = await up('--listen', '127.0.0.1:0')
  const other = await up('--listen', '127.0.0.1:0', '--join', wayIn.ref)
  const back = await up('--store', store, '--join', wayIn.ref)
  await back.process.event('link', event => event.peer === other.peer)
  // Remembered peers are written every few seconds.
  await pause(7_000)
  await back.process.kill()
  await wayIn.process.kill()
  const startedAt = performance.now()
  const again = await up('--store', store)
  expect(again.peer).toBe(back.peer)
  await again.process.event('link', event => event.peer === other.peer)
  expect(performance.now() - startedAt).toBeLessThan(15_000)
  // Those that start with the store of a peer that was in need no way in either.
  again.process.signal('SIGTERM')
  expect(await again.process.exit()).toBe(0)
  const ping = webmesh('ping', other.peer, '--store', store, '--count', '1')
  expect(await ping.exit()).toBe(0)
}, 60_000)

it('what is in the registry of a small mesh is there again after all of its peers were killed', async () => {
  const ports = [await freePort(), await freePort(), await freePort()]
  const stores = [await newFolder(), await newFolder(), await newFolder()]
  const start = async (join?: string): Promise<Running[]> => {
    const peers: Running[] = []
    for (const [i, port] of ports.entries()) {
      const way = join ?? peers[0]?.ref
      const argv = ['--listen', `127.0.0.1:${port}`, '--store', stores[i] ?? '']
      peers.push(await up(...argv, ...(way === undefined || peers.length === 0 ? [] : ['--join', way])))
    }
    return peers
  }
  const before = await start()
  const [first] = before
  // One that is no part of what is restarted publishes, and goes without a word.
  const member = await up('--listen', '127.0.0.1:0', '--join', first?.ref ?? '', '--service', 'lasting.example/1')
  const listed = async (ref: string): Promise<string> => {
    const list = webmesh('services', '--join', ref)
    await list.exit()
    return list.lines.join('\n')
  }
  await expect.poll(() => listed(first?.ref ?? ''), { timeout: 15_000 }).toContain('lasting.example/1')
  await member.process.kill()
  await pause(4_000)
  for (const { process } of before) await process.kill()
  const after = await start()
  expect(after.map(({ peer }) => peer)).toEqual(before.map(({ peer }) => peer))
  await expect.poll(() => listed(after[0]?.ref ?? ''), { timeout: 15_000 }).toContain('lasting.example/1')
}, 90_000)
