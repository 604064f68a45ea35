import { statSync } from 'node:fs';
import { relative } from 'node:path';

import { watch } from 'chokidar';
import type { Logger } from 'pino';

import type { WorkerProcess } from './workerProcess.ts';

/** Changes within this time are one: a program that saves, or a checkout of another branch. */
const SETTLE_MS = 100;

/** A file system takes its times from a clock that may be so far behind: the kernel's tick, 10 ms at most. */
const FILE_CLOCK_LAG_MS = 10;

/** What is used of {@link WorkerProcess}. */
export type Replaceable = Pick<WorkerProcess, 'replace' | 'cancelReplace'>;

/**
 * Replaces workers when a file changes that their handlers are made of.
 *
 * The first worker alone tries the change: when it can't be used, that is told once, and all go on
 * with what they have.
 */
export class HandlerReload {
  readonly #watcher = watch([], { ignoreInitial: true });
  readonly #workers: () => readonly Replaceable[];
  readonly #logger: Logger;
  readonly #sources = new Set<string>();
  /** Resolves when changes of the first files are noticed. */
  readonly ready = new Promise<void>((resolve) => this.#watcher.once('ready', () => resolve()));
  #settling: NodeJS.Timeout | null = null;
  #isStarted = false;
  #isReloading = false;
  #isAsked = false;
  /** When the workers that run now began to load their handlers, or earlier; ms since the epoch. */
  #loadedSinceMs = Date.now();
  /** The newest change that was found by its time; workers were asked for since. ms since the epoch. */
  #newestFoundMs = 0;
  #isClosed = false;

  /** @param workers - The workers there are. */
  constructor(workers: () => readonly Replaceable[], logger: Logger) {
    this.#workers = workers;
    this.#logger = logger;
    this.#watcher.on('all', (_event, path) => this.#onChange(path));
    this.#watcher.on('error', (error) =>
      logger.warn({ err: error }, 'changes of the handlers may go unnoticed'),
    );
  }

  /** Replaces workers from now on, at once if there was a change already. To be called when all of them run. */
  start(): void {
    this.#isStarted = true;
    if (this.#isAsked || this.#hasMissedChange()) this.#ask();
  }

  /** Watches a file, too; it need not be there yet. */
  addSource(path: string): void {
    if (this.#isClosed || this.#sources.has(path)) return;
    this.#sources.add(path);
    this.#watcher.add(path);
  }

  /** Replaces nothing from now on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#settling !== null) clearTimeout(this.#settling);
    await this.#watcher.close();
  }

  #onChange(path: string): void {
    // Of a file that is not there yet, its folder is watched.
    if (this.#isClosed || !this.#sources.has(path)) return;
    if (this.#settling !== null) clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#settling = null;
      this.#logger.info(
        { file: relative(process.cwd(), path) },
        'the handlers changed: starting workers with them',
      );
      this.#ask();
    }, SETTLE_MS);
  }

  #ask(): void {
    this.#isAsked = true;
    if (!this.#isStarted) return;
    if (!this.#isReloading) void this.#reload();
    else for (const worker of this.#workers()) worker.cancelReplace();
  }

  /**
   * A file becomes known when it is loaded, and is watched a little later: what happens in between, or while
   * files are loaded, is found by their times.
   */
  #hasMissedChange(): boolean {
    const nowMs = Date.now();
    const missedSinceMs = Math.max(this.#loadedSinceMs - FILE_CLOCK_LAG_MS, this.#newestFoundMs);
    const missed = [...this.#sources]
      .map((path) => statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? 0)
      .filter((ctimeMs) => ctimeMs > missedSinceMs && ctimeMs <= nowMs);
    this.#newestFoundMs = Math.max(this.#newestFoundMs, ...missed);
    return missed.length > 0;
  }

  async #reload(): Promise<void> {
    this.#isReloading = true;
    while (this.#isAsked && !this.#isClosed) {
      this.#isAsked = false;
      this.#loadedSinceMs = Date.now();
      const [first, ...others] = this.#workers();
      if (first === undefined) break;
      let outcomes = [await first.replace()];
      if (outcomes[0] === 'replaced') {
        outcomes = await Promise.all(others.map((worker) => worker.replace()));
      }
      if (this.#hasMissedChange()) this.#isAsked = true;
      // Another change: what came of this one does not matter.
      if (this.#isAsked || this.#isClosed) continue;
      if (outcomes.every((outcome) => outcome === 'replaced')) {
        this.#logger.info('new pods run the changed handlers; pods that run end with the old ones');
      } else if (outcomes.includes('failed')) {
        this.#logger.warn(
          'the changed handlers can not be used (see the error above): the old ones stay until that is mended',
        );
      }
    }
    this.#isReloading = false;
  }
}
