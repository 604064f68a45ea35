import * as z from 'zod';

import { JobCondition } from './conditions.ts';

/** How far a Job has come. As in batch/v1: what is zero may be left out. */
export const JobStatus = z.strictObject({
  /** Pods Pending or Running that are not stopping. */
  active: z.int().optional(),
  /** Those of them that run. */
  ready: z.int().optional(),
  /** Pods that are stopping. */
  terminating: z.int().optional(),
  /** Pods that succeeded; indexes, for an Indexed Job. */
  succeeded: z.int().optional(),
  /** Pods that failed. */
  failed: z.int().optional(),
  /** Indexes that succeeded, as intervals such as `0-2,5`. Indexed only. */
  completedIndexes: z.string().optional(),
  /** Indexes that failed for good. Only with backoffLimitPerIndex. */
  failedIndexes: z.string().optional(),
  /** Pods that ended and are not in the counters yet. Drover counts at once, so it stays empty. */
  uncountedTerminatedPods: z
    .strictObject({
      /** Uids of pods that succeeded. */
      succeeded: z.array(z.string()).optional(),
      /** Uids of pods that failed. */
      failed: z.array(z.string()).optional(),
    })
    .optional(),
  /** When it was first looked at, or resumed. RFC 3339, seconds. */
  startTime: z.string().optional(),
  /** When it was Complete; a Failed Job has none. RFC 3339, seconds. */
  completionTime: z.string().optional(),
  /** What it has come to; in the order in which it happened. */
  conditions: z.array(JobCondition).optional(),
});
/** How far a Job has come. */
export type JobStatus = z.output<typeof JobStatus>;
