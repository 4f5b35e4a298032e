/**
 * Compiles src into dist: aside first, then in its place at once. So nothing of removed files stays, programs that start
 * meanwhile see the old build or the new one whole, and a build that fails changes nothing.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const made = `dist.new.${process.pid}`
const old = `dist.old.${process.pid}`

const tsc = spawnSync(`tsc -p tsconfig.build.json --outDir ${made}`, { stdio: 'inherit', shell: true })
if (tsc.status === 0) {
  if (existsSync('dist')) renameSync('dist', old)
  renameSync(made, 'dist')
}
for (const folder of [made, old]) rmSync(folder, { recursive: true, force: true })
process.exitCode = tsc.status ?? 1
