import { isAllDone, type WorkQueues } from '@drover/store';
import type { Logger } from 'pino';

import { NoItemsError } from './itemErrors.ts';
import type { ItemClaim } from './itemSettler.ts';
import type { ItemWaiters } from './itemWaiters.ts';

/** Hints of the end may be lost: while pods wait, the state is read so often, ms. */
const CHECK_MS = 10_000;
/** Pause after the state could not be read, ms. */
const CHECK_RETRY_MS = 1_000;

/** Options of {@link EndWatch}. */
export interface EndWatchOptions {
  /** uid of the work queue. */
  readonly uid: string;
  /** As `<namespace>/<name>`, for messages. */
  readonly name: string;
  readonly ask: <T>(call: (workQueues: WorkQueues) => Promise<T>) => Promise<T>;
  readonly waiters: ItemWaiters;
  readonly logger: Logger;
}

/**
 * Finds out when those who wait for an item need not wait any more: all is done, their Job is, or the work queue was
 * deleted. Reads the state when something told that this may be so, and else rarely.
 */
export class EndWatch {
  readonly #options: EndWatchOptions;
  #timer: NodeJS.Timeout | null = null;
  #isReading = false;
  /** It may be so, for all that is known. */
  #mayBeOver = true;
  #isClosed = false;

  constructor(options: EndWatchOptions) {
    this.#options = options;
  }

  /** Something has changed. */
  tell(): void {
    this.#mayBeOver = true;
    this.look();
  }

  /** Somebody began to wait. */
  waits({ jobItems }: ItemClaim): void {
    // That its Job is done may have been told to nobody.
    if (jobItems !== null) this.#mayBeOver = true;
    this.look();
  }

  /** Looks, if somebody waits and there may be something to see. */
  look(): void {
    if (this.#isClosed || this.#options.waiters.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.tell();
    }, CHECK_MS);
    if (!this.#mayBeOver || this.#isReading) return;
    this.#mayBeOver = false;
    this.#isReading = true;
    this.#read().then(
      () => {
        this.#isReading = false;
        this.look();
      },
      (error: unknown) => {
        const { logger } = this.#options;
        logger.debug({ err: error }, 'the state of a work queue could not be read');
        setTimeout(() => {
          this.#isReading = false;
          this.tell();
        }, CHECK_RETRY_MS).unref();
      },
    );
  }

  /** Whether the pods of a Job, which take one item each, settled as many as they should. */
  async isJobDone({ jobUid, jobItems }: ItemClaim): Promise<boolean> {
    if (jobItems === null) return false;
    return (await this.#options.ask((workQueues) => workQueues.settledBy(jobUid))) >= jobItems;
  }

  /** Looks no more. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #read(): Promise<void> {
    const { uid, name, ask, waiters } = this.#options;
    const stored = await ask((workQueues) => workQueues.read(uid));
    if (stored === null) {
      this.#mayBeOver = true;
      waiters.rejectAll(new NoItemsError(`WorkQueue ${name} was deleted`));
    } else if (isAllDone(stored)) {
      // Items that failed may be enqueued again: who waits later has to look again.
      this.#mayBeOver = true;
      waiters.dismiss(null);
    } else {
      for (const claim of waiters.claims) {
        if (await this.isJobDone(claim)) waiters.dismiss(claim.jobUid);
      }
    }
  }
}
