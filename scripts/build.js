/**
 * Compiles src into dist, and the browser's door and the page that ports serve into one script each: aside first, then in
 * its place at once. So nothing of removed files stays, programs that start meanwhile see the old build or the new one whole,
 * and a build that fails changes nothing.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { bundleForBrowsers, doorOf } from './browser-bundle.js'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const made = `dist.new.${process.pid}`
const old = `dist.old.${process.pid}`

try {
  const libs = compile()
  await bundleForBrowsers(made, libs)
  await bundlePage()
  if (existsSync('dist')) renameSync('dist', old)
  renameSync(made, 'dist')
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  for (const folder of [made, old]) rmSync(folder, { recursive: true, force: true })
}

/** The page's script, with the browser's door as any page gets it. */
function bundlePage() {
  return build({
    entryPoints: ['src/page/peer-app.ts'],
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    outfile: `${made}/page/peer.js`,
    logLevel: 'warning',
    plugins: [doorOf(join(root, made))],
  })
}

/** Runs the compiler; its own declarations of the language and the DOM that src is compiled with. */
function compile() {
  const command = `tsc -p tsconfig.build.json --outDir ${made} --listFiles`
  const { status, stdout } = spawnSync(command, { stdio: ['ignore', 'pipe', 'inherit'], shell: true, encoding: 'utf8' })
  const lines = stdout.split('\n')
  if (status !== 0) throw new Error(lines.filter(line => !/\.[jt]s$/.test(line)).join('\n'))
  const libs = lines.filter(line => /[\\/]lib\.[\w.]+\.d\.ts$/.test(line))
  if (libs.length === 0)
    throw new Error('the compiler lists no declarations of its own: no name could be told from theirs')
  return libs
}
