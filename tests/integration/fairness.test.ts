import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { mostAtOnce } from './support/records.ts';

test('a small Job gets its share though a big one has taken all lanes', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  await Promise.all([engine.controller(), engine.worker({ maxPods: 4, quantumMs: 100 })]);
  // Alone it would take the four lanes for 25 s.
  const big = { name: 'big', completions: 5_000, parallelism: 50, indexed: true };
  await drover.jobs.create(handlerJob('work', big, { ms: 20 }));
  await engine.until('big', ({ succeeded = 0 }) => succeeded > 50);

  const createdMs = Date.now();
  const small = { name: 'small', completions: 20, parallelism: 4, indexed: true };
  await drover.jobs.create(handlerJob('work', small, { ms: 20 }));
  expect((await engine.finished('small')).status).toMatchObject({ succeeded: 20 });
  const tookMs = Date.now() - createdMs;
  const during = (await engine.job('big')).status;
  expect(tookMs).toBeLessThan(5_000);
  expect(during?.succeeded).toBeLessThan(2_000);
  expect(during?.conditions ?? []).toEqual([]);

  // The big one goes on, and slots that were put back lost nothing.
  const reached = during?.succeeded ?? 0;
  await engine.until('big', ({ succeeded = 0 }) => succeeded > reached + 200);
  const both = [...records.read('big'), ...records.read('small')];
  expect(mostAtOnce(both)).toBeLessThanOrEqual(4);
  await drover.jobs.delete('big');
}, 60_000);
