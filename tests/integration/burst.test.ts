import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { countCalls, resetCalls } from './support/servers.ts';

const JOBS = 300;

test(`${JOBS} Jobs that are submitted at once end, and send Redis a few scripts each`, async () => {
  await using engine = await Engine.forTest({ redis: { config: {} }, settings: {} });
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker({ maxPods: 50 })]);
  const run = async (name: string): Promise<string> => {
    const job = await drover.jobs.create(handlerJob('noop', { name }));
    const ended = await drover.jobs.wait(job, { for: 'complete', timeoutMs: 30_000 });
    return ended.metadata.name;
  };
  await Promise.all(Array.from({ length: 20 }, async (_, i) => run(`warm-${i}`)));

  await resetCalls(engine);
  const names = Array.from({ length: JOBS }, (_, i) => `burst-${i}`);
  expect(await Promise.all(names.map(run))).toEqual(names);
  const scripts = (await countCalls(engine)).get('evalsha') ?? Number.NaN;
  // BullMQ alone sends two for each; on a busy machine what goes together is less.
  expect(scripts / JOBS).toBeLessThan(6);
}, 60_000);

test('kill -9 of a controller in the middle of a burst, with another one beside it', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  const [killed] = await Promise.all([
    engine.controller(),
    engine.controller(),
    engine.worker({ maxPods: 20 }),
  ]);
  let ended = 0;
  const names = Array.from({ length: JOBS }, (_, i) => `burst-${i}`);
  const all = Promise.all(
    names.map(async (name) => {
      const job = await drover.jobs.create(handlerJob('work', { name }, { ms: 5 }));
      const { status } = await drover.jobs.wait(job, { timeoutMs: 30_000 });
      ended += 1;
      return status;
    }),
  );
  await waitFor(() => ended > 0);
  await killed.kill('SIGKILL');

  // What it had taken comes back after five seconds.
  for (const status of await all) {
    expect(status).toMatchObject({ succeeded: 1, conditions: [{}, { type: 'Complete' }] });
  }
  // No worker was lost: none ran twice.
  for (const name of names) expect(records.read(name)).toHaveLength(1);
}, 60_000);
