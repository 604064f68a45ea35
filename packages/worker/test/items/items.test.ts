import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import {
  defineHandler,
  type DroverWorker,
  type HandlerContext,
  type Item,
  type WorkerOptions,
} from '../../src/index.ts';
import type { TestEngine } from '../support/engine.ts';
import { aborted, Gate, Workers } from '../support/workers.ts';
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

/** An installation with a work queue. */
async function setUp(): Promise<void> {
  engine = await workers.engine({ slotLockMs: 2_000, slotStalledMs: 500 });
  queue = await TestWorkQueue.create(engine);
}

/** A worker whose only handler is this one. */
async function worker(
  run: (pod: HandlerContext) => unknown,
  options: Partial<WorkerOptions> = {},
): Promise<DroverWorker> {
  return await workers.worker(engine, { handlers: [defineHandler('take', run)], ...options });
}

/** Pods of a work-queue Job of the handler. */
async function job(
  parallelism = 1,
  over: { workQueue?: string; graceSeconds?: number } = {},
): Promise<string> {
  const uid = await engine.createJob({
    run: 'take',
    completions: null,
    workQueue: queue.name,
    ...over,
  });
  await engine.offer(uid, parallelism);
  return uid;
}

async function ended(uid: string, count = 1, timeoutMs = 20_000) {
  return await waitFor(
    async () => {
      const records = (await engine.pods(uid)).filter((pod) => pod.kind === 'record');
      return records.length >= count ? records : null;
    },
    { timeoutMs, describe: () => uid },
  );
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('items of a handler', () => {
  test('are completed one after the other, until all are done', async () => {
    await setUp();
    await queue.enqueue(['a', 'b', 'c']);
    const seen: [number, unknown, number, string | null][] = [];
    let sawEnd = false;
    await worker(async ({ items }) => {
      for await (const item of items()) {
        seen.push([item.id, item.data, item.attempt, item.key]);
        if (item.id === 2) await item.complete({ two: 2 });
      }
      sawEnd = true;
    });
    const uid = await job();
    await queue.settled(3);
    expect(sawEnd).toBe(false);
    await queue.seal();
    const [pod] = await ended(uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded' });
    // In the order of enqueue but for those that are fetched at the same time.
    expect(seen.toSorted(([a], [b]) => a - b)).toEqual([
      [1, 'a', 1, null],
      [2, 'b', 1, null],
      [3, 'c', 1, null],
    ]);
    const outcomes = await queue.outcomes();
    const byId = outcomes.toSorted((a, b) => a.id - b.id);
    expect(byId.map(({ id, result, outcome }) => [id, result, outcome])).toEqual([
      [1, '', 'completed'],
      [2, '{"two":2}', 'completed'],
      [3, '', 'completed'],
    ]);
    await queue.emptied();
  });

  test('that come later are fetched for a pod that wants one at a time', async () => {
    await setUp();
    const seen: unknown[] = [];
    await worker(async ({ items }) => {
      for await (const item of items({ prefetch: 1 })) seen.push(item.data);
    });
    await queue.enqueue(['first']);
    const uid = await job();
    await queue.settled(1);
    await queue.emptied();
    await queue.enqueue(['second']);
    await queue.settled(2);
    await queue.seal();
    await ended(uid);
    expect(seen).toEqual(['first', 'second']);
  });

  test('are seen to be all done when the last one is settled, by a pod of another worker too', async () => {
    await setUp();
    await queue.enqueue(['only']);
    await queue.seal();
    const held = new Gate();
    const last = new Gate();
    const order: string[] = [];
    const run = async ({ items, pod }: HandlerContext): Promise<void> => {
      for await (const item of items()) {
        held.open();
        await last.opened;
        await item.complete();
        order.push('settled');
      }
      order.push(`pod ${pod.number} saw the end`);
    };
    await worker(run, { maxPods: 1 });
    await worker(run, { maxPods: 1 });
    const uid = await job(2);
    await held.opened;
    expect((await engine.pods(uid)).every((pod) => pod.kind !== 'record')).toBe(true);
    last.open();
    // Much less than the ten seconds after which a pod looks by itself: it was told.
    const pods = await ended(uid, 2, 8_000);
    expect(pods.map((pod) => pod.kind === 'record' && pod.outcome)).toEqual([
      'Succeeded',
      'Succeeded',
    ]);
    expect(order[0]).toBe('settled');
    expect(order.slice(1).toSorted()).toEqual(['pod 1 saw the end', 'pod 2 saw the end']);
  });

  test('fail with the pod that throws; those that it had not begun with do not', async () => {
    await setUp();
    await queue.enqueue(['bad', 'good', 'fine']);
    await queue.seal();
    const seen: string[] = [];
    await worker(async ({ items }) => {
      for await (const { data, attempt } of items<string>()) {
        seen.push(`${data} ${attempt}`);
        if (data === 'bad' && attempt < 3) throw new Error('not this one');
      }
    });
    const uid = await job();
    const [first] = await ended(uid);
    expect(first).toMatchObject({ outcome: 'Failed' });
    // The controller's part: pods in place of those that failed.
    await engine.offer(uid, 1);
    await ended(uid, 2);
    await engine.offer(uid, 1);
    await ended(uid, 3);
    const outcomes = await queue.outcomes();
    expect(
      outcomes.map(({ id, attempts }) => [id, attempts]).toSorted(([a], [b]) => a! - b!),
    ).toEqual([
      [1, 3],
      [2, 1],
      [3, 1],
    ]);
    expect(seen.toSorted()).toEqual(['bad 1', 'bad 2', 'bad 3', 'fine 1', 'good 1']);
  });

  test('break completes the item in hand; what was fetched ahead goes to others', async () => {
    await setUp();
    await queue.enqueue(numbers(3));
    await worker(async ({ items }) => {
      for await (const item of items()) if (item.id > 0) break;
    });
    const uid = await job();
    const [pod] = await ended(uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded' });
    expect((await queue.read()).counts).toMatchObject({ settled: 1, completed: 1 });
    await waitFor(async () => (await queue.queueJobs()).waiting === 2);
  });

  test('that fail are tried again after their back-off, and dead-lettered in the end', async () => {
    await setUp();
    await queue.enqueue(['x'], { attempts: 2, backoff: { type: 'fixed', delay: 300 } });
    await queue.enqueue(['y'], { attempts: 5 });
    await queue.seal();
    const times: number[] = [];
    await worker(async ({ items }) => {
      for await (const item of items<string>()) {
        if (item.data === 'y') await item.fail('never', { retry: false });
        else {
          times.push(performance.now());
          await item.fail(new Error('no'));
        }
      }
    });
    const uid = await job();
    await ended(uid);
    expect(times).toHaveLength(2);
    expect(times[1]! - times[0]!).toBeGreaterThan(280);
    expect([...(await queue.dead())].toSorted(([a], [b]) => a - b)).toMatchObject([
      [1, { data: 'x', error: 'Error: no', reason: 'Failed', attempts: 2 }],
      [2, { data: 'y', error: 'never', reason: 'Failed', attempts: 1 }],
    ]);
    expect((await queue.read()).counts).toMatchObject({ completed: 0, dead: 2 });
  });

  test('end once: what is said later is an error', async () => {
    await setUp();
    await queue.enqueue(['a', 'b']);
    await queue.seal();
    const errors: unknown[] = [];
    const kept: Item[] = [];
    await worker(async ({ items }) => {
      for await (const item of items()) {
        kept.push(item);
        const said = item.id === 1 ? item.complete() : item.fail('x', { retry: false });
        await item.complete().catch((error: unknown) => errors.push(error));
        await item.fail('x').catch((error: unknown) => errors.push(error));
        await said;
      }
    });
    const uid = await job();
    await ended(uid);
    expect(errors.map((error) => (error as Error).name)).toEqual(
      Array.from({ length: 4 }, () => 'ItemEndedError'),
    );
    expect(String(errors[0])).toContain('item 1 was completed or failed before');
    await expect(kept[0]!.complete()).rejects.toThrow('before');
    expect((await queue.read()).counts).toMatchObject({ completed: 1, dead: 1 });
  });

  test('a result that can not be kept leaves the item in hand', async () => {
    await setUp();
    await queue.enqueue(['a']);
    await queue.seal();
    const errors: string[] = [];
    await worker(async ({ items }) => {
      for await (const item of items()) {
        await item
          .complete('x'.repeat(70_000))
          .catch((error: unknown) => errors.push(String(error)));
        await item.complete(10n).catch((error: unknown) => errors.push(String(error)));
        await item.complete('short');
      }
    });
    await ended(await job());
    expect(errors[0]).toContain('has 70002 bytes as JSON; at most 65536 are kept');
    expect(errors[1]).toContain('is not JSON');
    expect(await queue.outcomes()).toMatchObject([{ id: 1, result: '"short"' }]);
  });

  test('a pod that is told to stop gets the reason; its item goes back uncounted', async () => {
    await setUp();
    await queue.enqueue(['a']);
    const began = new Gate();
    const reasons: unknown[] = [];
    await worker(async ({ items, signal }) => {
      for await (const item of items()) {
        began.open();
        expect(item.attempt).toBe(1);
        if (reasons.length > 0) continue;
        await aborted(item.signal);
        reasons.push(signal.reason, item.signal.reason);
        throw signal.reason;
      }
    });
    const uid = await job();
    await began.opened;
    await engine.stop(uid);
    await waitFor(async () => (await queue.queueJobs()).waiting === 1);
    expect(String(reasons[0])).toContain('told to stop');
    expect(reasons[1]).toBe(reasons[0]);
    expect((await queue.read()).counts.settled).toBe(0);
    await queue.seal();
    await job();
    await queue.settled(1);
    expect(await queue.outcomes()).toMatchObject([{ attempts: 1 }]);
  });

  test('a pod that waits and is told to stop has not seen the end', async () => {
    await setUp();
    const asked = new Gate();
    let thrown: unknown = null;
    let sawEnd = false;
    await worker(async ({ items }) => {
      const iterator = items();
      const next = iterator.next();
      asked.open();
      try {
        sawEnd = (await next).done === true;
      } catch (error) {
        thrown = error;
        throw error;
      }
    });
    const uid = await job();
    await asked.opened;
    await engine.stop(uid);
    await waitFor(() => thrown);
    expect(String(thrown)).toContain('told to stop');
    expect(sawEnd).toBe(false);
  });

  test('a Job without a work queue, or with one that is gone, is told so', async () => {
    await setUp();
    await worker(async ({ items }) => {
      for await (const item of items()) void item;
    });
    const none = await engine.createJob({ run: 'take' });
    await engine.offer(none, 1);
    const [pod] = await ended(none);
    expect(JSON.stringify(pod)).toContain('names no work queue');
    const [other] = await ended(await job(1, { workQueue: 'nowhere' }));
    expect(JSON.stringify(other)).toContain('WorkQueue default/nowhere does not exist');
  });

  test('a deleted work queue fails the pods that wait', async () => {
    await setUp();
    await queue.enqueue(['a']);
    await worker(async ({ items }) => {
      for await (const item of items()) void item;
    });
    const uid = await job();
    await queue.settled(1);
    await queue.delete();
    const [pod] = await ended(uid);
    expect(pod).toMatchObject({ outcome: 'Failed' });
    expect(JSON.stringify(pod)).toContain('was deleted');
  });

  test('a pod without its claim can neither complete nor fail items', async () => {
    await setUp();
    await queue.enqueue(['a']);
    const began = new Gate();
    const fenced = new Gate();
    const errors: unknown[] = [];
    await worker(async ({ items }) => {
      for await (const item of items()) {
        if (errors.length > 0) continue;
        began.open();
        await fenced.opened;
        await item.complete().catch((error: unknown) => errors.push(error));
      }
    });
    const uid = await job();
    await began.opened;
    for (const session of await engine.sessions()) await engine.endSession(session);
    fenced.open();
    await waitFor(() => errors.length > 0);
    expect(String(errors[0])).toContain('lost its claim');
    expect((await queue.read()).counts.settled).toBe(0);
    await queue.seal();
    await engine.offer(uid, 1);
    await queue.settled(1);
    expect((await queue.outcomes()).length).toBe(1);
  });

  test('what nobody takes for a second goes to other workers', async () => {
    await setUp();
    const go = new Gate();
    const taken: string[] = [];
    const run =
      (name: string) =>
      async ({ items }: HandlerContext): Promise<void> => {
        for await (const item of items()) {
          taken.push(`${name} ${item.id}`);
          if (item.id === 1) await go.opened;
        }
      };
    await queue.enqueue(numbers(4));
    await queue.seal();
    await worker(run('slow'), { maxPods: 1 });
    const slow = await job();
    await waitFor(() => taken.length === 1);
    await worker(run('other'), { maxPods: 1 });
    const other = await job();
    await queue.settled(3);
    expect(taken.toSorted()).toEqual(['other 2', 'other 3', 'other 4', 'slow 1']);
    go.open();
    await ended(slow);
    await ended(other);
  });

  test('a pod that comes while others hold long items gets some at once', async () => {
    await setUp();
    const go = new Gate();
    let holding = 0;
    await worker(
      async ({ items }) => {
        for await (const item of items({ prefetch: 1 })) {
          holding += item.id > 0 ? 1 : 0;
          await go.opened;
        }
      },
      { maxPods: 4 },
    );
    await queue.enqueue(numbers(4));
    await queue.seal();
    const uid = await job(1);
    await waitFor(() => holding === 1);
    await engine.offer(uid, 4);
    await waitFor(() => holding === 4);
    go.open();
    await ended(uid, 4);
  });
});
