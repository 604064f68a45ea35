import {
  type RedisClient,
  ITEM_QUEUE_NAME,
  itemQueueOptions,
  obliterateItems,
} from '@drover/store';
import { Queue } from 'bullmq';

/**
 * Removes what BullMQ has of the items of a work queue that was deleted a while ago: a producer, or a worker that put
 * something back, may have added to it after it was emptied. O(QueueJobs), mostly none.
 *
 * @returns null: it is never looked at again.
 */
export async function removeItems(redis: RedisClient, prefix: string, uid: string): Promise<null> {
  const queue = new Queue(ITEM_QUEUE_NAME, {
    connection: redis,
    ...itemQueueOptions(prefix, uid),
    // It would write a key of its own, perhaps after all others were removed.
    skipMetasUpdate: true,
  });
  // Told by the calls.
  queue.on('error', () => undefined);
  try {
    await obliterateItems(queue);
    return null;
  } finally {
    await queue.close();
  }
}
