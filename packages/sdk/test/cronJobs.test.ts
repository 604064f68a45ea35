/** drover.cronJobs, with a controller and a worker beside it. */
import { InvalidSpecError, NotFoundError } from '@drover/shared';
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { defineHandler } from '../src/index.ts';
import { Engine } from './engine.ts';

let engine: Engine;

beforeAll(async () => {
  engine = await Engine.start([defineHandler('work', () => 'done')]);
});
afterAll(() => engine.stop());

const jobTemplate = {
  metadata: { labels: { app: 'report' } },
  spec: {
    template: {
      spec: {
        restartPolicy: 'Never',
        runtimeClassName: 'handler',
        containers: [{ name: 'main', image: 'work' }],
      },
    },
  },
};

function named(name: string, spec: object) {
  return { metadata: { name }, spec: { jobTemplate, ...spec } };
}

test('every second there is a Job, which runs; suspended there is none', async () => {
  const { cronJobs, jobs } = engine.drover;
  await cronJobs.create(named('ticks', { schedule: '@every 1s' }));
  await waitFor(async () => {
    const { status } = await cronJobs.get('ticks');
    return status.lastSuccessfulTime !== undefined;
  });
  await waitFor(async () => (await cronJobs.history('ticks')).length >= 2);
  const suspended = await cronJobs.suspend('ticks');
  expect(suspended.spec.suspend).toBe(true);
  const history = await cronJobs.history('ticks');
  // A busy machine may miss some.
  const times = history.map(({ slotMs }) => slotMs);
  expect(new Set(times).size).toBe(times.length);
  expect(times.map((time) => (time - times[0]!) % 1_000)).toEqual(times.map(() => 0));
  expect(history[0]).toMatchObject({ type: 'started' });
  await waitFor(async () => (await cronJobs.get('ticks')).status.active === undefined);
  expect((await jobs.list({ labelSelector: 'app=report' })).length).toBeGreaterThan(0);

  // With what belongs to it.
  expect(await cronJobs.delete('ticks', { propagationPolicy: 'Foreground' })).toBe(false);
  await waitFor(async () => (await cronJobs.list()).length === 0);
  expect(await jobs.list({ labelSelector: 'app=report' })).toEqual([]);
});

test('a run by hand is a Job of its own, and in the history', async () => {
  const { cronJobs, jobs } = engine.drover;
  await cronJobs.create(named('by-hand', { schedule: '0 0 1 1 *', suspend: true }));
  const job = await cronJobs.trigger('by-hand');
  expect(job.metadata.name).toMatch(/^by-hand-manual-.{5}$/);
  expect(job.metadata.annotations).toEqual({ 'cronjob.kubernetes.io/instantiate': 'manual' });
  expect(job.metadata.ownerReferences).toMatchObject([{ kind: 'CronJob', controller: true }]);
  await jobs.wait(job, { for: 'complete' });
  await waitFor(async () => (await cronJobs.history('by-hand')).length > 0);
  expect(await cronJobs.history('by-hand')).toMatchObject([
    { type: 'manual', job: job.metadata.name, uid: job.metadata.uid },
  ]);
  await cronJobs.patch('by-hand', { spec: { successfulJobsHistoryLimit: 0 } });
  await waitFor(async () => (await jobs.list({ labelSelector: 'app=report' })).length === 0);
  await cronJobs.delete('by-hand');
});

test('a backfill makes a Job for each time once', async () => {
  const { cronJobs, jobs } = engine.drover;
  const limits = { successfulJobsHistoryLimit: 100, suspend: true };
  await cronJobs.create(named('late', { schedule: '*/10 * * * *', ...limits }));
  const range = { from: new Date('2026-01-01T00:00:00Z'), to: new Date('2026-01-01T04:55:00Z') };
  const planned = await cronJobs.backfill('late', { ...range, dryRun: true });
  expect(planned).toHaveLength(30);
  expect(planned[1]).toEqual({
    time: '2026-01-01T00:10:00Z',
    job: `late-${Date.UTC(2026, 0, 1, 0, 10) / 60_000}`,
    outcome: 'wouldCreate',
  });
  expect(await jobs.list({ labelSelector: 'app=report' })).toEqual([]);

  const done = await cronJobs.backfill('late', range);
  expect(done).toEqual(planned.map((slot) => ({ ...slot, outcome: 'created' })));
  const made = await jobs.list({ labelSelector: 'app=report' });
  expect(made.map(({ metadata }) => metadata.name)).toEqual(planned.map(({ job }) => job));
  expect(made[0]?.metadata.annotations).toMatchObject({
    'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T00:00:00Z',
  });
  await Promise.all(made.map((job) => jobs.wait(job, { for: 'complete' })));
  await jobs.delete(made[0]!);
  const again = await cronJobs.backfill('late', { ...range, to: new Date('2026-01-01T05:00:00Z') });
  expect(again.map(({ outcome }) => outcome)).toEqual([...planned.map(() => 'ran'), 'created']);
  const outcomes = (await cronJobs.history('late')).map(({ type }) => type);
  expect(outcomes).toEqual(Array.from({ length: 31 }, () => 'backfilled'));

  const tooMany = cronJobs.backfill('late', { ...range, to: new Date('2026-01-09T00:00:00Z') });
  await expect(tooMany).rejects.toThrow(InvalidSpecError);
  await expect(cronJobs.backfill('nobody', range)).rejects.toThrow(NotFoundError);
  await cronJobs.delete('late');
});
