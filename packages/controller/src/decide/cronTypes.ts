import type { ActiveJob, CronCalendarReading, CronJobSpec } from '@drover/shared';

/** A Job that a CronJob controls. */
export interface CronOwnedJob {
  readonly uid: string;
  readonly name: string;
  /** How it ended; null = it has not. */
  readonly end: 'Complete' | 'Failed' | null;
  /** ms since the epoch; null = it never started. */
  readonly startTimeMs: number | null;
  /** ms since the epoch; null = it did not succeed. */
  readonly completionTimeMs: number | null;
  /** ms since the epoch. */
  readonly createdMs: number;
  /** The schedule did not make it, and it was not seen before. */
  readonly isNew: boolean;
  /** It was made by hand, as its annotation says. */
  readonly isManual: boolean;
}

/** All that a decision about a CronJob depends on. */
export interface CronObserved {
  readonly nowMs: number;
  /** Most Jobs that are started in one go, an integer >= 1; the rest has its turn in the next. */
  readonly maxStarts: number;
  readonly spec: Pick<
    CronJobSpec,
    | 'suspend'
    | 'concurrencyPolicy'
    | 'startingDeadlineSeconds'
    | 'successfulJobsHistoryLimit'
    | 'failedJobsHistoryLimit'
    | 'timeZone'
    | 'schedule'
  >;
  /** Its `everyFromMs` is the last time, else the creation. */
  readonly calendar: CronCalendarReading;
  readonly createdMs: number;
  /** It is being deleted. */
  readonly isDeleted: boolean;
  /** As its status says. */
  readonly active: readonly ActiveJob[];
  /** The last time for which there was a Job; null = none yet. */
  readonly lastScheduleMs: number | null;
  /** When a Job of the schedule last succeeded; null = never. */
  readonly lastSuccessMs: number | null;
  /** What became of times up to this one is noted; null = of none. */
  readonly checkedMs: number | null;
  /** Since when it is known to be suspended; null = it is not. */
  readonly suspendedMs: number | null;
  /** All Jobs that it controls. */
  readonly owned: readonly CronOwnedJob[];
}

/** An event as `kubectl describe` shows it. */
export interface CronEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Why a time had no Job, as far as a decision knows. */
export type CronSkip = {
  readonly slotMs: number;
  readonly reason:
    | 'suspended'
    | 'forbidden'
    | 'deadline'
    | 'missed'
    | 'excludedDate'
    | 'repeatedHour'
    | 'skippedHour';
};

/** What is to be done. Each step may be done twice. */
export interface CronDecision {
  /** Told once the rest was done. */
  readonly events: readonly CronEvent[];
  /** Finished Jobs beyond the limits of history. */
  readonly prune: readonly CronOwnedJob[];
  /** Running Jobs that are replaced: deleted before `start`. */
  readonly replace: readonly CronOwnedJob[];
  /** Times for which a Job is started, in their order. */
  readonly start: readonly number[];
  /** Those of `status.active` that still run, without what is started. */
  readonly active: readonly ActiveJob[];
  readonly lastSuccessMs: number | null;
  /** Times that have no Job, to be noted. */
  readonly skips: readonly CronSkip[];
  /** Runs by hand, to be noted. */
  readonly manual: readonly CronOwnedJob[];
  /** What became of times up to this one is noted with this; null = as it was. */
  readonly checkedMs: number | null;
  /** Since when it is suspended; 0 = it is not, null = as it was. */
  readonly suspendedMs: number | null;
  /** When to look again; null = when something changes. */
  readonly nextAtMs: number | null;
}
