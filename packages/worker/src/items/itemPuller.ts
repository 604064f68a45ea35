import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import { DEFAULT_ITEM_RETRY } from '@drover/shared';
import type { RedisClient, InstallationSettings, WorkQueues } from '@drover/store';
import type { Logger } from 'pino';

import type { WorkerFigures } from '../figures.ts';
import { within } from '../within.ts';
import { deadEnd, type DeliveredItem } from './deliveredItem.ts';
import { EndWatch } from './endWatch.ts';
import { NoItemsError } from './itemErrors.ts';
import { ItemIntake, type NewItemJob } from './itemIntake.ts';
import type { ItemJob } from './itemJob.ts';
import { pieces, singleAgain } from './itemPieces.ts';
import { type ItemClaim, ItemSettler, type SettleTransport } from './itemSettler.ts';
import { ItemShelf } from './itemShelf.ts';
import { type ItemTaker, type ItemWaiter, ItemWaiters } from './itemWaiters.ts';
import { Suspects } from './suspects.ts';

/** What nobody took for so long goes back, ms. */
const MAX_PARKED_MS = 1_000;
/** How long Redis may take to take it back when the worker closes, ms. */
const GIVE_BACK_MS = 2_000;
/** How often that is looked at, ms. */
const SWEEP_MS = 250;
/**
 * QueueJobs that may be open for each item that a pod wants at hand: while some are being settled others are run, so
 * that Redis and this process work at the same time and not in turn.
 */
const OPEN_JOBS_FACTOR = 2;
/** Pause after Redis did not answer a question about an item, ms. */
const ASK_AGAIN_MS = 500;
/** A chunk whose items take longer on average is shared, ms. */
const SLOW_ITEM_MS = 20;
/** Work in each of the pieces of a slow chunk, ms. */
const PIECE_MS = 500;
/** What is left of a chunk is added in so many QueueJobs at a time. */
const ADDED_AT_A_TIME = 250;

/** Options of {@link ItemPuller}. */
export interface ItemPullerOptions {
  /** uid of the work queue. */
  readonly uid: string;
  /** As `<namespace>/<name>`, for messages. */
  readonly name: string;
  /** Asks the shard over the link for items. */
  readonly ask: <T>(call: (workQueues: WorkQueues) => Promise<T>) => Promise<T>;
  readonly transport: SettleTransport;
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly settings: InstallationSettings;
  readonly workerName: string;
  readonly figures: WorkerFigures;
  readonly logger: Logger;
}

/**
 * Gets the items of one work queue for the pods of this worker.
 *
 * ```text
 *   QueueJob --> (bits, losses) --> shelf --take--> pod --> settled: QueueJob finished
 *                                     |              '----> failed: back-off
 *                                     '-- nobody took it for 1 s: given back
 * ```
 */
export class ItemPuller {
  readonly uid: string;
  readonly settler: ItemSettler;
  readonly #options: ItemPullerOptions;
  readonly #intake: ItemIntake;
  readonly #takers = new Set<ItemTaker>();
  readonly #shelf = new ItemShelf();
  readonly #suspects: Suspects;
  readonly #waiters = new ItemWaiters();
  readonly #end: EndWatch;
  /** QueueJobs that are not finished. */
  #openJobs = 0;
  /** Pods want more than they are asking for right now. */
  #fillsShelf = true;
  #lastTakenMs = 0;
  #sweepTimer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #closing: Promise<void> | null = null;

  constructor(options: ItemPullerOptions) {
    const { uid, transport, redis, prefix, settings, workerName: name, figures, logger } = options;
    this.uid = uid;
    this.#options = options;
    this.settler = new ItemSettler(uid, transport, figures, logger);
    const { ask, name: queueName } = options;
    this.#end = new EndWatch({ uid, name: queueName, ask, waiters: this.#waiters, logger });
    this.#suspects = new Suspects({
      uid,
      logger,
      ask,
      deadLetter: (taker, item, error) => this.#deadLetter(taker, item, error),
    });
    this.#intake = new ItemIntake({
      redis,
      prefix,
      uid,
      settings,
      name,
      logger,
      wantsMore: (asked) => this.#wantsMore(asked),
      onJob: (job) => this.#receive(job),
      onEnd: () => (this.#openJobs -= 1),
    });
  }

  /** Pods that take items here. */
  get takerCount(): number {
    return this.#takers.size;
  }

  /** Begins to fetch, as soon as there is a pod. */
  async start(): Promise<void> {
    await this.#intake.start();
  }

  /** A pod wants items from now on. */
  add(taker: ItemTaker): void {
    this.#takers.add(taker);
  }

  /** A pod takes no more. */
  remove(taker: ItemTaker): void {
    this.#takers.delete(taker);
    if (this.#takers.size === 0) void this.#clearShelf();
  }

  /** An item that is at hand; null when none is, or the pod should wait for its turn. */
  takeNow(): DeliveredItem | null {
    if (this.#suspects.isNext || this.#waiters.size > 0) return null;
    const item = this.#shelf.take();
    if (item === null) return null;
    this.#lastTakenMs = performance.now();
    this.#fillsShelf = true;
    this.#intake.poke();
    return item;
  }

  /**
   * The next item; null when all items of the work queue are settled and no more can come.
   *
   * @param cancelled - Nobody waits for it any more: then it is rejected with the signal's reason. An item that is on its way comes.
   * @throws NoItemsError when the work queue was deleted.
   */
  take(taker: ItemTaker, cancelled?: AbortSignal): Promise<DeliveredItem | null> {
    return new Promise((resolve, reject) => {
      const waiter = { taker, resolve, reject };
      this.#waiters.add(waiter);
      cancelled?.addEventListener('abort', () =>
        this.#waiters.cancel(waiter, cancelled.reason as Error),
      );
      this.#serve();
      this.#intake.poke();
      this.#end.waits(taker.claim);
    });
  }

  /** A pod takes no more items: what it waits for is rejected with its reason. */
  stop(taker: ItemTaker): void {
    this.#waiters.stop(taker);
  }

  /** A pod that waits may go on, and could not so far. */
  poke(): void {
    this.#serve();
    this.#intake.poke();
  }

  /** Whether the pods of a Job, which take one item each, settled as many as they should. */
  isJobDone(claim: ItemClaim): Promise<boolean> {
    return this.#end.isJobDone(claim);
  }

  /** An item is settled, or not this worker's to settle. */
  ended(item: DeliveredItem): void {
    this.#suspects.release(item);
    this.#leave(item.job);
    if (this.#suspects.isNext) this.#serve();
  }

  /** A pod had an item for so long. */
  measure({ job }: DeliveredItem, tookMs: number): void {
    if (!job.isChunk) return;
    job.measure(tookMs);
    const { averageMs } = job;
    if (averageMs === null || averageMs <= SLOW_ITEM_MS) return;
    const pieceItems = Math.max(1, Math.floor(PIECE_MS / averageMs));
    if (this.#shelf.countOf(job) > pieceItems) void this.#share(job, pieceItems);
  }

  /** An item failed and is to be tried again after its back-off. */
  async retry(item: DeliveredItem, message: string): Promise<void> {
    this.#options.figures.items.retried += 1;
    await this.#suspects.forgive(item);
    if (!item.job.isChunk) {
      item.job.open = 0;
      await this.#intake.fail(item.job, message);
    } else {
      const { delay: delayMs } = DEFAULT_ITEM_RETRY.backoff;
      await this.#addFrom(item, singleAgain(item, 1, { delay: delayMs }));
    }
    this.#suspects.release(item);
    this.#serve();
  }

  /** A pod lets go of an item unharmed: others get it. */
  async giveBack(item: DeliveredItem): Promise<void> {
    await this.#suspects.forgive(item);
    if (!item.job.isChunk) {
      item.job.open = 0;
      await this.#intake.giveBack(item.job);
    } else {
      await this.#addFrom(item, singleAgain(item, 0, { lifo: true }));
    }
    this.#suspects.release(item);
    this.#serve();
  }

  /** Settles an item as dead for being dangerous; resolves when that is counted, or can't be. */
  #deadLetter({ claim }: ItemTaker, item: DeliveredItem, error: string): Promise<void> {
    const end = deadEnd(item, { error, reason: 'KilledItsPods', attempts: item.attemptsMade + 1 });
    return new Promise((resolve) => {
      this.settler.push(claim, end, (answer) => {
        if (answer === 'fenced' || answer === 'unknown') void this.giveBack(item).then(resolve);
        else {
          this.ended(item);
          resolve();
        }
      });
    });
  }

  /** All may be done, or the work queue deleted: look. */
  mayBeDone(): void {
    this.#end.tell();
  }

  /** Gives back what nobody has, unless by force or when Redis does not answer, and closes. Never rejects, never hangs. */
  close(force: boolean): Promise<void> {
    return (this.#closing ??= this.#close(force));
  }

  async #close(force: boolean): Promise<void> {
    if (!force) await within(GIVE_BACK_MS, this.#clearShelf());
    this.#isClosed = true;
    if (this.#sweepTimer !== null) clearTimeout(this.#sweepTimer);
    this.#end.close();
    this.#waiters.rejectAll(new NoItemsError('the worker is closed'));
    this.settler.close();
    await this.#intake.close();
  }

  #wantsMore(asked: number): boolean {
    if (this.#isClosed || this.#takers.size === 0) return false;
    let capacity = 0;
    let ahead = 0;
    for (const taker of this.#takers) {
      capacity += taker.prefetch;
      ahead += taker.ahead;
    }
    if (this.#openJobs + asked >= OPEN_JOBS_FACTOR * capacity + this.#suspects.count) return false;
    const wanted = this.#waiters.readyCount + (this.#fillsShelf ? ahead : 0);
    return this.#shelf.size + asked < wanted;
  }

  #receive(job: ItemJob): void {
    this.#openJobs += 1;
    if (!job.mayBeSettled) this.#put(job, null, 0);
    else void this.#examine(job);
  }

  /** Asks for what is known of its items before they are run. */
  async #examine(job: ItemJob): Promise<void> {
    const { ids } = job;
    try {
      const isSettled = await this.#options.ask((workQueues) =>
        workQueues.areSettled(this.uid, ids),
      );
      if (job.isChunk && job.stalledCount > 0) {
        await this.#takeApart(job, isSettled);
        return;
      }
      const isSuspect = job.stalledCount > 0 && isSettled[0] !== true;
      const [losses = 0] = isSuspect
        ? await this.#options.ask((workQueues) => workQueues.losses(this.uid, ids))
        : [];
      this.#put(job, isSettled, losses);
    } catch (error) {
      this.#options.logger.warn(
        { err: error, workQueue: this.#options.name },
        'items were put back: it could not be read whether they are settled',
      );
      await this.#intake.giveBack(job);
    }
  }

  #put(job: ItemJob, isSettled: readonly boolean[] | null, losses: number): void {
    const items = job.items(isSettled);
    if (items.length === 0) {
      void this.#intake.complete(job);
      return;
    }
    if (this.#takers.size === 0) {
      void this.#intake.giveBack(job);
      return;
    }
    for (const item of items) {
      if (item.isSuspect) this.#suspects.add(item, losses);
      else this.#shelf.put(item);
    }
    this.#lastTakenMs = Math.max(this.#lastTakenMs, performance.now());
    this.#serve();
    if (this.#shelf.size > 0 || this.#suspects.count > 0) this.#planSweep();
    this.#intake.poke();
  }

  /** Gives what is at hand to those who wait, in the order in which they came. */
  #serve(): void {
    for (;;) {
      const waiter = this.#waiters.firstReady();
      if (waiter === null) return;
      const item = this.#suspects.isNext ? null : this.#shelf.take();
      if (item === null && !this.#suspects.isNext) return;
      this.#waiters.take(waiter);
      if (item === null) {
        void this.#serveSuspect(waiter);
        continue;
      }
      this.#lastTakenMs = performance.now();
      this.#fillsShelf = true;
      waiter.resolve(item);
    }
  }

  async #serveSuspect(waiter: ItemWaiter): Promise<void> {
    const { taker, resolve, reject } = waiter;
    let item: DeliveredItem | null = null;
    try {
      item = await this.#suspects.handOut(taker);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'Redis did not answer; asking again');
      await delay(ASK_AGAIN_MS);
    }
    if (item !== null) resolve(item);
    else if (this.#isClosed || taker.stopReason !== null) {
      reject(taker.stopReason ?? new Error('the worker is closed'));
    } else {
      // It was dead-lettered: the pod waits on, first in the row.
      this.#waiters.addFirst(waiter);
      this.#serve();
      this.#intake.poke();
      this.#end.look();
    }
  }

  #leave(job: ItemJob): void {
    job.open -= 1;
    if (job.open === 0) void this.#intake.complete(job);
  }

  /** An item leaves its chunk; where it can't, the chunk is delivered again as a whole. */
  async #addFrom({ job }: DeliveredItem, own: NewItemJob): Promise<void> {
    try {
      await this.#add([own]);
    } catch (error) {
      this.#letGo(job);
      throw error;
    } finally {
      this.#leave(job);
    }
  }

  /** Its lock must run out, or what could not be put back would stay here for good. */
  #letGo(job: ItemJob): void {
    this.#intake.letGo(job);
    job.open -= this.#shelf.removeOf(job).length;
  }

  /** One of its items killed a worker: they are run singly, so that it is known which. */
  async #takeApart(job: ItemJob, isSettled: readonly boolean[]): Promise<void> {
    const items = job.items(isSettled);
    await this.#add(items.map((item) => singleAgain(item, 0, {})));
    await this.#intake.complete(job);
  }

  /** Gives others their share of a slow chunk. */
  async #share(job: ItemJob, pieceItems: number): Promise<void> {
    const rest = this.#shelf.removeOf(job);
    try {
      await this.#add(pieces(rest, pieceItems));
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'what is left of a chunk could not be shared');
      for (const item of rest) this.#shelf.put(item);
      return;
    }
    job.open -= rest.length;
    if (job.open === 0) await this.#intake.complete(job);
    this.#intake.poke();
  }

  async #add(jobs: readonly NewItemJob[]): Promise<void> {
    for (let from = 0; from < jobs.length; from += ADDED_AT_A_TIME) {
      await this.#intake.add(jobs.slice(from, from + ADDED_AT_A_TIME));
    }
  }

  #planSweep(): void {
    if (this.#isClosed) return;
    this.#sweepTimer ??= setTimeout(() => {
      this.#sweepTimer = null;
      if (performance.now() - this.#lastTakenMs >= MAX_PARKED_MS) void this.#clearShelf();
      else if (this.#shelf.size > 0 || this.#suspects.count > 0) this.#planSweep();
    }, SWEEP_MS);
  }

  /** Nobody takes what is at hand: others may. */
  async #clearShelf(): Promise<void> {
    this.#fillsShelf = false;
    const items = [...this.#suspects.removeAll(), ...this.#shelf.removeAll()];
    const jobs = [...new Set(items.map((item) => item.job))];
    // The last one that goes back is the first to come again.
    for (const job of jobs.toReversed()) {
      const rest = items.filter((item) => item.job === job);
      try {
        if (rest.length === job.received) await this.#intake.giveBack(job);
        else {
          const { averageMs } = job;
          const pieceItems =
            averageMs === null ? 1 : Math.max(1, Math.floor(PIECE_MS / Math.max(averageMs, 1)));
          await this.#add(pieces(rest, pieceItems));
          job.open -= rest.length;
          if (job.open === 0) await this.#intake.complete(job);
        }
      } catch (error) {
        this.#options.logger.warn({ err: error }, 'items could not be given back');
        this.#letGo(job);
        job.open -= rest.length;
        if (job.open === 0) void this.#intake.complete(job);
      }
    }
  }
}
