import type { ItemEnd, StoredDeadItem } from '@drover/store';

import type { ItemJob } from './itemJob.ts';

/** An item that this worker has, from its delivery until it is settled or goes back. */
export interface DeliveredItem {
  readonly id: number;
  /** What was enqueued. */
  readonly data: unknown;
  readonly key: string | null;
  /** How often it was run before. */
  readonly attemptsMade: number;
  /** How often it may be run. */
  readonly maxAttempts: number;
  /** The QueueJob that it came with. */
  readonly job: ItemJob;
  /** A worker died with it in hand before: it is run alone, so that it is known whose fault the next death is. */
  readonly isSuspect: boolean;
}

/** The end of an item that is given up, with what is kept of it. */
export function deadEnd(
  { id, data, key }: DeliveredItem,
  why: Pick<StoredDeadItem, 'error' | 'reason' | 'attempts'>,
): ItemEnd {
  const kept: StoredDeadItem = {
    data,
    ...(key !== null && { key }),
    ...why,
    endedMs: Date.now(),
  };
  return { id, outcome: 'dead', attempts: why.attempts, payload: JSON.stringify(kept) };
}
