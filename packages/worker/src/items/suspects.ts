import type { WorkQueues } from '@drover/store';
import type { Logger } from 'pino';

import type { DeliveredItem } from './deliveredItem.ts';
import type { ItemTaker } from './itemWaiters.ts';

/** An item may take so many workers or pods with it; then it is dead-lettered. */
export const MAX_KILLS = 3;

/** Options of {@link Suspects}. */
export interface SuspectsOptions {
  /** uid of the work queue. */
  readonly uid: string;
  readonly logger: Logger;
  readonly ask: <T>(call: (workQueues: WorkQueues) => Promise<T>) => Promise<T>;
  /** Settles an item as dead under a pod's claim. */
  readonly deadLetter: (taker: ItemTaker, item: DeliveredItem, error: string) => Promise<void>;
}

/**
 * Items that a worker had in hand when it died. Which of them was to blame is not known, so each is run with no
 * other of them in this worker, and it is noted before: if the worker dies again, that counts against this one
 * alone. Those that only were in bad company are so never taken for the culprit.
 */
export class Suspects {
  readonly #options: SuspectsOptions;
  readonly #waiting: { readonly item: DeliveredItem; readonly losses: number }[] = [];
  #inHand: DeliveredItem | null = null;

  constructor(options: SuspectsOptions) {
    this.#options = options;
  }

  /** Those that wait for their turn. */
  get count(): number {
    return this.#waiting.length;
  }

  /** Whether one of them is to be run next. */
  get isNext(): boolean {
    return this.#inHand === null && this.#waiting.length > 0;
  }

  /** @param losses - How many pods it was lost with, beside the first death. */
  add(item: DeliveredItem, losses: number): void {
    this.#waiting.push({ item, losses });
  }

  /** The next of them for a pod; null when it was dead-lettered instead. Call only when {@link isNext}. Rejects when Redis does not answer. */
  async handOut(taker: ItemTaker): Promise<DeliveredItem | null> {
    const next = this.#waiting.shift()!;
    const { item, losses } = next;
    this.#inHand = item;
    const { uid, ask, deadLetter } = this.#options;
    // The first death is known to BullMQ only.
    const kills = losses + 1;
    if (kills >= MAX_KILLS) {
      await deadLetter(taker, item, `${kills} workers or pods in a row ended with it in hand`);
      this.release(item);
      return null;
    }
    const { jobUid, podNumber } = taker.claim;
    try {
      await ask((workQueues) => workQueues.lose(uid, `${jobUid}.${podNumber}`, [item.id]));
    } catch (error) {
      this.#inHand = null;
      this.#waiting.unshift(next);
      throw error;
    }
    return item;
  }

  /** Nothing happened to the pod that had it: what was noted against it is taken back, if Redis answers. */
  async forgive(item: DeliveredItem): Promise<void> {
    if (item !== this.#inHand) return;
    const { uid, ask, logger } = this.#options;
    try {
      await ask((workQueues) => workQueues.forgiveLosses(uid, item.id));
    } catch (error) {
      logger.debug({ err: error }, 'what was noted against an item stays');
    }
  }

  /** An item is out of its pod's hands. */
  release(item: DeliveredItem): void {
    if (item === this.#inHand) this.#inHand = null;
  }

  /** Takes those that wait. */
  removeAll(): DeliveredItem[] {
    return this.#waiting.splice(0).map(({ item }) => item);
  }
}
