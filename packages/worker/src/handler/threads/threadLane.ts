import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import type { PodItem } from '../../items/podItem.ts';
import type { PodItems, PodItemsEnd } from '../../items/podItems.ts';
import type { JobPlan } from '../../jobPlan.ts';
import type { PodLog } from '../../podLog.ts';
import type { PodRestarts } from '../../podRestarts.ts';
import type { PodEnd, PodLane, PodSink } from '../../runtime.ts';
import { failedEnd, KILLED_EXIT_CODE, PodStoppedError } from '../handlerEnd.ts';
import type { PodProgress, Progress } from '../podProgress.ts';
import { ItemsOfThread, sentItem } from './itemsOfThread.ts';
import type { PodThread } from './podThread.ts';
import type { ThreadPool } from './threadPool.ts';

/** Options of {@link ThreadLane}. */
export interface ThreadLaneOptions {
  readonly handler: string;
  readonly plan: JobPlan;
  readonly sink: PodSink;
  readonly pool: ThreadPool;
  readonly logger: Logger;
  readonly openLog: (claim: Claim) => PodLog;
  readonly openProgress: (claim: Claim) => PodProgress;
  readonly createRestarts: (claim: Claim) => PodRestarts;
  readonly openItems: (claim: Claim, pod: ItemsPod) => PodItems;
  /** The one item of the pod that runs; null: it has none. */
  readonly item: () => PodItem | null;
}

/** What items need of their pod. */
export interface ItemsPod {
  readonly signal: AbortSignal;
  readonly progress: (progress: Progress) => void;
}

/**
 * Runs pods as calls of a handler in a thread. With `restartPolicy: OnFailure` a handler that failed is
 * called again for the same pod.
 */
export class ThreadLane implements PodLane {
  /** A thread can always be ended. */
  readonly spent = false;
  readonly #options: ThreadLaneOptions;
  #thread: PodThread | null = null;
  #items: ItemsOfThread | null = null;
  #onGraceOver: (() => void) | null = null;
  #restarts: PodRestarts | null = null;
  #graceEndMs = Infinity;
  #graceMs = 0;
  #graceTimer: NodeJS.Timeout | null = null;

  constructor(options: ThreadLaneOptions) {
    this.#options = options;
  }

  start(claim: Claim): void {
    this.#runPod(claim).then(
      (end) => this.#options.sink.podEnded(end),
      (error: unknown) => {
        const { sink, logger, plan } = this.#options;
        logger.error({ err: error, jobUid: plan.uid }, 'a pod could not be run in a thread');
        sink.podEnded(failedEnd((error as Error).message, 'StartError', 128));
      },
    );
  }

  stop(graceMs: number): void {
    const endMs = performance.now() + graceMs;
    if (endMs >= this.#graceEndMs) return;
    this.#graceEndMs = endMs;
    this.#graceMs = graceMs;
    this.#thread?.stop();
    this.#items?.stop(new PodStoppedError());
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => this.#killThread(), graceMs);
    this.#restarts?.stop();
  }

  get #isStopping(): boolean {
    return this.#graceEndMs !== Infinity;
  }

  async #runPod(claim: Claim): Promise<PodEnd> {
    const { plan, openLog, createRestarts } = this.#options;
    const log = openLog(claim);
    const restarts = createRestarts(claim);
    this.#restarts = restarts;
    let end: PodEnd;
    try {
      for (;;) {
        const startedMs = performance.now();
        end = (await this.#callOnce(claim, log)) ?? (await this.#callOnce(claim, log)) ?? NO_THREAD;
        const isOver =
          end.outcome === 'Succeeded' || end.isFinal === true || plan.restartPolicy === 'Never';
        if (isOver || this.#isStopping) break;
        if (!(await restarts.next(performance.now() - startedMs))) break;
      }
    } finally {
      this.#restarts = null;
      this.#graceEndMs = Infinity;
      if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
      this.#graceTimer = null;
      // First the log, then the news: who waits for the pod and then reads its log shall find all of it.
      if (log.written) await log.end();
    }
    const overlay =
      restarts.count === 0 ? end.overlay : { ...end.overlay, restarts: restarts.count };
    return { ...end, overlay, hasLog: log.written };
  }

  /** null when the thread ended before it began. */
  async #callOnce(claim: Claim, log: PodLog): Promise<PodEnd | null> {
    const { pool, handler, plan, openProgress } = this.#options;
    let thread: PodThread;
    try {
      thread = await pool.take();
    } catch (error) {
      return failedEnd(
        `its thread could not be started: ${(error as Error).message}`,
        'StartError',
        128,
      );
    }
    let progress: PodProgress | null = null;
    const show = (told: Progress): void => (progress ??= openProgress(claim)).show(told);
    const item = this.#options.item();
    const tellLost = (handle: number, message: string): void =>
      thread.tellItems({ type: 'itemLost', handle, message });
    const items = new ItemsOfThread(
      (signal) => this.#options.openItems(claim, { signal, progress: show }),
      {
        answer: (request, answer) => thread.tellItems({ type: 'itemAnswer', request, answer }),
        lost: tellLost,
      },
    );
    const ended = thread.call({
      handler,
      plan,
      claim,
      item: item === null ? null : sentItem(item, ONLY_ITEM),
      onOutput: (stream, text) => log.write(stream, text),
      onProgress: show,
      onItemRequest: (number, request) => items.request(number, request),
    });
    item?.onLost(({ message }) => tellLost(ONLY_ITEM, message));
    this.#thread = thread;
    this.#items = items;
    // Told to stop while the thread was being made.
    if (this.#isStopping) {
      thread.stop();
      items.stop(new PodStoppedError());
    }
    if (performance.now() >= this.#graceEndMs) this.#killThread();
    const end = await ended;
    this.#thread = null;
    (progress as PodProgress | null)?.end();
    pool.giveBack(thread);
    if (end !== null) await this.#endItems(items, end.how);
    this.#items = null;
    return end?.end ?? null;
  }

  /** While the pod still may speak for them; but not for longer than its grace period. */
  async #endItems(items: ItemsOfThread, how: PodItemsEnd): Promise<void> {
    const ended = items.end(how);
    if (performance.now() >= this.#graceEndMs) return;
    await Promise.race([ended, new Promise<void>((resolve) => (this.#onGraceOver = resolve))]);
    this.#onGraceOver = null;
  }

  #killThread(): void {
    const { plan, handler, logger } = this.#options;
    this.#onGraceOver?.();
    if (this.#thread === null) return;
    const message = `the handler did not end within ${this.#graceMs / 1000} s after it was told to stop, and its thread was ended`;
    logger.warn({ jobUid: plan.uid, handler }, message);
    this.#thread.kill(failedEnd(message, 'HandlerTimeout', KILLED_EXIT_CODE));
  }
}

/** Handle of the one item of a pod; those of a walk begin at 1. */
const ONLY_ITEM = 0;

/** Of a pod that met two threads on their way out. */
const NO_THREAD = failedEnd(
  'its thread was ended, twice, by what other pods had left behind in it',
  'StartError',
  128,
);
