import type { Logger } from 'pino';

import { EXIT } from '../exitCodes.ts';
import { WorkerChild, type WorkerChildOptions } from './workerChild.ts';

/** A worker that died is started again after this wait. */
const RESTART_DELAY_MS = 1_000;

/** Options of {@link WorkerProcess}. */
export interface WorkerProcessOptions extends WorkerChildOptions {
  readonly logger: Logger;
}

/** What became of a replacement. */
export type ReplaceOutcome = 'replaced' | 'failed' | 'cancelled';

/**
 * A worker in a process of its own that is started again when it dies, and can be replaced while it runs:
 *
 * ```text
 *   replace -> next process starts -- takes pods --> it is the current one; the old one retires
 *                                  '- ends before -> the old one stays
 * ```
 */
export class WorkerProcess {
  readonly #options: WorkerProcessOptions;
  /** null = it died, and waits for its restart or for a replacement. */
  #current: WorkerChild | null;
  #next: WorkerChild | null = null;
  readonly #retired = new Set<WorkerChild>();
  readonly #ready: Promise<void>;
  #stopping = false;
  #restart: NodeJS.Timeout | null = null;
  #replacements = 0;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    this.#current = this.#spawn();
    this.#ready = this.#current.ready;
    this.#watchOver(this.#current);
  }

  /** Resolves when it takes pods; rejects with its exit code in words when it can not start. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /**
   * Starts another process. When that takes pods, the present one takes none any more and ends with its last pod;
   * when it does not get that far, the present one stays.
   */
  async replace(): Promise<ReplaceOutcome> {
    this.#replacements += 1;
    const next = this.#spawn();
    this.#next = next;
    try {
      await next.ready;
    } catch {
      return this.#stopping || this.#next !== next ? 'cancelled' : 'failed';
    } finally {
      if (this.#next === next) this.#next = null;
    }
    if (this.#restart !== null) clearTimeout(this.#restart);
    const old = this.#current;
    this.#current = next;
    this.#watchOver(next);
    if (this.#stopping) next.stop();
    if (old !== null) this.#retire(old);
    return 'replaced';
  }

  /** The replacement that is being started is not wanted any more. */
  cancelReplace(): void {
    const next = this.#next;
    this.#next = null;
    next?.kill();
  }

  /** Drains it with SIGTERM and waits for its end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const children = this.#children;
    for (const child of children) child.stop();
    await Promise.all(children.map((child) => child.ended));
  }

  /** Ends it at once. */
  kill(): void {
    this.#stopping = true;
    for (const child of this.#children) child.kill();
  }

  get #children(): WorkerChild[] {
    return [this.#current, this.#next, ...this.#retired].filter((child) => child !== null);
  }

  #spawn(): WorkerChild {
    const { name, logger } = this.#options;
    // Two nodes, as long as both run.
    const ownName = this.#replacements === 0 ? name : `${name}.${this.#replacements}`;
    const child = new WorkerChild({ ...this.#options, name: ownName });
    child.ready.then(
      () => logger.info({ worker: ownName, workerPid: child.pid }, 'worker process started'),
      () => undefined,
    );
    return child;
  }

  #retire(child: WorkerChild): void {
    this.#retired.add(child);
    void child.ended.then(({ code, signal }) => {
      this.#retired.delete(child);
      const { logger } = this.#options;
      const details = { worker: child.name, code, signal };
      if (code === EXIT.ok) logger.debug(details, 'the old worker process has ended');
      else if (!this.#stopping) logger.warn(details, 'the old worker process died with its pods');
    });
    child.retire();
  }

  #watchOver(child: WorkerChild): void {
    void child.ended.then(({ code, signal }) => {
      // Of one that was replaced, others take care.
      if (this.#stopping || this.#current !== child) return;
      this.#current = null;
      const { logger } = this.#options;
      const details = { worker: child.name, code, signal };
      if (child.isReady) {
        logger.warn(details, 'worker died; starting another');
      } else if (code === EXIT.badInput) {
        // What its arguments name can not be used, and it said why: only a change of that helps.
        logger.error(details, 'worker can not be started until its handlers are mended');
        return;
      }
      this.#restart = setTimeout(() => {
        this.#restart = null;
        this.#current = this.#spawn();
        this.#watchOver(this.#current);
      }, RESTART_DELAY_MS);
    });
  }
}
