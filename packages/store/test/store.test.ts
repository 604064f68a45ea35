import { uniquePrefix, type TestRedis, startRedis } from '@drover/testkit';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { hashSlot, installationKey, shardIndexOf, shardTag } from '../src/keys.ts';
import { checkServer, DEFAULT_SETTINGS, Store } from '../src/store.ts';
import { UnsuitableRedisError } from '../src/unsuitable.ts';

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis({ unixSocket: true });
  redis = server.connect();
});
afterAll(() => server.stop());

async function problemOf(opening: Promise<Store>): Promise<string> {
  const error = await opening.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UnsuitableRedisError);
  const { problem, message } = error as UnsuitableRedisError;
  return `${problem}: ${message}`;
}

describe('Store.open', () => {
  test('the first writes the settings, and all others live with them', async () => {
    const prefix = uniquePrefix();
    const first = await Store.open({ redis, prefix, settings: { leaseTtlMs: 900, shardCount: 3 } });
    expect(first.settings).toEqual({ ...DEFAULT_SETTINGS, leaseTtlMs: 900, shardCount: 3 });
    expect(first.shards.map((shard) => shard.index)).toEqual([0, 1, 2]);
    const second = await Store.open({ redis, prefix, settings: { leaseTtlMs: 5_000 } });
    expect(second.settings).toEqual(first.settings);
    expect((await Store.open({ redis, prefix })).settings).toEqual(first.settings);
  });

  test('of two that begin at once both get the same settings', async () => {
    const prefix = uniquePrefix();
    const opened = await Promise.all(
      [700, 800, 900].map((leaseTtlMs) =>
        Store.open({ redis: server.connect(), prefix, settings: { leaseTtlMs } }),
      ),
    );
    expect(new Set(opened.map((store) => store.settings.leaseTtlMs)).size).toBe(1);
  });

  test('refuses another number of shards', async () => {
    const prefix = uniquePrefix();
    await Store.open({ redis, prefix, settings: { shardCount: 2 } });
    const problem = await problemOf(Store.open({ redis, prefix, settings: { shardCount: 3 } }));
    expect(problem).toMatch(/^SHARD_COUNT: .*made with 2/);
  });

  test('refuses another layout of keys', async () => {
    const prefix = uniquePrefix();
    await redis.hset(installationKey(prefix), 'layoutVersion', 99);
    expect(await problemOf(Store.open({ redis, prefix }))).toMatch(/^LAYOUT_VERSION: .*99/);
  });

  test.each(['', 'a:b', 'a{b', 'x'.repeat(65)])('refuses the prefix %j', async (prefix) => {
    expect(await problemOf(Store.open({ redis, prefix }))).toMatch(/^INVALID_PREFIX/);
  });

  test('refuses a Redis that evicts', async () => {
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      expect(await problemOf(Store.open({ redis, prefix: uniquePrefix() }))).toMatch(
        /^EVICTION_POLICY: .*noeviction/,
      );
    } finally {
      await redis.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  test('refuses a Redis that is too old', () => {
    const check = (version: string) => () =>
      checkServer(`${version}\r\nmaxmemory_policy:noeviction\r\n`);
    expect(check('redis_version:6.2.7')).toThrow(/too old/);
    expect(check('redis_version:7.0.0')).not.toThrow();
    expect(check('redis_version:6.2.7\r\nvalkey_version:8.0.1')).not.toThrow();
  });
});

describe('shards', () => {
  test.each([1, 2, 3, 8])('%i of them lie in different parts of the hash slots', (count) => {
    const parts = Array.from({ length: count }, (_, i) =>
      Math.floor((hashSlot(shardTag('drover', i, count)) * count) / 16_384),
    );
    expect(parts).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test('a namespace lies in the same shard for ever', () => {
    // These may never change: data lies there.
    const names = ['default', 'team-a', 'team-b', 'kube-system'];
    expect(names.map((name) => shardIndexOf(name, 8))).toEqual([6, 6, 3, 6]);
  });

  test('CRC16 is the one of Redis Cluster', () => {
    expect(hashSlot('123456789')).toBe(12_739);
    expect(hashSlot('foo')).toBe(12_182);
  });
});

test('nodes are listed by name, with when they were last heard of', async () => {
  const { nodes } = await Store.open({ redis, prefix: uniquePrefix() });
  await nodes.put('b', '{"v":1}', 60_000);
  await nodes.put('a', '{}', -1);
  await nodes.put('b', '{"v":2}', 60_000);
  const day = 24 * 60 * 60 * 1_000;
  await nodes.put('gone', '{}', -day - 1);
  await nodes.put('kept', '{}', -day + 60_000);
  expect(await nodes.list()).toMatchObject([
    { name: 'a', object: '{}', isSilent: true, cordon: null },
    { name: 'b', object: '{"v":2}', isSilent: false, cordon: null },
    { name: 'kept', isSilent: true },
  ]);
});

test('whether a node is ready is a matter of the clock of Redis, not of those who write and read', async () => {
  const { nodes } = await Store.open({ redis, prefix: uniquePrefix() });
  const clock = vi.spyOn(Date, 'now');
  try {
    clock.mockReturnValue(0);
    await nodes.put('a', '{}', 60_000);
    clock.mockReturnValue(Number.MAX_SAFE_INTEGER);
    expect(await nodes.list()).toMatchObject([{ name: 'a', isSilent: false }]);
  } finally {
    clock.mockRestore();
  }
});
