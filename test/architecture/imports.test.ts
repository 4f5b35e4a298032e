/** What the compiler cannot check: imports point down, the core and the simulator are pure, a file name occurs once. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const SRC = fileURLToPath(new URL('../../src', import.meta.url))

/** Bottom to top. Folders on one level: those listed together may use each other, `sim` stands alone. */
const LEVELS: readonly (readonly string[])[] = [
  ['core/base'],
  ['core/crypto'],
  ['core/session'],
  ['core/overlay'],
  ['core/registry'],
  ['core/service'],
  ['core'],
  ['host', 'paths', 'waysin', 'sim'],
  ['mesh'],
  ['', 'cli'],
  ['page'],
]

/** The terms in which the layers of the core speak of the whole: any of them may name their types. */
const SHARED_TYPES = new Set(['core/input.ts', 'core/effect.ts', 'core/turn.ts', 'core/peer-options.ts'])
/** Bounds are values: any layer may use them. */
const LIMITS = 'core/limits.ts'

const IMPURE = [
  /\bDate\b/,
  /\bMath\s*\.\s*(random|log\w*|exp\w*|pow|sinh?|cosh?|tanh?)\b/,
  /\bIntl\b/,
  /\b(await|async)\b/,
  /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/,
  /(?<![.\w])(performance|process)\s*\./,
]

interface Source {
  /** From `src`, with forward slashes. */
  readonly path: string
  readonly text: string
}

interface Import {
  readonly specifier: string
  readonly typeOnly: boolean
}

const sources: readonly Source[] = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile() && /\.tsx?$/.test(entry.name))
  .map(entry => join(entry.parentPath, entry.name))
  .map(file => ({ path: relative(SRC, file).split(sep).join('/'), text: readFileSync(file, 'utf8') }))

const product = sources.filter(({ path }) => !/(\.test|\.fixtures|-contract)\.tsx?$/.test(path))

function importsOf(text: string): Import[] {
  const found: Import[] = []
  const pattern = /^(?:import|export)\s+(type\s)?([^'";]*?)\s*from\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]/gm
  for (const [, type, names = '', from, bare] of text.matchAll(pattern)) {
    const listed = /\{([^}]*)\}/.exec(names)?.[1]?.split(',') ?? []
    const named = listed.map(name => name.trim()).filter(name => name !== '')
    const allTypes = /^\{/.test(names) && named.length > 0 && named.every(name => name.startsWith('type '))
    found.push({ specifier: from ?? bare ?? '', typeOnly: type !== undefined || allTypes })
  }
  for (const [, specifier = ''] of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)) {
    found.push({ specifier, typeOnly: false })
  }
  return found
}

function levelOf(path: string): number {
  const parts = dirname(path) === '.' ? [] : dirname(path).split('/')
  const folder = parts[0] === 'core' ? parts.slice(0, 2).join('/') : (parts[0] ?? '')
  return LEVELS.findIndex(level => level.includes(folder))
}

function complaintAbout(from: string, target: string, typeOnly: boolean): string | null {
  if (target === LIMITS || (from.startsWith('core/') && typeOnly && SHARED_TYPES.has(target))) return null
  if (levelOf(target) > levelOf(from)) return `${from} imports ${target}, which is above it`
  const sim = [from, target].filter(path => path.startsWith('sim/')).length
  if (sim === 1 && levelOf(from) === levelOf(target)) return `${from} imports ${target}: sim stands beside it`
  return null
}

function withoutCommentsAndStrings(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g,
    match => (match.startsWith('`') ? (match.match(/\$\{[^}]*\}/g)?.join(' ') ?? '') : ''),
  )
}

describe('the layers', () => {
  it('each have their place', () => {
    expect(product.filter(({ path }) => levelOf(path) < 0).map(({ path }) => path)).toEqual([])
  })

  it('import downwards only', () => {
    const complaints = product.flatMap(({ path, text }) =>
      importsOf(text)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier, typeOnly }) =>
          complaintAbout(path, posix.normalize(posix.join(dirname(path), specifier)), typeOnly),
        )
        .filter(complaint => complaint !== null),
    )
    expect(complaints).toEqual([])
  })

  it('are seen through by this test', () => {
    expect(complaintAbout('core/session/session.ts', 'core/overlay/overlay.ts', true)).toMatch(/above/)
    expect(complaintAbout('core/session/session.ts', 'core/turn.ts', false)).toMatch(/above/)
    expect(complaintAbout('core/session/session.ts', 'core/turn.ts', true)).toBeNull()
    expect(complaintAbout('sim/world.ts', 'host/run-loop.ts', false)).toMatch(/beside/)
    expect(complaintAbout('host/run-loop.ts', 'paths/wire-driver.ts', true)).toBeNull()
    expect(importsOf("import { type A, type B } from './a.ts'\nimport { type C, d } from './b.ts'")).toEqual([
      { specifier: './a.ts', typeOnly: true },
      { specifier: './b.ts', typeOnly: false },
    ])
    expect(importsOf("import {\n  a,\n} from './a.ts'\nexport * from './b.ts'\nimport './c.ts'")).toHaveLength(3)
  })
})

describe('core and sim', () => {
  const pure = product.filter(({ path }) => /^(core|sim)\//.test(path))

  it('have no clock, timer, randomness or async of their own, and no function whose last bits differ', () => {
    const complaints = pure.flatMap(({ path, text }) => {
      const code = withoutCommentsAndStrings(text)
      return IMPURE.flatMap(pattern => {
        const match = pattern.exec(code)
        return match === null ? [] : [`${path}: ${match[0]}`]
      })
    })
    expect(complaints).toEqual([])
  })

  it('import nothing of Node', () => {
    const complaints = pure.flatMap(({ path, text }) =>
      importsOf(text)
        .filter(({ specifier }) => specifier.startsWith('node:'))
        .map(({ specifier }) => `${path}: ${specifier}`),
    )
    expect(complaints).toEqual([])
  })

  it('are seen through by this test', () => {
    const impure = (code: string): boolean => IMPURE.some(pattern => pattern.test(withoutCommentsAndStrings(code)))
    expect(impure('const t = Date.now()')).toBe(true)
    expect(impure(['const t = `$', '{process.pid}`'].join(''))).toBe(true)
    expect(impure('// Date\nconst t = \'await\' /* async */ + "Math.random()"')).toBe(false)
    expect(impure('this.process.next(); expDate; Math.floor(1)')).toBe(false)
  })
})

describe('file names', () => {
  it('occur once: what belongs together stands in one folder', () => {
    const folders = new Map<string, Set<string>>()
    for (const { path } of product) {
      const stem = basename(path).split('.', 1)[0]!
      folders.set(stem, (folders.get(stem) ?? new Set()).add(dirname(path)))
    }
    const twice = [...folders].filter(([, where]) => where.size > 1).map(([stem, where]) => `${stem}: ${[...where]}`)
    expect(twice).toEqual([])
  })

  it('say what is inside', () => {
    const vague = sources.filter(({ path }) => /(^|\/)(utils?|helpers?|types|common|misc)(\.|\/)/.test(path))
    expect(vague.map(({ path }) => path)).toEqual([])
  })
})
