import { waitFor } from '@drover/testkit';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  expectTypeOf,
  test,
} from 'vitest';

import {
  defineHandler,
  defineItemHandler,
  FinalItemError,
  type HandlerDefinition,
  type ItemOfHandler,
} from '../../src/index.ts';
import { shout, takeOneInThread } from '../fixtures/threadHandlers.ts';
import type { TestEngine, TestJob } from '../support/engine.ts';
import { Gate, Workers } from '../support/workers.ts';
import { TestWorkQueue } from '../support/workQueue.ts';

let workers: Workers;
let engine: TestEngine;
let queue: TestWorkQueue;

beforeAll(async () => {
  workers = await Workers.start();
});
beforeEach(async () => {
  engine = await workers.engine({ slotLockMs: 2_000, slotStalledMs: 500 });
  queue = await TestWorkQueue.create(engine);
});
afterEach(async () => {
  await workers.clear();
});
afterAll(async () => {
  await workers.stop();
});

/** Creates a Job whose pods take one item each, and opens the first of them. */
async function job(completions: number, pods: number, over: Partial<TestJob>): Promise<string> {
  const uid = await engine.createJob({
    completions,
    workQueue: queue.name,
    itemPerPod: 'stdin',
    run: ['true'],
    ...over,
  });
  await engine.offer(uid, pods);
  return uid;
}

/** A Job of a handler, and a worker that has it. */
async function handlerJob(
  handler: HandlerDefinition,
  completions: number,
  over: Partial<TestJob> = {},
): Promise<string> {
  await workers.worker(engine, { handlers: [handler], threads: 1, maxPods: 2 });
  return await job(completions, completions, { itemPerPod: 'context', run: handler.name, ...over });
}

async function ended(uid: string, count: number) {
  return await waitFor(
    async () => {
      const pods = (await engine.pods(uid)).filter((pod) => pod.kind === 'record');
      return pods.length >= count ? pods : null;
    },
    { timeoutMs: 20_000, describe: () => uid },
  );
}

async function outcomes() {
  const all = (await queue.outcomes()).toSorted((a, b) => a.id - b.id);
  return all.map(({ outcome, attempts, result }) => [outcome, attempts, result]);
}

const sh = (script: string): Partial<TestJob> => ({ run: ['sh', '-c', script] });
const NOTHING_LEFT = expect.stringContaining('took no item');

describe('programs', () => {
  beforeEach(async () => {
    await workers.worker(engine, { runtimes: ['process'], maxPods: 2 });
  });

  test.each([
    ['stdin', 'cat'],
    ['env', 'printf %s "$DROVER_ITEM"'],
    ['file', 'cat "$DROVER_ITEM_FILE"'],
  ] as const)(
    'get their item by %s: a text as it is, all else as JSON',
    async (itemPerPod, read) => {
      await queue.enqueue([{ url: 'a b' }, 'two  words']);
      const script = `${read} > "$DROVER_ITEM_RESULT_FILE"; test $DROVER_ITEM_ATTEMPT = 1`;
      const uid = await job(2, 2, { itemPerPod, ...sh(script) });
      const pods = await ended(uid, 2);
      expect(pods.map(({ outcome }) => outcome)).toEqual(['Succeeded', 'Succeeded']);
      expect(await outcomes()).toEqual([
        ['completed', 1, '{"url":"a b"}'],
        ['completed', 1, '"two  words"'],
      ]);
      await queue.emptied();
    },
  );

  test('that fail have their item tried again by another pod, until it is dead-lettered', async () => {
    await queue.enqueue(['bad'], { attempts: 2 });
    const uid = await job(1, 1, sh('read -r item; test "$item" = good || exit 7'));
    await ended(uid, 1);
    await engine.offer(uid, 1);
    await ended(uid, 2);
    expect((await queue.dead()).get(1)).toMatchObject({ attempts: 2, error: 'exit code 7' });
    // All that the Job should settle is settled, though its work queue is open: another pod has nothing to wait for.
    await engine.offer(uid, 1);
    const pods = await ended(uid, 3);
    expect(pods.map((pod) => [pod.outcome, pod.overlay?.message])).toEqual([
      ['Failed', undefined],
      ['Failed', undefined],
      ['Succeeded', NOTHING_LEFT],
    ]);
  });

  test('that can not be started give it back: only what ran counts as an attempt', async () => {
    await queue.enqueue(['x']);
    const uid = await job(1, 1, { run: ['/no/such/program'] });
    const [pod] = await ended(uid, 1);
    expect(pod).toMatchObject({ outcome: 'Failed', reason: 'StartError' });
    await waitFor(async () => (await queue.queueJobs()).waiting === 1);
  });

  test('whose result is too long fail, and so does their item, for good', async () => {
    await queue.enqueue(['x']);
    const uid = await job(
      1,
      1,
      sh('head -c 70000 /dev/zero | tr "\\0" x > $DROVER_ITEM_RESULT_FILE'),
    );
    const [pod] = await ended(uid, 1);
    expect(pod).toMatchObject({ outcome: 'Failed', reason: 'Error' });
    expect((await queue.dead()).get(1)?.error).toMatch(
      /^its result has 70002 bytes; at most 65536/,
    );
  });

  test('with more than fits into a variable: the item is dead-lettered at once', async () => {
    await queue.enqueue(['x'.repeat(128 * 1024 - 'DROVER_ITEM='.length), 'y']);
    const uid = await job(2, 1, { itemPerPod: 'env' });
    await ended(uid, 1);
    expect((await queue.dead()).get(1)).toMatchObject({
      attempts: 1,
      error: expect.stringContaining('too long for an environment variable (131073 bytes'),
    });
  });

  test('that are told to stop give it back, also with exit code 0', async () => {
    await queue.enqueue(['x']);
    const uid = await job(1, 1, sh('trap "exit 0" TERM; cat; while :; do sleep 0.01; done'));
    await waitFor(async () => (await queue.queueJobs()).active === 1);
    await waitFor(async () => (await engine.job(uid)).counters.running === 1);
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    await waitFor(async () => (await queue.queueJobs()).waiting === 1);
    expect((await queue.read()).counts.settled).toBe(0);
  });
});

test('with fewer items than completions pods wait until all is done, and then succeed at once', async () => {
  const held = new Gate();
  const ran: unknown[] = [];
  await queue.enqueue(['only']);
  const uid = await handlerJob(
    defineHandler('take', async ({ item }) => {
      ran.push(item?.data);
      await held.opened;
    }),
    3,
  );
  // Two lanes: the third pod runs beside those that wait.
  await waitFor(async () => (await engine.job(uid)).counters.running === 3);
  await queue.seal();
  held.open();
  const pods = await ended(uid, 3);
  expect(pods.map((pod) => pod.overlay?.message).filter((text) => text !== undefined)).toEqual([
    NOTHING_LEFT,
    NOTHING_LEFT,
  ]);
  expect(ran).toEqual(['only']);
});

test('a pod in place of one that was lost after it had settled takes no item that is another Job’s', async () => {
  await queue.enqueue(['x', 'y']);
  const ran: unknown[] = [];
  const uid = await handlerJob(
    defineHandler('take', ({ item }) => {
      ran.push(item?.id);
      if (ran.length === 1) throw new FinalItemError('not this one');
    }),
    1,
  );
  await ended(uid, 1);
  await engine.offer(uid, 1);
  const [, second] = await ended(uid, 2);
  expect(second).toMatchObject({ outcome: 'Succeeded', overlay: { message: NOTHING_LEFT } });
  expect(ran).toHaveLength(1);
  expect((await queue.dead()).size).toBe(1);
  await waitFor(async () => (await queue.queueJobs()).waiting === 1);
});

test('the item of a handler has the type that it says', () => {
  type Page = { readonly url: string };
  defineHandler<Page>('typed', ({ item }) => {
    expectTypeOf(item).toEqualTypeOf<ItemOfHandler<Page> | null>();
  });
  defineHandler('untyped', ({ item }) => {
    expectTypeOf(item).toEqualTypeOf<ItemOfHandler | null>();
  });
});

test('a handler in a thread has its item, and what it returns is the result', async () => {
  await queue.enqueue([{}]);
  await queue.enqueue([{ final: true }]);
  const uid = await handlerJob(takeOneInThread, 2);
  await ended(uid, 2);
  expect(await outcomes()).toEqual([
    [
      'completed',
      1,
      JSON.stringify({
        id: 1,
        attempt: 1,
        refusal: 'items(): the pods of this Job take one item each: the `item` of the context',
        isMainThread: false,
      }),
    ],
    ['dead', 1, ''],
  ]);
  expect((await queue.dead()).get(2)?.error).toBe('never');
});

test.each([
  ['on the event loop', defineItemHandler('louder', ({ data }) => `${data as string}!`)],
  ['in a thread', shout],
])('the function of defineItemHandler runs for the one item of a pod, %s', async (_, handler) => {
  await queue.enqueueChunks(['a', 'b'], 2);
  const uid = await handlerJob(handler, 2);
  await ended(uid, 2);
  const results = (await outcomes()).map(([, , result]) => result);
  expect(results).toEqual(handler === shout ? ['"A"', '"B"'] : ['"a!"', '"b!"']);
});
