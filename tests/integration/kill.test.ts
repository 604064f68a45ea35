import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, recordedScript } from './support/manifests.ts';
import { mostAtOnce, runsByIndex } from './support/records.ts';

const INDEXES = 5_000;

test('kill -9 of a worker and of the controller in the middle of a Job of 5,000 indexes', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  const controller = await engine.controller();
  const [killed] = await Promise.all([engine.worker(), engine.worker()]);
  await drover.jobs.create(
    handlerJob(
      'work',
      { name: 'many', completions: INDEXES, parallelism: 16, indexed: true },
      { ms: 5 },
    ),
  );

  await engine.until('many', ({ succeeded = 0 }) => succeeded > 1_000);
  await controller.kill('SIGKILL');
  await killed.process.kill('SIGKILL');
  const killedAtMs = new Map([[killed.name, Date.now()]]);
  // Nobody judges what was lost until there is a controller again; the other worker goes on.
  await engine.controller();
  const job = await engine.finished('many');

  expect(job.status).toMatchObject({
    succeeded: INDEXES,
    completedIndexes: `0-${INDEXES - 1}`,
    conditions: [{ type: 'SuccessCriteriaMet' }, { type: 'Complete', status: 'True' }],
  });
  const runs = records.read('many');
  expect(runsByIndex(runs).size).toBe(INDEXES);
  expect(mostAtOnce(runs, killedAtMs)).toBeLessThanOrEqual(16);
  const lost = runs.filter((run) => run.endMs === null);
  expect(lost.every((run) => run.node === killed.name)).toBe(true);
  // Each loss is counted, and each pod beyond the first of an index is the replacement of a lost one.
  expect(job.status?.failed ?? 0).toBeGreaterThanOrEqual(lost.length);
  expect(runs.length).toBeLessThanOrEqual(INDEXES + (job.status?.failed ?? 0));
  const pods = await engine.pods('many');
  expect(pods.filter((pod) => pod.status?.phase === 'Succeeded')).toHaveLength(INDEXES);
  expect(pods.filter((pod) => pod.status?.phase === 'Failed')).toHaveLength(
    job.status?.failed ?? 0,
  );
}, 60_000);

test('kill -9 of a worker and of the controller while programs run', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  const controller = await engine.controller();
  const [killed] = await Promise.all([engine.worker(), engine.worker()]);
  await drover.jobs.create(
    recordedScript(records, 'sleep 0.05', {
      name: 'programs',
      completions: 300,
      parallelism: 12,
      indexed: true,
    }),
  );

  await engine.until('programs', ({ succeeded = 0 }) => succeeded > 60);
  const before = records.read('programs').filter((run) => run.node === killed.name);
  await killed.process.kill('SIGKILL');
  const killedAtMs = new Map([[killed.name, Date.now()]]);
  await controller.kill('SIGKILL');
  await engine.controller();
  const job = await engine.finished('programs');

  expect(before.length).toBeGreaterThan(0);
  expect(job.status).toMatchObject({ succeeded: 300, completedIndexes: '0-299' });
  const runs = records.read('programs');
  expect(runsByIndex(runs).size).toBe(300);
  expect(mostAtOnce(runs, killedAtMs)).toBeLessThanOrEqual(12);
}, 60_000);

test('two controllers serve at once; one is killed; failures, limits and losses are counted once', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  const [first] = await Promise.all([
    engine.controller({ backoffBaseMs: 50 }),
    engine.controller({ backoffBaseMs: 50 }),
    engine.worker(),
    engine.worker(),
  ]);
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  for (const name of names) {
    await drover.jobs.create(
      handlerJob(
        'flaky',
        { name, completions: 20, parallelism: 4, indexed: true, backoffLimit: 20 },
        { ms: 20 },
      ),
    );
  }
  await drover.jobs.create(handlerJob('fail', { name: 'hopeless', backoffLimit: 3 }));

  await waitFor(async () => (await engine.job('a')).status?.failed ?? 0);
  await first.kill('SIGKILL');

  for (const name of names) {
    const job = await engine.finished(name);
    expect(job.status).toMatchObject({ succeeded: 20, failed: 20, completedIndexes: '0-19' });
    const runs = records.read(name);
    expect(runs).toHaveLength(40);
    expect(mostAtOnce(runs)).toBeLessThanOrEqual(4);
  }
  expect((await engine.finished('hopeless')).status).toMatchObject({
    failed: 4,
    conditions: [{ type: 'FailureTarget' }, { type: 'Failed', reason: 'BackoffLimitExceeded' }],
  });
  expect(records.read('hopeless')).toHaveLength(4);
}, 60_000);
