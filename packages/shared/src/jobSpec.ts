import * as z from 'zod';

import { LabelSelector } from './labels.ts';
import { PodTemplateSpec } from './podTemplate.ts';

/** backoffLimit of a Job that limits the retries of each index instead. */
const NO_BACKOFF_LIMIT = 2 ** 31 - 1;

/** Matches a failed pod by the exit codes of its containers. */
export const PodFailurePolicyOnExitCodes = z.strictObject({
  /** Which container; any when left out. */
  containerName: z.string().optional(),
  /** Whether the exit code must be one of the values, or none of them (and not 0). */
  operator: z.enum(['In', 'NotIn']),
  /** Exit codes: ascending, each once, 1 to 255 of them. */
  values: z.array(z.int32()),
});
/** Matches a failed pod by the exit codes of its containers. */
export type PodFailurePolicyOnExitCodes = z.output<typeof PodFailurePolicyOnExitCodes>;

/** Matches a failed pod by one of its conditions. */
export const PodFailurePolicyOnPodCondition = z.strictObject({
  /** Type of the condition, such as DisruptionTarget. */
  type: z.string(),
  /** Status of the condition. Default True. */
  status: z.enum(['False', 'True', 'Unknown']).default('True'),
});
/** Matches a failed pod by one of its conditions. */
export type PodFailurePolicyOnPodCondition = z.output<typeof PodFailurePolicyOnPodCondition>;

/** What to do with a failed pod that matches. Has exactly one of the two matches. */
export const PodFailurePolicyRule = z.strictObject({
  /** Count it, fail its index, fail the Job, or do not count it. */
  action: z.enum(['Count', 'FailIndex', 'FailJob', 'Ignore']),
  /** Match by exit code. */
  onExitCodes: PodFailurePolicyOnExitCodes.optional(),
  /** Match by any of these conditions; at most 20. */
  onPodConditions: z.array(PodFailurePolicyOnPodCondition).optional(),
});
/** What to do with a failed pod that matches. */
export type PodFailurePolicyRule = z.output<typeof PodFailurePolicyRule>;

/** Rules for failed pods. */
export const PodFailurePolicy = z.strictObject({
  /** In order, the first match decides; at most 20. A pod that none matches is counted. */
  rules: z.array(PodFailurePolicyRule),
});
/** Rules for failed pods. */
export type PodFailurePolicy = z.output<typeof PodFailurePolicy>;

/** When a Job has succeeded though not every index has. Has at least one field. */
export const SuccessPolicyRule = z.strictObject({
  /** Index intervals, such as `0,2-4`; all of them, or succeededCount of them. At most 64 KiB. */
  succeededIndexes: z.string().optional(),
  /** How many indexes must have succeeded. >= 0. */
  succeededCount: z.int32().optional(),
});
/** When a Job has succeeded though not every index has. */
export type SuccessPolicyRule = z.output<typeof SuccessPolicyRule>;

/** Rules for an early success. */
export const SuccessPolicy = z.strictObject({
  /** In order, the first match decides; 1 to 20. */
  rules: z.array(SuccessPolicyRule),
});
/** Rules for an early success. */
export type SuccessPolicy = z.output<typeof SuccessPolicy>;

/** The fields of a JobSpec; those whose default hangs on others as they were given. */
export const JobSpecFields = z.strictObject({
  /** Most pods at once, >= 0; 0 pauses the Job. Default 1. May change. */
  parallelism: z.int32().optional(),
  /**
   * Successes wanted, >= 0. Default 1 when parallelism is not set either. Not set otherwise:
   * a work-queue Job, which any success ends.
   */
  completions: z.int32().optional(),
  /** Whether each completion has an index of its own. */
  completionMode: z.enum(['NonIndexed', 'Indexed']).default('NonIndexed'),
  /** How many pods may fail before the Job fails, >= 0. Default 6. May change. */
  backoffLimit: z.int32().optional(),
  /** How many pods of one index may fail before the index fails, >= 0. Indexed only. */
  backoffLimitPerIndex: z.int32().optional(),
  /** How many indexes may fail before the Job fails, >= 0. Needs backoffLimitPerIndex. */
  maxFailedIndexes: z.int32().optional(),
  /** Longest time from startTime, in seconds, >= 0. Default: none. May change. */
  activeDeadlineSeconds: z.int().optional(),
  /** How long a finished Job stays, in seconds, >= 0. Default: for ever. May change. */
  ttlSecondsAfterFinished: z.int32().optional(),
  /** Stops all pods and starts none while true. May change. */
  suspend: z.boolean().default(false),
  /** Which pods are the Job's. Generated from its uid. */
  selector: LabelSelector.optional(),
  /** The selector is the user's, not generated. */
  manualSelector: z.boolean().default(false),
  /** Rules for failed pods. */
  podFailurePolicy: PodFailurePolicy.optional(),
  /**
   * When a stopping pod is replaced: at once, or when it has ended. Default TerminatingOrFailed;
   * Failed with a podFailurePolicy. May change.
   */
  podReplacementPolicy: z.enum(['TerminatingOrFailed', 'Failed']).optional(),
  /** Rules for an early success. Indexed only. */
  successPolicy: SuccessPolicy.optional(),
  /** Which controller takes care of it; ours is kubernetes.io/job-controller, and the default. */
  managedBy: z.string().optional(),
  /** What each pod looks like. Can't change once the Job was started. */
  template: PodTemplateSpec,
});
/** The fields of a JobSpec; those whose default hangs on others as they were given. */
export type JobSpecFields = z.output<typeof JobSpecFields>;

/** Fills in the defaults that hang on other fields, as Kubernetes does when a Job is created. */
export function withJobDefaults(spec: JobSpecFields) {
  const { parallelism, completions, backoffLimitPerIndex, podFailurePolicy } = spec;
  const isSingle = parallelism === undefined && completions === undefined;
  const backoffLimit = backoffLimitPerIndex === undefined ? 6 : NO_BACKOFF_LIMIT;
  const replacement = podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed';
  const filled = {
    ...spec,
    parallelism: parallelism ?? 1,
    backoffLimit: spec.backoffLimit ?? backoffLimit,
    podReplacementPolicy: spec.podReplacementPolicy ?? replacement,
  };
  if (isSingle) filled.completions = 1;
  return filled;
}

/** What a user asks for. Names, defaults and meaning are those of batch/v1 JobSpec. */
export const JobSpec = JobSpecFields.transform(withJobDefaults);
/** What a user asks for, with every default filled in. */
export type JobSpec = z.output<typeof JobSpec>;
