/**
 * What happens to homes: the provider gives another address, the cable is out for a while, the machine stands still. Each peer
 * holds a stream to each of the others. One after another those that are asked suffer each of these; when it is over all speak
 * again, over the same streams, and the bytes have to flow as soon as there is a way.
 */
import type { Held, Spoken } from './lab-calls.ts'
import { type Asked, everyPair, printTable, quantile } from './lab-run.ts'
import type { NatLab } from './nat-lab.ts'

const PATIENCE_MS = 10_000
const AWAY_MS = 8_000
const STILL_MS = 20_000
/** Between two upheavals: what one of them did to the paths is over. */
const REST_MS = 10_000
/** A path that died without a word is found out by a ping without an answer, 3 s; then another is looked for. */
const FLOWS_WITHIN_MS = 5_000

/** One that is asked, and the machine that it is on. */
export interface Housed extends Asked {
  readonly namespace: string
}

export interface Suffering {
  readonly lab: NatLab
  readonly kinds: readonly string[]
  readonly from: readonly Asked[]
  readonly to: readonly Housed[]
}

interface Upheaval {
  readonly name: string
  befall(lab: NatLab, host: string): Promise<void>
}

const UPHEAVALS: readonly Upheaval[] = [
  {
    name: 'another address',
    befall: async (lab, host) => lab.renumber(host),
  },
  {
    name: `cable out for ${AWAY_MS / 1_000} s`,
    befall: async (lab, host) => {
      lab.cable(host, false)
      await passing(AWAY_MS)
      lab.cable(host, true)
    },
  },
  {
    name: `still for ${STILL_MS / 1_000} s`,
    befall: async (lab, host) => {
      lab.signal(host, 'SIGSTOP')
      await passing(STILL_MS)
      lab.signal(host, 'SIGCONT')
    },
  },
]

/** How many streams did not go on in time. */
export async function surviveUpheavals({ lab, kinds, from, to }: Suffering): Promise<number> {
  const hold = (i: number, j: number): Promise<Held & { readonly error?: string }> =>
    from[i]!.ask<Held>({ kind: 'hold', peer: to[j]!.id, patienceMs: PATIENCE_MS })
  await everyPair(kinds.length, true, hold)
  const cells: string[][] = kinds.map(() => [])
  const times: number[] = []
  let [asked, wrong] = [0, 0]
  for (const { name, befall } of UPHEAVALS) {
    for (const [j, victim] of to.entries()) {
      await passing(REST_MS)
      await befall(lab, victim.namespace)
      const spoken = await Promise.all(from.map(peer => peer.ask<Spoken>({ kind: 'speak', peer: victim.id })))
      const late = spoken.filter(({ error, ms }) => error !== undefined || ms > FLOWS_WITHIN_MS)
      const inTime = spoken.filter(({ error }) => error === undefined).map(({ ms }) => ms)
      asked += spoken.length
      wrong += late.length
      times.push(...inTime)
      const faults = [...new Set(late.map(({ error, ms }) => error ?? `${ms} ms`))].join(', ')
      cells[j]!.push(
        `${quantile(inTime, 0.5)}, ${Math.max(...inTime)}${late.length > 0 ? ` !${late.length}: ${faults}` : ''}`,
      )
      process.stderr.write(`${name}, ${kinds[j]}: ${cells[j]!.at(-1)}\n`)
      // What is lost is lost once.
      for (const [i, { error }] of spoken.entries()) if (error !== undefined) await hold(i, j)
    }
  }
  printTable(
    kinds,
    cells,
    UPHEAVALS.map(({ name }) => name),
  )
  console.log(
    `${asked - wrong} of ${asked} streams went on within ${FLOWS_WITHIN_MS / 1_000} s; answers: median ${quantile(times, 0.5)} ms, ` +
      `nine of ten ${quantile(times, 0.9)}, slowest ${Math.max(...times)}`,
  )
  return wrong
}

function passing(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
