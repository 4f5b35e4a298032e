/**
 * What happens to homes: the provider gives another address, the cable is out for a while, the machine stands still. Each peer
 * holds a stream to each of the others. One after another those that are asked suffer each of these; when it is over all speak
 * again, over the same streams, and the bytes have to flow as soon as there is a way. A while later those that were direct before are
 * to be direct again.
 */
import type { Held, Spoken } from './lab-calls.ts'
import { type Asked, everyPair, printTable, quantile } from './lab-run.ts'
import type { NatLab } from './nat-lab.ts'

const PATIENCE_MS = 10_000
const AWAY_MS = 8_000
/** After each: what it did to the paths is over. */
const REST_MS = 10_000
/** As after a long sleep; what flows later is shown. */
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
  /** How long a machine stands still. */
  readonly stillS: number
}

interface Upheaval {
  readonly name: string
  befall(lab: NatLab, host: string): Promise<void>
}

function upheavals(stillS: number): readonly Upheaval[] {
  return [
    {
      name: 'another address',
      befall: async (lab, host) => void lab.renumber(host),
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
      name: `still for ${stillS} s`,
      befall: async (lab, host) => {
        lab.signal(host, 'SIGSTOP')
        await passing(stillS * 1_000)
        lab.signal(host, 'SIGCONT')
      },
    },
  ]
}

/** How many streams did not go on in time. */
export async function surviveUpheavals({ lab, kinds, from, to, stillS }: Suffering): Promise<number> {
  const hold = (i: number, j: number): Promise<Answer<Held>> =>
    from[i]!.ask<Held>({ kind: 'hold', peer: to[j]!.id, patienceMs: PATIENCE_MS })
  const speakTo = (victim: Asked): Promise<Answer<Spoken>[]> =>
    Promise.all(from.map(peer => peer.ask<Spoken>({ kind: 'speak', peer: victim.id })))
  const held = await everyPair(kinds.length, true, hold)
  const columns = upheavals(stillS)
  const cells: string[][] = kinds.map(() => [])
  const times: number[] = []
  let [asked, wrong, direct, directAgain] = [0, 0, 0, 0]
  for (const { name, befall } of columns) {
    for (const [j, victim] of to.entries()) {
      await befall(lab, victim.namespace)
      const spoken = await speakTo(victim)
      const answered = spoken.flatMap(({ error, ms }) => (error === undefined ? ms : []))
      const late = spoken.filter(({ error, ms }) => error !== undefined || ms > FLOWS_WITHIN_MS)
      // What is lost is lost once.
      for (const [i, { error }] of spoken.entries()) if (error !== undefined) held[i]![j] = await hold(i, j)
      await passing(REST_MS)
      const after = await speakTo(victim)
      const wereDirect = after.filter((_, i) => isDirect(held[i]![j]!))
      const areDirect = wereDirect.filter(isDirect)
      asked += spoken.length
      wrong += late.length
      direct += wereDirect.length
      directAgain += areDirect.length
      times.push(...answered)
      const faults = late.map(({ error, ms }) => error ?? `${ms} ms`).join(', ')
      const answers = answered.length === 0 ? 'none' : `${quantile(answered, 0.5)}, ${Math.max(...answered)}`
      const cell = `${answers}; ${areDirect.length} of ${wereDirect.length} direct${faults === '' ? '' : ` !${faults}`}`
      cells[j]!.push(cell)
      process.stderr.write(`${name}, ${kinds[j]}: ${cell}\n`)
    }
  }
  const names = columns.map(({ name }) => name)
  printTable(kinds, cells, names)
  console.log(
    `${asked - wrong} of ${asked} streams went on within ${FLOWS_WITHIN_MS / 1_000} s; answers: median ${quantile(times, 0.5)} ms, ` +
      `nine of ten ${quantile(times, 0.9)}, slowest ${Math.max(...times)}; ${directAgain} of ${direct} were direct again ${REST_MS / 1_000} s later`,
  )
  return wrong
}

type Answer<T> = T & { readonly error?: string }

function isDirect({ path }: { readonly path: string }): boolean {
  return path !== 'circuit' && path !== 'none'
}

function passing(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
