import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import type { JobPlan } from '../../jobPlan.ts';
import type { PodLog } from '../../podLog.ts';
import type { PodRestarts } from '../../podRestarts.ts';
import type { PodEnd, PodLane, PodSink } from '../../runtime.ts';
import { failedEnd, KILLED_EXIT_CODE } from '../handlerEnd.ts';
import type { PodProgress } from '../podProgress.ts';
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
        const isOver = end.outcome === 'Succeeded' || plan.restartPolicy === 'Never';
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
    const ended = thread.call({
      handler,
      plan,
      claim,
      onOutput: (stream, text) => log.write(stream, text),
      onProgress: (told) => (progress ??= openProgress(claim)).show(told),
    });
    this.#thread = thread;
    // Told to stop while the thread was being made.
    if (this.#isStopping) thread.stop();
    if (performance.now() >= this.#graceEndMs) this.#killThread();
    const end = await ended;
    this.#thread = null;
    (progress as PodProgress | null)?.end();
    pool.giveBack(thread);
    return end;
  }

  #killThread(): void {
    const { plan, handler, logger } = this.#options;
    if (this.#thread === null) return;
    const message = `the handler did not end within ${this.#graceMs / 1000} s after it was told to stop, and its thread was ended`;
    logger.warn({ jobUid: plan.uid, handler }, message);
    this.#thread.kill(failedEnd(message, 'HandlerTimeout', KILLED_EXIT_CODE));
  }
}

/** Of a pod that met two threads on their way out. */
const NO_THREAD = failedEnd(
  'its thread was ended, twice, by what other pods had left behind in it',
  'StartError',
  128,
);
