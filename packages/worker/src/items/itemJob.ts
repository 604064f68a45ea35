import { DEFAULT_ITEM_RETRY } from '@drover/shared';
import type { ItemQueueJobData } from '@drover/store';
import type { Job as QueueJob } from 'bullmq';

import type { LockHolder } from '../slots/lockRenewer.ts';
import type { DeliveredItem } from './deliveredItem.ts';

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
    const { data, attemptsMade } = this.queueJob;
    const items: DeliveredItem[] = [];
    if ('c' in data) {
      for (const [at, one] of data.c.entries()) {
        if (isSettled?.[at] !== true) items.push(this.#itemOfChunk(data.i + at, one));
      }
    } else if (isSettled?.[0] !== true) {
      items.push({
        id: data.i,
        data: data.d,
        key: data.k ?? null,
        attemptsMade: this.#attemptsBefore + attemptsMade,
        maxAttempts: this.#attemptsBefore + this.#attempts,
        job: this,
        isSuspect: this.stalledCount > 0,
      });
    }
    this.open = items.length;
    this.received = items.length;
    return items;
  }

  /** Tells BullMQ how often and when its item is tried again, where its options left that unsaid. */
  sayHowToRetry(): void {
    const { opts } = this.queueJob;
    opts.attempts = this.#attempts;
    const { type, delay } = DEFAULT_ITEM_RETRY.backoff;
    // BullMQ counts the runs of this QueueJob alone.
    opts.backoff ??= { type, delay: delay * 2 ** this.#attemptsBefore };
  }

  /** How often its item was run, in other QueueJobs. */
  get #attemptsBefore(): number {
    const { data } = this.queueJob;
    return 'c' in data ? 0 : (data.a ?? 0);
  }

  /** How often this QueueJob may be run; BullMQ's 0 = that is not said. */
  get #attempts(): number {
    const { attempts = 0 } = this.queueJob.opts;
    return attempts > 0 ? attempts : DEFAULT_ITEM_RETRY.attempts - this.#attemptsBefore;
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
      // Those with other wishes travel alone.
      maxAttempts: DEFAULT_ITEM_RETRY.attempts,
      job: this,
      isSuspect: false,
    };
  }
}
