/** What a run of the chaos runner leaves to be judged: what was asked for, what really ran, and what Drover says. */
import type { JobStatus } from '@drover/shared';
import type { PodReason } from '@drover/store';

import type { ItemRun, PodRun } from './records.ts';

/** All that is judged. Times are ms since the epoch by the clock of the machine. */
export interface Evidence {
  readonly jobs: readonly JobEvidence[];
  readonly queues: readonly QueueEvidence[];
  readonly barePods: readonly BarePodEvidence[];
  readonly cronJobs: readonly CronJobEvidence[];
  /** Keys and members of which nobody takes care any more, as `drover doctor` finds them. */
  readonly leaks: readonly string[];
  /** What Redis has left when users have deleted everything. */
  readonly remains: readonly string[];
  /** Processes that ended by themselves, and what they said last. */
  readonly crashes: readonly string[];
}

/** How a Job may end. */
export type Ending =
  | { readonly type: 'Complete'; readonly reason?: string }
  | { readonly type: 'Failed'; readonly reason: string };

/** What a Job was to be. */
export interface JobPlan {
  readonly name: string;
  readonly uid: string;
  /** null: a work queue. */
  readonly completions: number | null;
  readonly isIndexed: boolean;
  /** Pods that were told to stop keep their place until they ended (podReplacementPolicy Failed). */
  readonly waitsForStopped: boolean;
  /** A pod may run several times (restartPolicy OnFailure). */
  readonly restarts: boolean;
  /** Failures of an index beyond which it fails, by itself. */
  readonly backoffLimitPerIndex: number | null;
  /** Failed pods may be left out of the count, by a policy. */
  readonly ignoresFailures: boolean;
  /** All ends that are right. */
  readonly endings: readonly Ending[];
}

/** From when on a parallelism may hold, and from when it certainly does; a suspended Job has 0. */
export interface Limit {
  readonly parallelism: number;
  readonly sentMs: number;
  readonly heardMs: number;
}

/** A pod that ended, as Drover keeps it. */
export interface EndedPod {
  readonly name: string;
  readonly index: number;
  readonly outcome: 'Succeeded' | 'Failed';
  readonly reason: PodReason;
  /** When it was claimed and when it was reported, or taken for lost. */
  readonly startMs: number;
  readonly endMs: number;
}

/** A status as a watch showed it. */
export interface SeenStatus {
  readonly atMs: number;
  readonly resourceVersion: number;
  readonly active: number;
  readonly terminating: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Types of the conditions that are True, in their order. */
  readonly conditions: readonly string[];
}

/** A Job of a run. */
export interface JobEvidence {
  readonly plan: JobPlan;
  /** In the order of time; the first is that of the manifest. */
  readonly limits: readonly Limit[];
  /** Pods that a user deleted, at most. */
  readonly deletedPods: number;
  /** Pods were told to stop: by a user who suspended the Job or changed its parallelism. */
  readonly isDisturbed: boolean;
  /** It was to be deleted, by a user or by its TTL. */
  readonly isDeleted: boolean;
  /** null: it is gone. */
  readonly status: JobStatus | null;
  readonly seen: readonly SeenStatus[];
  readonly pods: readonly EndedPod[];
  readonly runs: readonly PodRun[];
}

/** A work queue of a run. */
export interface QueueEvidence {
  readonly name: string;
  /** Items that were accepted. */
  readonly accepted: number;
  /** Ids of completed items, as often as they are listed, with the id that is in their result. */
  readonly completed: readonly { readonly id: number; readonly resultId: number }[];
  /** Ids of dead letters, as often as they are listed. */
  readonly dead: readonly number[];
  /** It ended with its Job, which was deleted or failed: not all items need be settled. */
  readonly isAbandoned: boolean;
  readonly runs: readonly ItemRun[];
}

/** A pod without a Job. */
export interface BarePodEvidence {
  readonly name: string;
  readonly isDeleted: boolean;
  /** null: it is gone. */
  readonly phase: string | null;
  readonly runs: readonly PodRun[];
}

/** A CronJob of a run, whose missed times are all made up for. */
export interface CronJobEvidence {
  readonly name: string;
  readonly everyMs: number;
  /** Times that Jobs were started for, ascending. */
  readonly startedForMs: readonly number[];
  /** When it was certainly there. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Something that must not be. */
export interface Violation {
  /** Which invariant. */
  readonly rule: string;
  /** Name of the object. */
  readonly about: string;
  readonly message: string;
}
