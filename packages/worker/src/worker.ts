import { setTimeout as delay } from 'node:timers/promises';

import { checkHost } from '@drover/store';

import { WorkerFigures, type LaneFigures } from './figures.ts';
import { isHandlerThread } from './handler/threads/handlerThread.ts';
import type { CloseOptions, DroverWorker, WorkerOptions } from './options.ts';
import { resolveOptions, type ResolvedOptions } from './resolveOptions.ts';
import type { WorkerState } from './slots/holder.ts';
import { tellUncaught } from './uncaught.ts';
import { WorkerParts } from './workerParts.ts';

/** How often a drain looks at its pods. */
const DRAIN_LOOK_MS = 20;
/** What a drain may take longer than its pods, until it ends by force: Redis does not answer. */
const DRAIN_SLACK_MS = 10_000;

/**
 * Makes a worker: a node that runs the pods of Jobs, until `close`.
 *
 * @throws UnsuitableHostError on Windows and where Node is too old.
 * @throws TypeError when an option is wrong; all that is wrong is in the message.
 */
export function createWorker(options: WorkerOptions): DroverWorker {
  checkHost();
  if (isHandlerThread()) {
    throw new TypeError(
      'a module that was loaded into a thread for its handlers makes a worker, too: keep handlers with isolation: "thread" in a module of their own',
    );
  }
  return new NodeWorker(resolveOptions(options));
}

class NodeWorker implements DroverWorker {
  readonly name: string;
  readonly figures = new WorkerFigures();
  readonly #options: ResolvedOptions;
  readonly #state: WorkerState = { draining: false, cordoned: false, forced: false };
  readonly #ready = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  #started = false;
  #takesSlots = false;
  #parts: WorkerParts | null = null;
  #closing: Promise<void> | null = null;
  /** The drain waits for its pods for as long as they take. */
  #isPatient = false;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.name = options.name;
    // Who only calls run() learns of a failed start there.
    this.#ready.promise.catch(() => undefined);
  }

  get lanes(): readonly LaneFigures[] {
    return this.#parts?.lanes ?? [];
  }

  get hindrance(): string | null {
    if (this.#state.draining) return 'it drains';
    if (!this.#takesSlots || this.#parts === null) return 'it has not begun';
    return this.#parts.hasSessions ? null : 'its session was not renewed in time';
  }

  async run(): Promise<void> {
    if (this.#started) throw new Error('this worker was started before: make another one');
    this.#started = true;
    if (this.#state.draining) {
      this.#ready.reject(new Error('the worker was closed before it was started'));
      return;
    }
    const untell = tellUncaught(() => this.#parts?.holders ?? [], this.#options.logger);
    try {
      await this.#begin();
      await this.#over.promise;
    } finally {
      untell();
    }
  }

  async ready(): Promise<void> {
    await this.#ready.promise;
  }

  close(options: CloseOptions = {}): Promise<void> {
    // A second call says that the first takes too long; but after a patient one it is the first of its kind.
    const isRepeated = this.#closing !== null && !this.#isPatient;
    if (options.force === true || isRepeated) this.#state.forced = true;
    this.#isPatient = options.waitForPods === true && !isRepeated;
    this.#state.draining = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #begin(): Promise<void> {
    const { logger, pool } = this.#options;
    try {
      this.#parts = await WorkerParts.open(this.#options, this.#state, this.figures);
      if (!this.#state.draining) {
        await this.#parts.takeSlots();
        this.#takesSlots = true;
        logger.info({ node: this.name, pool }, 'worker takes pods');
      }
      this.#ready.resolve();
    } catch (error) {
      this.#state.forced = true;
      await this.#parts?.close();
      this.#parts = null;
      this.#ready.reject(error);
      throw error;
    }
  }

  async #close(): Promise<void> {
    if (!this.#started) return;
    // What is still being opened can't be closed.
    await this.#ready.promise.catch(() => undefined);
    const parts = this.#parts;
    if (parts === null) return;
    try {
      await this.#drain(parts);
    } finally {
      await parts.close();
      this.#options.logger.info({ node: this.name }, 'worker is closed');
      this.#over.resolve();
    }
  }

  async #drain(parts: WorkerParts): Promise<void> {
    const { logger, drainTimeoutMs } = this.#options;
    let beganMs = performance.now();
    logger.info({ node: this.name, slots: parts.holders.length }, 'worker drains');
    await parts.stopTaking();
    for (;;) {
      const { holders } = parts;
      if (holders.length === 0 || this.#state.forced) return;
      if (this.#isPatient) beganMs = performance.now();
      const tookMs = performance.now() - beganMs;
      for (const holder of holders) {
        if (this.#isPatient) break;
        if (tookMs >= Math.min(holder.graceMs, drainTimeoutMs)) holder.stop('drain');
      }
      if (tookMs > drainTimeoutMs + DRAIN_SLACK_MS) {
        logger.warn({ slots: holders.length }, 'the drain takes too long: it ends by force');
        this.#state.forced = true;
      }
      await delay(DRAIN_LOOK_MS);
    }
  }
}
