import { ITEM_QUEUE_NAME, type ItemQueueJobData, itemQueueOptions } from '@drover/store';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

import type { ItemQueueJob } from './itemJobs.ts';

/** QueueJobs read in one call. */
const PAGE_SIZE = 500;

/** BullMQ's queue of a work queue's items. */
export class ItemQueue {
  readonly #queue: Queue<ItemQueueJobData>;

  constructor(queue: Queue<ItemQueueJobData>) {
    this.#queue = queue;
  }

  /** Hands items over. Some may be there when it fails. */
  async add(jobs: readonly ItemQueueJob[]): Promise<void> {
    await this.#queue.addBulk([...jobs]);
  }

  /** Items that wait for their time, and items that workers have. O(QueueJobs in flight). */
  async counts(): Promise<{ delayed: number; inFlight: number }> {
    const delayed = await this.#queue.getDelayedCount();
    return { delayed, inFlight: (await this.idsInFlight()).length };
  }

  /** Ids of the items that workers have; of a chunk all of its items. */
  async idsInFlight(): Promise<number[]> {
    const ids: number[] = [];
    for (let from = 0; ; from += PAGE_SIZE) {
      const jobs = await this.#queue.getActive(from, from + PAGE_SIZE - 1);
      for (const { data } of jobs) {
        if ('c' in data) ids.push(...data.c.map((_, at) => data.i + at));
        else ids.push(data.i);
      }
      if (jobs.length < PAGE_SIZE) return ids;
    }
  }

  /** Removes what waits. */
  async drain(): Promise<void> {
    await this.#queue.drain(true);
  }

  /** Removes everything, what workers have too. */
  async obliterate(): Promise<void> {
    await this.#queue.obliterate({ force: true });
  }

  /** Lets go of it; the connection stays open. */
  async close(): Promise<void> {
    await this.#queue.close();
  }
}

/** Opens BullMQ's queue of a work queue. BullMQ is loaded with the first one: most clients need none. */
export async function openItemQueue(redis: Redis, prefix: string, uid: string): Promise<ItemQueue> {
  const { Queue } = await import('bullmq');
  const queue = new Queue<ItemQueueJobData>(ITEM_QUEUE_NAME, {
    connection: redis,
    ...itemQueueOptions(prefix, uid),
    // Nobody reads BullMQ's events, and they can not be switched off: keep few.
    streams: { events: { maxLen: 100 } },
  });
  // What fails is told to whoever asked.
  queue.on('error', () => undefined);
  return new ItemQueue(queue);
}
