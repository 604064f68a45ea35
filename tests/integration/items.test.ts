import type { ItemResult, JobManifest } from '@drover/sdk';
import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import type { ItemOfTest } from './fixtures/handlers.ts';
import { Engine, type TestWorker } from './support/engine.ts';
import { handlerJob, programJob, type JobShape } from './support/manifests.ts';

const QUEUE = 'letters';

/** A work-queue Job whose pods take the items of {@link QUEUE}. */
function takeJob(name: string, shape: Partial<JobShape> = {}): JobManifest {
  const job = handlerJob('take', takeShape(name, shape));
  return { ...job, metadata: { name, annotations: { 'drover.dev/work-queue': QUEUE } } };
}

function takeShape(name: string, shape: Partial<JobShape>): JobShape {
  return {
    name,
    completions: null,
    parallelism: 2,
    backoffLimit: 1_000,
    graceSeconds: 2,
    ...shape,
  };
}

function itemsOf(count: number, item: ItemOfTest = {}): ItemOfTest[] {
  return Array.from({ length: count }, () => item);
}

async function results(engine: Engine): Promise<ItemResult[]> {
  const all: ItemResult[] = [];
  for await (const result of engine.drover.workQueue(QUEUE).results()) all.push(result);
  return all;
}

/** Each item once, and the results are of those that the pods gave. */
function expectOnce(all: readonly ItemResult[], count: number): void {
  expect(all.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: count }, (_, i) => i + 1),
  );
  for (const { id, result } of all) expect(result).toMatchObject({ id });
}

test('pods of two workers take items that come before, while and after they start, and end together', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker(), engine.worker()]);
  const queue = drover.workQueue<ItemOfTest>(QUEUE);
  await queue.enqueue(itemsOf(10, { ms: 20 }));
  await drover.jobs.create(takeJob('letters', { parallelism: 4 }));
  await engine.until('letters', ({ active = 0 }) => active === 4);
  await queue.enqueue(itemsOf(200));
  await queue.enqueue(itemsOf(5, { failures: 1 }), { backoff: { type: 'fixed', delay: 100 } });
  await queue.enqueue({ ms: 500 });
  await waitFor(async () => (await queue.stats()).completed === 216);
  expect((await engine.job('letters')).status).toMatchObject({ active: 4 });
  await queue.seal();
  const job = await engine.finished('letters');
  expect(job.status).toMatchObject({ succeeded: 4, conditions: expect.anything() });
  expect(job.status?.failed ?? 0).toBe(0);
  const all = await results(engine);
  expectOnce(all, 216);
  expect(all.filter(({ attempts }) => attempts === 2)).toHaveLength(5);
});

test('a worker that is killed gives its items back; a Job is suspended, goes on and grows', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  const [killed] = await Promise.all([engine.worker(), engine.worker(), engine.controller()]);
  const queue = drover.workQueue<ItemOfTest>(QUEUE);
  await queue.enqueue(itemsOf(150, { ms: 30 }), { chunk: false });
  await queue.enqueue(itemsOf(150, { ms: 10 }), { chunk: 50 });
  await queue.seal();
  await drover.jobs.create(takeJob('letters', { parallelism: 4 }));
  await waitFor(async () => (await queue.stats()).completed > 20);
  await killed.process.kill('SIGKILL');
  await drover.jobs.patch('letters', { spec: { suspend: true } });
  await engine.until('letters', ({ active = 0 }) => active === 0);
  await drover.jobs.patch('letters', { spec: { suspend: false, parallelism: 6 } });
  const job = await engine.finished('letters');
  expect(job.status?.conditions?.at(-1)?.type).toBe('Complete');
  expectOnce(await results(engine), 300);
}, 60_000);

test('a Job has no pods, gets some, and fewer; what its pods lose to that is done by others, and counts for nothing', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker()]);
  const queue = drover.workQueue<ItemOfTest>(QUEUE);
  await queue.enqueue(itemsOf(12, { ms: 150 }), { chunk: false });
  await queue.seal();
  await drover.jobs.create(takeJob('letters', { parallelism: 0 }));
  await engine.until('letters', ({ startTime }) => startTime !== undefined);
  expect(await drover.jobs.whyWaiting('letters')).toMatchObject([{ reason: 'ZeroParallelism' }]);
  expect(await queue.stats()).toMatchObject({ waiting: 12 });
  await drover.jobs.patch('letters', { spec: { parallelism: 4 } });
  await engine.until('letters', ({ active = 0 }) => active === 4);
  await drover.jobs.patch('letters', { spec: { parallelism: 1 } });
  const job = await engine.finished('letters');
  expect(job.status).toMatchObject({ succeeded: 1 });
  expect(job.status.failed ?? 0).toBe(0);
  const all = await results(engine);
  expectOnce(all, 12);
  expect(all.every(({ attempts }) => attempts === 1)).toBe(true);
});

test('a Job that fails leaves its items to others: by its deadline uncounted, by its pods one attempt each', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  await Promise.all([engine.controller({ backoffBaseMs: 10, backoffCapMs: 10 }), engine.worker()]);
  const queue = drover.workQueue<ItemOfTest>(QUEUE);
  await queue.enqueue(itemsOf(2, { ms: 1_500 }), { chunk: false });
  await drover.jobs.create(takeJob('late', { activeDeadlineSeconds: 1 }));
  const late = await engine.finished('late');
  expect(late.status.conditions?.at(-1)).toMatchObject({
    type: 'Failed',
    reason: 'DeadlineExceeded',
  });
  expect(await queue.stats()).toMatchObject({ completed: 0, dead: 0 });

  const drop = handlerJob('drop', takeShape('drop', { parallelism: 1, backoffLimit: 1 }));
  const annotations = { 'drover.dev/work-queue': QUEUE };
  await drover.jobs.create({ ...drop, metadata: { name: 'drop', annotations } });
  const dropped = await engine.finished('drop');
  expect(dropped.status).toMatchObject({ failed: 2 });
  expect(dropped.status.conditions?.at(-1)).toMatchObject({ reason: 'BackoffLimitExceeded' });

  await queue.seal();
  await drover.jobs.create(takeJob('letters'));
  await engine.finished('letters');
  const all = await results(engine);
  expectOnce(all, 2);
  const attempts = all.map((item) => item.attempts).toSorted((a, b) => a - b);
  // Whichever of them the pods that failed had in hand.
  expect([
    [2, 2],
    [1, 3],
  ]).toContainEqual(attempts);
});

test('an item that kills its workers is dead-lettered, and those beside it are not', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  await engine.controller();
  const queue = drover.workQueue<ItemOfTest>(QUEUE);
  await queue.enqueue([...itemsOf(5), { kill: true }, ...itemsOf(10, { ms: 5 })]);
  await queue.seal();
  await drover.jobs.create(takeJob('letters', { parallelism: 2 }));
  const workers: TestWorker[] = [];
  const over = { is: false };
  const finished = engine.finished('letters', 90_000).finally(() => (over.is = true));
  while (!over.is) {
    const worker = await engine.worker();
    workers.push(worker);
    await waitFor(() => worker.process.isOver || over.is, { timeoutMs: 90_000 });
  }
  const job = await finished;
  expect(job.status?.conditions?.at(-1)?.type).toBe('Complete');
  expect(workers.filter(({ process }) => process.isOver)).toHaveLength(3);
  const dead = [];
  for await (const item of queue.deadLetters()) dead.push(item);
  expect(dead).toMatchObject([{ id: 6, data: { kill: true }, reason: 'KilledItsPods' }]);
  expect(await results(engine)).toHaveLength(15);
}, 120_000);

test('pods that take one item each: a worker is killed, items fail, and each is settled once', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  await engine.controller({ backoffBaseMs: 50, backoffCapMs: 200 });
  const workers = await Promise.all(Array.from({ length: 2 }, () => engine.worker()));
  const queue = drover.workQueue<ItemOfTest>(QUEUE);
  await queue.enqueue(itemsOf(30, { ms: 10 }), { chunk: 10 });
  await queue.enqueue(itemsOf(3, { failures: 1 }), { backoff: { type: 'fixed', delay: 100 } });
  await queue.enqueue(itemsOf(27, { ms: 15 }), { chunk: false });
  const shape = takeShape('letters', { completions: 60, parallelism: 6 });
  await drover.jobs.create(handlerJob('take', shape), { itemPerPod: { workQueue: QUEUE } });
  await waitFor(async () => (await queue.stats()).completed >= 20, { timeoutMs: 60_000 });
  await workers[0]!.process.kill('SIGKILL');
  // Nobody seals the work queue: a Job with as many completions as items need not know of that.
  const job = await engine.finished('letters', 60_000);
  expect(job.status).toMatchObject({ succeeded: 60 });
  expectOnce(await results(engine), 60);
  expect(await queue.stats()).toMatchObject({ completed: 60, dead: 0, inFlight: 0 });
}, 120_000);

test('programs take one item each; those of which there are too many are left, and too few are waited for', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker()]);
  const queue = drover.workQueue<string>(QUEUE);
  await queue.enqueue(['1', '2', '3']);
  const program = ['/bin/sh', '-c', 'read n; echo $((n * n)) > "$DROVER_ITEM_RESULT_FILE"'];
  const create = async (name: string, completions: number): Promise<void> => {
    const manifest = programJob(program, takeShape(name, { completions }));
    await drover.jobs.create(manifest, { itemPerPod: { workQueue: QUEUE } });
  };
  await create('some', 2);
  const warnings: string[] = [];
  await drover.jobs.wait('some', { onWarning: (text) => warnings.push(text), timeoutMs: 30_000 });
  expect(warnings).toEqual([expect.stringMatching(/^1 item is not settled: another Job on/)]);
  await create('rest', 3);
  await waitFor(async () => (await queue.stats()).completed === 3);
  await queue.enqueue('4');
  await waitFor(async () => (await queue.stats()).completed === 4);
  await queue.seal();
  expect((await engine.finished('rest')).status).toMatchObject({ succeeded: 3 });
  const squares = (await results(engine)).map(({ result }) => Number(result));
  expect(squares.toSorted((a, b) => a - b)).toEqual([1, 4, 9, 16]);
}, 60_000);
