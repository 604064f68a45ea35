import { readPodLog } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';

import type { HandlerDefinition, WorkerOptions } from '../../../src/index.ts';
import { look, shout, takeInThread, type ThreadItem } from '../../fixtures/threadHandlers.ts';
import type { TestEngine } from '../../support/engine.ts';
import { Workers } from '../../support/workers.ts';
import { TestWorkQueue } from '../../support/workQueue.ts';

// Threads load modules, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 40_000 });

let workers: Workers;
let engine: TestEngine;
let queue: TestWorkQueue;

beforeAll(async () => {
  workers = await Workers.start();
});

afterEach(async () => {
  await workers.clear();
});

afterAll(async () => {
  await workers.stop();
});

/** A worker with one thread, and a pod of the handler that takes items. */
async function start(run: HandlerDefinition, options: Partial<WorkerOptions> = {}) {
  engine = await workers.engine({ slotLockMs: 2_000, slotStalledMs: 500 });
  queue = await TestWorkQueue.create(engine);
  await workers.worker(engine, { handlers: [run, look], threads: 1, ...options });
}

async function job(run: HandlerDefinition): Promise<string> {
  const uid = await engine.createJob({
    run: run.name,
    completions: null,
    workQueue: queue.name,
    graceSeconds: 5,
  });
  await engine.offer(uid, 1);
  return uid;
}

async function ended(uid: string, podNumber = 1) {
  return await waitFor(
    async () =>
      (await engine.pods(uid)).find((pod) => pod.kind === 'record' && pod.podNumber === podNumber),
    { timeoutMs: 30_000 },
  );
}

async function logOf(uid: string, podNumber = 1): Promise<string> {
  let log = '';
  for await (const { text } of readPodLog(engine.redis, engine.shard.podLogKey(uid, podNumber)))
    log += text;
  return log;
}

test('a handler in a thread takes items, and says what becomes of them', async () => {
  await start(takeInThread);
  const items: ThreadItem[] = [
    { does: 'complete' },
    {},
    { does: 'twice' },
    { does: 'fail', once: true },
    { does: 'giveUp' },
  ];
  await queue.enqueue(items);
  await queue.seal();
  const uid = await job(takeInThread);
  expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
  const outcomes = (await queue.outcomes()).toSorted((a, b) => a.id - b.id);
  expect(
    outcomes.map(({ id, outcome, attempts, result }) => [id, outcome, attempts, result]),
  ).toEqual([
    [1, 'completed', 1, '{"id":1,"isMainThread":false}'],
    [2, 'completed', 1, ''],
    [3, 'completed', 1, ''],
    [4, 'completed', 2, ''],
    [5, 'dead', 1, ''],
  ]);
  expect((await queue.dead()).get(5)).toMatchObject({ error: 'never', attempts: 1 });
  expect(await logOf(uid)).toMatch(
    /ItemEndedError: item 3 was completed or failed before[^]*all done/,
  );
  await queue.emptied();
});

test.each([
  ['throws', 'throw', 'no such letter'],
  ['ends its thread', 'exit', 'process.exit(3)'],
] as const)(
  'a handler that %s fails with the item that it has in hand',
  async (_, does, message) => {
    await start(takeInThread);
    await queue.enqueue([{ does, once: true }], { attempts: 2 });
    await queue.enqueue([{ does }], { attempts: 1 });
    await queue.seal();
    const uid = await job(takeInThread);
    for (const podNumber of [1, 2]) {
      expect(JSON.stringify(await ended(uid, podNumber))).toContain(message);
      // The controller's part: a pod in place of the one that failed.
      await engine.offer(uid, 1);
    }
    expect(await ended(uid, 3)).toMatchObject({ outcome: 'Succeeded' });
    expect((await queue.dead()).get(2)?.error).toContain(message);
    expect((await queue.outcomes()).find(({ id }) => id === 1)).toMatchObject({ attempts: 2 });
  },
);

test.each(['wait', 'compute'] as const)(
  'an item’s signal is heard by a handler that has to %s; the item goes back uncounted',
  async (does) => {
    await start(takeInThread);
    await queue.enqueue([{ does }]);
    const uid = await job(takeInThread);
    await waitFor(async () => (await logOf(uid)).includes('begun'));
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(await logOf(uid)).toContain('heard: the pod was told to stop');
    expect((await queue.read()).counts.settled).toBe(0);
    await waitFor(async () => (await queue.queueJobs()).waiting === 1);
  },
);

test('while it waits for items its thread is kept and another pod gets one; it is told to stop there', async () => {
  await start(takeInThread);
  const uid = await job(takeInThread);
  const other = await engine.createJob({ run: look.name });
  await waitFor(async () => (await engine.job(uid)).counters.running === 1);
  await engine.offer(other, 1);
  expect(await ended(other)).toMatchObject({ outcome: 'Succeeded' });
  expect((await engine.job(uid)).counters.running).toBe(1);
  await engine.stop(uid);
  await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
});

test('defineItemHandler runs its function in a thread, and checks what it gets', async () => {
  await start(shout);
  await queue.enqueueChunks(['a', 'b', 7, 'c', 'd', 'e'], 3);
  await queue.seal();
  const uid = await job(shout);
  expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
  const results = (await queue.outcomes())
    .toSorted((a, b) => a.id - b.id)
    .map(({ result }) => result);
  expect(results).toEqual(['"A"', '"B"', '', '"C"', '"D"', '"E"']);
  expect((await queue.dead()).get(3)?.error).toContain('expected a text');
});
