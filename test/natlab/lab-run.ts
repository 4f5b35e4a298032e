/** What a measurement of the lab is given, and how it shows what it found. */
import type { PageCall } from './lab-page.ts'

/** A peer in its process. */
export interface Asked {
  readonly id: string
  ask<Answer>(call: PageCall): Promise<Answer & { readonly error?: string }>
}

/** One peer of each kind that asks, and one that is asked, in a mesh that has settled. */
export interface Sides {
  readonly kinds: readonly string[]
  readonly from: readonly Asked[]
  readonly to: readonly Asked[]
  /** Those that can be dialled and through which all came. */
  readonly publics: readonly Asked[]
}

/** Each with each, in rounds in which nobody is asked twice; `together`: all of a round at once. */
export async function everyPair<Cell>(
  count: number,
  together: boolean,
  ask: (from: number, to: number) => Promise<Cell>,
): Promise<Cell[][]> {
  const cells: Cell[][] = Array.from({ length: count }, () => [])
  for (let shift = 0; shift < count; shift += 1) {
    const one = async (from: number): Promise<void> => {
      const to = (from + shift) % count
      cells[from]![to] = await ask(from, to)
    }
    const round = Array.from({ length: count }, (_, i) => i)
    if (together) await Promise.all(round.map(one))
    else for (const from of round) await one(from)
    process.stderr.write(`round ${shift + 1} of ${count}\n`)
  }
  return cells
}

/** A line for each kind; a column too, where no other names are given. */
export function printTable(
  kinds: readonly string[],
  cells: readonly (readonly string[])[],
  columns: readonly string[] = kinds,
): void {
  const wide = Math.max(...[...kinds, ...columns, ...cells.flat()].map(text => text.length)) + 1
  console.log(''.padEnd(wide), ...columns.map(name => name.padEnd(wide)))
  for (const [i, row] of cells.entries()) console.log(kinds[i]!.padEnd(wide), ...row.map(cell => cell.padEnd(wide)))
}

/** The share of the sorted numbers that is below the result. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
