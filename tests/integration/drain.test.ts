import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, recordedScript } from './support/manifests.ts';
import { mostAtOnce, runsByIndex } from './support/records.ts';

test('SIGTERM lets short pods finish, and the worker ends with 0', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  await engine.controller();
  const [drained] = await Promise.all([engine.worker(), engine.worker()]);
  await drover.jobs.create(
    handlerJob(
      'finish',
      { name: 'short', completions: 400, parallelism: 16, indexed: true },
      { ms: 50 },
    ),
  );
  await drover.jobs.create(
    recordedScript(records, 'sleep 0.1', {
      name: 'programs',
      completions: 60,
      parallelism: 8,
      indexed: true,
    }),
  );
  const byDrained = (job: string) => records.read(job).filter((run) => run.node === drained.name);
  await waitFor(() => byDrained('short').length > 20 && byDrained('programs').length > 5);

  const askedAtMs = Date.now();
  expect(await drained.process.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  const tookMs = Date.now() - askedAtMs;

  for (const [name, completions, parallelism] of [
    ['short', 400, 16],
    ['programs', 60, 8],
  ] as const) {
    const job = await engine.finished(name);
    expect(job.status).toMatchObject({ succeeded: completions });
    expect(job.status?.failed ?? 0).toBe(0);
    const runs = records.read(name);
    // Each index ran once: nothing was cut off, and nothing was handed over.
    expect(runs).toHaveLength(completions);
    expect(runsByIndex(runs).size).toBe(completions);
    expect(runs.every((run) => run.endMs !== null)).toBe(true);
    expect(mostAtOnce(runs)).toBeLessThanOrEqual(parallelism);
    expect(byDrained(name).length).toBeLessThan(completions);
  }
  // By far less than their grace period of 30 s, also on a busy machine.
  expect(tookMs).toBeLessThan(20_000);
  expect(drained.process.output()).toContain('worker is over');
  await waitFor(async () => (await drover.nodes.list()).length === 1);
}, 120_000);

test('SIGTERM hands long pods over: stopped after their grace period, run again elsewhere, not counted to backoffLimit', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  await engine.controller();
  const drained = await engine.worker();
  const shape = { completions: 3, parallelism: 3, indexed: true, backoffLimit: 1, graceSeconds: 1 };
  await drover.jobs.create(handlerJob('wait', { name: 'handlers', ...shape }));
  await drover.jobs.create(
    recordedScript(records, '[ -e "$GO" ] || exec sleep 600', { name: 'programs', ...shape }),
  );
  await waitFor(() => ['handlers', 'programs'].every((name) => records.read(name).length === 3));

  const next = await engine.worker();
  // Programs look once, when they start: those that run wait on, the next ones go.
  records.go('programs');
  const end = drained.process.kill('SIGTERM');
  // The pods get their second of grace before they are told.
  await waitFor(() => records.read('handlers').length === 6);
  records.go('handlers');
  expect(await end).toEqual({ code: 0, signal: null });

  for (const name of ['handlers', 'programs']) {
    const job = await engine.finished(name);
    expect(job.status).toMatchObject({ succeeded: 3, failed: 3, completedIndexes: '0-2' });
    const pods = await engine.pods(name);
    const failed = pods.filter((pod) => pod.status?.phase === 'Failed');
    expect(failed.map((pod) => pod.status?.reason)).toEqual(['Drained', 'Drained', 'Drained']);
    expect(failed.every((pod) => pod.spec.nodeName === drained.name)).toBe(true);
    const succeeded = pods.filter((pod) => pod.status?.phase === 'Succeeded');
    expect(succeeded.every((pod) => pod.spec.nodeName === next.name)).toBe(true);
  }
}, 60_000);
