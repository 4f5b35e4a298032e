/**
 * Makes the package's door for browsers one script, as small as it can be: bundled by esbuild, our own property names
 * shortened, minified by terser. A name is shortened only where nothing but our own modules can ever see it (`keptNames`).
 */
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build, transform } from 'esbuild'
import { minify } from 'terser'
import { withoutUnusedMethods } from './unused-methods.js'

const SCRIPT = 'index.browser.js'

// What the licences of the packages in it ask for.
const NOTICE =
  '/*! webmesh, with noble-ed25519 (MIT, (c) 2019 Paul Miller), noble-curves, noble-ciphers, noble-hashes (MIT, (c) 2022 Paul Miller), idb-keyval (Apache-2.0, (c) 2016 Jake Archibald) */'

const OPTIONS = {
  entryPoints: ['src/index.browser.ts'],
  bundle: true,
  platform: 'browser',
  conditions: ['browser'],
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
  write: false,
  metafile: true,
  // Fields that the constructor sets are not declared before: a class costs less so.
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
}

/**
 * Writes the script into `folder`, where the compiler has written the rest of the package, and its source map beside it.
 * `libs` are TypeScript's declarations of the language and the DOM.
 */
export async function bundleForBrowsers(folder, libs) {
  const { code, map } = await bundle(folder, libs)
  const minified = await minify(code, {
    module: true,
    ecma: 2022,
    compress: { passes: 2, inline: 1, lhs_constants: false },
    format: { preamble: NOTICE },
    sourceMap: { content: map, filename: SCRIPT, url: `${SCRIPT}.map`, includeSources: true },
  })
  await writeFile(join(folder, SCRIPT), minified.code)
  await writeFile(join(folder, `${SCRIPT}.map`), minified.map)
  const gzipped = gzipSync(minified.code, { level: 9 }).length
  console.log(`${SCRIPT}: ${Buffer.byteLength(minified.code)} bytes minified, ${gzipped} gzipped`)
}

/** An esbuild plugin: whoever imports the browser's door from src gets the one that was built into `folder`. */
export function doorOf(folder) {
  return {
    name: 'built-door',
    setup({ onResolve }) {
      onResolve({ filter: /\/index\.browser\.ts$/ }, () => ({ path: join(folder, SCRIPT) }))
    },
  }
}

async function bundle(folder, libs) {
  const options = { ...OPTIONS, outfile: join(folder, SCRIPT), plugins: [provenBounds(folder), declaredFields()] }
  const kept = await keptNames(options, join(folder, 'index.browser.d.ts'), libs)
  const { outputFiles, mangleCache } = await build({
    ...options,
    minify: true,
    sourcemap: 'external',
    mangleProps: /./,
    mangleCache: Object.fromEntries(kept.map(name => [name, false])),
  })
  const [code, map] = ['.js', '.map'].map(ending => outputFiles.find(({ path }) => path.endsWith(ending)).text)
  return { code: withShortInfinity(withoutUnusedMethods(code, Object.values(mangleCache).filter(Boolean))), map }
}

/** Columns stay as they are. No minifier does this, as a program could give `Number` another meaning; ours does not. */
function withShortInfinity(code) {
  return code.replace(/\bNumber\.(POSITIVE|NEGATIVE)_INFINITY\b/g, (text, sign) =>
    (sign === 'POSITIVE' ? '(1/0)' : '(-1/0)').padEnd(text.length),
  )
}

/**
 * Property names that stay as they are: each that stands as a word, whatever it means there, in TypeScript's libraries for
 * the language and the DOM; in the declarations that the package's user sees; in the code of other packages; in a file that
 * touches the browser or writes or reads JSON or messages; or alone between quotes, since it may be used as a key.
 */
async function keptNames(options, declarations, libs) {
  const [names, plain, publicText, ...libTexts] = await Promise.all([
    build({ ...options, mangleProps: /./, mangleCache: {} }),
    build(options),
    publicDeclarations(declarations),
    ...libs.map(read),
  ])
  const sources = await Promise.all(
    Object.keys(plain.metafile.inputs).map(async path => ({ path, text: await read(path) })),
  )
  const outward = sources.filter(
    ({ path, text }) => /node_modules|\.browser\.ts$/.test(path) || /\bJSON\b|postMessage/.test(text),
  )
  const quoted = plain.outputFiles[0].text.match(/(?<=['"`])[\w$]+(?=['"`])/g) ?? []
  const words = [publicText, ...libTexts, ...outward.map(({ text }) => text)].flatMap(
    text => text.match(/[\w$]+/g) ?? [],
  )
  const outside = new Set([...quoted, ...words])
  return Object.keys(names.mangleCache).filter(name => outside.has(name))
}

/** What a user of the package can come to by types: the declarations of its door, those that they name, and so on. */
async function publicDeclarations(door) {
  const declared = new Map()
  const files = new Set([door])
  for (const file of files) {
    const text = (await read(file)).replace(/^ +private .*$/gm, '')
    for (const [, from] of text.matchAll(/from '(\.[^']+)\.ts'/g)) files.add(join(dirname(file), `${from}.d.ts`))
    for (const part of text.split(/^(?=export |declare |import )/m)) {
      const name = /^(?:export )?(?:declare )?(?:abstract )?(?:interface|type|class|const|function) ([\w$]+)/.exec(
        part,
      )?.[1]
      if (name !== undefined) declared.set(name, `${declared.get(name) ?? ''}${part}`)
    }
  }
  const seen = new Set([await read(door)])
  for (const text of seen)
    for (const name of text.match(/[\w$]+/g) ?? []) if (declared.has(name)) seen.add(declared.get(name))
  return [...seen].join('\n')
}

/**
 * Relations between bounds are relations between constants: the build that was just made has judged them, when what states
 * them was loaded here, so they need not be judged again in every page.
 */
function provenBounds(folder) {
  return {
    name: 'proven-bounds',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/](limits|run-loop)\.ts$/ }, async ({ path }) => {
        const built = resolve(folder, relative('src', path).replace(/ts$/, 'js'))
        await import(pathToFileURL(built))
        return { contents: (await read(path)).replace(/^invariant\([\s\S]*?\)$/gm, ''), loader: 'ts' }
      })
    },
  }
}

/**
 * Events declare their fields all the same: older browsers gave every event a `path` that cannot be set, only declared anew.
 */
function declaredFields() {
  return {
    name: 'declared-fields',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]mesh-events\.ts$/ }, async ({ path }) => {
        const { charset, target } = OPTIONS
        const { code } = await transform(await read(path), { charset, target, loader: 'ts' })
        return { contents: code, loader: 'js' }
      })
    },
  }
}

/** Without the comments that begin a line: those are prose, whose words would keep names for nothing. */
async function read(path) {
  return (await readFile(path, 'utf8')).replace(/^\s*(?:\/\*[\s\S]*?\*\/|\/\/.*$)/gm, '')
}
