import type { StoredJob } from './api.ts';
import { slotQueuePrefix } from './keys.ts';

/** Data of a slot's QueueJob; immutable. All else is in our own state. */
export interface SlotQueueJobData {
  readonly uid: string;
  readonly shard: number;
  readonly slot: number;
  /** What a worker must offer to run the slot's pods: it need not read the Job to know. */
  readonly fittingKey: string;
}

/** Name of the queue of a pool and runtime. BullMQ refuses ':' in names. */
export function slotQueueName(pool: string, runtime: string): string {
  return `${pool}.${runtime}`;
}

/** BullMQ's `prefix` option for a slot queue. */
export function slotQueueOptions(prefix: string, queue: string): { readonly prefix: string } {
  return { prefix: slotQueuePrefix(prefix, queue) };
}

/**
 * The QueueJob of a slot, as `Queue.addBulk` takes it. Adding one that exists does nothing.
 *
 * @param priority - BullMQ's, see `queuePriority`; null = none, which goes before all that have one.
 */
export function slotQueueJob(
  { uid, fittingKey }: Pick<StoredJob, 'uid' | 'fittingKey'>,
  shard: number,
  slot: number,
  priority: number | null = null,
): {
  name: 'slot';
  data: SlotQueueJobData;
  opts: { jobId: string; removeOnComplete: true; removeOnFail: true; priority?: number };
} {
  return {
    name: 'slot',
    data: { uid, shard, slot, fittingKey },
    opts: {
      jobId: `${uid}.${slot}`,
      removeOnComplete: true,
      removeOnFail: true,
      ...(priority !== null && { priority }),
    },
  };
}
