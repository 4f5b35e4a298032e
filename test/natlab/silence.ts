/**
 * NATs forget mappings over which nothing goes. Each peer holds a stream to each of the others, all are silent for longer than
 * that, and then each speaks again: the answer has to come at once, over the same stream.
 */
import type { Held, Spoken } from './lab-calls.ts'
import { everyPair, printTable, quantile, type Sides } from './lab-run.ts'

/** Guessed ports take up to 7 s. */
const PATIENCE_MS = 10_000
/** What a lost mapping costs that is noticed only now: a ping without an answer, 3 s. What was lost on the way is sent again sooner. */
const AT_ONCE_MS = 1_000

/** How many pairs are not as they should be. */
export async function speakAfterSilence({ kinds, from, to }: Sides, silentS: number): Promise<number> {
  const held = await everyPair(kinds.length, true, (i, j) =>
    from[i]!.ask<Held>({ kind: 'hold', peer: to[j]!.id, patienceMs: PATIENCE_MS }),
  )
  await new Promise(resolve => setTimeout(resolve, silentS * 1_000))
  const spoken = await everyPair(kinds.length, true, (i, j) => from[i]!.ask<Spoken>({ kind: 'speak', peer: to[j]!.id }))
  const isWrong = ({ error, ms }: Spoken & { readonly error?: string }): boolean =>
    error !== undefined || ms > AT_ONCE_MS
  printTable(
    kinds,
    spoken.map((row, i) =>
      row.map((cell, j) => {
        const { error, ms, moves } = cell
        if (error !== undefined) return `!${error}`
        const path = [held[i]![j]!.path, ...moves].join('>')
        return `${isWrong(cell) ? '!' : ''}${ms} ${path}`
      }),
    ),
  )
  const all = spoken.flat()
  const times = all.filter(({ error }) => error === undefined).map(({ ms }) => ms)
  console.log(
    `after ${silentS} s of silence ${times.length} of ${all.length} streams carried on; answers: median ${quantile(times, 0.5)} ms, ` +
      `slowest ${Math.max(...times)} ms; ${all.filter(({ moves }) => (moves?.length ?? 0) > 0).length} had changed their path`,
  )
  return all.filter(isWrong).length
}
