/** What hands items over fills BullMQ's keys as BullMQ itself would. */
import { randomUUID } from 'node:crypto';

import { addItems, ITEM_QUEUE_NAME, itemQueueOptions } from '@drover/store';
import { startRedis, type TestRedis } from '@drover/testkit';
import { Queue, Worker } from 'bullmq';
import { afterAll, beforeAll, expect, test } from 'vitest';

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await redis.stop();
});

const PREFIX = 'p';
const OPTIONS = { attempts: 5, backoff: { type: 'fixed', delay: 100 } } as const;
const COUNT = 600;
const dataOf = (at: number) => ({ i: at, d: { text: `ü${at}`, list: [] } });

function open(uid: string): Queue {
  return new Queue(ITEM_QUEUE_NAME, {
    connection: redis.connect(),
    ...itemQueueOptions(PREFIX, uid),
  });
}

/** All keys of a queue with what they hold, but for events and times. */
async function contents(queue: Queue): Promise<Map<string, unknown>> {
  const connection = redis.connect();
  const prefix = queue.toKey('');
  const found = new Map<string, unknown>();
  for (const key of await connection.keys(`${prefix.replaceAll(/[[\]]/g, '?')}*`)) {
    const name = key.slice(prefix.length);
    const type = await connection.type(key);
    if (type === 'list') found.set(name, await connection.lrange(key, 0, -1));
    else if (type === 'zset')
      found.set(name, await connection.zrange(key, '0', '-1', 'WITHSCORES'));
    else if (type === 'string') found.set(name, await connection.get(key));
    else if (type === 'hash') {
      const { timestamp: _when, opts, ...fields } = await connection.hgetall(key);
      // The order of its fields is chance.
      found.set(name, { ...fields, opts: opts === undefined ? null : JSON.parse(opts) });
    }
  }
  return found;
}

test.each([
  { name: 'ready for the workers', prepare: async () => {} },
  { name: 'in a queue that is paused', prepare: async (queue: Queue) => await queue.pause() },
  {
    name: 'in a queue that is full',
    prepare: async (queue: Queue) => {
      await queue.setGlobalConcurrency(1);
      const connection = redis.connect();
      await connection.lpush(queue.toKey('active'), '99');
    },
  },
])('items added by one script are as those that BullMQ adds: $name', async ({ prepare }) => {
  const [ours, theirs] = [randomUUID(), randomUUID()];
  const [ourQueue, theirQueue] = [open(ours), open(theirs)];
  for (const queue of [ourQueue, theirQueue]) await prepare(queue);
  const all = Array.from({ length: COUNT }, (_, at) => dataOf(at));
  const data = all.map((one) => JSON.stringify(one));
  const connection = redis.connect();
  for (const name of ['item', 'chunk']) {
    const options = name === 'item' ? OPTIONS : {};
    await addItems(connection, { prefix: PREFIX, uid: ours, name, options, data });
    await theirQueue.addBulk(all.map((one) => ({ name, data: one, opts: options })));
  }
  const found = await contents(ourQueue);
  expect(found.size).toBeGreaterThan(2 * COUNT);
  expect(found).toEqual(await contents(theirQueue));
  await Promise.all([ourQueue.close(), theirQueue.close()]);
});

test('a worker that waits is woken, and has them in order', async () => {
  const uid = randomUUID();
  const seen: unknown[] = [];
  const all = Promise.withResolvers<void>();
  const worker = new Worker(
    ITEM_QUEUE_NAME,
    // oxlint-disable-next-line require-await -- BullMQ wants a promise.
    async ({ data, attemptsMade, opts }) => {
      seen.push([data, attemptsMade, opts.attempts, opts.backoff]);
      if (seen.length === 3) all.resolve();
    },
    { connection: redis.connect(), ...itemQueueOptions(PREFIX, uid) },
  );
  await worker.waitUntilReady();
  const data = [1, 2, 3].map((at) => JSON.stringify(dataOf(at)));
  await addItems(redis.connect(), { prefix: PREFIX, uid, name: 'item', options: OPTIONS, data });
  await all.promise;
  expect(seen).toEqual([1, 2, 3].map((at) => [dataOf(at), 0, 5, OPTIONS.backoff]));
  await worker.close();
});
