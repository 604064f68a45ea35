import { createServer } from 'node:net';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  isAlive,
  spawnNode,
  startRedis,
  type TestRedis,
  uniquePrefix,
  waitFor,
} from '../src/index.ts';

const own: TestRedis[] = [];

async function start(options: Parameters<typeof startRedis>[0] = {}): Promise<TestRedis> {
  const redis = await startRedis(options);
  own.push(redis);
  return redis;
}

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(own.splice(0).map((redis) => redis.stop()));
});

describe('startRedis', () => {
  test('starts a server on a free port that ioredis reaches by its url', async () => {
    const redis = await start({ config: {} });
    const client = new Redis(redis.url);
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });

  test('starts a server on a unix socket that ioredis reaches by its path', async () => {
    const redis = await start({ unixSocket: true });
    expect(redis.socketPath).not.toBeNull();
    const client = new Redis(redis.socketPath ?? '');
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });

  test('passes settings to the server', async () => {
    const redis = await start({ config: { 'maxmemory-policy': 'allkeys-lru' } });
    const info = await redis.connect().config('GET', 'maxmemory-policy');
    expect(Object.values(info as object).concat(info)).toContain('allkeys-lru');
  });

  test('fails with the words of the server when a setting is wrong', async () => {
    await expect(startRedis({ config: { 'no-such-setting': '1' } })).rejects.toThrow(/no-such-set/);
  });

  test('keeps acknowledged data over kill and restart with appendOnly', async () => {
    const redis = await start({ appendOnly: true });
    const client = redis.connect();
    await client.set('a', '1');
    await redis.kill();
    await redis.restart();
    expect(await client.get('a')).toBe('1');
  });

  test('loses data over kill without appendOnly', async () => {
    const redis = await start({ config: {} });
    const client = redis.connect();
    await client.set('a', '1');
    await redis.kill();
    await redis.restart();
    expect(await client.get('a')).toBeNull();
  });

  test('leaves no process behind after stop', async () => {
    const redis = await start({ config: {} });
    const { pid } = redis;
    expect(pid !== null && isAlive(pid)).toBe(true);
    await redis.stop();
    expect(pid !== null && isAlive(pid)).toBe(false);
  });

  test('uses REDIS_URL when it is given and refuses to stop that server', async () => {
    const outer = await start({ config: {} });
    vi.stubEnv('REDIS_URL', outer.url);
    const redis = await start();
    expect(redis.url).toBe(outer.url);
    expect(await redis.connect().ping()).toBe('PONG');
    await expect(redis.kill()).rejects.toThrow(/REDIS_URL/);
  });

  test('fails when REDIS_URL leads nowhere', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    server.close();
    await once(server, 'close');
    const port = typeof address === 'object' ? address?.port : 0;
    vi.stubEnv('REDIS_URL', `redis://127.0.0.1:${port}`);
    await expect(startRedis()).rejects.toThrow(/does not answer/);
  });

  test('ends with its test process, even when that is killed with SIGKILL', async () => {
    const runner = spawnNode(fileURLToPath(new URL('fixtures/startRedis.ts', import.meta.url)));
    const [, pid = '', folder = ''] = await runner.waitForLine(/^redis (\d+) (.+)$/);
    expect(existsSync(folder)).toBe(true);
    expect(isAlive(Number(pid))).toBe(true);
    await runner.kill('SIGKILL');
    await waitFor(() => !isAlive(Number(pid)), { describe: `redis-server ${pid} to end` });
    await waitFor(() => !existsSync(folder), { describe: `${folder} to be removed` });
  });
});

test('uniquePrefix gives another prefix each time', () => {
  expect(uniquePrefix()).not.toBe(uniquePrefix());
});
