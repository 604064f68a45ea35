/** What the store says of CronJobs: docs/design/0010-cron-jobs.md. */

import type { QuotaDenial } from '@drover/shared';

import type { NewJob, StoredJob } from './api.ts';
import type { StoredObject } from './objectApi.ts';

/** Most Jobs of one call of `runCronJob`, and bytes of them, about: bounds its time. A single Job may be larger. */
const MAX_JOBS_PER_RUN = 25;
const MAX_BYTES_PER_RUN = 512 * 1024;

/** How many Jobs of a CronJob one call of `run` takes at most. */
export function cronJobsPerRun({ object }: Pick<StoredObject, 'object'>): number {
  return Math.max(1, Math.min(MAX_JOBS_PER_RUN, Math.floor(MAX_BYTES_PER_RUN / object.length)));
}
/** So many past times of a CronJob are kept at least, if there were so many. */
export const KEPT_CRON_TIMES = 100;

/** Why a time of a schedule had no Job. */
export const CRON_SKIP_REASONS = [
  /** The CronJob was suspended. */
  'suspended',
  /** A Job of it ran still, and its concurrencyPolicy is Forbid. It may still be run when that ends. */
  'forbidden',
  /** startingDeadlineSeconds had passed. */
  'deadline',
  /** It was missed, and a later one was run in its place, or none as catch-up says. */
  'missed',
  /** Another Job had the name. */
  'nameTaken',
  /** The Job was refused: its template is not valid any more. */
  'invalid',
  /** Its date is excluded. */
  'excludedDate',
  /** Its hour came for the second time. */
  'repeatedHour',
  /** Its hour did not come. */
  'skippedHour',
  /** The quota of its namespace allowed no more Jobs. */
  'quota',
] as const;
/** One of {@link CRON_SKIP_REASONS}. */
export type CronSkipReason = (typeof CRON_SKIP_REASONS)[number];

/** What became of a time of a schedule, or of a run by hand. */
export type CronRunOutcome =
  /** The schedule made a Job. */
  | { readonly type: 'started'; readonly atMs: number }
  /** A Job was made for the time by hand, afterwards. */
  | { readonly type: 'backfilled'; readonly atMs: number }
  /** A Job was made by hand, for no time of the schedule: `slotMs` says when. */
  | { readonly type: 'manual'; readonly job: string; readonly uid: string }
  /** There was no Job. */
  | { readonly type: 'skipped'; readonly reason: CronSkipReason };

/** A past time of a CronJob. */
export type CronRun = CronRunOutcome & {
  /** The time by the schedule; ms since the epoch. */
  readonly slotMs: number;
};

/** One look at a CronJob. */
export interface ObservedCronJob {
  readonly nowMs: number;
  readonly stored: StoredObject;
  /** How often `run` was done; the guard of the next one. */
  readonly runs: number;
  /** What became of times up to this one is noted; null = of none. ms since the epoch. */
  readonly checkedMs: number | null;
  /** Since when it is known to be suspended; null = it is not. ms since the epoch. */
  readonly suspendedMs: number | null;
}

/** A Job that belongs to a CronJob and is controlled by it. */
export interface OwnedJob extends Pick<
  StoredJob,
  'uid' | 'name' | 'status' | 'finished' | 'createdMs' | 'deletionMs'
> {
  /** The schedule did not make it, and it is not noted yet. */
  readonly isNew: boolean;
  /** That was by hand, as its annotation says; only of a new one. */
  readonly isManual: boolean;
}

/** What was decided of a CronJob. */
export interface CronJobRun {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** As observed. */
  readonly runs: number;
  /** As observed. */
  readonly expectedResourceVersion: number;
  /** JSON of the object with its new status; null = as it was. */
  readonly object: string | null;
  /** As in {@link ObservedCronJob}; null = as it was. */
  readonly checkedMs: number | null;
  /** As in {@link ObservedCronJob}; 0 = it is not suspended, null = as it was. */
  readonly suspendedMs: number | null;
  /** What is to be noted; that of each Job first, in their order. */
  readonly notes: readonly CronRun[];
  /** At most {@link cronJobsPerRun}. */
  readonly jobs: readonly NewJob[];
}

/** What became of it. Only `done` wrote anything. */
export type CronJobRunOutcome =
  | { readonly type: 'done'; readonly resourceVersion: number }
  | { readonly type: 'notFound' }
  | { readonly type: 'conflict' }
  /** Another Job has the name of the one at this place. */
  | { readonly type: 'nameTaken'; readonly at: number }
  /** The one at this place was made before. */
  | { readonly type: 'ran'; readonly at: number }
  /** Quota does not allow the one at this place. */
  | { readonly type: 'forbidden'; readonly at: number; readonly denial: QuotaDenial };
