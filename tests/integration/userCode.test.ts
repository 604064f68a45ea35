import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine, QUICK } from './support/engine.ts';
import { handlerJob, programJob } from './support/manifests.ts';
import { runsByIndex } from './support/records.ts';

/** Half a minute at real settings takes too long for every day. */
const BLOCKS = [
  { blockMs: 5_000, settings: QUICK },
  ...(process.env['DROVER_LONG'] === '1' ? [{ blockMs: 30_000, settings: {} }] : []),
];

test.each(BLOCKS)(
  'a handler blocks the event loop for $blockMs ms, longer than the lease: its pods run elsewhere, counts are exact',
  async ({ blockMs, settings }) => {
    await using engine = await Engine.forTest({ settings });
    const { drover, records } = engine;
    const [, ...workers] = await Promise.all([
      engine.controller(),
      engine.worker(),
      engine.worker(),
    ]);
    await drover.jobs.create(handlerJob('block', { name: 'block' }, { ms: blockMs }));
    await drover.jobs.create(
      handlerJob(
        'work',
        { name: 'others', completions: 200, parallelism: 8, indexed: true },
        { ms: 20 },
      ),
    );
    const block = await engine.finished('block');
    const others = await engine.finished('others');
    expect(block.status).toMatchObject({ succeeded: 1, failed: 1 });
    expect(others.status).toMatchObject({ succeeded: 200, completedIndexes: '0-199' });
    expect(runsByIndex(records.read('others')).size).toBe(200);
    const pods = await engine.pods('others');
    expect(pods.filter((pod) => pod.status?.phase === 'Succeeded')).toHaveLength(200);
    expect(pods.filter((pod) => pod.status?.phase === 'Failed')).toHaveLength(
      others.status?.failed ?? 0,
    );

    // The worker finds that its session was ended, begins another one and takes pods again.
    const blocked = workers.find(({ name }) => name === records.read('block')[0]?.node);
    await blocked?.process.waitForLine(/the session was ended/, 40_000);
    // It was replaced while the first pod blocked on, whose late end counted for nothing.
    const [first, second, ...more] = await waitFor(() => {
      const runs = records.read('block');
      return runs[0]?.endMs === null ? null : runs;
    });
    expect(more).toEqual([]);
    expect(second?.node).not.toBe(first?.node);
    expect(second?.startMs).toBeLessThan(first?.endMs ?? 0);
    expect((await engine.job('block')).status).toEqual(block.status);
    await drover.jobs.create(
      handlerJob('work', { name: 'after', completions: 40, parallelism: 20 }, { ms: 50 }),
    );
    expect((await engine.finished('after')).status).toMatchObject({ succeeded: 40 });
    const nodes = new Set(records.read('after').map((run) => run.node));
    expect([...nodes].toSorted()).toEqual(['worker-1', 'worker-2']);
  },
  90_000,
);

test('a handler that ignores its AbortSignal is given up after its grace period', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  const [, worker] = await Promise.all([engine.controller(), engine.worker({ maxPods: 2 })]);
  const shape = { completions: 2, parallelism: 2, indexed: true, graceSeconds: 1 };
  await drover.jobs.create(handlerJob('ignore-signal', { name: 'deaf', ...shape }));
  await waitFor(() => records.read('deaf').length === 2);

  await drover.jobs.suspend('deaf');
  const suspended = await engine.until(
    'deaf',
    ({ conditions = [], terminating }) =>
      terminating === 0 &&
      conditions.some(({ type, status }) => type === 'Suspended' && status === 'True'),
  );
  expect(suspended.status?.failed ?? 0).toBe(0);
  await worker.process.waitForLine(/was given up/);

  // Both lanes are free again though the two calls go on.
  await drover.jobs.create(handlerJob('noop', { name: 'next', completions: 10, parallelism: 2 }));
  expect((await engine.finished('next')).status).toMatchObject({ succeeded: 10 });
  expect(records.read('deaf').every((run) => run.endMs === null)).toBe(true);

  await drover.jobs.resume('deaf');
  await waitFor(() => records.read('deaf').length === 4);
  records.go('deaf');
  const job = await engine.finished('deaf');
  expect(job.status).toMatchObject({ succeeded: 2, completedIndexes: '0,1' });
  expect(job.status?.failed ?? 0).toBe(0);
}, 60_000);

test('a Job whose handler nobody has waits, says so, and runs as soon as a worker with it comes', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  await Promise.all([engine.controller(), engine.worker({ handlers: ['noop'] })]);
  await drover.jobs.create(handlerJob('work', { name: 'lonely' }));

  const [pod] = await waitFor(async () => {
    const pods = await engine.pods('lonely');
    return pods.length === 1 ? pods : null;
  });
  expect(pod?.status).toMatchObject({
    phase: 'Pending',
    conditions: [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message: "no worker offers runtime 'handler' with handler 'work' in pool 'default'",
      },
    ],
  });
  expect((await drover.pods.get(pod?.metadata.name ?? '')).status).toEqual(pod?.status);
  // A worker that lacks the handler does not touch it.
  await drover.jobs.create(handlerJob('noop', { name: 'other', completions: 5 }));
  await engine.finished('other');
  expect((await engine.job('lonely')).status).toMatchObject({ active: 1, ready: 0 });

  const worker = await engine.worker({ handlers: ['work'] });
  const readyAtMs = Date.now();
  expect((await engine.finished('lonely')).status).toMatchObject({ succeeded: 1 });
  const [run] = records.read('lonely');
  expect(run?.node).toBe(worker.name);
  expect((run?.startMs ?? 0) - readyAtMs).toBeLessThan(3_000);
}, 40_000);

test('what can not be started fails its pods with the reason in words', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker()]);
  await drover.jobs.create(
    programJob(['no-such-program', 'x'], { name: 'missing', backoffLimit: 0 }),
  );
  await drover.jobs.create(programJob(['/etc'], { name: 'folder', backoffLimit: 0 }));

  for (const [name, exitCode, reason] of [
    ['missing', 127, /no-such-program.*not found/],
    ['folder', 126, /\/etc.*permission denied/i],
  ] as const) {
    const job = await engine.finished(name);
    expect(job.status).toMatchObject({
      failed: 1,
      conditions: [{ type: 'FailureTarget' }, { type: 'Failed', reason: 'BackoffLimitExceeded' }],
    });
    const [pod] = await engine.pods(name);
    const state = pod?.status?.containerStatuses?.[0]?.state;
    expect(pod?.status?.phase).toBe('Failed');
    expect(state).toMatchObject({ terminated: { reason: 'StartError', exitCode } });
    expect(state?.terminated?.message).toMatch(reason);
  }
}, 40_000);
