import { Distribution, LONG_TIME_BOUNDS } from '@drover/shared';

/** How a pod ended at its worker, whatever its Job makes of it. */
export type PodResult =
  | 'succeeded'
  | 'failed'
  /** The worker drained, and handed it over. */
  | 'drained'
  /** Its end did not count: the session had been ended, or another worker had its slot. */
  | 'discarded';

/** How an item ended at its worker. */
export type ItemResult = 'completed' | 'dead' | 'retried';

/** Upper bounds of how many ends of pods a report has. */
const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/**
 * What a worker did since it was made, kept in memory. The same object for good: it grows while it is held. Plain numbers,
 * since some of them change with every pod.
 */
export class WorkerFigures {
  podsStarted = 0;
  readonly podsEnded: Record<PodResult, number> = {
    succeeded: 0,
    failed: 0,
    drained: 0,
    discarded: 0,
  };
  /** How long pods took, seconds. */
  readonly podTimes = new Distribution(LONG_TIME_BOUNDS);
  /** From the creation of a Job to the start of its first pod, by the clocks of Redis and of this machine, seconds. */
  readonly startDelays = new Distribution(LONG_TIME_BOUNDS);
  /** How many ends of pods went to Redis together. */
  readonly reportBatches = new Distribution(BATCH_BOUNDS);
  readonly items: Record<ItemResult, number> = { completed: 0, dead: 0, retried: 0 };
  /** Events that could not be written, or were too many. */
  lostEvents = 0;
}

/** The lanes of one runtime. */
export interface LaneFigures {
  readonly runtime: string;
  /** Pods that may be at work at a time. */
  readonly total: number;
  /** Pods that are. */
  readonly used: number;
  /** Pods that wait for items, and let others use their lanes. */
  readonly lent: number;
}
