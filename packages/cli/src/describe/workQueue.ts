import type { Drover, WorkQueueStats } from '@drover/sdk/client';
import { NotFoundError, terminalCondition, WORK_QUEUE_ANNOTATION, type Job } from '@drover/shared';

import { queueText } from '../queues.ts';
import { formatEntries, type Entry } from './layout.ts';

/** The work queue that a Job names, as it is now. */
export interface DescribedWorkQueue {
  readonly name: string;
  /** Null: there is none of that name. */
  readonly stats: (WorkQueueStats & { readonly enqueued: number }) | null;
}

/** Reads the work queue of a Job; null when it names none. */
export async function readWorkQueueOf(
  drover: Drover,
  { metadata }: Job,
): Promise<DescribedWorkQueue | null> {
  const name = metadata.annotations?.[WORK_QUEUE_ANNOTATION];
  if (name === undefined) return null;
  const handle = drover.workQueue(name, { namespace: metadata.namespace });
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
  const left = itemsLeft(job, workQueue);
  const entries: Entry[] = [
    ['Name', name],
    ['Status', allDone ? 'Done' : sealed ? 'Sealed' : 'Open'],
    [
      'Items',
      `${enqueued} Enqueued / ${waiting} Waiting / ${delayed} Delayed / ${inFlight} In Flight`,
    ],
    ['Settled', `${completed} Completed / ${dead} Dead`],
    ...(left === null ? [] : [['Items Left', left] as const]),
  ];
  return [['Work Queue', { part: formatEntries(entries) }]];
}

/** What a finished Job left undone in its work queue; null when nothing, or when it is not finished. */
export function itemsLeft(
  { status }: Job,
  workQueue: Pick<DescribedWorkQueue, 'name' | 'stats'> | null,
): string | null {
  if (workQueue === null || workQueue.stats === null) return null;
  if (terminalCondition(status.conditions) === null) return null;
  const { waiting, delayed, inFlight } = workQueue.stats;
  const left = waiting + delayed + inFlight;
  if (left === 0) return null;
  const items = left === 1 ? '1 item is' : `${left} items are`;
  return `${items} not settled: another Job on ${queueText(workQueue.name)} would take them`;
}
