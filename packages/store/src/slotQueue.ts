import { slotQueuePrefix } from './keys.ts';

/** Data of a slot's QueueJob; immutable. All else is in our own state. */
export interface SlotQueueJobData {
  readonly uid: string;
  readonly shard: number;
  readonly slot: number;
}

/** Name of the queue of a pool and runtime. BullMQ refuses ':' in names. */
export function slotQueueName(pool: string, runtime: string): string {
  return `${pool}.${runtime}`;
}

/** BullMQ's `prefix` option for a slot queue. */
export function slotQueueOptions(prefix: string, queue: string): { readonly prefix: string } {
  return { prefix: slotQueuePrefix(prefix, queue) };
}

/** The QueueJob of a slot, as `Queue.addBulk` takes it. Adding one that exists does nothing. */
export function slotQueueJob(
  uid: string,
  shard: number,
  slot: number,
): {
  name: 'slot';
  data: SlotQueueJobData;
  opts: { jobId: string; removeOnComplete: true; removeOnFail: true };
} {
  return {
    name: 'slot',
    data: { uid, shard, slot },
    opts: { jobId: `${uid}.${slot}`, removeOnComplete: true, removeOnFail: true },
  };
}
