/**
 * How long it takes, in a mesh at rest, from asking for a hidden peer by its id alone until one byte has come back from it. Pairs
 * are asked one after the other; those that had a link before, and with it a session, are shown but not counted. Below the
 * table stands for each that took too long how much of it went by until the session stood, and who carried it on.
 */
import type { FirstByte, Pinged } from './lab-calls.ts'
import { everyPair, printTable, quantile, type Sides } from './lab-run.ts'

/** The figures to reach: of all pairs, and of the worst. */
const ROUND_TRIPS_MAX = 6
const WORST_MS = 1_000

/** How many pairs are not as they should be. */
export async function measureFirstBytes({ kinds, from, to, publics }: Sides): Promise<number> {
  const ping = await publics[0]!.ask<Pinged>({ kind: 'ping', peer: publics[1]!.id })
  const roundTripMs = Math.round(ping.roundTripMs)
  const cells = await everyPair(kinds.length, false, async (i, j) =>
    kinds[j] === 'public' ? null : from[i]!.ask<FirstByte>({ kind: 'first-byte', peer: to[j]!.id }),
  )
  const asked = cells.flat().filter(cell => cell !== null)
  const limitMs = Math.min(WORST_MS, ROUND_TRIPS_MAX * roundTripMs)
  const isWrong = ({ error, firstMs }: FirstByte & { readonly error?: string }): boolean =>
    error !== undefined || firstMs >= limitMs
  printTable(
    kinds,
    cells.map(row =>
      row.map(cell => {
        if (cell === null) return ''
        return cell.error ?? `${isWrong(cell) ? '!' : ''}${cell.firstMs}${cell.wasLinked ? '=' : ''}`
      }),
    ),
  )
  const names = new Map(publics.map(({ id }, i) => [id, `way in ${i + 1}`]))
  for (const [i, kind] of kinds.entries()) for (const { id } of [from[i]!, to[i]!]) names.set(id, kind)
  for (const [i, row] of cells.entries()) {
    for (const [j, cell] of row.entries()) {
      if (cell === null || cell.error !== undefined || !isWrong(cell)) continue
      const over = cell.via.map(id => names.get(id) ?? id).join(', ')
      console.log(`! ${kinds[i]} to ${kinds[j]}: session after ${cell.connectMs} of ${cell.firstMs} ms, over ${over}`)
    }
  }
  const fresh = asked.filter(({ error, wasLinked }) => error === undefined && !wasLinked).map(({ firstMs }) => firstMs)
  const trips = (ms: number): string => `${ms} ms (${(ms / roundTripMs).toFixed(1)} round trips)`
  console.log(
    `a direct round trip takes ${roundTripMs} ms; first byte back, ${fresh.length} pairs without a link (the others: =): ` +
      `median ${trips(quantile(fresh, 0.5))}, nine of ten within ${trips(quantile(fresh, 0.9))}, slowest ${trips(Math.max(...fresh))}`,
  )
  return asked.filter(isWrong).length
}
