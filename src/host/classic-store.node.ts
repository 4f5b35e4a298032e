/**
 * The store in Node: a folder, by LevelDB. A process may be killed at any moment: what was saved before is there again.
 * A damaged folder is repaired; what cannot be read is lost, the rest is kept. LevelDB's own check sums are not verified
 * by its binding, so each value carries one:
 *
 *   CRC-32 of key and value u32 | value
 *
 * LevelDB takes a log that it cannot read for an empty one. So a file beside it says that something was saved here once.
 */
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { ClassicLevel } from 'classic-level'
import { readU32, writeU32 } from '../core/base/bytes.ts'
import { type Fault, fail, messageOf, ok, type Result } from '../core/base/fault.ts'
import type { StoreEntry } from '../core/input.ts'
import type { OpenedStore, Store, StoreChange } from './store.ts'

const CHECK_SUM_BYTES = 4
const SAVED_FILE = 'saved'

type Level = ClassicLevel<string, Uint8Array>

/** Faults: 'store-locked', 'store-damaged' (beyond repair), 'store-failed'. */
export async function openClassicStore(folder: string): Promise<Result<OpenedStore>> {
  const made = await makeFolder(folder)
  if (made !== null) return fail(made)
  const first = (await lacksItsRoot(folder))
    ? fail({ code: 'store-damaged', detail: `${folder}: CURRENT is missing` })
    : await openLevel(folder)
  if (first.ok || first.fault.code !== 'store-damaged') return first
  try {
    await ClassicLevel.repair(folder)
  } catch (error) {
    return fail(faultOf(error, folder))
  }
  const second = await openLevel(folder)
  return second.ok ? ok({ store: second.value.store, fault: first.fault }) : second
}

/** One folder at a time: Node's recursive way never ends where the system denies that a folder it has is there (/proc). */
async function makeFolder(folder: string): Promise<Fault | null> {
  const fault = await makeOne(folder)
  if (fault === null) return null
  const parent = dirname(folder)
  if (fault.detail?.includes('ENOENT') !== true || parent === folder) return fault
  return (await makeFolder(parent)) ?? (await makeOne(folder))
}

async function makeOne(folder: string): Promise<Fault | null> {
  try {
    await mkdir(folder)
    return null
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST' && (await isFolder(folder))) return null
    return faultOf(error, folder)
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}

/** LevelDB takes a folder without CURRENT for a new store and deletes what is in it. */
async function lacksItsRoot(folder: string): Promise<boolean> {
  try {
    const files = await readdir(folder)
    return !files.includes('CURRENT') && files.some(file => /\.(ldb|sst|log)$/.test(file))
  } catch {
    return false
  }
}

/** Opens and reads all once: later no damage shows, and an entry that is damaged is deleted now. */
async function openLevel(folder: string): Promise<Result<OpenedStore>> {
  const level: Level = new ClassicLevel(folder, { keyEncoding: 'utf8', valueEncoding: 'view' })
  try {
    await level.open()
    const damaged: string[] = []
    let entries = 0
    for await (const [key, sealed] of level.iterator()) {
      entries += 1
      if (checkedValue(key, sealed) === null) damaged.push(key)
    }
    const savedBefore = await exists(join(folder, SAVED_FILE))
    const store = new ClassicStore(level, savedBefore)
    if (entries === 0 && savedBefore)
      return ok({ store, fault: { code: 'store-damaged', detail: `${folder}: what it held is lost` } })
    if (damaged.length === 0) return ok({ store, fault: null })
    await level.batch(damaged.map(key => ({ type: 'del', key })))
    const fault: Fault = { code: 'store-damaged', detail: `${folder}: ${damaged.length} entries are lost` }
    return ok({ store, fault })
  } catch (error) {
    await level.close().catch(() => {})
    return fail(faultOf(error, folder))
  }
}

class ClassicStore implements Store {
  private readonly level: Level

  private marked: boolean

  constructor(level: Level, marked: boolean) {
    this.level = level
    this.marked = marked
  }

  async load(prefix: string): Promise<Result<StoreEntry[]>> {
    try {
      const entries: StoreEntry[] = []
      // U+10FFFF is above all text in UTF-8, whose order LevelDB keeps.
      for await (const [key, sealed] of this.level.iterator({ gte: prefix, lt: `${prefix}\u{10ffff}` })) {
        const value = checkedValue(key, sealed)
        if (value !== null) entries.push({ key, value })
      }
      return ok(entries)
    } catch (error) {
      return fail(faultOf(error, this.level.location))
    }
  }

  async save(changes: readonly StoreChange[]): Promise<Fault | null> {
    try {
      await this.level.batch(
        changes.map(({ key, value }) =>
          value === null
            ? { type: 'del' as const, key }
            : { type: 'put' as const, key, value: withCheckSum(key, value) },
        ),
      )
      if (!this.marked) await writeFile(join(this.level.location, SAVED_FILE), '')
      this.marked = true
      return null
    } catch (error) {
      return faultOf(error, this.level.location)
    }
  }

  async close(): Promise<void> {
    await this.level.close()
  }
}

function withCheckSum(key: string, value: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(CHECK_SUM_BYTES + value.length)
  writeU32(sealed, 0, crc32(value, crc32(key)))
  sealed.set(value, CHECK_SUM_BYTES)
  return sealed
}

/** The value in memory of its own, or null where it is not what was saved. */
function checkedValue(key: string, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length < CHECK_SUM_BYTES) return null
  const value = new Uint8Array(sealed).subarray(CHECK_SUM_BYTES)
  return readU32(sealed, 0) === crc32(value, crc32(key)) ? value : null
}

/** What LevelDB says is in the innermost cause: its code, or only its message. */
function faultOf(error: unknown, folder: string): Fault {
  let cause = error
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const message = messageOf(cause)
  const detail = `${folder}: ${message}`
  if (code === 'LEVEL_LOCKED' || /lock .*(already held|temporarily unavailable)/i.test(message)) {
    return { code: 'store-locked', detail }
  }
  if (
    code === 'LEVEL_CORRUPTION' ||
    /corrupt|missing files|\.(ldb|sst): (invalid argument|no such file)/i.test(message)
  ) {
    return { code: 'store-damaged', detail }
  }
  return { code: 'store-failed', detail }
}
