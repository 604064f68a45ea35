import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'tests/**/*.test.ts', 'scripts/test/**/*.test.ts'],
    // Files run side by side, each in a process of its own: a leaked handle or a crash stays in one.
    pool: 'forks',
    // More than the two CPUs that the suite is made for: most tests wait for others half of their time.
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
});
