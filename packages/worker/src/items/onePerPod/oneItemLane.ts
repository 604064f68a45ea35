import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import { failedEnd, PodStoppedError } from '../../handler/handlerEnd.ts';
import type { JobPlan } from '../../jobPlan.ts';
import { SUCCEEDED, type PodEnd, type PodLane, type PodSink } from '../../runtime.ts';
import { NoItemsError } from '../itemErrors.ts';
import type { PodItem } from '../podItem.ts';
import type { PodItems } from '../podItems.ts';

/** How a pod gets its item, in the way of its runtime. */
export interface ItemCarrier {
  /**
   * Before what the pod runs is started.
   *
   * @throws UnfitItemError when the item can never be given like this; other errors are no fault of the item.
   */
  give(claim: Claim, item: PodItem): Promise<void>;
  /**
   * The pod succeeded: the item's result as JSON, '' = none.
   *
   * @throws UnfitItemError when it can not be kept; then the pod has failed, as with any other error.
   */
  result(end: PodEnd): Promise<string>;
  /** The pod is over. */
  takeBack(claim: Claim): void;
}

/** The item can not be given to a pod in the way that its Job wants, or its result not be kept: it is not tried again. */
export class UnfitItemError extends Error {
  override readonly name = 'UnfitItemError';
}

/** Options of {@link OneItemLane}. */
export interface OneItemLaneOptions {
  readonly plan: JobPlan;
  readonly sink: PodSink;
  readonly openItems: (claim: Claim, signal: AbortSignal) => PodItems;
  readonly carrier: ItemCarrier;
  /** Makes the lane that runs what the pods are for. */
  readonly createLane: (sink: PodSink) => PodLane;
  readonly logger: Logger;
}

/**
 * Runs the pods of a Job that take one item each, on top of a lane of their runtime: takes the item before the pod's
 * program or handler is started, and settles it with its end, while the pod still may speak for it.
 *
 * ```text
 *   wait for an item --> start --> Succeeded: completed, with its result
 *        |                |------> Failed: tried again after its back-off, or dead-lettered
 *        |                '------> told to stop, lost, or never started: given back, not counted
 *        '-- nothing is left to do: Succeeded at once
 * ```
 */
export class OneItemLane implements PodLane {
  readonly #options: OneItemLaneOptions;
  readonly #lane: PodLane;
  #items: PodItems | null = null;
  #ended: ((end: PodEnd) => void) | null = null;
  /** Aborted when the pod is told to stop. */
  #stop = new AbortController();

  constructor(options: OneItemLaneOptions) {
    this.#options = options;
    this.#lane = options.createLane({ podEnded: (end) => this.#ended?.(end) });
  }

  get spent(): boolean {
    return this.#lane.spent;
  }

  start(claim: Claim): void {
    this.#stop = new AbortController();
    const { sink, openItems } = this.#options;
    const items = openItems(claim, this.#stop.signal);
    this.#items = items;
    void this.#run(claim, items).then((end) => {
      this.#items = null;
      sink.podEnded(end);
    });
  }

  stop(graceMs: number): void {
    const reason = new PodStoppedError();
    this.#stop.abort(reason);
    this.#items?.stop(reason);
    this.#lane.stop(graceMs);
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Never rejects. */
  async #run(claim: Claim, items: PodItems): Promise<PodEnd> {
    const { carrier } = this.#options;
    try {
      const item = await items.next();
      if (item === null) return this.#nothingLeft();
      return await this.#runWith(claim, items, item);
    } catch (error) {
      return this.#withoutItem(error);
    } finally {
      carrier.takeBack(claim);
      // What is in hand here was not given to anybody, or not to its end.
      await items.end({ type: 'stopped' });
    }
  }

  async #runWith(claim: Claim, items: PodItems, item: PodItem): Promise<PodEnd> {
    const { carrier } = this.#options;
    try {
      await carrier.give(claim, item);
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof UnfitItemError) {
        void item.fail(message, { retry: false });
        return failedEnd(message, 'Error', 1);
      }
      return failedEnd(`its item could not be given to it: ${message}`, 'StartError', 128);
    }
    if (this.#isStopped) return STOPPED;
    const { promise, resolve } = Promise.withResolvers<PodEnd>();
    this.#ended = resolve;
    this.#lane.start(claim);
    const end = await promise;
    this.#ended = null;
    // One that was told to stop may say with 0 that it did as it was told, and not that it was through.
    if (this.#isStopped || !saysSomethingOfItsItem(end)) return end;
    return await this.#settle(items, item, end);
  }

  async #settle(items: PodItems, item: PodItem, end: PodEnd): Promise<PodEnd> {
    if (end.outcome === 'Failed') {
      const why = end.overlay?.message ?? `exit code ${end.exitCode}`;
      void item.fail(why, { retry: end.isFinal !== true });
      return end;
    }
    let result: string;
    try {
      result = await this.#options.carrier.result(end);
    } catch (error) {
      const { message } = error as Error;
      void item.fail(message, { retry: !(error instanceof UnfitItemError) });
      return { ...failedEnd(message, 'Error', 1), hasLog: end.hasLog };
    }
    // That it had ended before, or the pod's claim is void, changes nothing about what the pod did.
    await item.completeWith(result).catch(() => undefined);
    return end;
  }

  /** Its work was done by others: a success, as of a pod of a work-queue Job that finds nothing to do. */
  #nothingLeft(): PodEnd {
    const message = 'took no item: nothing is left to do for the pods of its Job';
    return { ...SUCCEEDED, overlay: { message } };
  }

  #withoutItem(error: unknown): PodEnd {
    if (this.#isStopped) return STOPPED;
    const { plan, logger } = this.#options;
    const { message } = error as Error;
    if (error instanceof NoItemsError) return failedEnd(message, 'StartError', 128);
    logger.warn({ err: error, jobUid: plan.uid }, 'a pod could not take its item');
    // Redis did not answer, which is no fault of the pod: another one takes its place.
    return failedEnd(message, 'Drained', 137);
  }
}

/** A pod that never began, or was lost, says nothing of its item. */
function saysSomethingOfItsItem({ outcome, reason }: PodEnd): boolean {
  return outcome === 'Succeeded' || (reason !== 'StartError' && reason !== 'Drained');
}

/** A pod that was told to stop before it was given its item. */
const STOPPED: PodEnd = { ...SUCCEEDED, outcome: 'Failed', exitCode: 143, reason: 'Error' };
