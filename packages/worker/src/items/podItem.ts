import { performance } from 'node:perf_hooks';

import { MAX_ITEM_RESULT_BYTES } from '@drover/shared';
import type { ItemEnd } from '@drover/store';

import { describeThrown } from '../handler/handlerEnd.ts';
import type { Progress } from '../handler/podProgress.ts';
import { clipBytes } from '../text.ts';
import type { ItemSpan } from '../tracing.ts';
import { deadEnd, type DeliveredItem } from './deliveredItem.ts';
import type { FailItemOptions, Item } from './item.ts';
import { endedBefore, ItemEndedError } from './itemErrors.ts';
import { resultText } from './itemResult.ts';

/** Most bytes of the error that is kept of an item. */
const MAX_ERROR_BYTES = 4096;

/** The pod that has an item. */
export interface ItemOwner {
  /** Aborted when the pod is to end. */
  readonly signal: AbortSignal;
  /** Why its word does not count any more; null = it does. */
  readonly failure: Error | null;
  showProgress(progress: Progress): void;
  /** Settles an item; told once what became of it: null, or why it could not be. */
  settle(item: PodItem, end: ItemEnd, done: ((error: Error | null) => void) | null): void;
  /** Has an item tried again. */
  retry(item: PodItem, message: string): Promise<void>;
}

/** An item in the hands of a pod. */
export class PodItem implements Item<never> {
  readonly delivered: DeliveredItem;
  readonly #owner: ItemOwner;
  readonly #takenMs: number;
  readonly #span: ItemSpan | null;
  #signal: AbortSignal | null = null;
  #isEnded = false;

  /** @param span - As which it is traced; null = it is not. */
  constructor(owner: ItemOwner, delivered: DeliveredItem, span: ItemSpan | null) {
    this.#span = span;
    this.#owner = owner;
    this.delivered = delivered;
    this.#takenMs = performance.now();
  }

  get id(): number {
    return this.delivered.id;
  }

  get key(): string | null {
    return this.delivered.key;
  }

  get data(): never {
    return this.delivered.data as never;
  }

  get attempt(): number {
    return this.delivered.attemptsMade + 1;
  }

  get signal(): AbortSignal {
    if (this.#signal !== null) return this.#signal;
    const lost = new AbortController();
    this.onLost((reason) => lost.abort(reason));
    return (this.#signal = AbortSignal.any([this.#owner.signal, lost.signal]));
  }

  /** Tells when another worker may have got it, also if that is so already. */
  onLost(tell: (reason: Error) => void): void {
    const { job } = this.delivered;
    const lost = (): void => tell(new ItemEndedError(`item ${this.id} may run elsewhere`));
    if (job.isLost) lost();
    else job.onLost.add(lost);
  }

  /** It was said what became of it. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** This worker was away for too long: another one may have got it. */
  get isLost(): boolean {
    return this.delivered.job.isLost;
  }

  /** How long its pod has had it, ms. */
  get heldMs(): number {
    return performance.now() - this.#takenMs;
  }

  complete(result?: unknown): Promise<void> {
    return seen(this.#complete(result));
  }

  fail(error: unknown, options: FailItemOptions = {}): Promise<void> {
    return seen(this.#fail(error, options));
  }

  progress(progress: Progress): void {
    this.#owner.showProgress(progress);
  }

  /** Its pod went on without a word: it is completed, and nobody waits for that. */
  leave(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#span?.end('completed');
    this.#owner.settle(this, this.#completed(''), null);
  }

  /** It goes back, or its pod's end says what becomes of it. */
  takeAway(): void {
    if (!this.#isEnded) this.#span?.end('given back');
    this.#isEnded = true;
  }

  /** As `complete`, with the result as it is kept. Rejects as that. */
  async completeWith(payload: string): Promise<void> {
    this.#checkMayEnd();
    this.#isEnded = true;
    this.#span?.end('completed');
    await this.#settle(this.#completed(payload));
  }

  async #complete(result: unknown): Promise<void> {
    this.#checkMayEnd();
    await this.completeWith(resultText(result, MAX_ITEM_RESULT_BYTES));
  }

  async #fail(error: unknown, { retry = true }: FailItemOptions): Promise<void> {
    this.#checkMayEnd();
    const text = typeof error === 'string' ? error : describeThrown(error);
    const message = clipBytes(text, MAX_ERROR_BYTES);
    this.#isEnded = true;
    this.#span?.end('failed');
    if (retry && this.attempt < this.delivered.maxAttempts) {
      await this.#owner.retry(this, message);
      return;
    }
    const why = { error: message, reason: 'Failed', attempts: this.attempt } as const;
    await this.#settle(deadEnd(this.delivered, why));
  }

  #checkMayEnd(): void {
    if (this.#isEnded) throw endedBefore(this.id);
    if (this.#owner.failure !== null) throw this.#owner.failure;
  }

  #completed(payload: string): ItemEnd {
    return { id: this.id, outcome: 'completed', attempts: this.attempt, payload };
  }

  #settle(end: ItemEnd): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#owner.settle(this, end, (error) => (error === null ? resolve() : reject(error)));
    });
  }
}

/** Who does not wait for it has not asked: the worker must not end for that. */
function seen(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}
