import { serversOf } from '@drover/store';
import type { Redis } from 'ioredis';

import type { Engine } from './engine.ts';

/** Keys that match a pattern, wherever they lie. */
export async function findKeys(engine: Engine, pattern: string): Promise<string[]> {
  return (await askEach(engine, (server) => server.keys(pattern))).flat();
}

/** Writes all data of each server to its disk. */
export async function saveSnapshots(engine: Engine): Promise<void> {
  await askEach(engine, (server) => server.save());
}

/** Sets how much memory each server may have, as in redis.conf; `0` for no limit. */
export async function setMaxmemory(engine: Engine, limit: string): Promise<void> {
  await askEach(engine, (server) => server.config('SET', 'maxmemory', limit));
}

/** Lets {@link countCalls} begin anew. */
export async function resetCalls(engine: Engine): Promise<void> {
  await askEach(engine, (server) => server.config('RESETSTAT'));
}

/** How often each command was called on all servers together, by anybody and inside scripts. */
export async function countCalls(engine: Engine): Promise<Map<string, number>> {
  const calls = new Map<string, number>();
  for (const text of await askEach(engine, (server) => server.info('commandstats'))) {
    for (const [, name = '', count] of text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
      calls.set(name, (calls.get(name) ?? 0) + Number(count));
    }
  }
  return calls;
}

/** Asks the server that holds the data, or the masters of a cluster. */
async function askEach<T>(engine: Engine, ask: (server: Redis) => Promise<T>): Promise<T[]> {
  return await Promise.all((await serversOf(engine.store.redis)).map(ask));
}
