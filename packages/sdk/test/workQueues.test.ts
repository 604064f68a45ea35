import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

import { InvalidItemsError, InvalidSpecError, NotFoundError, SealedError } from '@drover/shared';
import {
  ITEM_QUEUE_NAME,
  type ItemEnd,
  type ItemQueueJobData,
  itemQueueOptions,
  newSessionId,
  type Shard,
  Store,
  WorkQueues,
} from '@drover/store';
import { startRedis, type TestRedis, uniquePrefix, waitFor } from '@drover/testkit';
import { Job as QueueJob, Queue, Worker } from 'bullmq';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  expectTypeOf,
  test,
  vi,
} from 'vitest';
import * as z from 'zod';

import { Drover } from '../src/drover.ts';
import type { WorkQueueHandle } from '../src/workQueues/workQueue.ts';

let redis: TestRedis;
let prefix: string;
let drover: Drover;
let shard: Shard;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  prefix = uniquePrefix();
  drover = new Drover({ connection: redis.url, prefix });
  shard = (await Store.open({ redis: redis.connect(), prefix })).shardOf('default');
});
afterEach(() => drover.close());

/** Data of the QueueJobs that wait, in the order in which they would be taken. */
async function waiting(name: string): Promise<ItemQueueJobData[]> {
  const { metadata } = await drover.workQueues.get(name);
  const queue = new Queue<ItemQueueJobData>(ITEM_QUEUE_NAME, {
    connection: redis.connect(),
    ...itemQueueOptions(prefix, metadata.uid),
  });
  const jobs = await queue.getJobs(['waiting', 'prioritized', 'delayed'], 0, -1, true);
  await queue.close();
  return jobs.map(({ data }) => data);
}

/** A pod that runs, and settles items as a worker does. */
async function runningPod(): Promise<(name: string, items: readonly ItemEnd[]) => Promise<void>> {
  const [jobUid, session] = [randomUUID(), newSessionId()];
  await shard.createJob({
    uid: jobUid,
    namespace: 'default',
    name: `job-${jobUid}`,
    object: '{}',
    status: '{}',
    completions: null,
    queue: 'default.process',
    fittingKey: 'default/process',
    indexed: false,
  });
  const lanes = { 'default/process': 1 };
  await shard.registerSession({ id: session, node: 'n', lanes, leaseTtlMs: 600_000 });
  const gate = { limit: 1, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true };
  const look = (await shard.observeJob(jobUid, 0))!;
  const guard = { uid: jobUid, generation: 1, decisionVersion: look.decisionVersion };
  const judged = await shard.judge({
    ...guard,
    judgements: [],
    gate,
    failuresInRow: 0,
    lastFailureMs: 0,
  });
  expect(judged.type).toBe('judged');
  await shard.openSlots({ ...guard, decisionVersion: look.decisionVersion + 1 }, 1);
  const asked = { uid: jobUid, slot: 1, attemptsStarted: 1, session, knownGeneration: 1 };
  expect((await shard.acquire(asked)).type).toBe('run');
  return async (name, items) => {
    const uid = (await shard.workQueues.find('default', name))!;
    const pods = [{ slot: 1, podNumber: 1, items }];
    await shard.workQueues.settle({ uid, jobUid, session, jobItems: null, pods });
  };
}

function done(id: number, result?: unknown): ItemEnd {
  const payload = result === undefined ? '' : JSON.stringify(result);
  return { id, outcome: 'completed', attempts: 1, payload };
}

function dead(id: number, data: unknown, key?: string): ItemEnd {
  const stored = { data, error: 'boom', reason: 'Failed', attempts: 3, endedMs: 1_000 };
  const payload = JSON.stringify(key === undefined ? stored : { ...stored, key });
  return { id, outcome: 'dead', attempts: 3, payload };
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of source) found.push(one);
  return found;
}

describe('a work queue', () => {
  test('is created, read, listed and deleted', async () => {
    const created = await drover.workQueues.create({ metadata: { name: 'pages' } });
    expect(created).toMatchObject({
      apiVersion: 'drover.dev/v1',
      kind: 'WorkQueue',
      metadata: { name: 'pages', namespace: 'default' },
      spec: { resultTtlSeconds: 604_800 },
      status: { allDone: false, enqueued: 0, unsettled: 0 },
    });
    await expect(drover.workQueues.create({ metadata: { name: 'pages' } })).rejects.toThrow(
      'workqueues.drover.dev "pages" in namespace "default" already exists',
    );
    expect((await drover.workQueues.list()).map((queue) => queue.metadata.name)).toEqual(['pages']);
    await drover.workQueue('pages').delete();
    expect(await drover.workQueues.list()).toEqual([]);
    await expect(drover.workQueue('pages').delete()).rejects.toThrow(NotFoundError);
  });

  test('that is not valid is refused with all that is wrong', async () => {
    const manifest = { metadata: { name: 'Pages!' }, spec: { resultTtlSeconds: 1 } };
    await expect(drover.workQueues.create(manifest)).rejects.toThrow(
      /spec\.resultTtlSeconds: Invalid value: 1: must be greater than or equal to 60.*metadata\.name: Invalid value: "Pages!"/s,
    );
    await expect(drover.workQueue('Pages!').enqueue(1)).rejects.toThrow(InvalidSpecError);
  });

  test('leaves nothing in Redis when it is deleted, but a mark', async () => {
    const pages = drover.workQueue('pages');
    await pages.enqueue(['a', 'b'], { key: (text) => String(text) });
    const { uid } = (await drover.workQueues.get('pages')).metadata;
    await pages.delete();
    const keys = await redis.connect().keys(`*${prefix}*wq*`);
    expect(keys).toEqual([shard.keys.workQueue(uid).queue]);
  });
});

test('a list has all work queues, though one was deleted while it was read', async () => {
  const names = Array.from({ length: 501 }, (_, i) => `queue-${i}`);
  await Promise.all(
    names.map((name) =>
      shard.workQueues.create({
        uid: randomUUID(),
        namespace: 'default',
        name,
        object: '{"metadata":{},"spec":{}}',
        resultTtlMs: 60_000,
        maxResultBytes: 2 ** 28,
      }),
    ),
  );
  // What the reader sees of one that is deleted between the two questions.
  await redis.connect().zadd(shard.keys.workQueueNames, 0, 'default/gone');
  expect(await drover.workQueues.list()).toHaveLength(501);
});

describe('with full memory', () => {
  const admin = () => redis.connect();

  /** Some items fill Redis up. */
  async function full(): Promise<WorkQueueHandle> {
    const pages = drover.workQueue('pages');
    const items = Array.from({ length: 2_000 }, () => 'x'.repeat(1_000));
    await pages.enqueue(items, { chunk: false });
    const [, used = ''] = /used_memory:(\d+)/.exec(await admin().info('memory')) ?? [];
    await admin().config('SET', 'maxmemory', String(Number(used) - 200_000));
    await expect(pages.enqueue('more')).rejects.toThrow('memory');
    return pages;
  }

  afterEach(() => admin().config('SET', 'maxmemory', '0'));

  test('a work queue can be cleared', async () => {
    const pages = await full();
    expect(await pages.clear()).toBe(2_000);
    expect(await waiting('pages')).toEqual([]);
  });

  test('a work queue can be deleted, and frees what it had', async () => {
    const pages = await full();
    const { uid } = (await drover.workQueues.get('pages')).metadata;
    await pages.delete();
    expect(await admin().keys(`*${prefix}*wq*`)).toEqual([shard.keys.workQueue(uid).queue]);
  });
});

describe('enqueue', () => {
  test('of one item, a text included, makes the work queue', async () => {
    const pages = drover.workQueue('pages');
    expect(await pages.enqueue('one text')).toEqual({ enqueued: 1, duplicates: 0 });
    expect(await pages.enqueue({ url: 'x' })).toEqual({ enqueued: 1, duplicates: 0 });
    expect(await waiting('pages')).toEqual([
      { i: 1, d: 'one text' },
      { i: 2, d: { url: 'x' } },
    ]);
    expect(await pages.stats()).toEqual({
      sealed: false,
      allDone: false,
      waiting: 2,
      delayed: 0,
      inFlight: 0,
      completed: 0,
      dead: 0,
    });
  });

  test('of arrays, sets and generators keeps their order', async () => {
    const pages = drover.workQueue<number>('pages');
    await pages.enqueue([1, 2]);
    await pages.enqueue(new Set([3]));
    await pages.enqueue(
      (async function* () {
        yield 4;
        await setImmediate();
        yield 5;
      })(),
    );
    expect(await waiting('pages')).toEqual([1, 2, 3, 4, 5].map((n) => ({ i: n, d: n })));
  });

  test('of an empty source makes an empty work queue', async () => {
    expect(await drover.workQueue('pages').enqueue([])).toEqual({ enqueued: 0, duplicates: 0 });
    expect(await waiting('pages')).toEqual([]);
  });

  test('reads a source no faster than Redis takes it', async () => {
    let read = 0;
    let most = 0;
    let told = 0;
    async function* many() {
      for (; read < 20_000; read++) {
        most = Math.max(most, read - told);
        yield { n: read };
      }
    }
    const result = await drover.workQueue('pages').enqueue(many(), {
      onProgress: (enqueued) => {
        told = enqueued;
      },
    });
    expect(result.enqueued).toBe(20_000);
    // Three batches on their way, one that is being made.
    expect(most).toBeLessThanOrEqual(4_001);
  });

  test('gives an item of a key once', async () => {
    const pages = drover.workQueue<{ id: string }>('pages');
    const key = (item: { id: string }): string => item.id;
    const items = [{ id: 'a' }, { id: 'b' }, { id: 'a' }];
    expect(await pages.enqueue(items, { key })).toEqual({ enqueued: 2, duplicates: 1 });
    expect(await pages.enqueue(items, { key })).toEqual({ enqueued: 0, duplicates: 3 });
    expect(await pages.enqueue({ id: 'c' }, { key: 'b' })).toEqual({ enqueued: 0, duplicates: 1 });
    expect(await waiting('pages')).toEqual([
      { i: 1, d: { id: 'a' }, k: 'a' },
      { i: 2, d: { id: 'b' }, k: 'b' },
    ]);
  });

  test('of a key that another producer is about to bring adds it when that one does not', async () => {
    const pages = drover.workQueue<string>('pages');
    await pages.enqueue('first');
    const { uid } = (await drover.workQueues.get('pages')).metadata;
    const reserve = (batchId: string, leaseMs: number) =>
      shard.workQueues.reserve({ uid, batchId, count: 1, of: { keys: [batchId] }, leaseMs });
    // One that died between its reservation and BullMQ, and one that is only slow.
    await Promise.all([reserve('dead', 50), reserve('slow', 60_000)]);
    const ofDead = pages.enqueue('of the dead', { key: 'dead' });
    const ofSlow = pages.enqueue('of the slow', { key: 'slow' });
    expect(await ofDead).toEqual({ enqueued: 1, duplicates: 0 });
    await shard.workQueues.commit({ uid, batchId: 'slow', retriedIds: [] });
    expect(await ofSlow).toEqual({ enqueued: 0, duplicates: 1 });
    expect(await waiting('pages')).toMatchObject([{ d: 'first' }, { d: 'of the dead', k: 'dead' }]);
  });

  test('into one work queue after the other keeps few of BullMQ’s queues open', async () => {
    const connection = redis.connect();
    const client = new Drover({ connection, prefix });
    await client.workQueue('queue-0').enqueue(1);
    const before = connection.listenerCount('close');
    for (let from = 1; from < 120; from += 40) {
      const some = Array.from({ length: 40 }, (_, i) => client.workQueue(`queue-${from + i}`));
      await Promise.all(some.map((queue) => queue.enqueue(1)));
    }
    // Those that were used first are opened again.
    expect(await client.workQueue('queue-1').enqueue(2)).toMatchObject({ enqueued: 1 });
    await waitFor(() => connection.listenerCount('close') <= 50 * before);
    await client.close();
    expect(connection.listenerCount('close')).toBeLessThan(before);
  });

  test('sends many small items in chunks, those with options of their own one by one', async () => {
    const pages = drover.workQueue<number>('pages');
    const numbers = Array.from({ length: 1_200 }, (_, i) => i);
    await pages.enqueue(numbers);
    const chunks = await waiting('pages');
    expect(chunks.map((data) => [data.i, 'c' in data ? data.c.length : 0])).toEqual([
      [1, 500],
      [501, 500],
      [1001, 200],
    ]);
    expect(chunks.flatMap((data) => ('c' in data ? data.c : []))).toEqual(numbers);
    await pages.clear();
    await pages.enqueue(numbers, { attempts: 1 });
    expect(await waiting('pages')).toHaveLength(1_200);
    await pages.clear();
    await pages.enqueue(numbers, { chunk: false });
    expect(await waiting('pages')).toHaveLength(1_200);
    await pages.clear();
    await pages.enqueue([1, 2, 3], { chunk: 2 });
    expect(await waiting('pages')).toMatchObject([{ c: [1, 2] }, { c: [3] }]);
  });

  test('takes items in order of priority, and delayed ones later', async () => {
    const pages = drover.workQueue('pages');
    await pages.enqueue('late', { priority: 5 });
    await pages.enqueue('soon', { priority: 1 });
    await pages.enqueue('tomorrow', { delay: 86_400_000 });
    expect((await waiting('pages')).map((data) => ('d' in data ? data.d : null))).toEqual([
      'soon',
      'late',
      'tomorrow',
    ]);
    expect(await pages.stats()).toMatchObject({ waiting: 2, delayed: 1 });
  });

  test('refuses bad items of an array before it enqueues any, and says which', async () => {
    const pages = drover.workQueue('pages', { schema: z.object({ url: z.string() }) });
    expectTypeOf(pages).toEqualTypeOf<WorkQueueHandle<{ url: string }>>();
    const items = [{ url: 'x' }, { url: 7 }, {}] as { url: string }[];
    const error = await pages.enqueue(items).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(InvalidItemsError);
    expect((error as Error).message).toMatch(/items\[1\]\.url: Invalid value: .*items\[2\]\.url/);
    expect(await drover.workQueues.list()).toEqual([]);
  });

  test.each([
    ['a function', () => 1, 'items[0]: Invalid value: must be JSON; it is a function'],
    ['nothing', undefined, 'items[0]: Invalid value: must be JSON; it is undefined'],
    ['a BigInt', 1n, 'items[0]: Invalid value: must be JSON; it is a bigint'],
    [
      'too much',
      'x'.repeat(262_144),
      'items[0]: Invalid value: has 262146 bytes as JSON, at most 262144',
    ],
  ])('refuses %s', async (_name, item, message) => {
    await expect(drover.workQueue('pages').enqueue(item)).rejects.toThrow(message);
  });

  test('refuses bad keys', async () => {
    const enqueue = (key: unknown) =>
      drover.workQueue('pages').enqueue(1, { key: () => key as string });
    await expect(enqueue('')).rejects.toThrow('its key must be a text that is not empty; it is ""');
    await expect(enqueue(7)).rejects.toThrow(
      'its key must be a text that is not empty; it is a number',
    );
    await expect(enqueue('x'.repeat(257))).rejects.toThrow('its key has more than 256 bytes');
    await expect(enqueue('a\0b')).rejects.toThrow('its key contains a NUL character');
  });

  test('refuses bad options with all that is wrong', async () => {
    const options = { attempts: 0, delay: -1, backoff: { type: 'random', delay: 1 }, priorty: 1 };
    await expect(drover.workQueue('pages').enqueue(1, options as never)).rejects.toThrow(
      /delay: .*attempts: .*backoff\.type: Unsupported value.*priorty: Unknown field/s,
    );
    await expect(drover.workQueue('pages').enqueue(1, { chunk: 1, key: 'a' })).rejects.toThrow(
      'chunk: Invalid value: 1: must be "auto", false or an integer of 2 to 500',
    );
    await expect(drover.workQueue('pages').enqueue(1, { chunk: 2, key: 'a' })).rejects.toThrow(
      'items with key travel one by one',
    );
  });

  test('says to BullMQ only what is not the default: else Redis would need three times the memory', async () => {
    const pages = drover.workQueue('pages');
    await pages.enqueue({ n: 1 });
    await pages.enqueue({ n: 2 }, { attempts: 3, backoff: { type: 'exponential', delay: 1_000 } });
    const { metadata } = await pages.get();
    const { prefix: tag } = itemQueueOptions(prefix, metadata.uid);
    const client = redis.connect();
    const encodings = [1, 2].map((id) =>
      client.object('ENCODING', `${tag}:${ITEM_QUEUE_NAME}:${id}`),
    );
    expect(await Promise.all(encodings)).toEqual(['listpack', 'listpack']);
  });

  test('of a source that turns bad leaves what was read before', async () => {
    function* items() {
      for (let i = 0; i < 1_000; i++) yield i;
      yield undefined;
    }
    await expect(drover.workQueue('pages').enqueue(items())).rejects.toThrow('items[1000]');
    expect((await drover.workQueues.get('pages')).status).toMatchObject({ enqueued: 0 });
  });

  test('is refused by a sealed work queue; sealing twice is no error', async () => {
    const pages = drover.workQueue('pages');
    await expect(pages.seal()).rejects.toThrow(NotFoundError);
    await pages.enqueue(1);
    await pages.seal();
    await pages.seal();
    await expect(pages.enqueue(2)).rejects.toThrow(SealedError);
    expect((await pages.get()).status).toMatchObject({ enqueued: 1, allDone: false });
  });

  test('ends when its signal says so', async () => {
    const abort = new AbortController();
    function* endless() {
      for (let i = 0; ; i++) yield i;
    }
    const enqueue = drover.workQueue<number>('pages').enqueue(endless(), {
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('enough')),
    });
    await expect(enqueue).rejects.toThrow('enough');
  });
});

describe('results', () => {
  test('come in order of completion or of enqueueing', async () => {
    const pages = drover.workQueue('pages');
    await pages.enqueue([1, 2, 3, 4]);
    const settle = await runningPod();
    await settle('pages', [done(3, { n: 3 }), done(1)]);
    await settle('pages', [dead(2, 2), done(4, 'four')]);
    const inOrder = await all(pages.results());
    expect(inOrder.map(({ id, result }) => [id, result])).toEqual([
      [3, { n: 3 }],
      [1, undefined],
      [4, 'four'],
    ]);
    expect(inOrder[0]).toMatchObject({ attempts: 1, pod: { number: 1 } });
    const byId = await all(pages.results({ order: 'enqueue' }));
    expect(byId.map(({ id }) => id)).toEqual([1, 3, 4]);
  });

  test('are followed until the work queue is all done', async () => {
    const pages = drover.workQueue('pages');
    await pages.enqueue([1, 2]);
    const settle = await runningPod();
    const seen: number[] = [];
    const following = (async () => {
      for await (const { id } of pages.results({ follow: true })) seen.push(id);
    })();
    await settle('pages', [done(2)]);
    await waitFor(() => seen.length === 1);
    await settle('pages', [done(1)]);
    await waitFor(() => seen.length === 2);
    await pages.seal();
    await following;
    expect(seen).toEqual([2, 1]);
  });

  test('in the order of enqueueing pass over items that were removed, while they are followed', async () => {
    const pages = drover.workQueue('pages');
    await pages.enqueue([1, 2, 3]);
    await pages.clear();
    await pages.enqueue([4, 5, 6]);
    const settle = await runningPod();
    const seen: number[] = [];
    const following = (async () => {
      for await (const { id } of pages.results({ order: 'enqueue', follow: true })) seen.push(id);
    })();
    await settle('pages', [done(4)]);
    await waitFor(() => seen.length === 1);
    await settle('pages', [done(6)]);
    await settle('pages', [done(5)]);
    await waitFor(() => seen.length === 3);
    await pages.seal();
    await following;
    expect(seen).toEqual([4, 5, 6]);
  });

  test('end with their signal', async () => {
    const pages = drover.workQueue('pages');
    await pages.enqueue(1);
    const abort = new AbortController();
    const following = all(pages.results({ follow: true, signal: abort.signal }));
    abort.abort();
    expect(await following).toEqual([]);
  });
});

describe('dead letters', () => {
  test('are listed, and tried again by a filter, on a sealed work queue too', async () => {
    const pages = drover.workQueue<string>('pages');
    await pages.enqueue(['a', 'b', 'c'], { key: (text) => text });
    const settle = await runningPod();
    await settle('pages', [dead(1, 'a', 'a'), dead(2, 'b', 'b'), done(3)]);
    await pages.clear();
    await pages.seal();
    const found = (await all(pages.deadLetters())).toSorted((one, other) => one.id - other.id);
    expect(found).toEqual([
      {
        id: 1,
        data: 'a',
        key: 'a',
        error: 'boom',
        reason: 'Failed',
        attempts: 3,
        endTime: '1970-01-01T00:00:01.000Z',
      },
      expect.objectContaining({ id: 2, data: 'b' }),
    ]);
    expect(await pages.retry(({ data }) => data === 'b')).toBe(1);
    expect(await waiting('pages')).toEqual([{ i: 4, d: 'b', k: 'b' }]);
    expect(await pages.stats()).toMatchObject({ waiting: 1, dead: 1, allDone: false });
    expect((await pages.get()).status).toMatchObject({ retried: 1, dead: 1, enqueued: 4 });
  });
});

test('two that try dead letters again at the same time bring each back once', async () => {
  const pages = drover.workQueue<number>('pages');
  const numbers = Array.from({ length: 250 }, (_, n) => n);
  await pages.enqueue(numbers);
  const settle = await runningPod();
  await settle(
    'pages',
    numbers.map((n) => dead(n + 1, n)),
  );
  const other = new Drover({ connection: redis.url, prefix });
  const [one, two] = await Promise.all([pages.retry(), other.workQueue('pages').retry()]);
  await other.close();
  expect(one + two).toBe(250);
  const again = (await waiting('pages')).filter(({ i }) => i > 250);
  expect(new Set(again.map((data) => ('d' in data ? data.d : null)))).toEqual(new Set(numbers));
  expect(again).toHaveLength(250);
  expect((await pages.get()).status).toMatchObject({ enqueued: 500, retried: 250, dead: 0 });
});

describe('the uid of a work queue', () => {
  test('is asked for once, not with each enqueue', async () => {
    await drover.workQueues.create({ metadata: { name: 'pages' } });
    const find = vi.spyOn(WorkQueues.prototype, 'find');
    for (let n = 0; n < 3; n += 1) await drover.workQueue('pages').enqueue(n);
    await drover.workQueue('pages').stats();
    expect(find).toHaveBeenCalledTimes(1);
    find.mockRestore();
  });

  test('is asked for again when another work queue has the name', async () => {
    const pages = drover.workQueue('pages');
    await pages.enqueue(['old', 'old']);
    const other = new Drover({ connection: redis.url, prefix });
    const replace = async (data: string): Promise<void> => {
      await other.workQueue('pages').delete();
      await other.workQueue('pages').enqueue(data);
    };
    await replace('new');
    await pages.enqueue('newer');
    expect(await waiting('pages')).toMatchObject([{ d: 'new' }, { d: 'newer' }]);
    await replace('newest');
    expect(await pages.stats()).toMatchObject({ waiting: 1 });
    await replace('last');
    await pages.seal();
    await other.workQueue('pages').delete();
    await expect(pages.get()).rejects.toThrow(NotFoundError);
    await expect(pages.seal()).rejects.toThrow(NotFoundError);
    await other.close();
  });

  test('clear removes what waits some at a time: one script for all would hold Redis up', async () => {
    const clean = vi.spyOn(Queue.prototype, 'clean');
    const pages = drover.workQueue<number>('pages');
    const numbers = Array.from({ length: 1_200 }, (_, i) => i);
    await pages.enqueue(numbers, { chunk: false });
    await pages.enqueue(numbers.slice(0, 3), { delay: 60_000 });
    await pages.enqueue(numbers.slice(0, 3), { priority: 1 });
    expect(await pages.clear()).toBe(1_206);
    expect(await waiting('pages')).toEqual([]);
    expect(clean.mock.calls.map(([, limit, state]) => `${limit} ${state}`)).toEqual([
      '3 delayed',
      '3 prioritized',
      '500 waiting',
      '500 waiting',
      '200 waiting',
    ]);
    clean.mockRestore();
  });

  test('of one that is deleted while a source is read is not made anew', async () => {
    const pages = drover.workQueue<number>('pages');
    const items = async function* () {
      for (let n = 0; n < 1_001; n += 1) yield n;
      await waitFor(async () => (await pages.stats()).waiting === 1_000);
      await pages.delete();
      yield 0;
    };
    await expect(pages.enqueue(items())).rejects.toThrow(NotFoundError);
    await expect(pages.get()).rejects.toThrow(NotFoundError);
  });
});

test('clear leaves all that is in flight, however the list of it moves while it is read', async () => {
  const pages = drover.workQueue<number>('pages');
  await pages.enqueue(
    Array.from({ length: 1_200 }, (_, n) => n),
    { chunk: false },
  );
  const { metadata } = await pages.get();
  const options = { connection: redis.connect(), ...itemQueueOptions(prefix, metadata.uid) };
  const worker = new Worker<ItemQueueJobData>(ITEM_QUEUE_NAME, null, options);
  const held = await Promise.all(Array.from({ length: 600 }, () => worker.getNextJob('t')));
  // Half of them end right after the first look at the list.
  const ending = held.splice(0, 300);
  const queue = Queue.prototype;
  const looks = (['getJobs', 'getRanges'] as const).map((name) => {
    const look = queue[name] as (...asked: unknown[]) => Promise<unknown>;
    return vi.spyOn(queue, name).mockImplementation(async function (
      this: Queue,
      ...asked: unknown[]
    ) {
      const page = await look.apply(this, asked);
      const some = ending.splice(0);
      await Promise.all(some.map((job) => job.moveToCompleted(undefined, 't', false)));
      return page as never;
    });
  });
  await pages.clear();
  for (const look of looks) look.mockRestore();
  expect(ending).toEqual([]);
  const ids = held.map((job) => job.data.i);
  expect(await shard.workQueues.areSettled(metadata.uid, ids)).toEqual(ids.map(() => false));
  await worker.close();
});

test('clear loses no item that is enqueued meanwhile: it is removed as a whole, or waits', async () => {
  const pages = drover.workQueue<number>('pages');
  await pages.enqueue(1);
  const enqueues: Promise<unknown>[] = [];
  for (let i = 0; i < 50; i++) enqueues.push(pages.enqueue(i));
  const cleared = await pages.clear();
  await Promise.all(enqueues);
  const { waiting: left } = await pages.stats();
  expect(left + cleared).toBe(51);
  // Whoever takes what BullMQ has left settles the rest.
  const settled = new Set<number>();
  for (const data of await waiting('pages')) settled.add(data.i);
  const uid = (await shard.workQueues.find('default', 'pages'))!;
  const ids = Array.from({ length: 51 }, (_, i) => i + 1);
  const bits = await shard.workQueues.areSettled(uid, ids);
  expect(ids.filter((id, i) => bits[i] === false && !settled.has(id))).toEqual([]);
});

test('clear removes what waits', async () => {
  const pages = drover.workQueue('pages');
  await pages.enqueue(['a', 'b']);
  await pages.enqueue('c', { delay: 60_000 });
  expect(await pages.clear()).toBe(3);
  expect(await waiting('pages')).toEqual([]);
  expect(await pages.stats()).toMatchObject({ waiting: 0, delayed: 0 });
  await pages.seal();
  expect((await pages.get()).status?.allDone).toBe(true);
});

test('clear also settles what left a chunk that is in flight, and waits by itself', async () => {
  const pages = drover.workQueue<number>('pages');
  await pages.enqueue([1, 2, 3, 4], { chunk: 4 });
  const { metadata } = await drover.workQueues.get('pages');
  const queueOptions = { connection: redis.connect(), ...itemQueueOptions(prefix, metadata.uid) };
  const worker = new Worker<ItemQueueJobData>(ITEM_QUEUE_NAME, null, queueOptions);
  const chunk = await worker.getNextJob('t1');
  // As a worker does: one item failed, and the last two are shared.
  const queue = new Queue<ItemQueueJobData>(ITEM_QUEUE_NAME, queueOptions);
  await queue.add('item', { i: 2, d: 2, a: 1 }, { delay: 60_000 });
  await queue.add('chunk', { i: 3, c: [3, 4] });
  expect(chunk?.data).toMatchObject({ i: 1 });
  expect(await pages.clear()).toBe(3);
  const isSettled = await shard.workQueues.areSettled(metadata.uid, [1, 2, 3, 4]);
  expect(isSettled).toEqual([false, true, true, true]);
  expect(await waiting('pages')).toEqual([]);
  await worker.close();
  await queue.close();
});

test('clear beside a chunk that is in flight does not look through all that waits for each item', async () => {
  const pages = drover.workQueue<number>('pages');
  await pages.enqueue([1, 2], { chunk: 2 });
  const numbers = Array.from({ length: 600 }, (_, n) => n);
  const { metadata } = await drover.workQueues.get('pages');
  const queueOptions = { connection: redis.connect(), ...itemQueueOptions(prefix, metadata.uid) };
  const worker = new Worker<ItemQueueJobData>(ITEM_QUEUE_NAME, null, queueOptions);
  await worker.getNextJob('t1');
  await pages.enqueue(numbers, { chunk: false });
  await pages.enqueue(numbers.slice(0, 3), { delay: 60_000 });
  const remove = vi.spyOn(QueueJob.prototype, 'remove');
  expect(await pages.clear()).toBe(603);
  expect(remove).toHaveBeenCalledTimes(3);
  remove.mockRestore();
  expect(await waiting('pages')).toEqual([]);
  const left = await redis
    .connect()
    .keys(`${itemQueueOptions(prefix, metadata.uid).prefix}:i:[0-9]*`);
  expect(left.filter((key) => !key.endsWith(':lock'))).toHaveLength(1);
  await worker.close();
});

describe('a Job of which each pod takes one item', () => {
  const manifest = (spec: object, annotations = {}, runtimeClassName = 'process') => ({
    metadata: { name: 'fetch', annotations },
    spec: {
      ...spec,
      template: {
        spec: {
          runtimeClassName,
          restartPolicy: 'Never',
          containers: [
            {
              name: 'main',
              ...(runtimeClassName === 'process' ? { command: ['cat'] } : { image: 'a' }),
            },
          ],
        },
      },
    },
  });

  async function created(spec: object, ...rest: [annotations?: object, runtime?: string]) {
    const itemPerPod = { workQueue: 'pages' };
    const job = await drover.jobs.create(manifest(spec, ...rest), { itemPerPod, dryRun: true });
    return [job.spec.completions, job.metadata.annotations];
  }

  test('has as many completions as there are items, unless it says how many', async () => {
    await drover.workQueue('pages').enqueue(['a', 'b', 'c']);
    const settle = await runningPod();
    await settle('pages', [done(1)]);
    const annotations = { 'drover.dev/work-queue': 'pages', 'drover.dev/item-per-pod': 'stdin' };
    expect(await created({})).toEqual([2, annotations]);
    expect(await created({ completions: 7 })).toEqual([7, annotations]);
    expect(await created({}, { own: 'x' }, 'handler')).toEqual([
      2,
      { ...annotations, 'drover.dev/item-per-pod': 'context', own: 'x' },
    ]);
  });

  test('is refused when its manifest says something else, or there is no such work queue', async () => {
    await expect(created({})).rejects.toThrow(NotFoundError);
    await expect(created({ completions: 1 }, { 'drover.dev/work-queue': 'other' })).rejects.toThrow(
      'must be "pages", as the option itemPerPod says, or left out',
    );
    await expect(created({ completions: 1, completionMode: 'Indexed' })).rejects.toThrow(
      'must be NonIndexed when each pod takes one item',
    );
  });
});
