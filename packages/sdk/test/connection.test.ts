import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startRedis, waitFor, type TestRedis } from '@drover/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import {
  ConnectionError,
  Drover,
  ResourceExhaustedError,
  UnsuitableRedisError,
} from '../src/client.ts';

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis({ config: { requirepass: 'right' } });
});

afterAll(async () => {
  await redis.stop();
});

async function failure(call: Promise<unknown>): Promise<Error> {
  return await call.then(
    () => expect.unreachable('it did not fail'),
    (error: Error) => error,
  );
}

describe('a connection that can not be made says what to do', () => {
  const cases: { name: string; url: () => string; want: RegExp }[] = [
    {
      name: 'nothing listens',
      url: () => 'redis://127.0.0.1:1',
      want: /^Redis at 127\.0\.0\.1:1 is not reachable \(nothing listens there\): start one/,
    },
    {
      name: 'no such socket',
      url: () => '/tmp/there-is-no-such.sock',
      want: /no-such\.sock is not reachable \(there is no such socket\)/,
    },
    {
      name: 'a wrong password',
      url: () => `redis://:wrong@127.0.0.1:${redis.port}`,
      want: /refused the login: wrong user name or password/,
    },
    {
      name: 'no password',
      url: () => `redis://127.0.0.1:${redis.port}`,
      want: /wants a password: give it as redis:\/\/:PASSWORD@HOST:PORT/,
    },
    { name: 'no URL', url: () => 'localhost:6379', want: /is no address of a Redis: give redis:/ },
  ];

  test.each(cases)('$name', async ({ url, want }) => {
    await using drover = new Drover({ connection: url() });
    const error = await failure(drover.jobs.list());
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error.message).toMatch(want);
    expect(error.message).not.toContain('wrong@');
  });

  test('a Redis that can not write to its disk is told as such', async () => {
    const config = { 'enable-protected-configs': 'yes', save: '900 1' };
    const full = await startRedis({ config });
    onTestFinished(() => full.stop());
    const admin = full.connect();
    await using drover = new Drover({ connection: full.url });
    await drover.jobs.list();
    const gone = await mkdtemp(join(tmpdir(), 'drover-test-'));
    await admin.config('SET', 'dir', gone);
    await rmdir(gone);
    await admin.bgsave();
    await waitFor(async () => (await admin.info('persistence')).includes('bgsave_status:err'));
    const job = {
      metadata: { name: 'x' },
      spec: {
        template: {
          spec: {
            restartPolicy: 'Never' as const,
            containers: [{ name: 'main', command: ['true'] }],
          },
        },
      },
    };
    const error = await failure(drover.jobs.create(job));
    expect(error).toBeInstanceOf(ResourceExhaustedError);
    expect(error.message).toMatch(/can not write to its disk and takes no changes: make room/);
  });

  test('an eviction policy that loses data is refused', async () => {
    const url = `redis://:right@127.0.0.1:${redis.port}`;
    const admin = new Redis(url);
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await using drover = new Drover({ connection: url });
    const error = await failure(drover.connect());
    expect(error).toBeInstanceOf(UnsuitableRedisError);
    expect(error.message).toMatch(/maxmemory-policy is allkeys-lru.*set it to noeviction/);
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    // The next call tries again.
    await expect(drover.jobs.list()).resolves.toEqual([]);
    admin.disconnect();
  });
});

test('a client connects again after Redis was away', async () => {
  const other = await startRedis({ appendOnly: true });
  await using drover = new Drover({ connection: other.url });
  await expect(drover.jobs.list()).resolves.toEqual([]);
  await other.restart();
  await expect(drover.jobs.list()).resolves.toEqual([]);
  await other.stop();
});

test('options of ioredis are taken', async () => {
  const connection = { host: '127.0.0.1', port: redis.port, password: 'right' };
  await using drover = new Drover({ connection });
  await expect(drover.jobs.list()).resolves.toEqual([]);
});

test('an ioredis instance is used and left open', async () => {
  const connection = new Redis({ host: '127.0.0.1', port: redis.port, password: 'right' });
  const drover = new Drover({ connection });
  await drover.jobs.list();
  await drover.close();
  await expect(connection.ping()).resolves.toBe('PONG');
  connection.disconnect();
});

test('a closed client refuses calls', async () => {
  const drover = new Drover({
    connection: { host: '127.0.0.1', port: redis.port, password: 'right' },
  });
  await drover.connect();
  await drover.close();
  await expect(drover.jobs.list()).rejects.toThrow('this client was closed');
});
