import type { Progress } from '../handler/podProgress.ts';

/** Options of `items()`. */
export interface ItemsOptions {
  /** Items that are fetched ahead, the one in hand included; 1 to 1000. Default 8. */
  readonly prefetch?: number;
}

/** Options of {@link Item.fail}. */
export interface FailItemOptions {
  /** false: it is not tried again, however many attempts it has left. Default true. */
  readonly retry?: boolean;
}

/**
 * An item of a work queue in the hands of a pod. It ends once: by `complete`, by `fail`, or, without either, completed
 * when the next one is asked for or the handler returns, and failed when the handler throws.
 */
export interface Item<Data = unknown> {
  /** Number of the item in its work queue, from 1. */
  readonly id: number;
  /** Its key; null = none. */
  readonly key: string | null;
  /** What was enqueued. */
  readonly data: Data;
  /** 1 when it is run for the first time, 2 after it failed once ... */
  readonly attempt: number;
  /** Aborted when the pod is to end, or another worker may have got the item, since this one was away for too long. */
  readonly signal: AbortSignal;
  /** `complete` or `fail` was called, or its pod has ended. */
  readonly isEnded: boolean;
  /**
   * Ends it well.
   *
   * @param result - Kept for `results()`: JSON, at most 64 KiB.
   * @returns when that is recorded. Rejects with ItemEndedError when it had ended before, ItemsFencedError when the pod
   *   lost its claim, TypeError when the result can't be kept; then the item stays in hand.
   */
  complete(result?: unknown): Promise<void>;
  /**
   * Fails it: it is tried again after its back-off, or dead-lettered when it has no attempt left.
   *
   * @returns when that is recorded. Rejects as `complete`.
   */
  fail(error: unknown, options?: FailItemOptions): Promise<void>;
  /** As the pod's `progress`. */
  progress(progress: Progress): void;
}

/** An item as a function gets it that is called for it: that function's end is the item's. */
export type ItemOfHandler<Data = unknown> = Omit<Item<Data>, 'complete' | 'fail' | 'isEnded'>;

/** The items of a pod: each is given to one pod at a time. */
export type Items = <Data = unknown>(options?: ItemsOptions) => AsyncIterableIterator<Item<Data>>;

/** Items that are fetched ahead for a pod that does not say how many. */
export const DEFAULT_PREFETCH = 8;
/** Most of them. */
export const MAX_PREFETCH = 1_000;

/** How many items are to be fetched ahead. @throws RangeError when that is none. */
export function prefetchOf({ prefetch = DEFAULT_PREFETCH }: ItemsOptions = {}): number {
  if (!Number.isInteger(prefetch) || prefetch < 1 || prefetch > MAX_PREFETCH) {
    throw new RangeError(`items({ prefetch: ${prefetch} }): an integer of 1 to ${MAX_PREFETCH}`);
  }
  return prefetch;
}

/** An item as {@link ItemOfHandler}, with data that were made of its own, and its progress told elsewhere. */
export function itemView<Data>(
  item: ItemOfHandler,
  data: Data,
  progress: (progress: Progress) => void,
): ItemOfHandler<Data> {
  const { id, key, attempt } = item;
  return {
    id,
    key,
    attempt,
    data,
    // Made when it is asked for: most never do.
    get signal() {
      return item.signal;
    },
    progress,
  };
}
