/** Prints where the time and the memory went: the top entries of the profiles in a folder. node bench/profile-top.js DIR */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const ENTRIES = 16
const folder = process.argv[2] ?? '.'

for (const file of readdirSync(folder).sort()) {
  const kind = file.endsWith('.cpuprofile') ? 'cpu' : file.endsWith('.heapprofile') ? 'heap' : null
  if (kind === null) continue
  const profile = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  const totals = kind === 'cpu' ? cpuTotals(profile) : heapTotals(profile)
  const all = [...totals.values()].reduce((sum, value) => sum + value, 0)
  console.log(
    `\n${file}: ${kind === 'cpu' ? `${(all / 1e6).toFixed(2)} s busy` : `${(all / 1e6).toFixed(1)} MB sampled`}`,
  )
  for (const [place, value] of [...totals].sort((a, b) => b[1] - a[1]).slice(0, ENTRIES)) {
    console.log(`  ${((value / all) * 100).toFixed(1).padStart(5)} %  ${place}`)
  }
}

/**
 * @typedef {{ functionName: string, url: string, lineNumber: number }} Frame
 * @typedef {{ id: number, callFrame: Frame }} CpuNode
 * @typedef {{ callFrame: Frame, selfSize: number, children: HeapNode[] }} HeapNode
 */

/**
 * Microseconds in each function itself; waiting is left out.
 * @param {{ nodes: CpuNode[], samples: number[], timeDeltas: number[] }} profile
 */
function cpuTotals({ nodes, samples, timeDeltas }) {
  const places = new Map(nodes.map(node => [node.id, placeOf(node.callFrame)]))
  /** @type {Map<string, number>} */
  const totals = new Map()
  samples.forEach((sample, i) => {
    const place = places.get(sample) ?? ''
    if (place === '(idle)' || place === '(program)') return
    totals.set(place, (totals.get(place) ?? 0) + (timeDeltas[i] ?? 0))
  })
  return totals
}

/**
 * Sampled bytes that each function allocated on V8's heap, also those that were collected since.
 * @param {{ head: HeapNode }} profile
 */
function heapTotals({ head }) {
  /** @type {Map<string, number>} */
  const totals = new Map()
  /** @param {HeapNode} node */
  const add = node => {
    const place = placeOf(node.callFrame)
    totals.set(place, (totals.get(place) ?? 0) + node.selfSize)
    node.children.forEach(add)
  }
  add(head)
  return totals
}

/** @param {Frame} frame */
function placeOf({ functionName, url, lineNumber }) {
  const name = functionName === '' ? '(anonymous)' : functionName
  return url === '' ? name : `${name}  ${basename(url)}:${lineNumber + 1}`
}
