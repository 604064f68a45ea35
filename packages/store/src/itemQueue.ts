import { itemQueuePrefix } from './keys.ts';

/** Name of BullMQ's queue of a work queue's items; each has a prefix of its own. Short, since it is part of all keys. */
export const ITEM_QUEUE_NAME = 'i';

/** Data of the QueueJob of one item. Short names: there may be millions. */
export interface SingleItemData {
  /** Id of the item. */
  readonly i: number;
  /** What the user enqueued. */
  readonly d: unknown;
  /** Its key, when it has one. */
  readonly k?: string;
  /** It came from a chunk, or from another QueueJob of its: how often it was run there. */
  readonly a?: number;
}

/** Data of the QueueJob of a chunk of items with consecutive ids. */
export interface ChunkData {
  /** Id of the first item. */
  readonly i: number;
  /** What the user enqueued, of each item. */
  readonly c: readonly unknown[];
}

/** Data of a QueueJob of items; immutable. */
export type ItemQueueJobData = SingleItemData | ChunkData;

/** BullMQ's `prefix` option for the items of a work queue. */
export function itemQueueOptions(prefix: string, uid: string): { readonly prefix: string } {
  return { prefix: itemQueuePrefix(prefix, uid) };
}
