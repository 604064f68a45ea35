import { itemQueueKeys, itemQueuePrefix } from './keys.ts';
import { list } from './replies.ts';
import { defineScripts, runScript } from './scripts.ts';
import type { RedisClient } from './redisClient.ts';

/** Name of BullMQ's queue of a work queue's items; each has a prefix of its own. Short, since it is part of all keys. */
export const ITEM_QUEUE_NAME = 'i';

/** Data of the QueueJob of one item. Short names: there may be millions. */
export interface SingleItemData {
  /** Id of the item. */
  readonly i: number;
  /** What the user enqueued. */
  readonly d: unknown;
  /** Its key, when it has one. */
  readonly k?: string;
  /** It came from a chunk, or from another QueueJob of its: how often it was run there. */
  readonly a?: number;
}

/** Data of the QueueJob of a chunk of items with consecutive ids. */
export interface ChunkData {
  /** Id of the first item. */
  readonly i: number;
  /** What the user enqueued, of each item. */
  readonly c: readonly unknown[];
}

/** Data of a QueueJob of items; immutable. */
export type ItemQueueJobData = SingleItemData | ChunkData;

/** BullMQ's `prefix` option for the items of a work queue. */
export function itemQueueOptions(prefix: string, uid: string): { readonly prefix: string } {
  return { prefix: itemQueuePrefix(prefix, uid) };
}

/** States of QueueJobs that no worker has. */
export type FreeState = 'waiting' | 'prioritized' | 'delayed';

/** What {@link obliterateItems} needs of BullMQ's queue. */
export interface ObliterableQueue {
  obliterate(options: { readonly force: true }): Promise<void>;
  getJobs(
    states: FreeState[],
    first: number,
    last: number,
  ): Promise<({ remove(): Promise<void> } | undefined)[]>;
}

/** QueueJobs that are removed one by one to make room, of each state. */
const ROOM_JOBS = 500;

/** Removes all that BullMQ has of a work queue's items, also when Redis has no memory left: it may be what fills it. */
export async function obliterateItems(queue: ObliterableQueue): Promise<void> {
  for (;;) {
    try {
      await queue.obliterate({ force: true });
      return;
    } catch (error) {
      // It begins by writing something, which Redis then refuses. Removing one QueueJob is not refused.
      if (!isOutOfMemory(error)) throw error;
      const found = await queue.getJobs(['waiting', 'prioritized', 'delayed'], 0, ROOM_JOBS - 1);
      const removals = await Promise.allSettled(
        found.flatMap((job) => (job === undefined ? [] : [job.remove()])),
      );
      if (!removals.some(({ status }) => status === 'fulfilled')) throw error;
    }
  }
}

/** Whether Redis refused a command for want of memory. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('OOM ');
}

/** QueueJobs that are ready at once, alike but for their data. */
export interface NewItems {
  /** Key prefix of the installation. */
  readonly prefix: string;
  /** Of the work queue. */
  readonly uid: string;
  /** Of the QueueJobs. */
  readonly name: string;
  /** BullMQ's options of the QueueJobs: no priority, no delay. */
  readonly options: object;
  /** Data of each as JSON: {@link ItemQueueJobData}. */
  readonly data: readonly string[];
}

/** QueueJobs that one script adds: it takes a fourth of what it may. */
const MAX_ADDED = 250;

/** Adds QueueJobs as BullMQ's `addBulk` does, in a few scripts. Some may be there when it fails. */
export async function addItems(redis: RedisClient, items: NewItems): Promise<void> {
  defineScripts(redis);
  const { prefix, uid, name, options, data } = items;
  const { wait, meta, id, active, marker } = itemQueueKeys(prefix, uid, ITEM_QUEUE_NAME);
  const keyOfJobs = `${itemQueuePrefix(prefix, uid)}:${ITEM_QUEUE_NAME}:`;
  const optionsText = JSON.stringify({ attempts: 0, ...options });
  const scripts: Promise<unknown>[] = [];
  for (let from = 0; from < data.length; from += MAX_ADDED) {
    const args = [keyOfJobs, name, optionsText, Date.now(), ...data.slice(from, from + MAX_ADDED)];
    scripts.push(runScript(redis, 'addItems', [wait, meta, id, active, marker], args));
  }
  await Promise.all(scripts);
}

/** QueueJobs that one script removes at most: bounds its time. */
export const MAX_DROPPED = 100;

/**
 * Removes QueueJobs that wait for a worker. Runs when memory is full.
 *
 * @param ids - At most {@link MAX_DROPPED}: those that are taken next, the next one first.
 * @returns Those that are there no more.
 */
export async function dropItems(
  redis: RedisClient,
  { prefix, uid, ids }: Pick<NewItems, 'prefix' | 'uid'> & { readonly ids: readonly string[] },
): Promise<ReadonlySet<string>> {
  defineScripts(redis);
  const { wait } = itemQueueKeys(prefix, uid, ITEM_QUEUE_NAME);
  const keyOfJobs = `${itemQueuePrefix(prefix, uid)}:${ITEM_QUEUE_NAME}:`;
  return new Set(
    list(await runScript(redis, 'dropItems', [wait], [keyOfJobs, ...ids])).map(String),
  );
}
