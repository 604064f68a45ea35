import type { WorkQueues } from '@drover/store';
import type { Logger } from 'pino';

/** Batches that are abandoned in one go. */
const MAX_STEPS = 20;

/**
 * Looks after one work queue: abandons the batches of items whose producers died before they had handed
 * them over, so that nobody waits for items that will never come.
 *
 * @returns When to look again, ms by the shard's clock; null = no batch is open.
 */
export async function reconcileWorkQueue(
  workQueues: Pick<WorkQueues, 'abandon'>,
  uid: string,
  logger: Logger,
): Promise<number | null> {
  for (let step = 0; step < MAX_STEPS; step++) {
    const { abandoned, nextAtMs } = await workQueues.abandon(uid);
    if (abandoned === 0) return nextAtMs;
    logger.warn({ workQueue: uid, items: abandoned }, 'a producer died: its last items are void');
    if (nextAtMs === null) return null;
  }
  // 0 is in the past of any clock: at once, but after what else is due.
  return 0;
}
