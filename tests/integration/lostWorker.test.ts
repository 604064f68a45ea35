import { isAlive, waitFor, wantedTopology } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, recordedScript } from './support/manifests.ts';
import { mostAtOnce, runsByIndex } from './support/records.ts';

/** Programs of the first worker wait for its end; those of the next one find that they may go. */
const UNTIL_GO = '[ -e "$GO" ] || exec sleep 600';

test('kill -9 of the only worker at default settings: its programs are gone, its pods run elsewhere within 10 s', async () => {
  await using engine = await Engine.forTest({ settings: {} });
  const { drover, records } = engine;
  await engine.controller();
  const first = await engine.worker({ maxPods: 50 });
  await drover.jobs.create(
    recordedScript(records, UNTIL_GO, {
      name: 'fifty',
      completions: 50,
      parallelism: 50,
      indexed: true,
      graceSeconds: 600,
    }),
  );
  await waitFor(() => records.read('fifty').length === 50, { timeoutMs: 20_000 });

  const before = records.read('fifty');
  expect(before.filter((run) => !isAlive(run.pid))).toEqual([]);
  records.go('fifty');
  const killedAtMs = Date.now();
  await first.process.kill('SIGKILL');
  await waitFor(() => before.every((run) => !isAlive(run.pid)), { timeoutMs: 2_000 });
  const second = await engine.worker({ maxPods: 50 });
  const job = await engine.finished('fifty');

  // Fifty lost pods and the default backoffLimit of 6: a loss is not the pod's fault.
  expect(job.status).toMatchObject({ succeeded: 50, failed: 50, completedIndexes: '0-49' });
  const again = records.read('fifty').filter((run) => run.node === second.name);
  expect(again).toHaveLength(50);
  expect(runsByIndex(again).size).toBe(50);
  const latestMs = Math.max(...again.map((run) => run.startMs));
  expect(latestMs - killedAtMs).toBeLessThan(10_000);
  const failed = (await engine.pods('fifty')).filter((pod) => pod.status?.phase === 'Failed');
  expect(failed).toHaveLength(50);
  for (const pod of failed) {
    expect(pod.status).toMatchObject({ reason: 'NodeLost' });
    expect(pod.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', status: 'True' }),
    );
  }
}, 60_000);

test('redis-server is killed in mid-run and comes back after longer than a lease: no pod is lost', async () => {
  const leaseTtlMs = 2_000;
  await using engine = await Engine.forTest({
    redis: { appendOnly: true },
    settings: { leaseTtlMs, heartbeatMs: 400, slotLockMs: 3_000, slotStalledMs: 1_000 },
  });
  const { drover, records, redis, store } = engine;
  await Promise.all([engine.controller(), engine.worker(), engine.worker()]);
  const sessionsKey = store.shards[0]?.keys.sessions ?? '';
  const sessions = await store.redis.zrange(sessionsKey, '0', '-1');
  await drover.jobs.create(
    handlerJob(
      'finish',
      { name: 'on', completions: 1_500, parallelism: 16, indexed: true },
      { ms: 20 },
    ),
  );
  await engine.until('on', ({ succeeded = 0 }) => succeeded > 300);

  await redis.kill();
  const killedAtMs = Date.now();
  await waitFor(() => Date.now() - killedAtMs > leaseTtlMs + 500, { intervalMs: 100 });
  await redis.restart();
  const backAtMs = Date.now();
  const job = await engine.finished('on');

  expect(job.status).toMatchObject({ succeeded: 1_500, completedIndexes: '0-1499' });
  const runs = records.read('on');
  expect(runsByIndex(runs).size).toBe(1_500);
  // Its replica may have taken over from what came back, and lacks the last of that: it runs once more.
  if (wantedTopology() === 'sentinel') return;
  expect(job.status?.failed ?? 0).toBe(0);
  // No pod ran twice: whoever held a slot through the outage reported it afterwards.
  expect(runs).toHaveLength(1_500);
  expect(mostAtOnce(runs)).toBeLessThanOrEqual(16);
  expect(runs.some((run) => run.startMs > backAtMs)).toBe(true);
  expect(sessions).toHaveLength(2);
  expect(await store.redis.zrange(sessionsKey, '0', '-1')).toEqual(
    expect.arrayContaining(sessions),
  );
}, 60_000);

test('redis-server is killed while nobody serves a Job: it goes on where the file says', async () => {
  await using engine = await Engine.forTest({ redis: { appendOnly: true } });
  const { drover, records, redis } = engine;
  await drover.jobs.create(handlerJob('work', { name: 'later', completions: 20, indexed: true }));
  await redis.kill();
  await redis.restart();
  await Promise.all([engine.controller(), engine.worker()]);
  expect((await engine.finished('later')).status).toMatchObject({ succeeded: 20 });
  expect(records.read('later')).toHaveLength(20);
}, 60_000);
