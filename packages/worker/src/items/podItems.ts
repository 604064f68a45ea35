import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';

import type { ItemEnd } from '@drover/store';
import { context, type Context } from '@opentelemetry/api';
import type { Logger } from 'pino';

import type { Progress } from '../handler/podProgress.ts';
import type { Place } from '../runtime.ts';
import { ItemSpan } from '../tracing.ts';
import type { DeliveredItem } from './deliveredItem.ts';
import { DEFAULT_PREFETCH, prefetchOf, type ItemsOptions } from './item.ts';
import { ItemEndedError, ItemsFencedError, NoItemsError } from './itemErrors.ts';
import type { ItemPuller } from './itemPuller.ts';
import type { ItemTaker } from './itemWaiters.ts';
import type { ItemClaim, Settled } from './itemSettler.ts';
import { LentPlace } from './lentPlace.ts';
import { type ItemOwner, PodItem } from './podItem.ts';

/** After so long of items that were all at hand others on the event loop get a turn, ms. */
const MAX_TURN_MS = 10;
/** How long a pod that asks for several items waits for more than the first, ms. */
const GATHER_MS = 10;

/** How a pod ended, for the items that it still has. */
export type PodItemsEnd =
  | { readonly type: 'returned' }
  | { readonly type: 'threw'; readonly error: unknown }
  /** Told to stop, or given up. */
  | { readonly type: 'stopped' };

/** When the event loop was last given to others; one for all pods of a worker. */
export interface Turn {
  startedMs: number;
}

/** Options of {@link PodItems}. */
export interface PodItemsOptions {
  readonly claim: ItemClaim;
  /** Gets the puller of the Job's work queue, this pod entered. Rejects with NoItemsError. */
  readonly enter: (taker: ItemTaker) => Promise<ItemPuller>;
  /** The pod takes no more. */
  readonly leave: (puller: ItemPuller, taker: ItemTaker) => void;
  readonly signal: AbortSignal;
  /** Lent while the pod waits with nothing in hand. */
  readonly place: Place;
  readonly showProgress: (progress: Progress) => void;
  readonly turn: Turn;
  readonly logger: Logger;
}

/** The items of one pod, from its first `items()` to its end. */
export class PodItems implements ItemOwner, ItemTaker {
  readonly #options: PodItemsOptions;
  /** Handed out, and not ended. */
  readonly #inHand = new Set<PodItem>();
  readonly #place: LentPlace;
  /** Where the pod asked for its first: its items are spans of that. */
  readonly #context: Context;
  /** Walks that wait for an item. */
  #waiting = 0;
  #puller: ItemPuller | null = null;
  #entering: Promise<ItemPuller> | null = null;
  #prefetch = 0;
  #failure: Error | null = null;
  #stopReason: Error | null = null;
  /** Ends that have no answer yet. */
  #pending = 0;
  #whenNonePending: (() => void) | null = null;

  constructor(options: PodItemsOptions) {
    this.#context = context.active();
    this.#options = options;
    this.#place = new LentPlace(options.place, {
      mayLend: () => this.#waiting > 0 && this.#inHand.size === 0,
      onRoom: () => this.#puller?.poke(),
    });
  }

  get claim(): ItemClaim {
    return this.#options.claim;
  }

  get signal(): AbortSignal {
    return this.#options.signal;
  }

  get prefetch(): number {
    return this.claim.jobItems === null ? this.#prefetch : 1;
  }

  get ahead(): number {
    return this.claim.jobItems === null ? this.#prefetch : 0;
  }

  get mayGoOn(): boolean {
    return this.#place.mayTakeBack;
  }

  waits(): void {
    this.#place.lendSoon();
  }

  goesOn(): void {
    this.#place.takeBack();
  }

  get failure(): Error | null {
    return this.#failure;
  }

  get stopReason(): Error | null {
    return this.#stopReason;
  }

  /** @throws RangeError when an option is wrong. */
  iterate(options?: ItemsOptions): AsyncIterableIterator<PodItem> {
    const prefetch = prefetchOf(options);
    this.#prefetch += prefetch;
    return new ItemIterator(this, () => (this.#prefetch -= prefetch));
  }

  /** An item that is at hand; null when it has to be waited for. */
  nextNow(): PodItem | null {
    if (this.#puller === null || this.#stopReason !== null || this.#failure !== null) return null;
    if (performance.now() - this.#options.turn.startedMs > MAX_TURN_MS) return null;
    const delivered = this.#puller.takeNow();
    return delivered === null ? null : this.#hand(delivered);
  }

  /** From now on items are fetched for the pod. */
  async enter(): Promise<void> {
    this.#checkGoesOn();
    this.#puller ??= await (this.#entering ??= this.#options.enter(this));
  }

  /**
   * The next item; null when all is done.
   *
   * @param cancelled - Nobody waits for it any more: then it is rejected with the signal's reason.
   */
  async next(cancelled?: AbortSignal): Promise<PodItem | null> {
    const { turn } = this.#options;
    if (performance.now() - turn.startedMs > MAX_TURN_MS) {
      await nextTurn();
      turn.startedMs = performance.now();
    }
    await this.enter();
    this.#checkGoesOn();
    cancelled?.throwIfAborted();
    // One in place of a pod that was lost after it had settled the last of its Job's items must not take another one's.
    const { podNumber, jobItems } = this.claim;
    const mayBeOneTooMany = jobItems !== null && podNumber > jobItems;
    if (mayBeOneTooMany && (await this.#puller!.isJobDone(this.claim))) return null;
    const delivered = await this.#wait(this.#puller!, cancelled);
    // A pod that was told to stop has not seen the end.
    const isUnwanted = this.#stopReason !== null || this.#failure !== null;
    if (isUnwanted || cancelled?.aborted === true) {
      if (delivered !== null) void this.#goesBack(delivered);
      this.#checkGoesOn();
      cancelled?.throwIfAborted();
    }
    return delivered === null ? null : this.#hand(delivered);
  }

  async #wait(puller: ItemPuller, cancelled?: AbortSignal): Promise<DeliveredItem | null> {
    this.#waiting += 1;
    try {
      return await puller.take(this, cancelled);
    } finally {
      this.#waiting -= 1;
      this.goesOn();
    }
  }

  /**
   * Several items at once: waits for the first, and adds what comes with it.
   *
   * @param max - How many at most; so many are fetched ahead from now on.
   * @param cancelled - Nobody waits for them any more.
   * @returns null when all is done; none when it was cancelled.
   */
  async take(max: number, cancelled: AbortSignal): Promise<PodItem[] | null> {
    this.#prefetch = Math.max(this.#prefetch, DEFAULT_PREFETCH, max);
    const items: PodItem[] = [];
    try {
      const first = this.nextNow() ?? (await this.next(cancelled));
      if (first === null) return null;
      items.push(first);
    } catch (error) {
      if (cancelled.aborted) return [];
      throw error;
    }
    this.#takeNow(max, items);
    if (items.length === max) return items;
    // Those of the same batch come a moment later, one by one.
    await delay(GATHER_MS);
    this.#takeNow(max, items);
    return items;
  }

  #takeNow(max: number, items: PodItem[]): void {
    while (items.length < max) {
      const item = this.nextNow();
      if (item === null) return;
      items.push(item);
    }
  }

  showProgress(progress: Progress): void {
    this.#options.showProgress(progress);
  }

  settle(item: PodItem, end: ItemEnd, done: ((error: Error | null) => void) | null): void {
    const puller = this.#puller!;
    this.#letGoOf(item);
    this.#pending += 1;
    const { delivered } = item;
    if (delivered.job.isChunk) puller.measure(delivered, item.heldMs);
    puller.settler.push(this.claim, end, (answer) => {
      const error = this.#answered(puller, delivered, answer);
      this.#answerCame();
      done?.(error);
    });
  }

  async retry(item: PodItem, message: string): Promise<void> {
    this.#letGoOf(item);
    await this.#pendingUntil(this.#puller!.retry(item.delivered, message));
  }

  /** The pod is told to stop: no more items. Those in hand it may still end. */
  stop(reason: Error): void {
    if (this.#stopReason !== null) return;
    this.#stopReason = reason;
    this.#puller?.stop(this);
  }

  /** The pod's code is over: decides the items in hand, and resolves when all that was said of items is recorded. */
  async end(how: PodItemsEnd): Promise<void> {
    this.decide(this.#inHand, how);
    this.stop(new NoItemsError('the pod has ended'));
    const puller = this.#puller ?? (await this.#entering?.catch(() => null)) ?? null;
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#whenNonePending = resolve));
    if (puller !== null) this.#options.leave(puller, this);
  }

  /** What of a pod had these items in hand has ended: that is the end of those of which nothing was said. */
  decide(items: Iterable<PodItem>, how: PodItemsEnd): void {
    for (const item of items) if (!item.isEnded) this.#decide(item, how);
  }

  #decide(item: PodItem, how: PodItemsEnd): void {
    if (how.type === 'returned' && this.#failure === null) item.leave();
    else if (how.type === 'threw' && this.#failure === null && this.#stopReason === null) {
      void item.fail(how.error);
    } else {
      item.takeAway();
      this.#letGoOf(item);
      void this.#goesBack(item.delivered);
    }
  }

  #letGoOf(item: PodItem): void {
    this.#inHand.delete(item);
    // It may have been waiting for the next one all the while.
    this.#place.lendSoon();
  }

  #hand(delivered: DeliveredItem): PodItem {
    const item = new PodItem(this, delivered, ItemSpan.of(this.#context, delivered));
    this.#inHand.add(item);
    return item;
  }

  /** @throws why there are no more items, if so. */
  #checkGoesOn(): void {
    const reason = this.#failure ?? this.#stopReason;
    if (reason !== null) throw reason;
  }

  #answered(puller: ItemPuller, delivered: DeliveredItem, answer: Settled): Error | null {
    switch (answer) {
      case 'settled':
        puller.ended(delivered);
        return null;
      case 'already':
        puller.ended(delivered);
        return new ItemEndedError(
          `item ${delivered.id} had ended before: another pod was faster, or it was removed`,
        );
      case 'gone':
        puller.ended(delivered);
        return (this.#failure ??= new NoItemsError('the work queue was deleted'));
      case 'fenced':
      case 'unknown':
        void this.#goesBack(delivered);
        return (this.#failure ??= new ItemsFencedError());
    }
  }

  async #goesBack(delivered: DeliveredItem): Promise<void> {
    await this.#pendingUntil(this.#puller!.giveBack(delivered));
  }

  /** Errors are told: the item is delivered again when the lock of its QueueJob ran out. */
  async #pendingUntil(done: Promise<void>): Promise<void> {
    this.#pending += 1;
    try {
      await done;
    } catch (error) {
      const { logger, claim } = this.#options;
      logger.warn({ err: error, jobUid: claim.jobUid }, 'an item could not be put back');
    } finally {
      this.#answerCame();
    }
  }

  #answerCame(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#whenNonePending?.();
  }
}

/** One walk over a pod's items. */
class ItemIterator implements AsyncIterableIterator<PodItem> {
  readonly #pod: PodItems;
  readonly #onOver: () => void;
  #current: PodItem | null = null;
  #isOver = false;

  constructor(pod: PodItems, onOver: () => void) {
    this.#pod = pod;
    this.#onOver = onOver;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<PodItem, undefined>> {
    this.#current?.leave();
    this.#current = null;
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    const item = this.#pod.nextNow();
    if (item === null) return this.#wait();
    this.#current = item;
    return Promise.resolve({ done: false, value: item });
  }

  /** The body was left: by `break`, `return` or an error. Which of them, the end of the pod will tell. */
  return(): Promise<IteratorResult<PodItem, undefined>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  async #wait(): Promise<IteratorResult<PodItem, undefined>> {
    const item = await this.#pod.next();
    if (item === null) {
      this.#end();
      return { done: true, value: undefined };
    }
    this.#current = item;
    return { done: false, value: item };
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onOver();
  }
}
