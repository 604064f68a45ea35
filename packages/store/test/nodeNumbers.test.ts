import { startRedis, uniquePrefix, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { newSessionId, Store, type Shard } from '../src/index.ts';

let server: TestRedis;
let shard: Shard;

beforeAll(async () => {
  server = await startRedis();
  const store = await Store.open({ redis: server.connect(), prefix: uniquePrefix() });
  shard = store.shardOf('default');
});

afterAll(async () => {
  await server.stop();
});

async function register(node: string): Promise<void> {
  await shard.registerSession({ id: newSessionId(), node, lanes: {}, leaseTtlMs: 60_000 });
}

test('a node keeps its number; when the two bytes are used up the oldest number is given again', async () => {
  await register('first');
  await register('second');
  await register('first');
  expect([...(await shard.nodeNames())]).toEqual([
    [1, 'first'],
    [2, 'second'],
  ]);

  await server.connect().hset(shard.keys.nodes, '#', 65_534);
  for (const node of ['last', 'again', 'second', 'third']) await register(node);
  const names = await shard.nodeNames();
  expect(names.get(65_535)).toBe('last');
  expect(names.get(1)).toBe('again');
  expect(names.get(2)).toBe('third');
  expect([...names.keys()].every((number) => number <= 65_535)).toBe(true);
  // A name that lost its number gets another one.
  await register('first');
  expect((await shard.nodeNames()).get(3)).toBe('first');
});
