import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { DroverError, SealedError, type ItemOptions, type NotFoundError } from '@drover/shared';
import type { Reserved, ReserveRequest, WorkQueues } from '@drover/store';

import type { PreparedItem } from './itemBatches.ts';
import { chunkJobs, type NumberedItem, singleJobs } from './itemJobs.ts';
import type { ItemQueue } from './itemQueue.ts';
import type { DeadItem } from './results.ts';

/** A batch that is not handed over within this time is given up: its producer is taken for dead. */
const BATCH_LEASE_MS = 30_000;
/** How often keys that another batch has are asked for again, at first and at most, ms. */
const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 1_000;

/** An enqueue took so long that its items were given up: enqueue them again. */
export class BatchAbandonedError extends DroverError {
  constructor(queueName: string, count: number) {
    super(
      'TIMEOUT',
      `${count} items for WorkQueue "${queueName}" were not handed over within ${BATCH_LEASE_MS / 1000} s and count for nothing: enqueue them again`,
    );
  }
}

/** What {@link ItemSender} needs. */
export interface ItemSenderOptions {
  /** Name of the work queue. */
  readonly name: string;
  /** Its uid as it was found, maybe long ago, or made now. */
  readonly uid: () => Promise<string>;
  /** That uid is out of date. */
  readonly forget: (uid: string) => void;
  readonly onWorkQueues: <T>(call: (workQueues: WorkQueues) => Promise<T>) => Promise<T>;
  readonly onItemQueue: <T>(uid: string, use: (queue: ItemQueue) => Promise<T>) => Promise<T>;
  readonly notFound: () => NotFoundError;
}

/** Hands batches of items over to a work queue: ids, QueueJobs, and word that they are all there. */
export class ItemSender {
  readonly #options: ItemSenderOptions;
  /** It was there: if it is gone the next time, it was deleted meanwhile, with what was handed over. */
  #uid: string | null = null;

  constructor(options: ItemSenderOptions) {
    this.#options = options;
  }

  /**
   * Enqueues a batch; returns how many of its items were new.
   *
   * @param chunkItems - How many travel in one QueueJob; null = each by itself.
   */
  async send(
    batch: readonly PreparedItem[],
    options: ItemOptions,
    chunkItems: number | null,
  ): Promise<number> {
    const of = batch[0]?.key === null ? null : { keys: batch.map(({ key }) => key!) };
    return await this.#send(batch, of, (items) =>
      chunkItems === null ? singleJobs(items, options) : chunkJobs(items, chunkItems),
    );
  }

  /** Enqueues dead-lettered items again, but those that somebody else is about to; returns how many. */
  async retry(dead: readonly DeadItem[], options: ItemOptions): Promise<number> {
    const batch = dead.map(({ data, key }) => ({ data, key, bytes: 0 }));
    const of = { deadIds: dead.map(({ id }) => id) };
    return await this.#send(batch, of, (items) => singleJobs(items, options));
  }

  async #send(
    batch: readonly PreparedItem[],
    of: ReserveRequest['of'],
    jobsOf: (items: readonly NumberedItem[]) => ReturnType<typeof singleJobs>,
  ): Promise<number> {
    const { name, onWorkQueues, onItemQueue, notFound } = this.#options;
    const batchId = randomUUID();
    const { uid, reserved } = await this.#reserveInTurn(batchId, batch.length, of);
    if (reserved.type === 'sealed') throw new SealedError(name);
    if (reserved.type === 'notFound') throw notFound();
    const { ids, isNew } = reserved;
    const items: NumberedItem[] = [];
    for (const [i, { data, key, bytes }] of batch.entries()) {
      if (isNew[i] === true) items.push({ id: ids[i]!, data, key, bytes });
    }
    if (items.length === 0) return 0;
    await onItemQueue(uid, (queue) => queue.add(jobsOf(items)));
    const retriedIds =
      of !== null && 'deadIds' in of ? of.deadIds.filter((_, i) => isNew[i] === true) : [];
    const committed = await onWorkQueues((workQueues) =>
      workQueues.commit({ uid, batchId, retriedIds }),
    );
    if (committed === 'abandoned') throw new BatchAbandonedError(name, items.length);
    if (committed === 'notFound') throw notFound();
    return items.length;
  }

  /**
   * Waits while another batch that is not handed over yet has one of the keys: its producer may be dead, and its item
   * then counts for nothing.
   */
  async #reserveInTurn(
    batchId: string,
    count: number,
    of: ReserveRequest['of'],
  ): Promise<{ readonly uid: string; readonly reserved: Exclude<Reserved, { type: 'pending' }> }> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const { uid, reserved } = await this.#reserve(batchId, count, of);
      if (reserved.type !== 'pending') return { uid, reserved };
      // Not every client has a controller at its side that does so.
      if (reserved.waitMs === 0) {
        await this.#options.onWorkQueues((workQueues) => workQueues.abandon(uid));
      } else await delay(Math.min(pauseMs, reserved.waitMs));
    }
  }

  /** Asks once more when the work queue that was remembered has given way to another one of its name. */
  async #reserve(
    batchId: string,
    count: number,
    of: ReserveRequest['of'],
  ): Promise<{ readonly uid: string; readonly reserved: Reserved }> {
    const { uid: findUid, forget, onWorkQueues } = this.#options;
    for (let isAgain = false; ; isAgain = true) {
      const uid = this.#uid ?? (await findUid());
      const reserved = await onWorkQueues((workQueues) =>
        workQueues.reserve({ uid, batchId, count, of, leaseMs: BATCH_LEASE_MS }),
      );
      if (reserved.type === 'notFound') {
        forget(uid);
        if (!isAgain && this.#uid === null) continue;
      } else this.#uid ??= uid;
      return { uid, reserved };
    }
  }
}
