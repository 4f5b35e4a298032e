import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openClassicStore } from './classic-store.node.ts'
import type { Store } from './store.ts'
import { storeContract } from './store-contract.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
/** Among the installed packages, so that the process finds classic-level. */
const WRITER = join(HERE, '../../node_modules/.cache', `webmesh-store-writer-${process.pid}.mjs`)

let root = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'webmesh-store-'))
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
  await rm(WRITER, { force: true })
})

async function open(folder: string): Promise<Store> {
  const opened = await openClassicStore(folder)
  if (!opened.ok) throw new Error(JSON.stringify(opened.fault))
  return opened.value.store
}

storeContract('the store in a folder', { lasting: true, open: place => open(join(root, place)) })

/** A process that opens the store and writes batches of two equal entries, printing each number once it is saved. */
async function startWriter(folder: string): Promise<ChildProcess> {
  const source = `
    import { openClassicStore } from ${JSON.stringify(fileURLToPath(new URL('./classic-store.node.ts', import.meta.url)))}
    const opened = await openClassicStore(process.argv[2])
    if (!opened.ok) throw new Error(JSON.stringify(opened.fault))
    if (opened.value.fault !== null) throw new Error(JSON.stringify(opened.value.fault))
    for (let n = 1; ; n += 1) {
      const value = new Uint8Array(3000).fill(n)
      const fault = await opened.value.store.save([{ key: 'a', value }, { key: 'b', value }, { key: 'n/' + n, value }])
      if (fault !== null) throw new Error(JSON.stringify(fault))
      console.log(n)
    }`
  const built = await build({
    stdin: { contents: source, resolveDir: HERE, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
    external: ['classic-level'],
  })
  await mkdir(dirname(WRITER), { recursive: true })
  await writeFile(WRITER, built.outputFiles[0]!.contents)
  return spawn(process.execPath, [WRITER, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
}

it('has all that was saved after its process was killed at any moment', async () => {
  const folder = join(root, 'killed')
  for (let round = 0; round < 6; round += 1) {
    const writer = await startWriter(folder)
    let saved = 0
    writer.stdout?.on('data', data => {
      const lines = String(data).trim().split('\n')
      saved = Number(lines[lines.length - 1])
      // Killed soon after another number of writes each round, wherever the process stands then.
      if (saved > 20 + 37 * round) writer.kill('SIGKILL')
    })
    await once(writer, 'exit')
    const opened = await openClassicStore(folder)
    if (!opened.ok) throw new Error(JSON.stringify(opened.fault))
    expect(opened.value.fault).toBeNull()
    const loaded = await opened.value.store.load('')
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.fault))
    const values = new Map(loaded.value.map(entry => [entry.key, entry.value]))
    expect(values.get('a')).toEqual(values.get('b'))
    for (let n = 1; n <= saved; n += 1) expect(values.get(`n/${n}`)?.[0]).toBe(n % 256)
    await opened.value.store.close()
  }
}, 60_000)

it('is locked while another process has it, and says so', async () => {
  const folder = join(root, 'locked')
  const writer = await startWriter(folder)
  // reason: standard output is piped.
  await once(writer.stdout!, 'data')
  const opened = await openClassicStore(folder)
  expect(opened).toMatchObject({ ok: false, fault: { code: 'store-locked' } })
  writer.kill('SIGKILL')
  await once(writer, 'exit')
  await (await open(folder)).close()
})

it('is locked while this process has it open', async () => {
  const folder = join(root, 'locked-here')
  const store = await open(folder)
  expect(await openClassicStore(folder)).toMatchObject({ ok: false, fault: { code: 'store-locked' } })
  await store.close()
})

/** A store of many tables, closed, to be damaged. */
async function filled(name: string): Promise<string> {
  const folder = join(root, name)
  const store = await open(folder)
  for (let i = 0; i < 40; i += 1) {
    const changes = Array.from({ length: 50 }, (_, k) => ({
      key: `k/${String(50 * i + k).padStart(5, '0')}`,
      value: Uint8Array.from({ length: 4096 }, (_, j) => (i * 7919 + k * 104729 + j * j * 31) >>> 3),
    }))
    await store.save(changes)
  }
  await store.close()
  // Opening again writes the log into tables.
  await (await open(folder)).close()
  return folder
}

async function filesOf(folder: string, pattern: RegExp): Promise<string[]> {
  return (await readdir(folder)).filter(file => pattern.test(file)).map(file => join(folder, file))
}

const DAMAGES: [string, (folder: string) => Promise<void>][] = [
  [
    'its manifest is lost',
    async folder => {
      for (const file of await filesOf(folder, /^(MANIFEST|CURRENT)/)) await rm(file)
    },
  ],
  [
    'its manifest is overwritten',
    async folder => {
      for (const file of await filesOf(folder, /^MANIFEST/)) await writeFile(file, new Uint8Array(300).fill(0xa5))
    },
  ],
  [
    'a table is cut',
    async folder => {
      const [table] = await filesOf(folder, /\.ldb$/)
      // reason: `filled` writes several tables.
      await truncate(table!, 1000)
    },
  ],
  [
    'a table is missing',
    async folder => {
      const [table] = await filesOf(folder, /\.ldb$/)
      await rm(table!)
    },
  ],
  [
    'bytes in a table are changed',
    async folder => {
      const [table] = await filesOf(folder, /\.ldb$/)
      const bytes = await readFile(table!)
      bytes.fill(0x5a, 20_000, 20_100)
      await writeFile(table!, bytes)
    },
  ],
]

it.each(DAMAGES)('is repaired when %s, with what is readable kept', async (what, damage) => {
  const folder = await filled(what)
  await damage(folder)
  const opened = await openClassicStore(folder)
  if (!opened.ok) throw new Error(JSON.stringify(opened.fault))
  expect(opened.value.fault?.code).toBe('store-damaged')
  const { store } = opened.value
  const loaded = await store.load('')
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.fault))
  expect(loaded.value.length).toBeGreaterThan(500)
  expect(await store.save([{ key: 'new', value: Uint8Array.of(1) }])).toBeNull()
  await store.close()
  const again = await openClassicStore(folder)
  expect(again).toMatchObject({ ok: true, value: { fault: null } })
  if (again.ok) await again.value.store.close()
})

it('fails, and says where, when the place is a file', async () => {
  const file = join(root, 'file')
  await writeFile(file, 'x')
  const opened = await openClassicStore(file)
  expect(opened).toMatchObject({ ok: false, fault: { code: 'store-failed' } })
  expect(opened.ok ? '' : opened.fault.detail).toContain(file)
})
