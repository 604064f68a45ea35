import { type ItemsWarning, itemsWarnings, type WorkQueueStats } from '@drover/sdk/client';
import { NotFoundError, terminalCondition, WORK_QUEUE_ANNOTATION, type Job } from '@drover/shared';

import type { Client } from '../client.ts';
import { formatEntries, type Entry } from './layout.ts';

/** The work queue that a Job names, as it is now. */
export interface DescribedWorkQueue {
  readonly name: string;
  /** Null: there is none of that name. */
  readonly stats: (WorkQueueStats & { readonly enqueued: number }) | null;
}

/** Reads the work queue of a Job; null when it names none. */
export async function readWorkQueueOf(
  client: Client,
  { metadata }: Job,
): Promise<DescribedWorkQueue | null> {
  const name = metadata.annotations?.[WORK_QUEUE_ANNOTATION];
  if (name === undefined) return null;
  const handle = client.workQueue(name, { namespace: metadata.namespace });
  try {
    const { status } = await handle.get();
    const stats = await handle.stats();
    return { name, stats: { ...stats, enqueued: status?.enqueued ?? 0 } };
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    return { name, stats: null };
  }
}

/** The part of a Job's description about its work queue. Pure. */
export function workQueueEntries(job: Job, workQueue: DescribedWorkQueue | null): Entry[] {
  if (workQueue === null) return [];
  const { name, stats } = workQueue;
  if (stats === null) return [['Work Queue', `${name} (there is none)`]];
  const { enqueued, waiting, delayed, inFlight, completed, dead, sealed, allDone } = stats;
  const left = warningsOf(job, workQueue).find(({ reason }) => reason === 'ItemsLeft');
  const entries: Entry[] = [
    ['Name', name],
    ['Status', allDone ? 'Done' : sealed ? 'Sealed' : 'Open'],
    [
      'Items',
      `${enqueued} Enqueued / ${waiting} Waiting / ${delayed} Delayed / ${inFlight} In Flight`,
    ],
    ['Settled', `${completed} Completed / ${dead} Dead`],
    ...(left === undefined ? [] : [['Items Left', left.message] as const]),
  ];
  return [['Work Queue', { part: formatEntries(entries) }]];
}

/** What there is to say of what a finished Job left in its work queue; nothing before it is finished. */
export function warningsOf(
  { status }: Job,
  workQueue: Pick<DescribedWorkQueue, 'name' | 'stats'> | null,
): ItemsWarning[] {
  if (workQueue === null || workQueue.stats === null) return [];
  if (terminalCondition(status.conditions) === null) return [];
  return itemsWarnings(workQueue.name, workQueue.stats);
}
