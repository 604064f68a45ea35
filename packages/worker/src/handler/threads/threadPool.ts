// As a whole: an old Node can not load a module that names what it does not have, and so not say so.
import * as nodeModule from 'node:module';

import type { Logger } from 'pino';

import { describeThrown, failedEnd, KILLED_EXIT_CODE } from '../handlerEnd.ts';
import type { HandlerModule } from '../handlerModule.ts';
import { PodThread } from './podThread.ts';

/** Options of {@link ThreadPool}. */
export interface ThreadPoolOptions {
  readonly modules: readonly HandlerModule[];
  /** Names that the modules must have handlers for. */
  readonly handlers: readonly string[];
  /** Most memory of a thread, heap and buffers, MiB. */
  readonly memoryMiB: number;
  /** Threads that are kept though no pod runs in them. */
  readonly kept: number;
  readonly logger: Logger;
}

/**
 * The threads of a worker. Made when they are first needed and kept; one that died or was killed is
 * replaced when the next pod needs it. How many there are at most is not its business: see
 * `ThreadSeats`.
 */
export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #idle: PodThread[] = [];
  readonly #all = new Set<PodThread>();
  #isClosed = false;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
  }

  /**
   * Makes the first thread, so that modules that can't be loaded in one are told before a pod needs them.
   *
   * @throws HandlerThreadError with what is wrong with a module.
   */
  async warmUp(): Promise<void> {
    // What this thread has compiled of the modules, others need not compile again.
    nodeModule.flushCompileCache();
    const thread = await this.take().catch((error: unknown) => {
      throw new HandlerThreadError(`handlers in threads: ${(error as Error).message}`);
    });
    const missing = this.#options.handlers.filter((name) => !thread.handlers.includes(name));
    this.giveBack(thread);
    if (missing.length === 0) return;
    const names = missing.map((name) => `"${name}"`).join(', ');
    throw new HandlerThreadError(
      `handlers in threads: ${names} can not be loaded there: export what defineHandler returns from the module given as its \`module\``,
    );
  }

  /** A thread for one pod, loaded. Rejects when its modules can't be loaded. */
  async take(): Promise<PodThread> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.isDead) return idle;
    }
    const thread = new PodThread(this.#options);
    this.#all.add(thread);
    void thread.gone.then(() => this.#forget(thread));
    await thread.loaded;
    if (thread.isDead) throw new Error('it ended as soon as it was loaded');
    return thread;
  }

  /** The pod of a thread ended. */
  giveBack(thread: PodThread): void {
    if (thread.isDead || this.#isClosed) return;
    // There were more while some only waited.
    if (this.#all.size > this.#options.kept) thread.kill(NOT_NEEDED);
    else this.#idle.push(thread);
  }

  /** Ends all threads, by force, and whatever runs in them. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const threads = [...this.#all];
    for (const thread of threads) thread.kill(CLOSED);
    await Promise.all(threads.map((thread) => thread.gone));
  }

  #forget(thread: PodThread): void {
    this.#all.delete(thread);
    const index = this.#idle.indexOf(thread);
    if (index < 0 || this.#isClosed) return;
    this.#idle.splice(index, 1);
    this.#options.logger.warn(
      { reason: thread.fault === undefined ? 'process.exit' : describeThrown(thread.fault) },
      'a thread ended by what a handler had left behind in it; pods get another one',
    );
  }
}

/** Handlers with `isolation: 'thread'` that no thread can load. */
export class HandlerThreadError extends Error {
  override readonly name = 'HandlerThreadError';
  readonly code = 'INVALID_HANDLERS';
}

/** Of no pod. */
const NOT_NEEDED = failedEnd('its thread is not needed any more', 'Error', KILLED_EXIT_CODE);
const CLOSED = failedEnd('the worker was closed', 'Error', KILLED_EXIT_CODE);
