/** How the tests run: two files at a time (two cores), each in a process of its own, output of passing tests left out. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // A ceiling against hanging, not a measure: tests of processes and sockets share two cores with each other.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    silent: 'passed-only',
  },
})
