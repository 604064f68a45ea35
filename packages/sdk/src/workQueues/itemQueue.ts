import {
  addItems,
  dropItems,
  type FreeState,
  isOutOfMemory,
  ITEM_QUEUE_NAME,
  type ItemQueueJobData,
  itemQueueOptions,
  MAX_DROPPED,
  obliterateItems,
  type RedisClient,
} from '@drover/store';
import type { Job, Queue } from 'bullmq';

import type { ItemQueueJob } from './itemJobs.ts';

/** QueueJobs read or removed in one call. */
const PAGE_SIZE = 500;
/** BullMQ removes what is older than now by this process' clock; those of producers may go before it. */
const CLOCK_ERROR_MS = 86_400_000;

/** Adds QueueJobs that are ready at once, with the name and the options of the first. */
type AddReady = (jobs: readonly ItemQueueJob[], first: ItemQueueJob) => Promise<void>;

/** What BullMQ has one script each for, or looks through all that waits for: done here in a few scripts. */
interface OwnScripts {
  readonly addReady: AddReady;
  /** Removes those QueueJobs that no worker has, the next ones first. Answers the ids of those that are gone. */
  readonly drop: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
}

/** BullMQ's queue of a work queue's items. */
export class ItemQueue {
  readonly #queue: Queue<ItemQueueJobData>;
  readonly #own: OwnScripts;

  constructor(queue: Queue<ItemQueueJobData>, own: OwnScripts) {
    this.#queue = queue;
    this.#own = own;
  }

  /** Hands items over, all of one kind and with the same options. Some may be there when it fails. */
  async add(jobs: readonly ItemQueueJob[]): Promise<void> {
    const [first] = jobs;
    if (first === undefined) return;
    const { delay, priority } = first.opts;
    // The rest is left to BullMQ, which has a script for each.
    if (delay === undefined && priority === undefined) await this.#own.addReady(jobs, first);
    else await this.#queue.addBulk([...jobs]);
  }

  /** Items that wait for their time, and items that workers have. O(QueueJobs in flight). */
  async counts(): Promise<{ delayed: number; inFlight: number }> {
    const delayed = await this.#queue.getDelayedCount();
    return { delayed, inFlight: (await this.inFlight()).ids.length };
  }

  /** Ids of the items that workers have, of a chunk all of its items; and whether there is a chunk. */
  async inFlight(): Promise<{ readonly ids: readonly number[]; readonly hasChunk: boolean }> {
    // All at once: the list moves as items are taken and ended, and pages of it would miss some.
    const queueJobIds = await this.#queue.getRanges(['active'], 0, -1);
    const ids: number[] = [];
    let hasChunk = false;
    for (let from = 0; from < queueJobIds.length; from += PAGE_SIZE) {
      const some = queueJobIds.slice(from, from + PAGE_SIZE);
      const jobs = await Promise.all(some.map((id) => this.#queue.getJob(id)));
      for (const job of jobs) {
        // It ended meanwhile.
        if (job === undefined) continue;
        ids.push(...idsOf(job.data));
        hasChunk ||= 'c' in job.data;
      }
    }
    return { ids, hasChunk };
  }

  /**
   * Removes what waits. Answers the items of it that a chunk in flight may have brought: they left that,
   * and nobody has them any more. O(QueueJobs).
   */
  async drain(): Promise<ReadonlySet<number>> {
    const removed = new Set<number>();
    const { hasChunk } = await this.inFlight();
    for (const state of ['delayed', 'prioritized', 'waiting'] as const) {
      // What is added meanwhile is left: a producer must not keep this going.
      let left = await this.#queue.getJobCountByTypes(state);
      while (left > 0) {
        const size = Math.min(left, PAGE_SIZE);
        const ids = hasChunk ? null : await this.#clean(state, size);
        const count = ids ?? (await this.#removeSome(state, size, removed));
        left = count === 0 ? 0 : left - count;
      }
    }
    return removed;
  }

  /**
   * Removes QueueJobs, some at a time: BullMQ's own `drain` is one script, which holds Redis up for longer than the
   * leases of workers last when there are a few hundred thousand. Null when Redis has no memory left for it.
   */
  async #clean(state: FreeState, size: number): Promise<number | null> {
    try {
      return (await this.#queue.clean(-CLOCK_ERROR_MS, size, state)).length;
    } catch (error) {
      if (isOutOfMemory(error)) return null;
      throw error;
    }
  }

  /** Removes QueueJobs; answers how many were there, and adds their items. */
  async #removeSome(state: FreeState, size: number, items: Set<number>): Promise<number> {
    if (state === 'waiting') return await this.#dropNext(Math.min(size, MAX_DROPPED), items);
    const jobs = await this.#queue.getJobs([state], 0, size - 1);
    const gone = await Promise.all(jobs.map((job) => this.#remove(job)));
    for (const ids of gone) for (const id of ids) items.add(id);
    return jobs.length;
  }

  /** The same of those that workers take next. */
  async #dropNext(size: number, items: Set<number>): Promise<number> {
    const jobs = await this.#queue.getJobs(['waiting'], 0, size - 1, true);
    const gone = await this.#own.drop(jobs.map(({ id }) => id!));
    for (const { id, data } of jobs)
      if (gone.has(id!)) for (const item of idsOf(data)) items.add(item);
    // Others were quicker with some: those that are next by now are looked at as well.
    return gone.size > 0 ? gone.size : jobs.length;
  }

  /** Removes a QueueJob; answers its items, none when a worker has it by now. */
  async #remove(job: Job<ItemQueueJobData>): Promise<number[]> {
    try {
      await job.remove();
      return idsOf(job.data);
    } catch (error) {
      if (await job.isActive()) return [];
      throw error;
    }
  }

  /** Removes everything, what workers have too. */
  async obliterate(): Promise<void> {
    await obliterateItems(this.#queue);
  }

  /** Lets go of it; the connection stays open. */
  async close(): Promise<void> {
    await this.#queue.close();
  }
}

function idsOf(data: ItemQueueJobData): number[] {
  return 'c' in data ? data.c.map((_, at) => data.i + at) : [data.i];
}

/** Opens BullMQ's queue of a work queue. BullMQ is loaded with the first one: most clients need none. */
export async function openItemQueue(
  redis: RedisClient,
  prefix: string,
  uid: string,
): Promise<ItemQueue> {
  const { Queue } = await import('bullmq');
  const queue = new Queue<ItemQueueJobData>(ITEM_QUEUE_NAME, {
    connection: redis,
    ...itemQueueOptions(prefix, uid),
    // Nobody reads BullMQ's events, and they can not be switched off: keep few.
    streams: { events: { maxLen: 100 } },
  });
  // What fails is told to whoever asked.
  queue.on('error', () => undefined);
  return new ItemQueue(queue, {
    addReady: async (jobs, { name, opts }) => {
      const data = jobs.map((job) => JSON.stringify(job.data));
      await addItems(redis, { prefix, uid, name, options: opts, data });
    },
    drop: (ids) => dropItems(redis, { prefix, uid, ids }),
  });
}
