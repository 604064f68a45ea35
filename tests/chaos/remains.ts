/** The end of a run: users delete everything, and Redis must be as empty as before. */
import { setTimeout as delay } from 'node:timers/promises';

import { NotFoundError } from '@drover/sdk';
import { findOrphanKeys, type Store } from '@drover/store';
import type { Redis } from 'ioredis';

import type { Load } from './load.ts';
import type { Installation } from './world.ts';

/** Several resyncs, ms. */
const LEFT_MS = 30_000;
const LOOK_MS = 200;

/** Keys in which what is gone is still named, rightly: they tell of the past, and have bounds of their own. */
const OF_THE_PAST = /:(?:events|events:names|events:versions|watch)$/;
/** Keys that belong to an object that is gone: a Job, a pod's log, a work queue and its items. */
const OF_AN_OBJECT = /:job:|:log:|:wq:|:object:(?!PriorityClass:)/;

/** What BullMQ has of a work queue, and what says that one was deleted. */
const LATE_ITEMS = /:wq:[^{}:]+\}:i:/;
const WORK_QUEUE = /:wq:([0-9a-f-]{36})$/;

/** What BullMQ has laid aside of a slot queue. */
const LAID_ASIDE = /^(\{[^{}]*:q:[^{}]*\}:.*:)delayed$/;

/** Deletes all that users made in a run. */
export async function deleteEverything({ drover }: Installation, load: Load): Promise<void> {
  for (const { name } of load.cronJobs) await drover.cronJobs.delete(name);
  for (const { metadata } of await drover.jobs.list()) {
    await drover.jobs.delete(metadata.name).catch(ignoreGone);
  }
  for (const { name } of load.barePods) await drover.pods.delete(name).catch(ignoreGone);
  for (const { name } of load.queues) await drover.workQueue(name).delete().catch(ignoreGone);
}

/** What workers write of a deleted work queue late, a controller removes a minute after its deletion; here it does so now. */
async function removeLateItems({ redis, shards }: Store, keys: readonly string[]): Promise<void> {
  if (!keys.some((key) => LATE_ITEMS.test(key))) return;
  const [shard] = shards;
  for (const key of await (redis as Redis).keys('*:wq:*')) {
    const uid = WORK_QUEUE.exec(key)?.[1];
    if (uid !== undefined) await shard!.trigger(`items:${uid}`);
  }
}

/**
 * What is left then, when nothing more goes.
 *
 * @param uids - Of all Jobs that there were: nothing in Redis names them any more.
 * @param leftMs - For how long nothing need change until what is left is left for good.
 */
export async function findRemains(
  { store }: Pick<Installation, 'store'>,
  uids: readonly string[],
  leftMs = LEFT_MS,
): Promise<string[]> {
  let last = '';
  let changedMs = performance.now();
  for (;;) {
    const remains = await lookForRemains(store, uids);
    const text = remains.join();
    if (text !== last) {
      changedMs = performance.now();
      await removeLateItems(store, remains);
    }
    if (remains.length === 0 || performance.now() - changedMs > leftMs) return remains;
    last = text;
    await delay(LOOK_MS);
  }
}

async function lookForRemains(store: Store, uids: readonly string[]): Promise<string[]> {
  const redis = store.redis as Redis;
  const { orphans, unpurgedJobs } = await findOrphanKeys(redis, { prefix: store.prefix });
  const remains = [...orphans, ...unpurgedJobs];
  const keys = await redis.keys(`{${store.prefix}:*`);
  const aside = await laidAside(redis, keys);
  for (const key of keys) {
    if (aside.has(key)) continue;
    // That something was deleted is remembered for a while, and what is given out for a while ends by itself.
    if ((await redis.pttl(key)) >= 0) continue;
    if (OF_AN_OBJECT.test(key)) remains.push(key);
    else if (!OF_THE_PAST.test(key)) remains.push(...(await namesIn(redis, key, uids)));
  }
  return [...new Set(remains)].toSorted();
}

/** Keys of slots that were laid aside: by a clock that is hours ahead for hours. They go when their time comes. */
async function laidAside(redis: Redis, keys: readonly string[]): Promise<ReadonlySet<string>> {
  const delayed = keys.filter((key) => LAID_ASIDE.test(key));
  const queueJobs = await Promise.all(
    delayed.map(async (key) => {
      const ids = await redis.zrange(key, '0', '-1');
      return ids.map((id) => key.replace(LAID_ASIDE, `$1${id}`));
    }),
  );
  return new Set([...delayed, ...queueJobs.flat()]);
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
      return await redis.zrange(key, '0', '-1');
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
