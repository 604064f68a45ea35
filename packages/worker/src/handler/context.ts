import type { ClientSettings } from '@drover/shared';
import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import {
  itemView,
  type Item,
  type ItemOfHandler,
  type Items,
  type ItemsOptions,
} from '../items/item.ts';
import { NoItemsError } from '../items/itemErrors.ts';
import type { PodItemsEnd } from '../items/podItems.ts';
import type { JobFacts, JobPlan } from '../jobPlan.ts';
import type { PodLog } from '../podLog.ts';
import { createPodLogger } from './podLogger.ts';
import type { PodProgress, Progress } from './podProgress.ts';

/** The pod that a handler runs as. */
export interface PodFactsOfHandler {
  /** metadata.name */
  readonly name: string;
  /** metadata.uid; another one for each try. */
  readonly uid: string;
  /** 1, 2, 3 ... in order of creation within the Job. */
  readonly number: number;
}

/**
 * What a handler gets: the pod it runs as. May be taken apart (`async ({ index, signal }) => ...`);
 * each part is made when it is first asked for.
 */
export interface HandlerContext<Input = unknown, Data = unknown> {
  readonly job: JobFacts;
  readonly pod: PodFactsOfHandler;
  /** Completion index, from 0; null when the Job is not Indexed. */
  readonly index: number | null;
  /** The Job's completions; null for a work-queue Job. */
  readonly completions: number | null;
  /** The pod template's annotation `drover.dev/input`, parsed and checked. undefined without one. */
  readonly input: Input;
  /** Variables of the container, expanded. The worker's own environment is not in it. */
  readonly env: Readonly<Record<string, string>>;
  /** Arguments of the container, expanded. */
  readonly args: readonly string[];
  /**
   * Aborted when the pod is to end: deletion, scale-down, deadline, drain. Whoever goes on
   * after the grace period is given up, and what it still does counts for nothing.
   */
  readonly signal: AbortSignal;
  /** Writes to the pod's log, as JSON lines. */
  readonly logger: Logger;
  /** Writes one line to the pod's log as it is. */
  readonly log: (line: string) => void;
  /**
   * Tells how far the pod has come; seen in its annotation `drover.dev/progress` while it runs.
   * May be called often: it is written at most once a second.
   */
  readonly progress: (progress: Progress) => void;
  /**
   * Items of the work queue that the Job names in its annotation `drover.dev/work-queue`, one after the other.
   * The walk is over when no more items can come and all are settled, those of other pods too.
   *
   * An item is completed when the next one is asked for or the handler returns; if the handler throws, what is in
   * hand failed. A pod that is told to stop gets the signal's reason as an error.
   *
   * Asking for the first item throws NoItemsError when the Job names no work queue, or its pods take one item each.
   *
   * @example
   * defineHandler('fetch', async ({ items }) => {
   *   for await (const item of items<Page>()) await item.complete(await fetchPage(item.data.url, item.signal));
   * });
   */
  readonly items: Items;
  /**
   * The pod's one item, when the Job has the annotation `drover.dev/item-per-pod`; null without. What the handler returns
   * is the item's result; when it throws, the item has failed. The pod of a FinalItemError dead-letters it at once.
   *
   * @example
   * defineHandler<Page>('fetch', async ({ item, signal }) => await fetchPage(item!.data.url, signal));
   */
  readonly item: ItemOfHandler<Data> | null;
  /**
   * What `new Drover(client)` takes, so that what it creates belongs to the pod's Job, or to the pod when it has none, and
   * is deleted with it. null unless the pod template asks for it by the annotation `drover.dev/client: "true"`.
   *
   * @example
   * defineHandler('driver', async ({ client }) => {
   *   await using drover = new Drover(client ?? {});
   *   await drover.jobs.create(manifest);
   * });
   */
  readonly client: ClientSettings | null;
}

/** What a context needs of its Job. */
export type ContextPlan = Pick<
  JobPlan,
  'facts' | 'completions' | 'client' | 'podName' | 'podUid' | 'indexOf' | 'invocation'
>;

/** What a context needs of its lane. */
export interface ContextHost {
  readonly plan: ContextPlan;
  readonly input: unknown;
  /** The one item of the pod that runs; null: it has none. */
  readonly item: ItemOfHandler<never> | null;
  openLog(claim: Claim): PodLog;
  openProgress(claim: Claim): ContextProgress;
  createAbort(): AbortController;
  /** @throws Error where a pod can't have items. */
  openItems(claim: Claim, context: PodContext): ContextItems;
}

/** The items of one call of a handler. */
export interface ContextItems {
  /** @throws RangeError when an option is wrong. */
  iterate(options?: ItemsOptions): AsyncIterableIterator<Item<never>>;
  /** The pod is told to stop: no more items. */
  stop(reason: Error): void;
  /** The handler is over; resolves when all that was said of items is recorded. */
  end(how: PodItemsEnd): Promise<void>;
}

/** Where a context's progress goes. */
export type ContextProgress = Pick<PodProgress, 'show' | 'end'>;

/**
 * The context of one pod. Most handlers use two or three parts of it, and a pod may be over in
 * microseconds: so nothing is made ahead, and what is made is kept in one object.
 */
export class PodContext implements HandlerContext<never, never> {
  readonly #host: ContextHost;
  readonly #claim: Claim;
  #parts: Parts | null = null;

  constructor(host: ContextHost, claim: Claim) {
    this.#host = host;
    this.#claim = claim;
  }

  get job(): JobFacts {
    return this.#host.plan.facts;
  }

  get pod(): PodFactsOfHandler {
    return (this.#made.pod ??= Object.freeze({
      name: this.#host.plan.podName(this.#claim),
      uid: this.#host.plan.podUid(this.#claim),
      number: this.#claim.podNumber,
    }));
  }

  get index(): number | null {
    return this.#host.plan.indexOf(this.#claim);
  }

  get completions(): number | null {
    return this.#host.plan.completions;
  }

  get client(): ClientSettings | null {
    return this.#host.plan.client;
  }

  get input(): never {
    return this.#host.input as never;
  }

  get env(): Readonly<Record<string, string>> {
    return this.#host.plan.invocation(this.#claim).env;
  }

  get args(): readonly string[] {
    return this.#host.plan.invocation(this.#claim).args;
  }

  get signal(): AbortSignal {
    return (this.#made.abort ??= this.#host.createAbort()).signal;
  }

  get logger(): Logger {
    return (this.#made.logger ??= createPodLogger(this.podLog));
  }

  get log(): (line: string) => void {
    return (this.#made.log ??= (line) => this.podLog.write('stdout', `${line}\n`));
  }

  get progress(): (progress: Progress) => void {
    return (this.#made.progress ??= (progress) => this.#podProgress.show(progress));
  }

  get items(): Items {
    return (this.#made.items ??= ((options) => {
      if (this.#host.item !== null) {
        throw new NoItemsError(
          'items(): the pods of this Job take one item each: the `item` of the context',
        );
      }
      this.#made.podItems ??= this.#host.openItems(this.#claim, this);
      return this.#made.podItems.iterate(options);
    }) as Items);
  }

  get item(): ItemOfHandler<never> | null {
    const { item } = this.#host;
    if (item === null) return null;
    return (this.#made.item ??= itemView(item, item.data, (told) => this.progress(told)));
  }

  /** The pod's items if it asked for any. */
  get openedItems(): ContextItems | null {
    return this.#parts?.podItems ?? null;
  }

  /** The next call of {@link items} begins anew: the handler is called again. */
  forgetItems(): void {
    this.#made.podItems = null;
  }

  /** The pod's log; opened now if it was not. For the lane, not for handlers. */
  get podLog(): PodLog {
    return (this.#made.podLog ??= this.#host.openLog(this.#claim));
  }

  /** The pod's log if it was opened. */
  get openedLog(): PodLog | null {
    return this.#parts?.podLog ?? null;
  }

  /** The pod's progress if it told any. */
  get openedProgress(): ContextProgress | null {
    return this.#parts?.podProgress ?? null;
  }

  get #podProgress(): ContextProgress {
    return (this.#made.podProgress ??= this.#host.openProgress(this.#claim));
  }

  /** Fires the AbortSignal, also for whoever asks for it later. */
  abort(reason: Error): void {
    (this.#made.abort ??= this.#host.createAbort()).abort(reason);
  }

  get #made(): Parts {
    return (this.#parts ??= new Parts());
  }
}

/** What was made of a context so far. */
class Parts {
  pod: PodFactsOfHandler | null = null;
  abort: AbortController | null = null;
  podLog: PodLog | null = null;
  logger: Logger | null = null;
  log: ((line: string) => void) | null = null;
  progress: ((progress: Progress) => void) | null = null;
  podProgress: ContextProgress | null = null;
  items: Items | null = null;
  podItems: ContextItems | null = null;
  item: ItemOfHandler<never> | null = null;
}
