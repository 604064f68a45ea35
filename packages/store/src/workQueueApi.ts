/** What the store says of work queues and their items: docs/design/0006-work-queues.md. */

/** Most items of one batch: bounds the time of a script. */
export const MAX_BATCH_ITEMS = 1_000;
/** Most items that one call of {@link SettleRequest} takes. */
export const MAX_SETTLED_ITEMS = 500;

/** A work queue that is to be stored. */
export interface NewWorkQueue {
  /** Chosen by the caller: the idempotency key. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** JSON of metadata and spec. */
  readonly object: string;
  /** How long results and the order of completion are kept after the last item was settled, ms. */
  readonly resultTtlMs: number;
  /** How many bytes of them are kept, about; the oldest go first. */
  readonly maxResultBytes: number;
}

/** What became of a new work queue. */
export type WorkQueueCreated =
  | { readonly type: 'created'; readonly resourceVersion: number; readonly createdMs: number }
  | { readonly type: 'replayed' }
  | { readonly type: 'alreadyExists' };

/** Items of a work queue by what became of them. */
export interface ItemCounts {
  /** Ids given out: the items are `1..enqueued`. */
  readonly enqueued: number;
  /** Of these, those that ended in any way: the sum of what follows. */
  readonly settled: number;
  readonly completed: number;
  /** Dead-lettered ones that are kept. */
  readonly dead: number;
  /** Dead-lettered ones that were enqueued again, under new ids. */
  readonly retried: number;
  /** Removed by the user before they ran. */
  readonly cleared: number;
  /** Of batches whose producer died before it had handed them over. */
  readonly abandoned: number;
}

/** A work queue as it is stored. */
export interface StoredWorkQueue {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** JSON of metadata and spec. */
  readonly object: string;
  readonly resourceVersion: number;
  readonly createdMs: number;
  /** When it was sealed; null = more items may come. */
  readonly sealedMs: number | null;
  readonly resultTtlMs: number;
  readonly counts: ItemCounts;
  /** Batches that are being handed over. */
  readonly openBatches: number;
}

/** Whether no more items can come and all are settled: pods need not wait any more. */
export function isAllDone(queue: StoredWorkQueue): boolean {
  const { counts, sealedMs, openBatches } = queue;
  return sealedMs !== null && counts.settled === counts.enqueued && openBatches === 0;
}

/** Asks for the ids of new items. */
export interface ReserveRequest {
  readonly uid: string;
  /** Chosen by the caller: the idempotency key. */
  readonly batchId: string;
  /** 1..{@link MAX_BATCH_ITEMS}. */
  readonly count: number;
  /** Key of each item, or ids of dead-lettered items that are to be enqueued again, which a sealed queue takes too. */
  readonly of:
    | { readonly keys: readonly string[] }
    | { readonly deadIds: readonly number[] }
    | null;
  /** For how long the batch may stay open, ms. */
  readonly leaseMs: number;
}

/** Answer to a {@link ReserveRequest}. */
export type Reserved =
  | {
      readonly type: 'reserved';
      /** Id of each item, in order. */
      readonly ids: readonly number[];
      /**
       * Whether each item is new; one that is not has a key that another item had before, or is not dead (any more),
       * or another batch is bringing it back.
       */
      readonly isNew: readonly boolean[];
    }
  | { readonly type: 'sealed' }
  | { readonly type: 'notFound' }
  | {
      /** A batch that is open has one of the keys. Until that is committed or abandoned nobody knows if its item comes. */
      readonly type: 'pending';
      /** Until that is late, ms; 0 = it is. */
      readonly waitMs: number;
    };

/** Tells that BullMQ has the items of a batch. */
export interface CommitRequest {
  readonly uid: string;
  readonly batchId: string;
  /** Dead-lettered items that the batch brings back: of those that were asked for the new ones. */
  readonly retriedIds: readonly number[];
}

/** How an item ended. */
export interface ItemEnd {
  readonly id: number;
  readonly outcome: 'completed' | 'dead';
  /** How often it was run, this time included. */
  readonly attempts: number;
  /** Result as JSON, '' = none; of a dead item JSON of what is kept of it. */
  readonly payload: string;
}

/** The items that one pod settles. */
export interface PodItems {
  readonly slot: number;
  readonly podNumber: number;
  readonly items: readonly ItemEnd[];
}

/** Items that pods of one Job settle. */
export interface SettleRequest {
  readonly uid: string;
  readonly jobUid: string;
  readonly session: string;
  /** So many items its pods settle in all, one each: its completions; null = any number. */
  readonly jobItems: number | null;
  readonly pods: readonly PodItems[];
}

/**
 * What became of an item's end: counted; it had ended before; the pod is no longer the one that may
 * say so; the work queue was deleted.
 */
export type SettleAnswer = 'settled' | 'already' | 'fenced' | 'gone';

/** An item that ended, in order of completion. */
export interface ItemOutcome {
  readonly id: number;
  readonly outcome: 'completed' | 'dead';
  readonly attempts: number;
  /** As JSON; '' = none. */
  readonly result: string;
  readonly jobUid: string;
  readonly podNumber: number;
  readonly endedMs: number;
}

/**
 * Why an item is dead-lettered. `Failed`: it was tried as often as it may be, or failed for good.
 * `KilledItsPods`: so many pods or workers ended with it in hand that it is held for the cause.
 */
export type DeadReason = 'Failed' | 'KilledItsPods';

/** What is kept of a dead-lettered item: the payload of its {@link ItemEnd}, as JSON. */
export interface StoredDeadItem {
  /** What was enqueued. */
  readonly data: unknown;
  readonly key?: string;
  /** What went wrong the last time. */
  readonly error: string;
  readonly reason: DeadReason;
  /** How often it was run. */
  readonly attempts: number;
  readonly endedMs: number;
}
