import {
  MAX_TIMER_MS,
  NotFoundError,
  TimeoutError,
  WORK_QUEUE_ANNOTATION,
  type Job,
} from '@drover/shared';

import { outcomeFor } from './jobOutcome.ts';
import type { WaitOptions } from './jobs.ts';
import { itemsWarnings } from './workQueues/itemsWarnings.ts';
import type { WorkQueueStats } from './workQueues/workQueue.ts';

/** A Job that is waited for, over Redis or over an API server. */
export interface AwaitedJob {
  readonly name: string;
  /** Resolves to the Job when it is finished; to null at the signal. @throws NotFoundError when it is gone. */
  readonly untilFinished: (signal: AbortSignal) => Promise<Job | null>;
  /** Figures of the work queue that it names. @throws NotFoundError */
  readonly statsOf: (queue: string, namespace: string) => Promise<WorkQueueStats>;
}

/**
 * Waits until a Job is complete, failed or finished.
 *
 * @returns The Job as it was when the condition held.
 * @throws JobOutcomeError, NotFoundError, TimeoutError as `JobsClient.wait`.
 */
export async function awaitOutcome(awaited: AwaitedJob, options: WaitOptions): Promise<Job> {
  const { for: condition = 'finished', timeoutMs, signal, onWarning } = options;
  signal?.throwIfAborted();
  // One controller and a bare timer: composed signals cost more than the rest of a wait.
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const timer = timeoutMs === undefined ? null : setTimeout(end, Math.min(timeoutMs, MAX_TIMER_MS));
  signal?.addEventListener('abort', end, { once: true });
  try {
    const job = await awaited.untilFinished(ending.signal);
    if (job !== null) {
      if (onWarning !== undefined) await warnOfItems(awaited, job, onWarning);
      return outcomeFor(job, condition);
    }
  } finally {
    if (timer !== null) clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
  signal?.throwIfAborted();
  const seconds = (timeoutMs ?? 0) / 1000;
  throw new TimeoutError(`Job "${awaited.name}" was not ${condition} after ${seconds} s`);
}

/** Tells what a finished Job left in its work queue, if it has one. */
async function warnOfItems(
  { statsOf }: AwaitedJob,
  { metadata }: Job,
  onWarning: (warning: string) => void,
): Promise<void> {
  const queue = metadata.annotations?.[WORK_QUEUE_ANNOTATION];
  if (queue === undefined) return;
  try {
    const stats = await statsOf(queue, metadata.namespace);
    for (const { message } of itemsWarnings(queue, stats)) onWarning(message);
  } catch (error) {
    // It was deleted, and what was left with it.
    if (!(error instanceof NotFoundError)) throw error;
  }
}
