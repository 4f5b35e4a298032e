/** Medians, ratios, and the table. */

/**
 * @param {readonly number[]} values
 * @returns {number}
 */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/**
 * The median of a ratio whose two sides were measured one after the other.
 * @param {readonly number[]} over
 * @param {readonly number[]} under
 */
export function ratioOfPairs(over, under) {
  return median(over.map((value, i) => value / (under[i] ?? Number.NaN)))
}

/** @param {readonly import('./measurements.js').Row[]} rows */
export function table(rows) {
  const lines = rows.map(
    row =>
      `| ${row.what} | ${Number.isNaN(row.plain) ? '' : amount(row.plain, row.unit)} | ${amount(row.mesh, row.unit)} | ${Number.isNaN(row.ratio) ? '' : row.ratio.toFixed(2)} | ` +
      `${row.target} | ${row.reached ? 'yes' : '**no**'} |`,
  )
  const notes = rows.filter(row => row.note !== undefined).map(row => `- ${row.what}: ${row.note}`)
  return [
    '| what | plain TCP | Webmesh | ratio | target | reached |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines,
    '',
    ...notes,
  ].join('\n')
}

/**
 * @param {number} value
 * @param {string} unit
 */
function amount(value, unit) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  const number = value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return unit.startsWith('/') ? `${number}${unit}` : `${number} ${unit}`
}
