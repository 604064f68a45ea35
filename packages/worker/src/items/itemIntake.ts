import { setTimeout as delay } from 'node:timers/promises';

import {
  type RedisClient,
  ITEM_QUEUE_NAME,
  itemQueueOptions,
  type InstallationSettings,
  type ItemQueueJobData,
} from '@drover/store';
import { type BulkJobOptions, Job as QueueJob, Queue, Worker } from 'bullmq';
import type { Logger } from 'pino';

import { endWaiting } from '../slots/endWaiting.ts';
import { LockRenewer } from '../slots/lockRenewer.ts';
import { ItemJob } from './itemJob.ts';

/** How long BullMQ may take to close. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Pause after BullMQ failed to fetch. */
const FETCH_RETRY_MS = 500;
/** How long one blocking call waits, seconds. */
const DRAIN_DELAY_SECONDS = 10;

/** A QueueJob of items to be added. */
export interface NewItemJob {
  readonly data: ItemQueueJobData;
  readonly opts: BulkJobOptions;
}

/** Options of {@link ItemIntake}. */
export interface ItemIntakeOptions {
  /** Stays the caller's; BullMQ opens a second one for waiting. */
  readonly redis: RedisClient;
  readonly prefix: string;
  /** uid of the work queue. */
  readonly uid: string;
  readonly settings: InstallationSettings;
  /** Name of this worker's connection among those of Redis' CLIENT LIST. */
  readonly name: string;
  readonly logger: Logger;
  /** Whether another QueueJob is wanted, beside those that were asked for. */
  readonly wantsMore: (asked: number) => boolean;
  /** A QueueJob came. */
  readonly onJob: (job: ItemJob) => void;
  /** One of those that came is finished, or is somebody else's. */
  readonly onEnd: (job: ItemJob) => void;
}

/**
 * Takes QueueJobs from BullMQ as they are wanted, and gives them back or finishes them.
 *
 * QueueJobs are fetched by hand, not by BullMQ's loop: that one does not notice a higher concurrency while all
 * it has is being processed, so a pod that comes while others hold long items would starve. Where one is finished
 * and more are wanted, the same script brings the next.
 */
export class ItemIntake {
  readonly #options: ItemIntakeOptions;
  readonly #worker: Worker<ItemQueueJobData, void>;
  readonly #locks: LockRenewer;
  #queue: Queue<ItemQueueJobData> | null = null;
  #wake: () => void = () => undefined;
  #tokens = 0;
  /** QueueJobs that Redis was asked for. */
  #asked = 0;
  #isClosed = false;
  #lastError = '';
  #running: Promise<void> | null = null;

  constructor(options: ItemIntakeOptions) {
    this.#options = options;
    const { redis, prefix, uid, settings, name, logger } = options;
    this.#worker = new Worker<ItemQueueJobData, void>(ITEM_QUEUE_NAME, null, {
      connection: redis,
      ...itemQueueOptions(prefix, uid),
      name,
      autorun: false,
      drainDelay: DRAIN_DELAY_SECONDS,
      lockDuration: settings.slotLockMs,
      stalledInterval: settings.slotStalledMs,
      // How often an item may take its worker with it is not BullMQ's to say.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      skipLockRenewal: true,
      // Not said by each QueueJob, which is so much smaller.
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    this.#worker.on('error', (error) => this.#noteError(error));
    this.#locks = new LockRenewer({
      extend: (ids, tokens, durationMs) => this.#worker.extendJobLocks(ids, tokens, durationMs),
      lockMs: settings.slotLockMs,
      logger,
    });
  }

  /** Begins to fetch. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady();
    await this.#worker.startStalledCheckTimer();
    this.#running = this.#run();
  }

  /** More may be wanted than before. */
  poke(): void {
    this.#wake();
  }

  /** All items of a QueueJob ended. */
  async complete(job: ItemJob): Promise<void> {
    await this.#finish(job, (fetchNext) =>
      job.queueJob.moveToCompleted(undefined, job.token, fetchNext),
    );
  }

  /** A single item failed and is to be tried again when its back-off is over. */
  async fail(job: ItemJob, message: string): Promise<void> {
    const error = new Error(message);
    // It would be kept in Redis, and is Drover's own.
    error.stack = '';
    job.sayHowToRetry();
    await this.#finish(job, (fetchNext) => job.queueJob.moveToFailed(error, job.token, fetchNext));
  }

  /** Puts a QueueJob back to where it came from; others get it next. */
  async giveBack(job: ItemJob): Promise<void> {
    await this.#finish(job, () => job.queueJob.moveToWait(job.token));
  }

  /** Leaves a QueueJob to its lock: it is delivered again when that ran out. */
  letGo(job: ItemJob): void {
    this.#locks.remove(job);
    job.lockWasLost();
  }

  /** Adds QueueJobs. */
  async add(jobs: readonly NewItemJob[]): Promise<void> {
    const { redis, prefix, uid } = this.#options;
    if (this.#queue === null) {
      this.#queue = new Queue<ItemQueueJobData>(ITEM_QUEUE_NAME, {
        connection: redis,
        ...itemQueueOptions(prefix, uid),
        streams: { events: { maxLen: 100 } },
      });
      this.#queue.on('error', (error) => this.#noteError(error));
    }
    await this.#queue.addBulk(
      jobs.map(({ data, opts }) => ({
        name: 'c' in data ? 'chunk' : 'item',
        data,
        opts,
      })),
    );
  }

  /** Fetches no more and closes; QueueJobs that are not finished are delivered again when their locks ran out. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    const closed = Promise.all([this.#worker.close(true), this.#queue?.close(), this.#running]);
    const isClosed = await Promise.race([
      closed.then(
        () => true,
        () => true,
      ),
      delay(CLOSE_TIMEOUT_MS, false, { ref: false }),
    ]);
    // Not the other one, which others use.
    if (!isClosed) await endWaiting(this.#worker);
    this.#locks.close();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      if (!this.#options.wantsMore(this.#asked)) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      const token = `${this.#worker.id}:${this.#tokens++}`;
      this.#asked += 1;
      let job: QueueJob<ItemQueueJobData, void> | undefined;
      try {
        job = await this.#worker.getNextJob(token);
        this.#asked -= 1;
      } catch (error) {
        this.#asked -= 1;
        if (this.#isClosed) return;
        this.#noteError(error as Error);
        await delay(FETCH_RETRY_MS);
      }
      if (job !== undefined && !this.#isClosed) this.#accept(job, token);
    }
  }

  #accept(queueJob: QueueJob<ItemQueueJobData, void>, token: string): void {
    const job = new ItemJob(queueJob, token);
    this.#locks.add(job);
    this.#options.onJob(job);
  }

  /** Does the last thing with a QueueJob. That it is somebody else's by now is no error. */
  async #finish(job: ItemJob, move: (fetchNext: boolean) => Promise<unknown>): Promise<void> {
    // Before: the next one must not be renewed with this one's fate.
    this.#locks.remove(job);
    this.#options.onEnd(job);
    if (job.isLost || this.#isClosed) {
      this.#wake();
      return;
    }
    const fetchNext = this.#options.wantsMore(this.#asked);
    if (fetchNext) this.#asked += 1;
    let next: unknown;
    try {
      next = await move(fetchNext);
    } catch (error) {
      this.#options.logger.debug(
        { err: error, queueJob: job.queueJobId },
        "an item was not this worker's any more",
      );
      return;
    } finally {
      if (fetchNext) this.#asked -= 1;
      // There may be no next one yet, and room for it: then it has to be waited for.
      this.#wake();
    }
    // [data of the next QueueJob, its id, ...]: the lock of the next has the token of the last.
    if (!Array.isArray(next) || !next[0] || this.#isClosed) return;
    const [data, id] = next as [Parameters<typeof QueueJob.fromJSON>[1], string];
    this.#accept(QueueJob.fromJSON<ItemQueueJobData, void>(this.#worker, data, id), job.token);
  }

  /** BullMQ repeats itself while a connection is away. */
  #noteError(error: Error): void {
    if (this.#isClosed) return;
    const level = error.message === this.#lastError ? 'debug' : 'warn';
    this.#lastError = error.message;
    this.#options.logger[level](
      { err: error, workQueue: this.#options.uid },
      'BullMQ reports an error',
    );
  }
}
