/**
 * Compiles src into dist, and the page that ports serve into one script: aside first, then in its place at once. So nothing of removed files stays, programs that start
 * meanwhile see the old build or the new one whole, and a build that fails changes nothing.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const made = `dist.new.${process.pid}`
const old = `dist.old.${process.pid}`

const steps = [
  `tsc -p tsconfig.build.json --outDir ${made}`,
  `esbuild src/page/peer-app.ts --bundle --minify --platform=browser --conditions=browser --format=esm --target=es2022 --outfile=${made}/page/peer.js --log-level=warning`,
]
const status = steps.reduce(
  (before, step) => before || (spawnSync(step, { stdio: 'inherit', shell: true }).status ?? 1),
  0,
)
if (status === 0) {
  if (existsSync('dist')) renameSync('dist', old)
  renameSync(made, 'dist')
}
for (const folder of [made, old]) rmSync(folder, { recursive: true, force: true })
process.exitCode = status
