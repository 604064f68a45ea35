import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Compiled code is kept, as drover itself does it: there are hundreds of processes that load the same.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'node-compile-cache');

/** Tests of pure code: nothing of one file can be left for the next, so they share processes and what these loaded. */
const PURE = [
  'packages/shared/test/**/*.test.ts',
  'packages/store/test/compose/**/*.test.ts',
  'packages/controller/test/decide/**/*.test.ts',
  'packages/cli/test/{describe,enqueue,print,queue,text,top}/**/*.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      {
        extends: true,
        test: {
          // Each file in a process of its own: a leaked handle or a crash stays in one.
          name: 'own process',
          include: [
            'packages/*/test/**/*.test.ts',
            'tests/**/*.test.ts',
            'scripts/test/**/*.test.ts',
          ],
          exclude: ['**/node_modules/**', ...PURE],
        },
      },
    ],
    pool: 'forks',
    // One more than CPUs: most files wait for something a good part of the time.
    maxWorkers: 3,
    // Longer than what tests wait for within, which says what did not come.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A second, as it is by default, is short where the machine has other things to do.
    expect: { poll: { timeout: 20_000, interval: 50 } },
  },
});
