import { wantedTopology } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { runsByIndex } from './support/records.ts';
import { saveSnapshots } from './support/servers.ts';

test('a snapshot of Redis, restored after everything is gone, goes on from there', async () => {
  // Behind a Sentinel it is the replica that has everything, not a file.
  const topology = wantedTopology() === 'cluster' ? 'cluster' : 'server';
  await using engine = await Engine.forTest({ redis: { topology } });
  const shape = { name: 'work', completions: 120, parallelism: 6, indexed: true };
  await engine.drover.jobs.create(handlerJob('work', shape, { ms: 25 }));
  const [controller, worker] = await Promise.all([engine.controller(), engine.worker()]);

  await engine.until('work', ({ succeeded = 0 }) => succeeded >= 30);
  await saveSnapshots(engine);
  const atSnapshot = engine.records.read('work').filter(({ endMs }) => endMs !== null).length;
  await engine.until('work', ({ succeeded = 0 }) => succeeded >= atSnapshot + 30);
  await Promise.all([controller.kill('SIGKILL'), worker.process.kill('SIGKILL')]);
  await engine.redis.kill();
  // Redis begins with what it finds in its directory: the snapshot.
  await engine.redis.restart();
  const { succeeded = 0 } = (await engine.job('work')).status ?? {};
  expect(succeeded).toBeLessThanOrEqual(atSnapshot);

  await Promise.all([engine.controller(), engine.worker()]);
  const job = await engine.finished('work');
  expect(job.status).toMatchObject({ succeeded: 120, completedIndexes: '0-119' });
  expect(job.status?.conditions?.at(-1)).toMatchObject({ type: 'Complete', status: 'True' });
  const runs = engine.records.read('work');
  expect(runsByIndex(runs).size).toBe(120);
  // What had run after the snapshot ran once more: at least once, as ever.
  expect(runs.length).toBeGreaterThan(120);
}, 60_000);
