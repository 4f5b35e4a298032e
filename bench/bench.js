/**
 * `npm run bench`: the figures of Webmesh beside those of plain TCP in the same run, on loopback, as a table. It tests
 * nothing: it exits 0 also where a target is missed, and 1 only where something could not be measured.
 */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { table } from './figures.js'
import { MEASUREMENTS } from './measurements.js'
import { Processes } from './processes.js'
import { quietShare } from './quiet.js'

const TIME_LIMIT_MS = 360_000
const HELP = `npm run bench -- [--json] [--only NAME]... [--rounds N] [--profile DIR]

  --json          one JSON object
  --only NAME     ${Object.keys(MEASUREMENTS).join(', ')}; all unless given
  --rounds N      how often each is repeated; 5 unless given
  --profile DIR   each process writes a CPU and an allocation profile there;
                  read them with: node bench/profile-top.js DIR`

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: Object.keys(MEASUREMENTS) },
    rounds: { type: 'string', default: '5' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(HELP)
else await run()

async function run() {
  const processes = new Processes(values.profile ?? null)
  const limit = setTimeout(() => {
    console.error(`the bench took more than ${TIME_LIMIT_MS / 1000} s and was given up`)
    process.exit(1)
  }, TIME_LIMIT_MS)
  const rows = []
  try {
    for (const name of values.only) {
      const measure = MEASUREMENTS[name]
      if (measure === undefined) throw new Error(`there is no measurement "${name}"\n\n${HELP}`)
      if (!values.json && process.stderr.isTTY) console.error(`measuring ${name} …`)
      const node24 = Number(process.versions.node.split('.')[0]) >= 24
      rows.push(...(await measure({ processes, rounds: Number(values.rounds), node24 })))
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  } finally {
    clearTimeout(limit)
    await processes.endAll()
  }
  const machine = {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.version,
    runtimePackages: runtimePackages(),
    quiet: quietShare(),
  }
  if (values.json) console.log(JSON.stringify({ machine, rows }))
  else {
    const { cpu, cores, node, runtimePackages: packages } = machine
    console.log(`${cpu}, ${cores} cores, Node ${node}; ${packages} runtime packages (npm ls --omit=dev)\n`)
    console.log(table(rows))
    console.log(
      `- medians of ${values.rounds} rounds in which plain TCP and Webmesh take turns, a ratio is that of neighbours;`,
    )
    console.log(`  ${machine.quiet}`)
  }
}

/** All that an install for running brings, whole tree. */
function runtimePackages() {
  const listed = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: new URL('..', import.meta.url),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return listed.trim().split('\n').length - 1
}
