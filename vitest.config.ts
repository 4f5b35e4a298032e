/**
 * How the tests run: first those within one process, two files at a time (two cores); then those that start processes of
 * their own, a file at a time, since they have deadlines to keep. What passing tests print is left out.
 */
import { defineConfig } from 'vitest/config'

const PROCESSES = [
  'test/browser/**/*.test.ts',
  'test/cli/**/*.test.ts',
  'test/demo/**/*.test.ts',
  'test/moves/**/*.test.ts',
  'test/natlab/**/*.test.ts',
  'test/package/**/*.test.ts',
  'test/rough/processes/**/*.test.ts',
]

export default defineConfig({
  test: {
    pool: 'forks',
    // A ceiling against hanging, not a measure: the cores may be shared with other work.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    silent: 'passed-only',
    projects: [
      {
        extends: true,
        test: {
          name: 'within',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: PROCESSES,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'processes', include: PROCESSES, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
})
