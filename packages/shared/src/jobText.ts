/** What kubectl's tables say about Jobs and CronJobs, in one cell each. */

import { isConditionTrue } from './conditions.ts';
import type { CronJob } from './cronJob.ts';
import { ageText, humanDuration } from './duration.ts';
import type { Job } from './job.ts';
import { parseTime } from './time.ts';

/**
 * The STATUS column: Complete, Failed, Terminating, Suspended, FailureTarget, SuccessCriteriaMet or
 * Running; the first that applies.
 */
export function jobStatusWord({ metadata, status }: Pick<Job, 'metadata' | 'status'>): string {
  const has = (type: string) => isConditionTrue(status.conditions, type);
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (has('Suspended')) return 'Suspended';
  if (has('FailureTarget')) return 'FailureTarget';
  if (has('SuccessCriteriaMet')) return 'SuccessCriteriaMet';
  return 'Running';
}

/** The COMPLETIONS column: `3/10`, or `0/1 of 4` for a work-queue Job of parallelism 4. */
export function completionsText({ spec, status }: Pick<Job, 'spec' | 'status'>): string {
  const succeeded = status.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  return spec.parallelism > 1 ? `${succeeded}/1 of ${spec.parallelism}` : `${succeeded}/1`;
}

/**
 * The DURATION column: from start to completion, or to now; empty when it has not started. As in
 * kubectl it goes on growing for a Failed Job, which has no completion time.
 */
export function jobDurationText({ status }: Pick<Job, 'status'>, nowMs: number): string {
  const startMs = parseTime(status.startTime);
  if (startMs === null) return '';
  return humanDuration((parseTime(status.completionTime) ?? nowMs) - startMs);
}

/** The SUSPEND column of a CronJob. */
export function cronJobSuspendText({ spec }: Pick<CronJob, 'spec'>): string {
  return spec.suspend ? 'True' : 'False';
}

/** The LAST SCHEDULE column of a CronJob: how long ago its last time was. */
export function lastScheduleText({ status }: Pick<CronJob, 'status'>, nowMs: number): string {
  return status.lastScheduleTime === undefined ? '<none>' : ageText(status.lastScheduleTime, nowMs);
}
