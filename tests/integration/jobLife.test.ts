import { isAlive, waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';

import { Engine, type Status } from './support/engine.ts';
import { handlerJob, programJob, recordedScript } from './support/manifests.ts';
import { mostAtOnce, runsByIndex } from './support/records.ts';
import { findKeys } from './support/servers.ts';

/** One engine for all: the Jobs have nothing to do with each other. */
let engine: Engine;

beforeAll(async () => {
  engine = await Engine.open();
  await Promise.all([
    engine.controller({ backoffBaseMs: 50 }),
    engine.worker({ maxPods: 40, crashLoopMs: 50 }),
  ]);
});

afterAll(async () => {
  await engine.close();
});

/** The pods of a Job that run now, by what they wrote down. */
function running(job: string): number {
  return engine.records.read(job).filter((run) => run.endMs === null).length;
}

function isSuspended({ conditions = [] }: Status): boolean {
  return conditions.some(({ type, status }) => type === 'Suspended' && status === 'True');
}

test('suspend stops the pods and counts none of them; resume goes on where it was', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'suspended', completions: 60, parallelism: 6, indexed: true };
  await drover.jobs.create(handlerJob('work', shape, { ms: 40 }));
  await engine.until('suspended', ({ succeeded = 0 }) => succeeded >= 12);
  await drover.jobs.suspend('suspended');
  const suspended = await engine.until(
    'suspended',
    (status) => isSuspended(status) && status.terminating === 0,
  );
  expect(suspended.status).toMatchObject({ ready: 0, terminating: 0 });
  expect(suspended.status).not.toHaveProperty('active');
  expect(suspended.status).not.toHaveProperty('startTime');
  expect(running('suspended')).toBe(0);
  const ran = records.read('suspended').length;

  await drover.jobs.resume('suspended');
  const job = await engine.finished('suspended');
  expect(job.status).toMatchObject({
    succeeded: 60,
    completedIndexes: '0-59',
    conditions: [
      { type: 'Suspended', status: 'False', reason: 'JobResumed' },
      { type: 'SuccessCriteriaMet' },
      { type: 'Complete', status: 'True' },
    ],
  });
  expect(job.status?.failed ?? 0).toBe(0);
  const runs = records.read('suspended');
  // Those that were stopped ran again, the others did not.
  expect(runs.length).toBeLessThanOrEqual(66);
  expect(runs.length).toBeGreaterThanOrEqual(ran);
  expect(runsByIndex(runs).size).toBe(60);
  expect(mostAtOnce(runs)).toBeLessThanOrEqual(6);
});

test('a Job created suspended runs no pod until it is resumed', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  await drover.jobs.create(handlerJob('work', { name: 'created-suspended', suspend: true }));
  const job = await engine.until('created-suspended', isSuspended);
  expect(job.status).not.toHaveProperty('startTime');
  expect(await engine.pods('created-suspended')).toEqual([]);
  await drover.jobs.resume('created-suspended');
  expect((await engine.finished('created-suspended')).status).toMatchObject({ succeeded: 1 });
  expect(records.read('created-suspended')).toHaveLength(1);
});

test('parallelism changes while the Job runs: up, down, 0 and on', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const scale = async (parallelism: number): Promise<void> => {
    await drover.jobs.patch('scaled', { spec: { parallelism } });
  };
  const shape = { completions: 30, parallelism: 3, indexed: true, graceSeconds: 5 };
  await drover.jobs.create(handlerJob('wait', { name: 'scaled', ...shape }));
  await waitFor(() => running('scaled') === 3);
  await scale(9);
  await waitFor(() => running('scaled') === 9);
  await scale(4);
  await waitFor(() => running('scaled') === 4);
  const status = await engine.until('scaled', ({ terminating }) => terminating === 0);
  expect(status.status).toMatchObject({ active: 4, ready: 4 });
  // Those that ran for the shortest time went first: the three oldest are still there.
  const oldest = records.read('scaled').slice(0, 3);
  expect(oldest.every((run) => run.endMs === null)).toBe(true);

  await scale(0);
  await waitFor(() => running('scaled') === 0);
  const paused = await engine.until(
    'scaled',
    ({ active = 0, terminating }) => active + (terminating ?? 0) === 0,
  );
  expect(paused.status?.conditions ?? []).toEqual([]);
  expect(paused.status).toHaveProperty('startTime');

  await scale(50);
  engine.records.go('scaled');
  const job = await engine.finished('scaled');
  expect(job.status).toMatchObject({ succeeded: 30, completedIndexes: '0-29' });
  expect(job.status?.failed ?? 0).toBe(0);
  expect(mostAtOnce(records.read('scaled'))).toBeLessThanOrEqual(30);
});

test('each index knows its number and has a hostname of its own', async () => {
  onTestFailed(() => engine.show());
  const shape = { name: 'hosts', completions: 3, parallelism: 3, indexed: true };
  const command = ['/bin/sh', '-c', 'echo "$HOSTNAME $JOB_COMPLETION_INDEX"'];
  await engine.drover.jobs.create(programJob(command, shape));
  await engine.finished('hosts');
  const lines: string[] = [];
  for (const pod of await engine.pods('hosts')) {
    for await (const line of engine.drover.pods.logs(pod)) lines.push(line.trim());
  }
  expect(lines.toSorted()).toEqual(['hosts-0 0', 'hosts-1 1', 'hosts-2 2']);
});

test('an elastic Job shrinks and grows while it runs', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const resize = async (size: number): Promise<void> => {
    await drover.jobs.patch('elastic', { spec: { completions: size, parallelism: size } });
  };
  const shape = { completions: 6, parallelism: 6, indexed: true, graceSeconds: 5 };
  await drover.jobs.create(handlerJob('wait', { name: 'elastic', ...shape }));
  await waitFor(() => running('elastic') === 6);
  await resize(2);
  const smaller = await engine.until(
    'elastic',
    ({ active, terminating }) => active === 2 && terminating === 0,
  );
  expect(smaller.status).toMatchObject({ ready: 2 });
  await resize(4);
  await waitFor(() => running('elastic') === 4);
  records.go('elastic');
  const job = await engine.finished('elastic');
  expect(job.status).toMatchObject({ succeeded: 4, completedIndexes: '0-3' });
  expect(job.status?.failed ?? 0).toBe(0);
  // Indexes 2 and 3 were stopped, and ran anew.
  const indexes = records.read('elastic').map(({ index }) => index);
  expect(indexes.toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual([0, 1, 2, 2, 3, 3, 4, 5]);
});

test('deleting a Job ends its processes, removes its pods and frees its name', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  // The shell has a child: all of the group has to go.
  const manifest = recordedScript(records, 'sleep 600 & wait', {
    name: 'deleted',
    completions: 4,
    parallelism: 4,
    indexed: true,
  });
  const created = await drover.jobs.create(manifest);
  await waitFor(() => records.read('deleted').length === 4);
  const pids = records.read('deleted').map((run) => run.pid);
  expect(pids.every(isAlive)).toBe(true);

  await drover.jobs.delete('deleted');
  await expect(drover.jobs.get('deleted')).rejects.toMatchObject({ name: 'NotFoundError' });
  await waitFor(() => pids.every((pid) => !isAlive(pid)));
  // Nothing of it stays in Redis: what is left are marks that expire.
  const { redis } = engine.store;
  let staying: string[] = [];
  await waitFor(
    async () => {
      const keys = await findKeys(engine, `*${created.metadata.uid}*`);
      const expiries = await Promise.all(keys.map((key) => redis.pttl(key)));
      staying = keys.filter((_key, i) => expiries[i] === -1);
      return staying.length === 0;
    },
    { describe: () => staying },
  );

  const again = await drover.jobs.create(manifest);
  expect(again.metadata.uid).not.toBe(created.metadata.uid);
  await waitFor(() => records.read('deleted').length === 8);
  await drover.jobs.delete('deleted');
  await waitFor(() => records.read('deleted').every((run) => !isAlive(run.pid)));
});

test('a deleted pod is stopped, counted as failed and replaced at once', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  await drover.jobs.create(
    handlerJob('wait', { name: 'replaced', completions: 2, parallelism: 2, indexed: true }),
  );
  await waitFor(() => records.read('replaced').length === 2);
  const [victim] = records.read('replaced');
  await drover.pods.delete(victim?.pod ?? '');
  await waitFor(() => records.read('replaced').length === 3);
  const [, , replacement] = records.read('replaced');
  expect(replacement?.index).toBe(victim?.index);
  expect(replacement?.pod).not.toBe(victim?.pod);
  records.go('replaced');
  expect((await engine.finished('replaced')).status).toMatchObject({ succeeded: 2, failed: 1 });
  // As in Kubernetes, a deleted pod is gone; of one that ended the record goes.
  await expect(drover.pods.get(victim?.pod ?? '')).rejects.toMatchObject({ name: 'NotFoundError' });
  await drover.pods.delete(replacement?.pod ?? '');
  expect(await engine.pods('replaced')).toHaveLength(1);
});

test('a work-queue Job starts no pod after the first success and is complete when all ended', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  await drover.jobs.create(
    handlerJob('first-one-done', { name: 'queue', completions: null, parallelism: 4 }),
  );
  const one = await engine.until(
    'queue',
    ({ succeeded, active }) => succeeded === 1 && active === 3,
  );
  expect(one.status?.conditions ?? []).toEqual([]);
  // Pods that were there before the first success run, whether or not they had begun by then.
  await waitFor(() => records.read('queue').length === 4);
  // A pod that fails now is not replaced either.
  const victim = records.read('queue').find((run) => run.endMs === null);
  await drover.pods.delete(victim?.pod ?? '');
  await engine.until('queue', ({ active, failed }) => active === 2 && failed === 1);
  records.go('queue');
  const job = await engine.finished('queue');
  expect(job.status).toMatchObject({
    succeeded: 3,
    failed: 1,
    conditions: [
      { type: 'SuccessCriteriaMet', reason: 'CompletionsReached' },
      { type: 'Complete', status: 'True' },
    ],
  });
  expect(records.read('queue')).toHaveLength(4);
});

test('two Jobs whose own selectors overlap: each has its pods, and takes none of the other', async () => {
  onTestFailed(() => engine.show());
  const { drover } = engine;
  const labels = { app: 'shared' };
  const spec = { manualSelector: true, selector: { matchLabels: labels } };
  const names = ['overlap-a', 'overlap-b'];
  for (const name of names) {
    const job = handlerJob('work', { name, completions: 3, parallelism: 3 }) as {
      readonly spec: { readonly template: { readonly metadata: object } };
    };
    const template = { ...job.spec.template, metadata: { ...job.spec.template.metadata, labels } };
    await drover.jobs.create({ ...job, spec: { ...job.spec, ...spec, template } });
  }
  for (const name of names) {
    expect((await engine.finished(name)).status).toMatchObject({ succeeded: 3 });
  }
  const pods = await drover.pods.list({ labelSelector: 'app=shared' });
  const owners = pods.map(({ metadata }) => metadata.ownerReferences?.[0]?.name ?? '');
  expect(owners.filter((name) => name === names[0])).toHaveLength(3);
  expect(owners.filter((name) => name === names[1])).toHaveLength(3);
  for (const { metadata } of pods) expect(metadata.labels).toEqual(labels);
});

test('parallelism 0 starts nothing, completions 0 is complete at once', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  await drover.jobs.create(handlerJob('work', { name: 'paused', completions: 2, parallelism: 0 }));
  const paused = await engine.until('paused', ({ startTime }) => startTime !== undefined);
  expect(paused.status).not.toHaveProperty('active');
  const none = await drover.jobs.create(handlerJob('work', { name: 'none', completions: 0 }));
  const complete = await engine.finished(none.metadata.name);
  expect(complete.status?.conditions).toMatchObject([
    { type: 'SuccessCriteriaMet' },
    { type: 'Complete', status: 'True' },
  ]);
  expect(complete.status).toHaveProperty('completionTime');
  expect(await engine.pods('none')).toEqual([]);
  expect(records.read('paused')).toEqual([]);
  await drover.jobs.patch('paused', { spec: { parallelism: 2 } });
  expect((await engine.finished('paused')).status).toMatchObject({ succeeded: 2 });
});
