import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine, QUICK } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';

/** DROVER_LONG=1 takes what is promised: 10,000 Jobs, real settings. */
const IS_LONG = process.env['DROVER_LONG'] === '1';
const FINISHED_JOBS = IS_LONG ? 10_000 : 300;
const WINDOW_MS = IS_LONG ? 30_000 : 4_000;

/** Calls per command that Redis got within a window from everybody but this test. */
async function countCommands(engine: Engine): Promise<Map<string, number>> {
  const { redis } = engine.store;
  await redis.config('RESETSTAT');
  const beganMs = performance.now();
  await waitFor(() => performance.now() - beganMs >= WINDOW_MS, {
    timeoutMs: 2 * WINDOW_MS,
    intervalMs: 100,
  });
  const text = await redis.info('commandstats');
  const calls = new Map<string, number>();
  for (const [, name = '', count = ''] of text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
    calls.set(name, Number(count));
  }
  calls.delete('config|resetstat');
  calls.delete('info');
  return calls;
}

function sum(calls: ReadonlyMap<string, number>): number {
  return [...calls.values()].reduce((total, count) => total + count, 0);
}

function perSecond(calls: ReadonlyMap<string, number>): string {
  return ((sum(calls) / WINDOW_MS) * 1_000).toFixed(1);
}

test(`an idle system sends Redis as much with ${FINISHED_JOBS} finished Jobs as with none`, async () => {
  await using engine = await Engine.forTest({
    redis: { config: { maxmemory: '0' } },
    settings: IS_LONG ? {} : QUICK,
  });
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker()]);
  await drover.jobs.create(handlerJob('noop', { name: 'first', completions: 20 }));
  await engine.finished('first');
  const before = await countCommands(engine);

  for (let from = 0; from < FINISHED_JOBS; from += 100) {
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        drover.jobs.create(handlerJob('noop', { name: `none-${from + i}`, completions: 0 })),
      ),
    );
  }
  await drover.jobs.create(handlerJob('noop', { name: 'last', completions: 20 }));
  await engine.finished('last');
  await waitFor(
    async () =>
      (await drover.jobs.list()).every(({ status }) =>
        status?.conditions?.some(({ type, status: is }) => type === 'Complete' && is === 'True'),
      ),
    { timeoutMs: 60_000, intervalMs: 500 },
  );
  const after = await countCommands(engine);

  const details = JSON.stringify({ before: [...before], after: [...after] });
  console.log(
    `idle: ${perSecond(before)} commands/s with 1 finished Job, ` +
      `${perSecond(after)} with ${FINISHED_JOBS + 2}; those inside scripts included`,
  );
  expect(sum(after), details).toBeLessThanOrEqual(sum(before) * 1.3 + 10);
  expect(sum(before), details).toBeGreaterThan(0);
}, 180_000);
