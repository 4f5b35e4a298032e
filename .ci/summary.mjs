/**
 * Adds up the results that vitest wrote as JSON, a file a run, and prints "N passed, N failed, N skipped" as its last
 * line. Ends with 1 where anything failed or was skipped, or where a run left no result.
 */
import { readFileSync } from 'node:fs'

let passed = 0
let failed = 0
let skipped = 0
for (const path of process.argv.slice(2)) {
  for (const file of filesOf(path)) {
    // A file that could not be loaded has no tests to count.
    if (file.status === 'failed' && !file.assertionResults.some(test => test.status === 'failed')) {
      failed += 1
      console.log(`failed: ${file.name}: ${file.message}`)
    }
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1
      else if (test.status === 'failed') failed += 1
      else skipped += 1
      if (test.status !== 'passed') console.log(`${test.status}: ${file.name}: ${test.fullName}`)
    }
  }
}
if (passed === 0) failed += 1
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed + skipped === 0 ? 0 : 1

function filesOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).testResults
  } catch {
    return [{ name: path, status: 'failed', message: 'the run ended without a result', assertionResults: [] }]
  }
}
