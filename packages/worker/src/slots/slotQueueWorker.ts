import { setTimeout as delay } from 'node:timers/promises';

import type { ComputeResources } from '@drover/shared';
import {
  type RedisClient,
  slotQueueName,
  slotQueueOptions,
  type InstallationSettings,
  type SlotQueueJobData,
} from '@drover/store';
import { DelayedError, Worker, type Job as QueueJob } from 'bullmq';
import type { Logger } from 'pino';

import type { LaneFigures } from '../figures.ts';
import { endWaiting } from './endWaiting.ts';
import { SlotHolder, type HolderHost, type HolderShard, type SlotEnd } from './holder.ts';
import { Lanes, type HeldLane } from './lanes.ts';
import { LockRenewer } from './lockRenewer.ts';

/** Options of {@link SlotQueueWorker}. */
export interface SlotQueueWorkerOptions {
  /** Connection of its own; BullMQ opens a second one for waiting. */
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly pool: string;
  readonly host: HolderHost;
  /** Pods at a time. */
  readonly lanes: number;
  readonly settings: InstallationSettings;
  readonly shard: (index: number) => HolderShard | null;
  /** Number of this worker's connection among those of Redis' CLIENT LIST. */
  readonly name: string;
  readonly logger: Logger;
}

/** How long BullMQ may take to close. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Pause after BullMQ failed to fetch; its default of 15 s would be an outage of its own. */
const RUN_RETRY_DELAY_MS = 500;

/**
 * Takes slots from the queue of a pool and runtime, as many at a time as there are lanes.
 *
 * The processor throws nothing but DelayedError: to BullMQ any other error is a failed QueueJob,
 * which it removes, and with it the slot. DelayedError means that the QueueJob was put where it belongs,
 * or that nothing can be done about it, and then BullMQ delivers it again when its lock ran out.
 */
export class SlotQueueWorker {
  readonly holders = new Set<SlotHolder>();
  readonly #options: SlotQueueWorkerOptions;
  readonly #worker: Worker<SlotQueueJobData, void>;
  readonly #locks: LockRenewer;
  readonly #lanes: Lanes;
  #running: Promise<void> | null = null;
  #isPaused = false;
  #isWaking = false;
  #lastError = '';

  constructor(options: SlotQueueWorkerOptions) {
    this.#options = options;
    const { redis, prefix, pool, host, lanes, settings, logger } = options;
    const queue = slotQueueName(pool, host.runtime.name);
    this.#worker = new Worker<SlotQueueJobData, void>(
      queue,
      (job, token) => this.#process(job, token ?? ''),
      {
        connection: redis,
        ...slotQueueOptions(prefix, queue),
        name: options.name,
        autorun: false,
        concurrency: lanes,
        lockDuration: settings.slotLockMs,
        stalledInterval: settings.slotStalledMs,
        // A slot may stall as often as workers die; how often its pods may fail is not BullMQ's to say.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        // Its own renewal confuses two deliveries of one slot, see LockRenewer.
        skipLockRenewal: true,
        runRetryDelay: RUN_RETRY_DELAY_MS,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    this.#worker.on('error', (error) => this.#noteError(error));
    this.#worker.on('failed', (job, error) => {
      logger.error(
        { err: error, queueJob: job?.id },
        'BullMQ failed a slot; a resync will offer it again',
      );
    });
    this.#lanes = new Lanes(lanes, (limit) => this.#hold(limit));
    this.#locks = new LockRenewer({
      extend: (ids, tokens, durationMs) => this.#worker.extendJobLocks(ids, tokens, durationMs),
      lockMs: settings.slotLockMs,
      logger,
    });
  }

  /** How its lanes are used right now. */
  get lanes(): LaneFigures {
    const { size: total, used, lentCount: lent } = this.#lanes;
    return { runtime: this.#options.host.runtime.name, total, used, lent };
  }

  /** Begins to take slots. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady();
    this.#running = this.#worker.run();
    this.#running.catch((error: unknown) => {
      this.#options.logger.error({ err: error }, 'the slot queue is no longer served');
    });
  }

  /** Takes no more slots; those held are not touched. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#worker.pause(true);
  }

  /** Takes slots again. */
  async resume(): Promise<void> {
    this.#isPaused = false;
    await this.#worker.resume();
  }

  /** Ends the queue's connections; without `force` when no slot is held any more. */
  async close(force: boolean): Promise<void> {
    this.#isPaused = true;
    const closed = this.#worker.close(force);
    const isClosed = await Promise.race([
      closed.then(() => true),
      delay(CLOSE_TIMEOUT_MS, false, { ref: false }),
    ]);
    // BullMQ waits for Redis to say goodbye; a connection left open would keep the process.
    if (!isClosed) await endWaiting(this.#worker);
    this.#locks.close();
  }

  /** So many slots may be held from now on. */
  #hold(limit: number): void {
    const isRaised = limit > this.#worker.concurrency;
    this.#worker.concurrency = limit;
    // BullMQ looks at that between two slots only, and all it has may be held for long.
    if (isRaised) this.#wake().catch((error: unknown) => this.#noteError(error as Error));
  }

  /** Has BullMQ look for more: what it does when it was paused without waiting for what is held. */
  async #wake(): Promise<void> {
    if (this.#isWaking || this.#isPaused) return;
    this.#isWaking = true;
    await this.#worker.pause(true);
    this.#isWaking = false;
    if (!this.#isPaused) await this.#worker.resume();
  }

  async #process(job: QueueJob<SlotQueueJobData, void>, token: string): Promise<void> {
    const lane = this.#lanes.take();
    const end = await this.#holdSlot(job, token, lane);
    lane.free();
    switch (end.type) {
      case 'finish':
        return;
      case 'leave':
        break;
      case 'delay':
        try {
          await job.moveToDelayed(end.untilMs, token);
          this.#remember(job, end.wants);
        } catch (error) {
          this.#options.logger.debug(
            { err: error, queueJob: job.id },
            'a slot could not be put back',
          );
        }
        break;
    }
    throw new DelayedError();
  }

  /** One that found no room is called for when there is some. */
  #remember(job: QueueJob<SlotQueueJobData, void>, wants: ComputeResources | undefined): void {
    if (wants === undefined || job.id === undefined) return;
    this.#options.host.reservations.putBack(job.id, wants, async () => {
      try {
        await job.promote();
        return true;
      } catch (error) {
        // It went elsewhere, or is on its way already.
        this.#options.logger.debug({ err: error, queueJob: job.id }, 'a slot is not called for');
        return false;
      }
    });
  }

  async #holdSlot(
    job: QueueJob<SlotQueueJobData, void>,
    token: string,
    lane: HeldLane,
  ): Promise<SlotEnd> {
    const { host, logger } = this.#options;
    const { uid, slot, fittingKey } = job.data;
    const shard = this.#options.shard(job.data.shard);
    if (shard === null || job.id === undefined) {
      logger.error(
        { queueJob: job.id, data: job.data },
        'a slot that no controller can have offered',
      );
      return { type: 'finish' };
    }
    const delivery = {
      queueJobId: job.id,
      token,
      attemptsStarted: job.attemptsStarted,
      queue: this.#worker.name,
      uid,
      shard: job.data.shard,
      slot,
      fittingKey,
    };
    host.reservations.isBack(job.id);
    const holder = new SlotHolder(host, shard, delivery, lane);
    this.holders.add(holder);
    this.#locks.add(holder);
    try {
      return await holder.hold();
    } catch (error) {
      // Only when the worker is closing or for a fault of ours: the slot is delivered again either way.
      logger[host.state.draining ? 'debug' : 'error'](
        { err: error, jobUid: uid, slot },
        'a slot was dropped',
      );
      return { type: 'leave' };
    } finally {
      this.#locks.remove(holder);
      this.holders.delete(holder);
    }
  }

  /** BullMQ repeats itself while a connection is away. */
  #noteError(error: Error): void {
    const level = error.message === this.#lastError ? 'debug' : 'warn';
    this.#lastError = error.message;
    this.#options.logger[level](
      { err: error, queue: this.#worker.name },
      'BullMQ reports an error',
    );
  }
}
