import { DEFAULT_ITEM_RETRY, type ItemOptions } from '@drover/shared';
import type { ItemQueueJobData } from '@drover/store';
import type { JobsOptions } from 'bullmq';

import type { PreparedItem } from './itemBatches.ts';

/** Most items of a chunk. */
export const MAX_CHUNK_ITEMS = 500;
/** Most bytes of a chunk. */
const MAX_CHUNK_BYTES = 64 * 1024;
/** Items up to this size are worth a chunk. */
const SMALL_ITEM_BYTES = 256;
/** A batch of fewer items is not. */
const MIN_BATCH_ITEMS = 100;

/** A QueueJob of items, as `Queue.addBulk` takes it. */
export interface ItemQueueJob {
  readonly name: 'item' | 'chunk';
  readonly data: ItemQueueJobData;
  readonly opts: JobsOptions;
}

/** An item with its id. */
export interface NumberedItem extends PreparedItem {
  readonly id: number;
}

/** The QueueJobs of items that travel one by one. */
export function singleJobs(items: readonly NumberedItem[], options: ItemOptions): ItemQueueJob[] {
  const opts = jobsOptions(options);
  return items.map(({ id, data, key }) => ({
    name: 'item',
    data: key === null ? { i: id, d: data } : { i: id, d: data, k: key },
    opts,
  }));
}

/**
 * What is not the default. That goes without saying, workers know it: with options of more than 64 bytes Redis keeps
 * a QueueJob in another way, in three times the memory.
 */
function jobsOptions({ priority, delay, attempts, backoff }: ItemOptions): JobsOptions {
  const usual = DEFAULT_ITEM_RETRY;
  const isUsualBackoff =
    backoff.type === usual.backoff.type && backoff.delay === usual.backoff.delay;
  return {
    ...(attempts !== usual.attempts && { attempts }),
    ...(!isUsualBackoff && { backoff }),
    ...(priority !== 0 && { priority }),
    ...(delay !== 0 && { delay }),
  };
}

/** The QueueJobs of items that travel in chunks. Their ids are consecutive. */
export function chunkJobs(items: readonly NumberedItem[], maxItems: number): ItemQueueJob[] {
  const jobs: ItemQueueJob[] = [];
  let from = 0;
  while (from < items.length) {
    let to = from;
    let bytes = 0;
    while (to < items.length && to - from < maxItems) {
      bytes += items[to]!.bytes;
      if (bytes > MAX_CHUNK_BYTES && to > from) break;
      to++;
    }
    const chunk = items.slice(from, to);
    jobs.push({
      name: 'chunk',
      data: { i: chunk[0]!.id, c: chunk.map(({ data }) => data) },
      opts: {},
    });
    from = to;
  }
  return jobs;
}

/** Whether the items of a batch are so small and so many that they had better travel in chunks. */
export function areWorthChunks(items: readonly PreparedItem[]): boolean {
  const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
  return items.length >= MIN_BATCH_ITEMS && bytes <= SMALL_ITEM_BYTES * items.length;
}
