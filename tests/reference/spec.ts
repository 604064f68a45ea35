/** The part of a Job's spec that the comparison varies, and what is compared. */

/** A rule of a podFailurePolicy. */
export interface FailureRule {
  readonly action: 'Ignore' | 'Count' | 'FailIndex' | 'FailJob';
  readonly onExitCodes?: {
    readonly containerName?: string;
    readonly operator: 'In' | 'NotIn';
    readonly values: readonly number[];
  };
  readonly onPodConditions?: readonly { readonly type: string; readonly status: string }[];
}

/** A rule of a successPolicy. */
export interface SuccessRule {
  /** As in the manifest, such as `0-2,5`. */
  readonly succeededIndexes?: string;
  readonly succeededCount?: number;
}

/** Fields as in a manifest, with Kubernetes' defaults filled in; null = not given. */
export interface Spec {
  readonly parallelism: number;
  readonly completions: number | null;
  readonly indexed: boolean;
  readonly backoffLimit: number;
  readonly backoffLimitPerIndex: number | null;
  readonly maxFailedIndexes: number | null;
  readonly activeDeadlineSeconds: number | null;
  readonly suspend: boolean;
  readonly restartPolicy: 'Never' | 'OnFailure';
  readonly podReplacementPolicy: 'TerminatingOrFailed' | 'Failed';
  readonly failureRules: readonly FailureRule[] | null;
  readonly successRules: readonly SuccessRule[] | null;
  /** Of each pod. */
  readonly containers: readonly string[];
}

/** A condition as it is shown. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** ms since the epoch. */
  readonly sinceMs: number;
}

/** All that is compared of a Job. */
export interface View {
  readonly conditions: readonly Condition[];
  readonly startMs: number | null;
  readonly completionMs: number | null;
  readonly active: number;
  readonly ready: number;
  readonly terminating: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly completedIndexes: string;
  /** null = the Job has no backoffLimitPerIndex. */
  readonly failedIndexes: string | null;
  /** `<index> <Pending, Running or Terminating>` of each pod that has not ended, sorted. */
  readonly pods: readonly string[];
}

/** How a pod ended. */
export interface PodEnd {
  /** Of each container, in the order of the template. */
  readonly exitCodes: readonly number[];
  /** Its worker was shut down: a disruption. */
  readonly drained: boolean;
}

/** A pod that has not ended, as both sides know it: of pods of an index that are told to stop the oldest first. */
export interface PodRef {
  readonly index: number;
  readonly terminating: boolean;
  /** Among those of the same index that are told to stop. */
  readonly at: number;
}

/** One side of the comparison. */
export interface Side<Reply = void> {
  /** Pods that wait for a worker are run from now on. */
  bringWorkers(): Reply;
  end(pod: PodRef, how: PodEnd): Reply;
  /** Its worker died. */
  lose(pod: PodRef): Reply;
  /** Its user deletes it. */
  remove(pod: PodRef): Reply;
  /** A container of it failed and is started again. */
  restart(pod: PodRef): Reply;
  edit(change: Partial<Spec>): Reply;
}
