/**
 * Broadcasts to a service of many members, over the production code of views and trees (src/sim/member-world.ts). Ends
 * with 1 where a figure is missed.
 *
 *   npm run broadcast -- [MEMBERS] [FIRST SEED] [SEEDS] [MINUTES OF CHURN]
 */
import { measureMemberBroadcast } from '../../src/sim/member-broadcast.ts'

const [members = 10_000, firstSeed = 1, seeds = 1, churnMinutes = 2] = process.argv.slice(2).map(Number)
const HOPS_MAX = 8
let missed = 0

for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
  const figures = measureMemberBroadcast({ members, seed, broadcasts: 20, churnMinutes, churnShare: 0.1 }, phase =>
    process.stderr.write(`seed ${seed}: ${phase}, ${Math.round(process.uptime())} s\n`),
  )
  const within = figures.hops.slice(0, HOPS_MAX + 1).reduce((sum, count) => sum + count, 0) / figures.owed
  const churned = figures.owedUnderChurn === 0 ? 1 : figures.reachedUnderChurn / figures.owedUnderChurn
  const held = figures.reached === figures.owed && figures.copies <= 1.1 && within >= 0.99 && churned >= 0.9999
  if (!held) missed += 1
  const sessions = Object.entries(figures.sessions).map(
    ([name, { mean, most }]) => `${name} ${mean.toFixed(1)}/${most}`,
  )
  process.stdout.write(
    [
      `${members} members, seed ${seed}: ${held ? 'held' : 'MISSED'}`,
      `  reached ${figures.reached} of ${figures.owed}, copies ${figures.copies.toFixed(4)}, within ${HOPS_MAX} hops ${(100 * within).toFixed(2)} %`,
      `  hops ${figures.hops
        .map((count, hops) => `${hops}:${((100 * count) / figures.owed).toFixed(1)}`)
        .slice(1)
        .join(' ')}`,
      `  half within ${Math.round(figures.withinMs[0]!)} ms, 99 % within ${Math.round(figures.withinMs[1]!)}, all within ${Math.round(figures.withinMs[2]!)}`,
      `  under churn ${figures.reachedUnderChurn} of ${figures.owedUnderChurn}, copies ${figures.copiesUnderChurn.toFixed(3)}`,
      `  neighbours (mean/most) ${sessions.join(', ')}; ${figures.bytesPerMemberAndSecond.toFixed(0)} bytes/s sent`,
      `  messages ${[...figures.arrived]
        .sort(([a], [b]) => a - b)
        .map(([kind, count]) => `${kind}:${count}`)
        .join(' ')}`,
      '',
    ].join('\n'),
  )
}
process.exitCode = missed === 0 ? 0 : 1
