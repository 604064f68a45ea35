import { randomBytes } from 'node:crypto';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';
import { RedisClusterProcesses } from './redisCluster.ts';
import { RedisProcess } from './redisProcess.ts';
import { RedisSentinelProcesses } from './redisSentinel.ts';
import { Clients, type StartRedisOptions, type TestRedis, type Topology } from './testRedis.ts';

/**
 * A Redis to test on: with `DROVER_TEST_REDIS=cluster` or `sentinel` in the environment such a set of processes, else
 * the first of these that there is:
 *
 * 1. with `REDIS_URL` in the environment that server. Files share it: each keeps to keys below a
 *    {@link uniquePrefix}. Only where no option is given, since options need a server of one's own.
 * 2. a `redis-server` of PATH: a process on a free port, with a temporary directory. It dies with
 *    the test process, kill -9 included.
 * 3. a container.
 *
 * @throws Error when there is none of them; a test never passes because Redis is missing.
 */
export async function startRedis(options: StartRedisOptions = {}): Promise<TestRedis> {
  const topology = options.topology ?? (options.unixSocket === true ? 'server' : wantedTopology());
  if (topology === 'cluster') return await RedisClusterProcesses.start(options);
  if (topology === 'sentinel') return await RedisSentinelProcesses.start(options);
  const shared = process.env['REDIS_URL'];
  if (shared !== undefined && shared !== '' && Object.keys(options).length === 0) {
    return sharedRedis(shared);
  }
  if (await isOnPath('redis-server')) return RedisProcess.start(options);
  try {
    // Slow to load, and seldom needed.
    const { startRedisContainer } = await import('./redisContainer.ts');
    return await startRedisContainer(options);
  } catch (cause) {
    throw new Error(
      'no Redis to test on: install redis-server (npm run setup), or set REDIS_URL to one',
      { cause },
    );
  }
}

/** What the environment says of tests that leave it open. */
export function wantedTopology(): Topology {
  const text = process.env['DROVER_TEST_REDIS'] || 'server';
  if (text === 'server' || text === 'cluster' || text === 'sentinel') return text;
  throw new Error(`DROVER_TEST_REDIS is ${JSON.stringify(text)}: server, cluster or sentinel`);
}

/** A key prefix that no other test uses. */
export function uniquePrefix(): string {
  return `t${randomBytes(6).toString('hex')}`;
}

async function sharedRedis(url: string): Promise<TestRedis> {
  await check(url);
  const clients = new Clients(() => new Redis(url));
  const refuse = async (): Promise<never> => {
    throw new Error(
      'REDIS_URL is not ours to stop: give startRedis() an option, such as config: {}',
    );
  };
  return {
    url,
    port: Number(new URL(url).port || 6379),
    socketPath: null,
    pid: null,
    connect: () => clients.connect(),
    kill: refuse,
    restart: refuse,
    stop: async () => clients.close(),
  };
}

/** Fails at once when the server does not answer. */
async function check(url: string): Promise<void> {
  const client = new Redis(url, { retryStrategy: () => null, connectTimeout: 5000 });
  // Says more than what the command fails with, which is that the connection is closed.
  const failures: string[] = [];
  client.on('error', (error) => failures.push(error.message));
  try {
    await client.ping();
  } catch (error) {
    throw new Error(`the Redis at REDIS_URL does not answer: ${failures.join(', ')}`, {
      cause: error,
    });
  } finally {
    client.disconnect();
  }
}

async function isOnPath(name: string): Promise<boolean> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const found = await access(join(folder, name)).then(
      () => true,
      () => false,
    );
    if (folder !== '' && found) return true;
  }
  return false;
}
