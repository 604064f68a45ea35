import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Compiled code is kept, as drover itself does it: there are hundreds of processes that load the same.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'node-compile-cache');

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'tests/**/*.test.ts', 'scripts/test/**/*.test.ts'],
    // Files run side by side, each in a process of its own: a leaked handle or a crash stays in one.
    pool: 'forks',
    maxWorkers: 2,
    // Longer than what tests wait for within, which says what did not come.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
