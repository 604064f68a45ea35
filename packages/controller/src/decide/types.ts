import type { IndexInterval, JobCondition, PodFailurePolicyRule } from '@drover/shared';

/** A rule of a successPolicy. */
export interface SuccessRule {
  /** Indexes of which the successes count; null = all. */
  readonly indexes: readonly IndexInterval[] | null;
  /** How many of them must have succeeded, an integer >= 0. */
  readonly count: number;
}

/** A rule of a podFailurePolicy. */
export type FailureRule = PodFailurePolicyRule;

/** The fields of a Job's spec that a decision depends on, with Kubernetes' defaults filled in. */
export interface DecideSpec {
  /** Most pods at a time, an integer >= 0. 0 pauses the Job. */
  readonly parallelism: number;
  /** Successes wanted, an integer >= 0; null: a work-queue Job, which the first success ends. */
  readonly completions: number | null;
  /** Whether each completion has an index of its own. */
  readonly indexed: boolean;
  /** Failed pods (or container restarts) that are tolerated, an integer >= 0. */
  readonly backoffLimit: number;
  /** Seconds from startTime until the Job fails, an integer >= 0; null = no deadline. */
  readonly activeDeadlineSeconds: number | null;
  /** Seconds from its end until the Job is deleted, an integer >= 0; null = never. */
  readonly ttlSecondsAfterFinished: number | null;
  /** No pod may run. */
  readonly suspended: boolean;
  /** restartPolicy OnFailure: a pod restarts its container, and restarts count to backoffLimit. */
  readonly restartsContainers: boolean;
  /** Failed pods of one index that are tolerated, an integer >= 0; null = indexes have no limit of their own. */
  readonly backoffLimitPerIndex: number | null;
  /** managedBy names another controller: nothing is done for the Job. */
  readonly isForeign: boolean;
  /** podFailurePolicy: the first rule that a failed pod matches says what becomes of it; null = no policy. */
  readonly failureRules: readonly FailureRule[] | null;
  /** successPolicy: the first rule that is met completes the Job; empty = no policy. */
  readonly successRules: readonly SuccessRule[];
  /** podReplacementPolicy Failed: a pod that was told to stop is replaced only when it has ended. */
  readonly replacesEnded: boolean;
  /** Failed indexes that are tolerated, an integer >= 0; null = any number. */
  readonly maxFailedIndexes: number | null;
}

/** What the last written status says that a decision builds on. */
export interface DecideStatus {
  /** status.startTime, ms since the epoch (a multiple of 1000); null = not started or suspended. */
  readonly startTimeMs: number | null;
  readonly conditions: readonly JobCondition[];
}

/** The numbers that every claim checks; the controller alone sets them. */
export interface GatePlan {
  /** Most active pods that a claim may lead to; 0 = closed. */
  readonly limit: number;
  /** No pod starts before this time, ms since the epoch; 0 = no hold. */
  readonly notBeforeMs: number;
  /** No pod starts at or after this time, ms since the epoch; 0 = none. */
  readonly deadlineMs: number;
  /** No pod starts while a failed one waits for its verdict. */
  readonly holdOnFailure: boolean;
  /** Failures are counted for each index. Left out = false. */
  readonly perIndex?: boolean;
  /** A pod that was told to stop is replaced only when it has ended. Left out = false. */
  readonly replaceEnded?: boolean;
  /** Each success has to be looked at. Left out = false. */
  readonly lookAtSuccesses?: boolean;
}

/** Live figures of a Job. Meaning as in the store's `HotCounters`. */
export interface Counters {
  readonly active: number;
  readonly running: number;
  readonly terminating: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly limitFailures: number;
  readonly unjudged: number;
  readonly restarts: number;
  readonly failuresInRow: number;
  readonly lastFailureMs: number;
  readonly lastSuccessMs: number;
  /** Records of pods that ended which are there. */
  readonly kept: number;
}

/** Reasons that say that a pod ended through no fault of its own. */
export const DISRUPTION_REASONS = ['NodeLost', 'Drained', 'RolledBack'] as const;

/** How often pods of an index failed. */
export interface IndexFailures {
  /** Failures that count to backoffLimitPerIndex. */
  readonly counted: number;
  /** Failures that were ignored. */
  readonly ignored: number;
}

/** What a podFailurePolicy looks at. */
export interface PodFacts {
  /** `<namespace>/<name>`. */
  readonly path: string;
  /** How its containers ended, those of the template first, then the initContainers. */
  readonly containers: readonly { readonly name: string; readonly exitCode: number }[];
  readonly conditions: readonly { readonly type: string; readonly status: string }[];
}

/** A failed pod that waits for its verdict. */
export interface UnjudgedPod {
  readonly podNumber: number;
  /** Completion index; of a Job that is not Indexed the internal unit of work. */
  readonly index: number;
  /** Why it ended: `Deleted`, one of {@link DISRUPTION_REASONS}, or an ordinary failure. */
  readonly reason: string;
  /** When it started, ms since the epoch, <= endMs. */
  readonly startMs: number;
  /** When it ended, ms since the epoch. */
  readonly endMs: number;
  /** How often in a row its index was lost, this time included; 0 = not lost. */
  readonly losses: number;
  /** Of pods of its index before it; only with backoffLimitPerIndex. */
  readonly failures: IndexFailures;
  /** Of a Job with a podFailurePolicy. */
  readonly facts?: PodFacts;
}

/** How the indexes of a Job are that has a limit for each of them. */
export interface ObservedIndexes {
  /** Indexes that failed for good. */
  readonly failedCount: number;
  /** Indexes whose back-off is over: the next verdicts let them go. */
  readonly readyCount: number;
  /** When the back-off of another index is over, ms since the epoch; null = none waits. */
  readonly nextReadyMs: number | null;
}

/** The indexes that the scripts hand out; not those of the spec while an Indexed Job is being resized. */
export interface IndexRange {
  /** How many there are, an integer >= 0. */
  readonly end: number;
  /** What is known of indexes from this one on is void, and partly removed; null = no resize was begun. */
  readonly cut: number | null;
  /** A pod of an index beyond the end, from before the Job shrank, has not ended, and may not be replaced before. */
  readonly hasTail: boolean;
}

/**
 * What a Job that is to be deleted waits for: that nothing of it is left, that nothing belongs to it
 * any more, or only for others.
 */
export type Deletion = 'foreground' | 'orphan' | 'others';

/** One look at a Job, as `decide` sees it. */
export interface Observed {
  readonly spec: DecideSpec;
  readonly status: DecideStatus;
  /** Complete or Failed is written. */
  readonly finished: boolean;
  /** Its deletion was asked for, and it waits for its finalizers; null = it was not. */
  readonly deletion: Deletion | null;
  /** Its pods are nobody's any more. */
  readonly orphaned: boolean;
  /** The Job was deleted; what is left of it is a tombstone. */
  readonly deleted: boolean;
  /** Its user wants no further pods, while those that run go on to their end. */
  readonly held: boolean;
  readonly gate: GatePlan;
  readonly counters: Counters;
  /** At most 500 of `counters.unjudged`. */
  readonly unjudged: readonly UnjudgedPod[];
  /**
   * Bits of the indexes that succeeded, most significant first, as far as a successPolicy asks for them;
   * empty when it can not be met yet. May know of successes that came after the look.
   */
  readonly done: Uint8Array;
  /** Indexes that could get a pod at once: to be tried again, or not tried yet. Infinite for a work queue. */
  readonly startableCount: number;
  /** Of a Job with backoffLimitPerIndex; null for others. */
  readonly indexes: ObservedIndexes | null;
  /** Of an Indexed Job; null for others. */
  readonly range: IndexRange | null;
  /** Active pods that no worker has yet, an integer in [0, active]. */
  readonly pendingCount: number;
  /** Lanes of live workers that could run the Job's pods. */
  readonly fittingLanes: number;
  /** Its pods request resources, which a worker reserves for them. */
  readonly reserves: boolean;
  /** Unfinished Jobs with slots on the same queue, this one included. */
  readonly jobsOnQueue: number;
}

/** The verdict about one failed pod. */
export interface PodVerdict {
  readonly podNumber: number;
  readonly index: number;
  /** `failed`: counted. `ignored`: not counted. `indexFailed`: counted, and its index is not tried again. */
  readonly verdict: 'failed' | 'ignored' | 'indexFailed';
  /** Whether it counts to backoffLimit. */
  readonly countsToLimit: boolean;
  /** When its index may be tried again, ms since the epoch; left out = at once. */
  readonly retryAtMs?: number;
  /** Failures of its index from now on. Only with backoffLimitPerIndex. */
  readonly failures?: IndexFailures;
}

/** What to write before anything else; null in a decision when nothing of it differs. */
export interface JudgePlan {
  readonly judgements: readonly PodVerdict[];
  readonly gate: GatePlan;
  readonly failuresInRow: number;
  readonly lastFailureMs: number;
}

/** What to do with pods. A pass opens or stops, never both, so that the next starts from a settled count. */
export type PodChange =
  | { readonly type: 'keep' }
  /** Open this many slots, an integer in [1, MAX_OPENS_PER_PASS]. */
  | { readonly type: 'open'; readonly count: number }
  /** Stop this many active pods in the order of `stopOrder`, an integer >= 1. */
  | { readonly type: 'stop'; readonly count: number }
  /** Stop the pods that no worker has yet. */
  | { readonly type: 'stopPending' };

/** When to look again if nothing changes meanwhile. */
export type Next =
  /** Only when something changes. */
  | { readonly type: 'never' }
  /** At the next resync. */
  | { readonly type: 'resync' }
  /** At this time, ms since the epoch, or at the next resync if that is sooner. */
  | { readonly type: 'at'; readonly atMs: number }
  /** At this time, ms since the epoch, and not before. */
  | { readonly type: 'until'; readonly atMs: number };

/** What one pass does. `judge` is applied before pods, and pods before status, except for `end`. */
export type Decision =
  /** The Job is finished: nothing, unless it is to be deleted some time. */
  | { readonly type: 'rest'; readonly next: Next }
  /** The time of a finished Job is over: delete it in Foreground, if it is as it was seen. */
  | { readonly type: 'expire' }
  /** Let everything go that belongs to the Job, its pods too. */
  | { readonly type: 'orphan' }
  /** Pods that are nobody's run to their end; nothing more is started. */
  | {
      readonly type: 'tend';
      readonly judge: JudgePlan | null;
      /** As for converge. */
      readonly offerLimit: number;
      readonly next: Next;
    }
  /** Deleted in Foreground: stop all pods, counted failed; when none is left remove what belongs to it, and itself. */
  | {
      readonly type: 'dismantle';
      readonly judge: JudgePlan | null;
      readonly stopsPods: boolean;
      /** No pod is active, terminating or unjudged. */
      readonly isEmpty: boolean;
      /** What is shown meanwhile; null of a finished Job, whose status stays as it is. */
      readonly shown: { readonly figures: Figures; readonly standing: Standing } | null;
      readonly next: Next;
    }
  /** A deleted Job that still has active pods: stop all of them, uncounted. */
  | { readonly type: 'clear' }
  /** A deleted Job with no active pod: remove what is left of it once its last pod has ended. */
  | { readonly type: 'purge' }
  /**
   * Another number of completions: first the pods of indexes that go are stopped, uncounted, and when
   * none of them counts any more what is known of these indexes is removed.
   */
  | {
      readonly type: 'resize';
      /** With indexes that go the gate is closed, so that none of them gets another pod. */
      readonly judge: JudgePlan | null;
      /** More failed pods wait for their verdict: look again first. */
      readonly isUnjudged: boolean;
      /** The first index that goes; null = none does. */
      readonly from: number | null;
      /** How many indexes there are then. */
      readonly completions: number;
      readonly figures: Figures;
      readonly standing: Standing;
    }
  /** No pod may be active for now: stop all of them, uncounted; show it when none is. */
  | {
      readonly type: 'suspend';
      readonly judge: JudgePlan | null;
      readonly stopsPods: boolean;
      readonly figures: Figures;
      readonly standing: Standing;
      readonly next: Next;
    }
  /** The verdict is fixed. `standing` is written first; then active pods are stopped. */
  | {
      readonly type: 'end';
      readonly judge: JudgePlan | null;
      /** How active pods are stopped and counted; null = none is active. */
      readonly stopsPodsAs: 'failed' | 'uncounted' | null;
      /** Set when nothing runs any more: `standing` has the terminal condition. */
      readonly finish: 'Complete' | 'CompleteEarly' | 'Failed' | null;
      readonly figures: Figures;
      readonly standing: Standing;
      readonly next: Next;
    }
  /** Bring the number of active pods to what it should be. */
  | {
      readonly type: 'converge';
      readonly judge: JudgePlan | null;
      readonly pods: PodChange;
      /** Most pods that may be with workers or on offer to them at once. */
      readonly offerLimit: number;
      /** Slot holders should make room between pods for those that wait. */
      readonly contended: boolean;
      readonly figures: Figures;
      readonly standing: Standing;
      readonly next: Next;
    };

/** The numbers of a status, after the decision's `judge`, before its pod changes. */
export interface Figures {
  readonly active: number;
  readonly ready: number;
  readonly terminating: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Indexes that failed for good; only with backoffLimitPerIndex. */
  readonly failedIndexes?: number;
}

/** What a status says beside its numbers. */
export interface Standing {
  /** ms since the epoch; null = no startTime is shown. */
  readonly startTimeMs: number | null;
  /** Time of the Complete condition, ms since the epoch; null for all others, Failed ones included. */
  readonly completionTimeMs: number | null;
  readonly conditions: readonly JobCondition[];
}
