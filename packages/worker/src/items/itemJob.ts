import type { ItemQueueJobData } from '@drover/store';
import type { Job as QueueJob } from 'bullmq';

import type { LockHolder } from '../slots/lockRenewer.ts';
import type { DeliveredItem } from './deliveredItem.ts';

/** How often an item of a chunk may be run; those with other wishes travel alone. */
export const CHUNK_ITEM_ATTEMPTS = 3;
/** Time until the second attempt of an item of a chunk, ms; the same as for others by default. */
export const CHUNK_ITEM_BACKOFF_MS = 1_000;

/** Items of a chunk that are looked at before it is judged slow. */
const JUDGED_ITEMS = 4;

/** A QueueJob of items in the hands of this worker: one item, or a chunk. */
export class ItemJob implements LockHolder {
  readonly queueJob: QueueJob<ItemQueueJobData, void>;
  readonly queueJobId: string;
  readonly token: string;
  /** Its items that this worker has not settled, re-added or given back. */
  open = 0;
  /** Its items that were not settled when it came. */
  received = 0;
  /** Another delivery of it may be on its way. */
  isLost = false;
  /** Called when the lock is lost. */
  readonly onLost = new Set<() => void>();
  #measuredItems = 0;
  #measuredMs = 0;

  constructor(queueJob: QueueJob<ItemQueueJobData, void>, token: string) {
    this.queueJob = queueJob;
    this.queueJobId = queueJob.id ?? '';
    this.token = token;
  }

  get attemptsStarted(): number {
    return this.queueJob.attemptsStarted;
  }

  get isChunk(): boolean {
    return 'c' in this.queueJob.data;
  }

  /** How often a worker lost it. */
  get stalledCount(): number {
    return this.queueJob.stalledCounter;
  }

  /** Ids of its items. */
  get ids(): number[] {
    const { data } = this.queueJob;
    return 'c' in data ? data.c.map((_, at) => data.i + at) : [data.i];
  }

  /**
   * Whether some of its items may have ended: it was delivered before, or copies of it may have been. A batch
   * that a producer sent twice is seen when it is settled.
   */
  get mayBeSettled(): boolean {
    const { data } = this.queueJob;
    return this.attemptsStarted > 1 || 'c' in data || data.a !== undefined;
  }

  lockWasLost(): void {
    this.isLost = true;
    for (const tell of this.onLost) tell();
    this.onLost.clear();
  }

  /** Its items, but those that are settled. */
  items(isSettled: readonly boolean[] | null): DeliveredItem[] {
    const { data, attemptsMade, opts } = this.queueJob;
    const items: DeliveredItem[] = [];
    if ('c' in data) {
      for (const [at, one] of data.c.entries()) {
        if (isSettled?.[at] !== true) items.push(this.#itemOfChunk(data.i + at, one));
      }
    } else if (isSettled?.[0] !== true) {
      const before = data.a ?? 0;
      items.push({
        id: data.i,
        data: data.d,
        key: data.k ?? null,
        attemptsMade: before + attemptsMade,
        maxAttempts: before + (opts.attempts ?? 1),
        job: this,
        isSuspect: this.stalledCount > 0,
      });
    }
    this.open = items.length;
    this.received = items.length;
    return items;
  }

  /** An item of a chunk ended after so long in the hands of a pod. */
  measure(tookMs: number): void {
    this.#measuredItems += 1;
    this.#measuredMs += tookMs;
  }

  /** How long its items take on average, ms; null as long as too few ended. */
  get averageMs(): number | null {
    return this.#measuredItems < JUDGED_ITEMS ? null : this.#measuredMs / this.#measuredItems;
  }

  #itemOfChunk(id: number, data: unknown): DeliveredItem {
    return {
      id,
      data,
      key: null,
      attemptsMade: 0,
      maxAttempts: CHUNK_ITEM_ATTEMPTS,
      job: this,
      isSuspect: false,
    };
  }
}
