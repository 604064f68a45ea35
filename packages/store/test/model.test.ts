/**
 * Random histories of the scripts, with repeated and late calls, beside a plain model: replies and
 * stored state must agree after every call, and the invariants hold. A failure prints the seed
 * and the shortest history that fast-check found; `MODEL_RUNS=N` makes a long run.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StoreBed } from './support/bed.ts';
import { History, shape, step } from './support/history.ts';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 120);
/** Enough to find a short history after a failure. */
const TIMEOUT_MS = 60_000 + RUNS * 1_000;

let server: StoreBed;
beforeAll(async () => {
  server = await StoreBed.open();
});
afterAll(() => server.server.stop());

test(
  'any history of scripts, repeated and late ones included, does what the model does',
  async () => {
    let shortReports = 0;
    const histories = fc.asyncProperty(
      fc.array(shape, { minLength: 1, maxLength: 2 }),
      fc.array(step, { minLength: 1, maxLength: 150, size: 'max' }),
      async (shapes, steps) => {
        const history = new History(await server.fresh());
        try {
          await history.begin(shapes);
          await history.check();
          for (const one of steps) {
            await history.take(one);
            await history.check();
          }
          await history.checkPods();
          shortReports += history.shortReports;
        } catch (error) {
          const tail = history.log.slice(-15).join('\n  ');
          throw new Error(`after\n  ${tail}\n${(error as Error).message}`, { cause: error });
        }
      },
    );
    await fc.assert(histories, { numRuns: RUNS, interruptAfterTimeLimit: TIMEOUT_MS - 10_000 });
    expect(shortReports).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
