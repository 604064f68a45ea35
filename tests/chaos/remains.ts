/** The end of a run: users delete everything, and Redis must be as empty as before. */
import { setTimeout as delay } from 'node:timers/promises';

import { NotFoundError } from '@drover/sdk';
import { findOrphanKeys } from '@drover/store';
import type { Redis } from 'ioredis';

import type { Load } from './load.ts';
import type { World } from './world.ts';

/** For how long nothing need change until what is left is left for good, ms: several resyncs. */
const LEFT_MS = 30_000;
const LOOK_MS = 200;

/** Keys in which what is gone is still named, rightly: they tell of the past, and have bounds of their own. */
const OF_THE_PAST = /:(?:events|events:names|events:versions|watch)$/;
/** Keys that belong to an object that is gone: a Job, a pod's log, a work queue and its items. */
const OF_AN_OBJECT = /:job:|:log:|:wq:|:object:(?!priorityclasses:)/i;

/** Deletes all that users made in a run. */
export async function deleteEverything({ drover }: World, load: Load): Promise<void> {
  for (const { name } of load.cronJobs) await drover.cronJobs.delete(name);
  for (const { metadata } of await drover.jobs.list()) {
    await drover.jobs.delete(metadata.name).catch(ignoreGone);
  }
  for (const { name } of load.barePods) await drover.pods.delete(name).catch(ignoreGone);
  for (const { name } of load.queues) await drover.workQueue(name).delete().catch(ignoreGone);
}

/** What is left then, when nothing more goes. */
export async function findRemains(world: World, uids: readonly string[]): Promise<string[]> {
  let last = '';
  let changedMs = performance.now();
  for (;;) {
    const remains = await lookForRemains(world, uids);
    const text = remains.join();
    if (text !== last) changedMs = performance.now();
    if (remains.length === 0 || performance.now() - changedMs > LEFT_MS) return remains;
    last = text;
    await delay(LOOK_MS);
  }
}

async function lookForRemains({ store }: World, uids: readonly string[]): Promise<string[]> {
  const redis = store.redis as Redis;
  const { orphans, unpurgedJobs } = await findOrphanKeys(redis, { prefix: store.prefix });
  const remains = [...orphans, ...unpurgedJobs];
  for (const key of await redis.keys(`{${store.prefix}:*`)) {
    if (OF_AN_OBJECT.test(key)) remains.push(key);
    else if (!OF_THE_PAST.test(key)) remains.push(...(await namesIn(redis, key, uids)));
  }
  return [...new Set(remains)].toSorted();
}

/** Places in a key that name an object that is gone. */
async function namesIn(redis: Redis, key: string, uids: readonly string[]): Promise<string[]> {
  const texts = await contentOf(redis, key);
  return texts
    .filter((text) => uids.some((uid) => text.includes(uid)))
    .map((text) => `${key}: ${text.slice(0, 200)}`);
}

async function contentOf(redis: Redis, key: string): Promise<string[]> {
  switch (await redis.type(key)) {
    case 'string':
      return [(await redis.get(key)) ?? ''];
    case 'hash':
      return Object.entries(await redis.hgetall(key)).map(([field, value]) => `${field} ${value}`);
    case 'set':
      return await redis.smembers(key);
    case 'zset':
      return await redis.zrange(key, 0, -1);
    case 'list':
      return await redis.lrange(key, 0, -1);
    // A stream of BullMQ's events, which it bounds itself.
    default:
      return [];
  }
}

function ignoreGone(error: unknown): void {
  if (!(error instanceof NotFoundError)) throw error;
}
