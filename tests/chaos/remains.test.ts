import { Store } from '@drover/store';
import { startRedis, uniquePrefix, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { findRemains } from './remains.ts';

let server: TestRedis;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server.stop();
});

test('what is left of objects that are gone is found, in keys and in what they hold', async () => {
  const prefix = uniquePrefix();
  const redis = server.connect();
  const store = await Store.open({ redis, prefix });
  const { keys } = store.shards[0]!;
  const uid = 'c0ffee00-0000-4000-8000-000000000000';
  expect(await findRemains({ store }, [uid], 0)).toEqual([]);
  const log = `{${prefix}:log:${uid}:1}`;
  await redis.set(log, 'x');
  // That something was deleted is remembered for a while.
  await redis.set(`${keys.due}:job:other`, '', 'EX', 100);
  // A slot that a worker laid aside goes when its time comes; one that waits does not.
  const queue = `{${prefix}:q:default.handler}:default.handler`;
  await redis.zadd(`${queue}:delayed`, 9e15, `${uid}.1`);
  await redis.hset(`${queue}:${uid}.1`, 'data', `{"uid":"${uid}"}`);
  await redis.lpush(`${queue}:wait`, `${uid}.2`);
  await redis.zadd(keys.due, 1, `job:${uid}`);
  await redis.hset(keys.dueCounts, `job:${uid}`, 3);
  expect(await findRemains({ store }, [uid], 0)).toEqual(
    [
      `${keys.due}: job:${uid}`,
      `${keys.dueCounts}: job:${uid} 3`,
      log,
      `${queue}:wait: ${uid}.2`,
    ].toSorted(),
  );
});
