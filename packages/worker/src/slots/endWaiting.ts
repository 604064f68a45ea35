import type { Worker } from 'bullmq';

import { within } from '../within.ts';

/** How long BullMQ may take to say which connection that is. */
const LIMIT_MS = 500;

/**
 * Ends the connection over which a worker of BullMQ waits, when `close` did not in time: one that is between two tries
 * is never at its end for BullMQ, and one that was just being replaced comes back. Never rejects.
 */
export async function endWaiting<T>(worker: Worker<T, void>): Promise<void> {
  const ended = worker.backend.disconnectBlocking(false).catch(() => undefined);
  await within(LIMIT_MS, ended);
}
