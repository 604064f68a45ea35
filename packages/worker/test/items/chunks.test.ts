import { setTimeout as delay } from 'node:timers/promises';

import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { defineHandler, defineItemHandler, type HandlerContext } from '../../src/index.ts';
import type { TestEngine } from '../support/engine.ts';
import { Gate, Workers } from '../support/workers.ts';
import { TestWorkQueue } from '../support/workQueue.ts';

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

async function setUp(): Promise<void> {
  engine = await workers.engine({ slotLockMs: 2_000, slotStalledMs: 500 });
  queue = await TestWorkQueue.create(engine);
}

async function job(parallelism = 1): Promise<string> {
  const uid = await engine.createJob({ run: 'take', completions: null, workQueue: queue.name });
  await engine.offer(uid, parallelism);
  return uid;
}

async function ended(uid: string, count = 1): Promise<void> {
  await waitFor(
    async () => (await engine.pods(uid)).filter((pod) => pod.kind === 'record').length >= count,
    { timeoutMs: 20_000 },
  );
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('chunks of items', () => {
  test('are invisible: each item has its own outcome', async () => {
    await setUp();
    await queue.enqueueChunks(numbers(1_000), 300);
    await queue.seal();
    const failures: number[] = [];
    const handler = defineItemHandler<number>('take', ({ id, data, attempt }) => {
      if (data % 100 === 7 && attempt === 1) throw new Error('not at first');
      if (data === 500) {
        failures.push(attempt);
        throw new Error('never');
      }
      return data === id - 1 ? data : 'wrong';
    });
    await workers.worker(engine, { handlers: [handler] });
    const uid = await job(4);
    await ended(uid, 4);
    const { counts } = await queue.read();
    expect(counts).toMatchObject({ settled: 1_000, completed: 999, dead: 1 });
    const outcomes = await queue.outcomes();
    const completed = outcomes.filter(({ outcome }) => outcome === 'completed');
    expect(completed.every(({ id, result }) => result === String(id - 1))).toBe(true);
    expect(outcomes.filter(({ attempts }) => attempts === 2)).toHaveLength(10);
    expect(failures).toEqual([1, 2, 3]);
    expect(await queue.dead()).toEqual(
      new Map([[501, expect.objectContaining({ data: 500, attempts: 3, reason: 'Failed' })]]),
    );
    await queue.emptied();
  });

  test('what a pod leaves behind is run by others, and nothing twice', async () => {
    await setUp();
    await queue.enqueueChunks(numbers(50), 50);
    await queue.seal();
    const runs: number[] = [];
    let podCount = 0;
    const run = async ({ items }: HandlerContext): Promise<void> => {
      podCount += 1;
      const isFirst = podCount === 1;
      for await (const item of items()) {
        runs.push(item.id);
        if (isFirst && runs.length === 10) break;
      }
    };
    await workers.worker(engine, { handlers: [defineHandler('take', run)] });
    await ended(await job());
    expect((await queue.read()).counts.settled).toBe(10);
    await ended(await job());
    expect(runs.toSorted((a, b) => a - b)).toEqual(numbers(50).map((i) => i + 1));
    await queue.emptied();
  });

  test('lose no item that can not be put back for want of memory', async () => {
    await setUp();
    const { redis } = engine;
    await queue.enqueueChunks(numbers(4), 4);
    await queue.seal();
    const begun = new Gate();
    const isFull = new Gate();
    const refused = new Gate();
    let hasFailed = false;
    const run = async ({ items }: HandlerContext): Promise<void> => {
      for await (const item of items<number>()) {
        if (hasFailed || item.id !== 1) continue;
        hasFailed = true;
        begun.open();
        await isFull.opened;
        await item.fail('not at first');
        refused.open();
      }
    };
    await workers.worker(engine, { handlers: [defineHandler('take', run)] });
    const uid = await job();
    await begun.opened;
    await redis.config('SET', 'maxmemory', '1');
    isFull.open();
    await refused.opened;
    await redis.config('SET', 'maxmemory', '0');
    await ended(uid);
    expect((await queue.read()).counts).toMatchObject({ settled: 4, completed: 4 });
    await queue.emptied();
  });

  test('of slow items are shared with other workers', async () => {
    await setUp();
    await queue.enqueueChunks(numbers(100), 100);
    await queue.seal();
    const ran = { a: 0, b: 0 };
    const work = (name: 'a' | 'b') =>
      defineItemHandler('take', async () => {
        ran[name] += 1;
        await delay(30);
      });
    await workers.worker(engine, { handlers: [work('a')], maxPods: 1 });
    await workers.worker(engine, { handlers: [work('b')], maxPods: 1 });
    const uid = await job(2);
    await ended(uid, 2);
    expect((await queue.read()).counts.completed).toBe(100);
    expect(Math.min(ran.a, ran.b)).toBeGreaterThan(20);
    expect(ran.a + ran.b).toBe(100);
  });

  test('whose first item takes long are shared, too', async () => {
    await setUp();
    const go = new Gate();
    await queue.enqueueChunks(numbers(20), 20);
    await queue.seal();
    const take = defineItemHandler<number>('take', async ({ data }) => {
      if (data === 0) await go.opened;
    });
    await workers.worker(engine, { handlers: [take], maxPods: 1 });
    const slow = await job();
    await waitFor(async () => (await queue.queueJobs()).active === 1);
    await workers.worker(engine, { handlers: [take], maxPods: 1 });
    const other = await job();
    await queue.settled(19);
    go.open();
    await ended(slow);
    await ended(other);
    expect((await queue.read()).counts.completed).toBe(20);
  });

  test('do not keep others on the event loop waiting', async () => {
    await setUp();
    await queue.enqueueChunks(numbers(200), 200);
    await queue.seal();
    let longestMs = 0;
    const take = defineItemHandler('take', () => {
      const untilMs = performance.now() + 4;
      while (performance.now() < untilMs);
    });
    await workers.worker(engine, { handlers: [take] });
    let lastMs = performance.now();
    const timer = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - lastMs);
      lastMs = performance.now();
    }, 1);
    await ended(await job());
    clearInterval(timer);
    // All of them take 800 ms.
    expect(longestMs).toBeLessThan(300);
  });
});

describe('defineItemHandler', () => {
  test('runs so many items at a time, and goes on after one that fails', async () => {
    await setUp();
    await queue.enqueue(numbers(12), { attempts: 1 });
    await queue.seal();
    let running = 0;
    let most = 0;
    const take = defineItemHandler<number>(
      'take',
      async ({ data }, { job: { name } }) => {
        running += 1;
        most = Math.max(most, running);
        await delay(20);
        running -= 1;
        if (data === 3) throw new Error('three');
        return { data, name };
      },
      { concurrency: 5 },
    );
    await workers.worker(engine, { handlers: [take] });
    const uid = await job();
    await ended(uid);
    expect(most).toBe(5);
    expect((await queue.read()).counts).toMatchObject({ completed: 11, dead: 1 });
    expect((await queue.dead()).get(4)?.error).toBe('Error: three');
  });

  test('checks the data, and does not try again what does not fit', async () => {
    await setUp();
    await queue.enqueue([{ n: 1 }, { n: 'x' }]);
    await queue.seal();
    const schema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: unknown) =>
          typeof (value as { n: unknown }).n === 'number'
            ? { value: { twice: (value as { n: number }).n * 2 } }
            : { issues: [{ message: 'must be a number', path: ['n'] }] },
        types: undefined as { input: unknown; output: { twice: number } } | undefined,
      },
    } as const;
    const take = defineItemHandler('take', schema, ({ data }) => data.twice);
    await workers.worker(engine, { handlers: [take] });
    await ended(await job());
    expect((await queue.outcomes()).find(({ id }) => id === 1)?.result).toBe('2');
    expect((await queue.dead()).get(2)).toMatchObject({
      error: 'its data does not fit the schema: n: must be a number',
      attempts: 1,
    });
  });

  test('says which option is wrong', () => {
    expect(() => defineItemHandler('x', () => {}, { concurrency: 0 })).toThrow(
      'handler "x": concurrency 0: an integer of 1 to 1000 is expected',
    );
  });
});
